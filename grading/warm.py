"""Runs inside a box: a process that has imported everything once, and forks a kernel for each submission.

It runs no learner's code, ever. It reads orders from one socket, one message each, and forks. A fork has the
modules, and from then on shares nothing that can be written to with anybody:

    unshare(2)    user, mount, process, network, IPC and host-name namespaces of its own
    mount(2)      an empty /tmp, home and /dev/shm, in memory, with a size; a /proc of its own processes
    capset(2)     what the new user namespace gave it for that is given up again
    launch.py     limits, Landlock, seccomp

Three processes are forked for one kernel. The first makes the namespaces, and stays outside of the one for
processes, as whoever makes one does. The second is number 1 in it: it waits for the third and ends with it,
and with number 1 ends, by the kernel's rule, everything that was started in there. The third is the kernel.

There is no event loop, no ZeroMQ context and no second thread here: a fork gets a copy of their locks, and of
no thread that would open them.
"""

import contextlib
import ctypes
import fcntl
import gc
import importlib
import json
import os
import random
import runpy
import socket
import struct
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from grading import launch

# unshare(2), <linux/sched.h>
NEW_MOUNTS, NEW_UTS, NEW_IPC, NEW_USER, NEW_PROCESSES, NEW_NETWORK = (
    0x00020000,
    0x04000000,
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
# mount(2), <linux/mount.h>
NO_SETUID, NO_DEVICES, NO_PROGRAMS, BIND, RECURSIVE, PRIVATE = 0x2, 0x4, 0x8, 0x1000, 0x4000, 0x40000
SET_DUMPABLE, DROP_FROM_BOUNDS, AMBIENT, AMBIENT_CLEAR = 4, 24, 47, 4  # prctl(2)
CAPABILITY_VERSION = 0x20080522  # capset(2): the one with two halves of 32 bits
GET_FLAGS, SET_FLAGS, IS_UP = 0x8913, 0x8914, 0x1  # netdevice(7)
ORDER_BYTES = 1 << 16
LAST_DESCRIPTOR = 2**31 - 1
# What a fresh process starts with: torch's own default, and the same for those who would ask the clock.
SEED = 67280421310721

# What a kernel imports by and by while it starts and runs its first cell.
KERNEL_NEEDS = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipykernel.debugger",
    "matplotlib_inline.backend_inline",
    "tornado.platform.asyncio",
    "IPython.core.completerlib",
    "IPython.extensions.storemagic",
    "IPython.core.debugger",
    "IPython.core.logger",
    "IPython.core.oinspect",
    "einops._torch_specific",  # einops imports it when it first meets a tensor
    "encodings.idna",
    "faulthandler",
)

_libc = ctypes.CDLL(None, use_errno=True)


def main(descriptor: int, orders: dict[str, Any]) -> None:
    """Import, say that it is ready, and fork for every order until the socket closes.

    Args:
        descriptor: our end of a pair of SOCK_SEQPACKET sockets.
        orders: "uid", which to become (None to stay), "imports", module names, "calls", the seccomp program.
    """
    if orders["uid"] is not None:
        become(int(orders["uid"]))
    launch.give_up_new_rights()
    # Nobody who has our user id, and is in no box of ours, may look into this process.
    _libc.prctl(SET_DUMPABLE, 0, 0, 0, 0)
    control = socket.socket(fileno=descriptor)
    missing = pay(orders["imports"])
    control.send(
        json.dumps(
            {"ready": True, "threads": len(os.listdir("/proc/self/task")), "missing": missing}
        ).encode()
    )
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, ORDER_BYTES, 8)
        if not message:
            return
        fork(control, json.loads(message), descriptors, orders["calls"])
        for one in descriptors:
            os.close(one)


def become(uid: int) -> None:
    """Started by root: mount a /proc without covers, so that forks may mount theirs; then be nobody."""
    mount("proc", "/proc", "proc", NO_SETUID | NO_DEVICES | NO_PROGRAMS)
    _drop_bounds()
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)  # the capabilities go with it


def pay(imports: Sequence[str]) -> list[str]:
    """Everything that costs time once. Returns the names that could not be imported."""
    before = dict(os.environ)
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # as ipykernel would, too late
    missing = []
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)  # before any operation: with two threads, forks wait for ever
    for name in [*KERNEL_NEEDS, *imports]:
        try:
            importlib.import_module(name)
        except Exception:  # the cell that imports it says so to the learner
            missing.append(name)
    # The first optimiser, the first backward pass and the first attention each import or set up something.
    layer = torch.nn.TransformerEncoderLayer(8, 2, 8, batch_first=True)
    optimiser = torch.optim.AdamW(layer.parameters())
    layer(torch.zeros(1, 2, 8)).sum().backward()
    optimiser.step()
    # What imports have left in the environment is not a fork's: it starts as a fresh process does.
    os.environ.clear()
    os.environ.update(before)
    gc.collect()
    gc.freeze()  # the collector leaves alone what is here already, so that its pages stay shared
    return missing


def fork(control: socket.socket, orders: dict[str, Any], descriptors: Sequence[int], calls: str) -> None:
    """Fork one kernel, and answer with a descriptor that stands for its first process.

    Args:
        orders: "share", its folder; "limits"; "paths", for Landlock; "run", a module or a file, and
            "arguments"; "keep", under which number it gets the second descriptor.
        descriptors: where it writes its errors; what it is to keep.
    """
    errors = descriptors[0]
    outside = os.fork()
    if outside:
        if os.waitpid(outside, 0)[1] != 0:
            control.send(b"{}")  # without a descriptor: there is no kernel, and nobody has to wait for one
        return
    try:
        _separate()
        first = os.fork()
        if first:
            socket.send_fds(control, [b"{}"], [os.pidfd_open(first)])
            os._exit(0)
        control.close()
        _furnish(orders["share"], orders["home"], int(orders["scratch_mb"]))
        _give_up_capabilities()
        _keep(descriptors, int(orders["keep"]))
        errors = 2
        launch.lock({**orders, "calls": calls} if calls else orders)
        kernel = os.fork()
        if kernel:
            _wait_for(kernel)
        _run(orders["run"], orders["arguments"])
    except BaseException as problem:
        with contextlib.suppress(OSError):
            os.write(errors, f"{type(problem).__name__}: {problem}\n".encode())
    finally:
        os._exit(1)


def _separate() -> None:
    """Namespaces of its own, in which it is the same user, and the only one."""
    _libc.prctl(SET_DUMPABLE, 1, 0, 0, 0)  # or the files below would be root's
    uid, gid = os.getuid(), os.getgid()
    flags = NEW_USER | NEW_MOUNTS | NEW_PROCESSES | NEW_NETWORK | NEW_IPC | NEW_UTS
    _called(_libc.unshare(flags), "unshare")
    # user_namespaces(7): groups can be mapped by nobody without rights who could still drop one.
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _furnish(share: str, home: str, scratch_mb: int) -> None:
    """Mounts of its own, over what it shares with other forks."""
    mount(None, "/", None, RECURSIVE | PRIVATE)
    kept = os.open(share, os.O_PATH | os.O_DIRECTORY)  # opened here: a mount of another namespace is refused
    mount("proc", "/proc", "proc", NO_SETUID | NO_DEVICES | NO_PROGRAMS)
    size = f"size={scratch_mb}m,nr_inodes=20000"
    for folder, mode in (("/tmp", "1777"), ("/dev/shm", "1777"), (home, "0777")):
        mount("tmpfs", folder, "tmpfs", NO_SETUID | NO_DEVICES, f"{size},mode={mode}")
    if not share.startswith("/tmp/"):
        mount("tmpfs", os.path.dirname(share), "tmpfs", NO_SETUID | NO_DEVICES, "size=64k,mode=0755")
    os.makedirs(share)
    mount(f"/proc/self/fd/{kept}", share, None, BIND)
    os.close(kept)
    _loopback_up()
    os.setsid()
    os.chdir(home)


def _loopback_up() -> None:
    """A new network namespace has nothing but a loopback, and that is down; libzmq asks for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = fcntl.ioctl(any_socket, GET_FLAGS, struct.pack("16sh14x", b"lo", 0))
        flags = struct.unpack("16sh14x", request)[1] | IS_UP
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh14x", b"lo", flags))


def _drop_bounds() -> None:
    """No program started later can get a capability from its file."""
    for capability in range(64):
        if _libc.prctl(DROP_FROM_BOUNDS, capability, 0, 0, 0) != 0:
            return  # the first number that this kernel does not know


def _give_up_capabilities() -> None:
    _drop_bounds()
    _called(_libc.prctl(AMBIENT, AMBIENT_CLEAR, 0, 0, 0), "prctl(PR_CAP_AMBIENT)")
    header = struct.pack("Ii", CAPABILITY_VERSION, 0)
    _called(_libc.capset(header, bytes(24)), "capset")


def _keep(descriptors: Sequence[int], number: int) -> None:
    """Standard streams, what it is to keep under its number, and no other descriptor."""
    errors = os.dup(descriptors[0])
    kept = fcntl.fcntl(descriptors[1], fcntl.F_DUPFD, number + 1)
    os.dup2(errors, 2)
    os.dup2(kept, number)
    for target, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY)):
        os.dup2(os.open("/dev/null", flags), target)
    os.closerange(3, number)
    os.closerange(number + 1, LAST_DESCRIPTOR)


def _wait_for(kernel: int) -> NoReturn:
    """Number 1: take in every orphan, and end with the kernel."""
    os.closerange(0, LAST_DESCRIPTOR)
    while True:
        with contextlib.suppress(BaseException):
            if os.waitpid(-1, 0)[0] == kernel:
                os._exit(0)


def _run(what: str, arguments: Sequence[str]) -> None:
    """As if it were started by name, with nothing of ours left in its modules."""
    for name in [name for name in sys.modules if name.split(".")[0] == "grading"]:
        del sys.modules[name]
    random.seed(SEED)
    sys.modules["torch"].manual_seed(SEED)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(SEED % 2**32)
    sys.argv = [what, *arguments]
    if what.endswith(".py"):
        runpy.run_path(what, run_name="__main__")
    else:
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    sys.stderr.flush()
    os._exit(0)


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str = "") -> None:
    given = [text.encode() if text is not None else None for text in (source, target, kind)]
    _called(_libc.mount(*given, ctypes.c_ulong(flags), data.encode()), f"mount({target})")


def _called(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
