"""A box without namespaces, for machines that make none: Landlock, seccomp, limits, and a keeper.

It is the weaker rung, and says so. The learner's process sees real paths, may ask whether a path exists, and
shares the machine's process numbers. It cannot read, list or write what no rule names, reach a network or
another program's socket, signal or trace a process of ours, or leave anything behind.

Started by root, it runs as a user id of its own, and the kernel's ordinary rules keep it from other users'
files and processes as well. Started by anybody else, Landlock has to keep it from signalling its grader,
which takes version 6 (Linux 6.12); and pools of processes do not work, because the folder that they need,
/dev/shm, is shared and nobody could tell afterwards what was whose.
"""

import functools
import json
import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

from grading import calls, launch
from grading.errors import SandboxError

SHARED_MEMORY = "/dev/shm"
SYSTEM_LIBRARIES = ("/usr/lib", "/usr/lib64", "/lib", "/lib64")
FACTS = (
    *("/etc/ld.so.cache", "/sys/devices/system/cpu", "/proc/self", "/proc/cpuinfo", "/proc/meminfo"),
    *("/proc/stat", "/proc/uptime", "/proc/loadavg", "/proc/version", "/proc/filesystems"),
    "/proc/sys/vm/overcommit_memory",
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def command(
    launcher: str, limits: dict[str, int], rules: dict[str, list[str]], run: Sequence[str], own_user: bool
) -> list[str]:
    """The command line that a keeper starts.

    Args:
        launcher: the text of `grading.launch`.
        limits: by their names in `resource`.
        rules: from `paths`.
        run: a module or a file, and its arguments.
        own_user: whether the box has a user id that nobody else has.

    Raises:
        SandboxError: one of the locks is missing here.
    """
    program = calls.program(alone=True, same_user=not own_user)
    if not launch.landlock_version() or program is None:
        what = "libseccomp (apt install libseccomp2)" if program is None else "Landlock (Linux 5.13 or later)"
        raise SandboxError(
            f"the sandbox landlock needs {what}, which is missing here; grade on another machine, or say "
            "--sandbox none if you trust every submission."
        )
    if not own_user:
        limits = {**limits, "RLIMIT_NPROC": limits["RLIMIT_NPROC"] + _tasks_of(os.getuid())}
    orders = {"limits": limits, "paths": rules, "calls": program}
    line = [os.path.realpath(sys.executable), "-s", "-P", "-c", launcher, json.dumps(orders)]
    return [*line, *run]


def paths(writable: Sequence[Path], edition: Path | None, hidden: Sequence[str]) -> dict[str, list[str]]:
    """What Landlock leaves open; the words are `launch.RIGHTS`.

    Args:
        hidden: packages of ours, which are left out wherever they are installed.
    """
    run: list[str] = []
    listed: list[str] = []
    for tree in dict.fromkeys([*SYSTEM_LIBRARIES, *(source for source, _ in interpreter()), *site_folders()]):
        for path, whole in _without(tree, hidden):
            (run if whole else listed).append(path)
    if edition is not None:
        run.append(str(edition.resolve()))
    return {
        "run": run,
        "list": listed,
        "read": list(FACTS),
        "use": list(DEVICES),
        "write": [str(one) for one in writable],
    }


def environment(scratch: Path, edition: Path | None) -> dict[str, str]:
    """What of a boxed process's environment depends on where real folders are."""
    inside = [str(edition.resolve())] if edition is not None else []
    libraries = {"LD_LIBRARY_PATH": f"{sys.base_prefix}/lib"} if sys.base_prefix != "/usr" else {}
    return {
        "HOME": str(scratch),
        "TMPDIR": str(scratch / "tmp"),
        "PYTHONHOME": sys.base_prefix,
        "PYTHONPATH": ":".join([*inside, *site_folders()]),
        **libraries,
    }


def site_folders() -> list[str]:
    """Where third-party packages are installed for this interpreter."""
    folders = [p for p in sys.path if Path(p).name in ("site-packages", "dist-packages") and os.path.isdir(p)]
    return list(dict.fromkeys(os.path.realpath(folder) for folder in folders))


@functools.cache
def interpreter() -> list[tuple[str, str]]:
    """What of this interpreter a box needs, each with its place below a prefix."""
    found = [(os.path.realpath(sys.executable), "bin/python3")]
    if sys.base_prefix in ("/usr", "/usr/local"):
        found.append((sysconfig.get_path("stdlib"), f"lib/python{sysconfig.get_python_version()}"))
        library = str(sysconfig.get_config_var("INSTSONAME") or "")
        full = os.path.join(str(sysconfig.get_config_var("LIBDIR")), library)
        if ".so" in library and os.path.isfile(full):
            found.append((full, f"lib/{library}"))
    else:
        # pyenv, uv, conda: other libraries that extension modules need lie beside the standard library.
        found.append((f"{sys.base_prefix}/lib", "lib"))
    return found


def make_home(scratch: Path, uid: int | None) -> None:
    """An empty home, with a place for temporary files in it."""
    for folder in (scratch, scratch / "tmp"):
        folder.mkdir(mode=0o700)
        if uid is not None:
            os.chown(folder, uid, uid)


def left_in_shared_memory(uid: int) -> list[Path]:
    """What of a box lies in /dev/shm: everything that belongs to its user id."""
    found = []
    for entry in os.scandir(SHARED_MEMORY) if os.path.isdir(SHARED_MEMORY) else ():
        try:
            if entry.stat(follow_symlinks=False).st_uid == uid:
                found.append(Path(entry.path))
        except OSError:
            continue
    return found


def remove(path: Path) -> None:
    """Remove a stranger's file or folder, however deep, however named, whatever its rights; follows no link.

    A folder's folders are emptied into it and removed, again and again, so that nothing here is ever deeper
    than two. Everything that could change it meanwhile must have ended.
    """
    try:
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        os.unlink(path)
        return
    number = 0
    try:
        while entries := list(os.scandir(top)):
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.name, dir_fd=top)
                    continue
                os.chmod(entry.name, 0o700, dir_fd=top)  # a folder, so there is no link to follow
                inner = os.open(entry.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
                try:
                    for name in os.listdir(inner):
                        number += 1
                        # A folder can be moved only by who may write in it: ".." changes.
                        if os.stat(name, dir_fd=inner, follow_symlinks=False).st_mode & 0o170000 == 0o040000:
                            os.chmod(name, 0o700, dir_fd=inner)
                        os.rename(name, f".moved-{number}-{os.getpid()}", src_dir_fd=inner, dst_dir_fd=top)
                finally:
                    os.close(inner)
                os.rmdir(entry.name, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(path)


def _without(tree: str, hidden: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """A tree as paths and whether each is open whole, or for a look at its names only.

    Landlock allows and never takes back: to leave something out, everything beside it has to be named.
    """
    whole = os.path.realpath(tree)
    inner = [tree, *(folder for folder in site_folders() if Path(folder).is_relative_to(whole))]
    closed = {
        os.path.join(os.path.realpath(folder), name)
        for folder in inner
        for name in hidden
        if os.path.isdir(os.path.join(folder, name))
    }
    if not closed:
        yield tree, True
        return
    todo = [whole]
    while todo:
        folder = todo.pop()
        if folder in closed:
            continue
        if any(Path(one).is_relative_to(folder) for one in closed):
            yield folder, False
            todo += [entry.path for entry in os.scandir(folder) if not entry.is_symlink()]
        else:
            yield folder, True


def _tasks_of(uid: int) -> int:
    """How many processes and threads this user has: what the kernel counts against RLIMIT_NPROC."""
    found = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{name}").st_uid == uid:
                found += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue
    return found
