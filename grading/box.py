"""What a box shows to the process in it, as a command line.

Inside, everything of ours lies under /box, so that no path of the grading machine shows. Nothing of the
repository is there: no solutions, no checks, no gradebook, no environment variables.
"""

import contextlib
import functools
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from grading import calls, launch, locked
from grading.errors import SandboxError
from grading.limits import Limits

HOME = "/home/learner"
INSIDE = "/box"
OUR_PACKAGES = ("course_lib", "grading")  # masked where an installation put them beside third-party packages
FIRST_UID = 2_000_000  # far from any real user; one id a grader process, because process limits count by id
PID_MAX = 1 << 22  # proc(5)
SCRATCH_FILES = 20_000
SHARE_PREFIX = "see-"
SHARE_MB, SHARE_FILES = 32, 200

# The lines that run inside a box before any of the learner's. As text: no file of ours is in a learner's box.
LAUNCHER = Path(__file__).with_name("launch.py").read_text()
KEEPER = Path(__file__).with_name("keeper.py")
SETPRIV_NEEDS = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
# The two files of ours that a warm parent is made of. Its forks could read them: nothing in them is hidden.
WARM_FILES = ("launch.py", "warm.py")
START_WARM = (
    "import json, sys; sys.path.insert(0, '/box/start'); import grading.warm; sys.path.pop(0); "
    "grading.warm.main(int(sys.argv[1]), json.loads(sys.argv[2]))"
)


@dataclass(frozen=True)
class Box:
    """What one boxed process may see and use.

    Args:
        share: a private folder that both sides see, at the same path; for sockets.
        edition: the folder with course_lib; None for the self-test.
        memory_mb: for one process (allocations fail) and for all together (the box is killed).
        processes: processes and threads together.
        scratch_mb: for each of /tmp, the home and /dev/shm.
    """

    share: Path
    edition: Path | None = None
    memory_mb: int = Limits.memory_mb
    processes: int = Limits.processes
    file_mb: int = Limits.file_mb
    open_files: int = Limits.open_files
    scratch_mb: int = Limits.scratch_mb

    @property
    def scratch(self) -> Path:
        """The home of a box that gets no empty one in memory."""
        return self.share.with_name(f"{self.share.name}-home")

    @property
    def rlimits(self) -> dict[str, int]:
        # RLIMIT_DATA counts private writable memory; RLIMIT_AS would count torch's libraries, too.
        return {
            "RLIMIT_CORE": 0,
            "RLIMIT_DATA": self.memory_mb << 20,
            "RLIMIT_FSIZE": self.file_mb << 20,
            "RLIMIT_NOFILE": self.open_files,
            "RLIMIT_NPROC": self.processes,
        }


def box_uid() -> int | None:
    """The user id a box runs as, when root starts it; None when it runs as the user who grades.

    In a container there may be fewer ids than on a machine; then it is one of the upper half of those.
    """
    if os.geteuid() != 0:
        return None
    last = _last_uid()
    return FIRST_UID + os.getpid() if last >= FIRST_UID + PID_MAX else last - os.getpid() % max(last // 2, 1)


@functools.cache
def _last_uid() -> int:
    """The last of the user ids that exist here; user_namespaces(7) describes the file."""
    lines = Path("/proc/self/uid_map").read_text().splitlines()
    return max(int(first) + int(count) - 1 for first, _, count in map(str.split, lines))


def new_share() -> Path:
    """A private folder for sockets, with a path so short that five socket names still fit in 107 bytes."""
    parent = "/tmp" if os.access("/tmp", os.W_OK) else None
    share = Path(tempfile.mkdtemp(prefix=f"{SHARE_PREFIX}{os.getpid()}-", dir=parent))
    uid = box_uid()
    if uid is not None:
        os.chown(share, uid, uid)
    return share


def sweep() -> None:
    """Remove the shared folders of graders that were killed before they could."""
    for folder in Path("/tmp").glob(f"{SHARE_PREFIX}*-*"):
        owner = folder.name.removeprefix(SHARE_PREFIX).split("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)) and not folder.is_symlink():
            with contextlib.suppress(OSError):
                locked.remove(folder)


def command(rung: str, box: Box, module: str, arguments: Sequence[str] = ()) -> list[str]:
    """The command line that runs a Python module in a box; for "landlock", the keeper's.

    Raises:
        SandboxError: something that the rung needs is not installed.
    """
    orders: dict[str, Any] = {"limits": box.rlimits}
    if rung == "none":
        del orders["limits"]["RLIMIT_NPROC"]  # it counts everything this user runs
        return [sys.executable, "-s", "-P", "-c", LAUNCHER, json.dumps(orders), module, *arguments]
    uid = box_uid()
    if rung == "landlock":
        shared = [Path(locked.SHARED_MEMORY)] * (uid is not None)
        rules = locked.paths([box.share, box.scratch, *shared], box.edition, OUR_PACKAGES)
        run = [module, *arguments]
        orders = {
            "uid": uid,
            "line": locked.command(LAUNCHER, box.rlimits, rules, run, own_user=uid is not None),
            "environment": environment(box, rung),
            "home": str(box.scratch),
        }
        return [sys.executable, "-I", "-S", str(KEEPER), json.dumps(orders)]
    if rung == "bubblewrap":
        orders |= {"paths": paths(box), "calls": second_lock()}
    # By root: kept for one step, in which setpriv gives them up with everything else, before Python starts.
    line = _bubblewrap(box, SETPRIV_NEEDS)
    line += ["--disable-userns"] * (uid is None)
    line += _files(box, with_setpriv=uid is not None)
    line += ["--chdir", HOME, "--"]
    if uid is not None:
        line += [_tool("setpriv"), "--reuid", str(uid), "--regid", str(uid), "--clear-groups"]
        line += ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
    line += [f"{INSIDE}/python/bin/python3", "-s", "-P", "-c", LAUNCHER, json.dumps(orders)]
    return [*line, module, *arguments]


def warm_command(box: Box, descriptor: int, imports: Sequence[str], calls_program: str) -> list[str]:
    """The command line of a warm parent (`grading.warm`) in a box; `box.share` holds the forks' own folders.

    Args:
        descriptor: the socket on which it gets its orders.
        imports: modules that it imports before the first fork.
        calls_program: the seccomp program for its forks; "" for none.
    """
    orders = {"uid": box_uid(), "imports": list(imports), "calls": calls_program}
    line = [*_bubblewrap(box, (*SETPRIV_NEEDS, "CAP_SYS_ADMIN")), *_files(box, with_warm=True)]
    line += ["--chdir", HOME, "--", f"{INSIDE}/python/bin/python3", "-s", "-P", "-c", START_WARM]
    return [*line, str(descriptor), json.dumps(orders)]


def order(rung: str, box: Box, module: str, arguments: Sequence[str], keep: int) -> dict[str, Any]:
    """What a warm parent is told about one fork; the fields are `grading.warm.fork`'s."""
    return {
        "share": str(box.share),
        "home": HOME,
        "scratch_mb": box.scratch_mb,
        "limits": box.rlimits,
        **({"paths": paths(box)} if rung == "bubblewrap" else {}),
        "run": module,
        "arguments": list(arguments),
        "keep": keep,
    }


def _bubblewrap(box: Box, capabilities: Sequence[str]) -> list[str]:
    """bubblewrap, its namespaces, the environment, and what rights the first program inside has."""
    line = [_tool("bwrap"), "--die-with-parent", "--new-session", "--clearenv"]
    line += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    if box_uid() is None:
        line += ["--unshare-user", "--cap-drop", "ALL"]
    else:
        line += ["--cap-drop", "ALL"]
        for capability in capabilities:
            line += ["--cap-add", capability]
    for name, value in environment(box).items():
        line += ["--setenv", name, value]
    return line


def second_lock() -> str:
    """The seccomp program, once it is clear that both halves of the lock are there."""
    program = calls.program()
    has_landlock = launch.landlock_version() > 0
    if has_landlock and program is not None:
        return program
    missing = (
        "the library libseccomp is not installed (apt install libseccomp2)"
        if has_landlock
        else f"this kernel ({platform.release()}) has no Landlock, which came with Linux 5.13"
    )
    raise SandboxError(
        f"the sandbox's second lock is missing: {missing}; say --sandbox bubblewrap-only to grade without it "
        "(every verdict then says so), or grade on another machine."
    )


def paths(box: Box) -> dict[str, list[str]]:
    """What Landlock leaves open inside a box; the words are `launch.RIGHTS`.

    The mounts say nearly the same. That is the point: two locks that have nothing in common.
    """
    return {
        "run": [*locked.SYSTEM_LIBRARIES, INSIDE],
        "read": ["/etc/ld.so.cache", "/sys/devices/system/cpu", "/proc"],
        "use": ["/dev"],
        "write": ["/tmp", "/dev/shm", HOME, str(box.share)],
    }


def environment(box: Box, rung: str = "bubblewrap") -> dict[str, str]:
    """All of a boxed process's environment. One thread: graders run side by side, sums keep their order."""
    common = {
        "LANG": "C.UTF-8",
        "USER": "learner",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    if rung == "none":
        home = str(box.share)
        return {**common, "HOME": home, "TMPDIR": home, "PYTHONPATH": str(box.edition or "")}
    if rung == "landlock":
        return {**common, **locked.environment(box.scratch, box.edition)}
    inside = [f"{INSIDE}/edition"] * (box.edition is not None)
    inside += [f"{INSIDE}/site-{n}" for n in range(len(locked.site_folders()))]
    return {
        **common,
        "HOME": HOME,
        "TMPDIR": "/tmp",
        "PYTHONHOME": f"{INSIDE}/python",
        "LD_LIBRARY_PATH": f"{INSIDE}/python/lib",
        "PYTHONPATH": ":".join(inside),
    }


def _files(box: Box, with_setpriv: bool = False, with_warm: bool = False) -> list[str]:
    """The allow-list. Later arguments are laid over earlier ones."""
    binds: list[tuple[str, str]] = []
    links: list[str] = []
    for folder in locked.SYSTEM_LIBRARIES:
        if os.path.islink(folder):
            links += ["--symlink", os.readlink(folder), folder]
        elif os.path.isdir(folder):
            binds.append((folder, folder))
    binds += [
        (name, name) for name in ("/etc/ld.so.cache", "/sys/devices/system/cpu") if os.path.exists(name)
    ]
    if with_setpriv:
        binds.append((_tool("setpriv"), _tool("setpriv")))
    binds += [(source, f"{INSIDE}/python/{place}") for source, place in locked.interpreter()]
    binds += [(folder, f"{INSIDE}/site-{n}") for n, folder in enumerate(locked.site_folders())]
    if box.edition is not None:
        binds.append((str(box.edition.resolve()), f"{INSIDE}/edition"))

    if with_warm:
        here = Path(__file__).parent
        binds += [(str(here / name), f"{INSIDE}/start/grading/{name}") for name in WARM_FILES]

    line: list[str] = []
    # bubblewrap makes missing parents for their owner only; the learner's uid has to pass through them.
    made = {"/", "/proc", "/dev", "/tmp"}
    for _, target in binds:
        for parent in reversed(Path(target).parents):
            if str(parent) not in made:
                made.add(str(parent))
                line += ["--perms", "0755", "--dir", str(parent)]
    for source, target in binds:
        line += ["--ro-bind", source, target]
    line += links
    for source, target in binds:
        for masked in OUR_PACKAGES:
            if target.startswith(f"{INSIDE}/site-") and os.path.isdir(f"{source}/{masked}"):
                line += ["--tmpfs", f"{target}/{masked}", "--remount-ro", f"{target}/{masked}"]
    scratch = str(box.scratch_mb << 20)
    line += ["--proc", "/proc", "--dev", "/dev"]
    line += ["--perms", "1777", "--size", scratch, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]
    line += ["--perms", "1777", "--size", scratch, "--tmpfs", "/tmp"]
    line += ["--perms", "0755", "--dir", "/home", "--perms", "0777", "--size", scratch, "--tmpfs", HOME]
    line += ["--bind", str(box.share), str(box.share), "--remount-ro", "/"]
    return line


def shown(edition: Path | None = None) -> list[str]:
    """What of this machine a box shows: the interpreter, the packages, an edition."""
    return [
        *(source for source, _ in locked.interpreter()),
        *locked.site_folders(),
        *([str(edition)] if edition else []),
    ]


def _tool(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin")
    if found is None:
        package = {"bwrap": "bubblewrap", "setpriv": "util-linux"}[name]
        raise SandboxError(
            f"there is no sandbox to run strangers' code in: {name} is missing; install it "
            f"(apt install {package}), or say --sandbox none if you trust every submission."
        )
    return os.path.realpath(found)
