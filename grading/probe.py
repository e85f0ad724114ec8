"""Tries to break out of a box. Copied into one by `sandbox.probe` and run there.

Imports nothing of ours: nothing of ours is in a box.

It writes a JSON list of promises that do not hold: empty when the box is closed.
"""

import ctypes
import json
import os
import resource
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

AF_ALG, AF_VSOCK = 38, 40  # linux/socket.h; Python has the names only where it was built with them


def possible(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except (OSError, MemoryError, RuntimeError, ValueError):
        return False
    return True


def look_at(path: str) -> None:
    if os.path.isdir(path):
        os.listdir(path)
    else:
        open(path).close()


def write_in(folder: str) -> None:
    with open(os.path.join(folder, ".probe"), "w") as file:
        file.write("out")


def many_threads(n: int) -> None:
    hold = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(n):
            thread = threading.Thread(target=hold.wait, daemon=True)
            thread.start()
            started.append(thread)
    finally:
        hold.set()
        for thread in started:
            thread.join()


def many_files(n: int) -> None:
    handles: list[int] = []
    try:
        for _ in range(n):
            handles.append(os.open("/proc/self/status", os.O_RDONLY))
    finally:
        for handle in handles:
            os.close(handle)


def new_rights() -> None:
    """Become root, or get a capability back."""
    os.setuid(0)


def run_what_was_written(program: str) -> None:
    """Write a program into the home, and start it."""
    script = os.path.expanduser("~/.probe-program")
    with open(script, "w") as file:
        file.write(f"#!{program}\n")
    os.chmod(script, 0o755)
    os.waitpid(os.posix_spawn(script, [script], {}), 0)


def be_traced() -> None:
    """Ask to be traced by the parent: what anybody may do who is not locked in."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(0, 0, 0, 0) != 0:  # PTRACE_TRACEME
        raise OSError(ctypes.get_errno(), "ptrace")


def open_socket(family: int) -> None:
    socket.socket(family, socket.SOCK_STREAM if family == AF_VSOCK else socket.SOCK_SEQPACKET).close()


def not_locked_twice(program: str) -> list[str]:
    """What Landlock and seccomp forbid and the namespaces alone do not."""
    found = []
    if possible(lambda: os.listdir("/")):
        found.append("it can list what no rule names")
    if possible(partial(run_what_was_written, program)):
        found.append("it can run a program that it wrote")
    if status("Seccomp") != [2]:  # SECCOMP_MODE_FILTER
        found.append("its system calls are not filtered")
    # In a process of its own: one that is traced can be killed by nobody but its tracer.
    child = os.fork()
    if child == 0:
        os._exit(int(possible(be_traced)))
    if os.waitpid(child, 0)[1] != 0:
        found.append("it can have itself traced")
    for name, family in (("hypervisor", AF_VSOCK), ("kernel's ciphers", AF_ALG)):
        if possible(partial(open_socket, family)):
            found.append(f"it can open a socket to the {name}")
    return found


def see_others() -> None:
    seen = sum(name.isdigit() for name in os.listdir("/proc"))
    if seen <= 4:  # bubblewrap's, and this one
        raise OSError(f"{seen} processes are nobody else's")


def listen() -> None:
    with socket.create_server(("0.0.0.0", 0)):
        pass


def send_letter() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(b"out", ("192.0.2.1", 9))


def send_letter_here() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM):
        pass


def connect_here() -> None:
    """To a socket of one's own: if that goes, so does a connection to a socket of another program."""
    path = os.path.expanduser("~/.probe-socket")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        client.connect(path)


def touch(path: str) -> None:
    """Each way of changing a file without opening it. Whether one did is seen from outside."""
    for change in (
        lambda: os.chmod(path, 0o600),
        lambda: os.utime(path, (0, 0)),
        lambda: os.truncate(path, 0),
        lambda: os.setxattr(path, "user.probe", b"here"),
        lambda: os.unlink(path),
    ):
        possible(change)


def shared_memory() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    made = libc.shmget(0, 4096, 0o1600)  # IPC_PRIVATE, IPC_CREAT
    if made < 0:
        raise OSError(ctypes.get_errno(), "shmget")
    libc.shmctl(made, 0, None)  # IPC_RMID: this one is not left


def not_alone(facts: dict[str, Any]) -> list[str]:
    """What namespaces forbid by themselves, and what the other locks have to forbid without them."""
    touch(facts["canary"])
    attempts = (
        (listen, "it can listen to the network"),
        (send_letter, "it can send to the network"),
        (connect_here, "it can connect to another program's socket"),
        (send_letter_here, "it can send to another program's socket"),
        (partial(os.kill, facts["grader"], 0), "it can signal its grader"),
        (partial(os.setpriority, os.PRIO_PROCESS, facts["grader"], 19), "it can slow its grader down"),
        (partial(os.sched_setaffinity, facts["grader"], {0}), "it can tie its grader to a processor"),
        (shared_memory, "it can leave shared memory behind"),
    )
    return [promise for attempt, promise in attempts if possible(attempt)]


def status(*fields: str) -> list[int]:
    with open("/proc/self/status") as file:
        lines = dict(line.split(":", 1) for line in file)
    return [int(lines[field].strip(), 16) for field in fields]


def broken(facts: dict[str, Any]) -> list[str]:
    found = []
    for path in facts["unreadable"]:
        if possible(partial(look_at, path)):
            # A folder of that name may exist as a mount point; what counts is that nothing of ours is in it.
            inside = os.listdir(path) if os.path.isdir(path) else ["it"]
            if inside:
                found.append(f"it can read {path}")
    found += [f"it can write in {path}" for path in facts["unwritable"] if possible(partial(write_in, path))]
    extra = set(os.environ) - set(facts["environment"]) - {"PWD", "SHLVL", "_", "LC_CTYPE"}
    if extra:
        found.append(f"it sees the environment ({', '.join(sorted(extra))})")
    if possible(lambda: socket.create_connection(("127.0.0.1", facts["port"]), timeout=2)):
        found.append("it can connect to this machine")
    if possible(lambda: socket.create_connection(("192.0.2.1", 9), timeout=2)):
        found.append("it can connect to the network")
    if possible(see_others):
        found.append("it can see other processes")
    if facts["alone"]:
        found += not_alone(facts)
    if any(status("CapInh", "CapPrm", "CapEff", "CapAmb")) or os.geteuid() == 0 or possible(new_rights):
        found.append("it has rights of root")
    if ctypes.CDLL(None, use_errno=True).prctl(39, 0, 0, 0, 0) != 1:  # PR_GET_NO_NEW_PRIVS
        found.append("it could gain rights")
    if possible(lambda: bytearray((facts["memory_mb"] + 64) << 20)):
        found.append("memory has no limit")
    if possible(lambda: many_threads(facts["processes"] + 8)):
        found.append("processes have no limit")
    if possible(lambda: many_files(facts["open_files"] + 8)):
        found.append("open files have no limit")
    if possible(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 16, 1 << 16))):
        found.append("limits can be raised")
    if facts["locked_twice"]:
        found += not_locked_twice(facts["program"])
    return found


if __name__ == "__main__":
    found = json.dumps(broken(json.loads(sys.argv[1])))
    os.write(json.loads(sys.argv[1])["said"], found.encode())
