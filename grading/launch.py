"""The first lines that run inside a box, before any of a learner's: they lock the door behind themselves.

    1  limits       setrlimit: memory, files, processes; what is lowered here cannot be raised again
    2  Landlock     an allow-list of paths, kept by the kernel's access checks and not by mounts: should a
                    mount be there that was not meant, its files are still closed. And what was written in a
                    box cannot be run.
    3  seccomp      a list of system calls that fail from now on: those that make or join namespaces, mount,
                    trace or read other processes, load code into the kernel, or open sockets to the host

All three are given up by nobody, not by root either, and hold for every process started later. Each is
described on one page of the kernel's manual: setrlimit(2), landlock(7), seccomp(2).

This file imports nothing of ours, because nothing of ours is in a box: its text travels on the command line.
A warm parent, which runs nothing of a learner's, has it as a file.
"""

import base64
import ctypes
import json
import os
import resource
import runpy
import sys
from collections.abc import Mapping, Sequence
from typing import Any

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2  # prctl(2)
# Landlock has no function in the C library; these numbers are the same on every architecture (since 5.13).
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION, PATH_BENEATH = 1, 1  # a flag of landlock_create_ruleset, a type of rule

# Rights over files, by bit (linux/landlock.h). From which version of Landlock on the kernel knows them:
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE = 1 << 4, 1 << 5
MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_SYM = 1 << 7, 1 << 8, 1 << 9, 1 << 10, 1 << 12
REFER, TRUNCATE = 1 << 13, 1 << 14
KNOWN_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # version: how many; later versions added none
SCOPES_SINCE, SCOPES = 6, 0b11  # abstract sockets, signals: to processes of this box alone

READ = READ_FILE | READ_DIR
RUN = READ | EXECUTE
WRITE = READ | WRITE_FILE | TRUNCATE | REMOVE_DIR | REMOVE_FILE | REFER
WRITE |= MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO | MAKE_SYM  # but no devices
RIGHTS = {"run": RUN, "read": READ, "list": READ_DIR, "use": READ | WRITE_FILE, "write": WRITE}
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE  # what a rule about a file, not a folder, may name

_libc = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    """struct landlock_ruleset_attr: what is forbidden unless a rule allows it."""

    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    """struct landlock_path_beneath_attr: what is allowed in one folder and below."""

    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


class _Instruction(ctypes.Structure):
    """struct sock_filter: one step of a seccomp program."""

    _fields_ = (
        ("code", ctypes.c_uint16),
        ("yes", ctypes.c_uint8),
        ("no", ctypes.c_uint8),
        ("k", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_uint16), ("steps", ctypes.POINTER(_Instruction)))


def landlock_version() -> int:
    """The version this kernel has; 0 where there is none."""
    return max(0, int(_libc.syscall(CREATE_RULESET, None, 0, VERSION)))


def _called(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def give_up_new_rights() -> None:
    """No program started from here on gains rights by being setuid; both locks ask for this first."""
    _called(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")


def close_files(paths: Mapping[str, Sequence[str]]) -> bool:
    """Landlock: from here on only these paths, each for what it is named for.

    Args:
        paths: by one of `RIGHTS`; a path that is not there is passed over.

    Returns:
        False where the kernel has no Landlock; then nothing has changed.
    """
    version = landlock_version()
    if not version:
        return False
    handled = (1 << KNOWN_RIGHTS[min(version, max(KNOWN_RIGHTS))]) - 1
    scopes = SCOPES if version >= SCOPES_SINCE else 0
    # An older kernel refuses a longer struct with anything in it, and takes a shorter one.
    size = ctypes.sizeof(_Ruleset) if scopes else 8
    rules = _Ruleset(handled, 0, scopes)
    ruleset = _called(_libc.syscall(CREATE_RULESET, ctypes.byref(rules), size, 0), "landlock_create_ruleset")
    for right, names in paths.items():
        for name in names:
            try:
                place = os.open(name, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue
            allowed = RIGHTS[right] & handled & (-1 if os.path.isdir(name) else OF_FILES)
            rule = _PathBeneath(allowed, place)
            result = _libc.syscall(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(rule), 0)
            _called(result, f"landlock_add_rule({name})")
            os.close(place)
    _called(_libc.syscall(RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)
    return True


def close_calls(program: bytes) -> None:
    """seccomp: from here on this program decides about every system call.

    Args:
        program: steps of eight bytes, as `grading.calls` makes them.
    """
    count = len(program) // ctypes.sizeof(_Instruction)
    steps = (_Instruction * count).from_buffer_copy(program)
    filter_ = _Program(count, steps)
    result = _libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filter_), 0, 0)
    _called(result, "prctl(PR_SET_SECCOMP)")


def lock(orders: Mapping[str, Any]) -> None:
    """All three, as far as they are ordered: "limits", "paths", "calls"."""
    for name, value in orders["limits"].items():
        resource.setrlimit(getattr(resource, name), (value, value))
    if "paths" in orders:
        give_up_new_rights()
        if not close_files(orders["paths"]):
            sys.exit("no Landlock in the box, where the grader had found it outside")
    if "calls" in orders:
        close_calls(base64.b64decode(orders["calls"]))


def main() -> None:
    lock(json.loads(sys.argv[1]))
    sys.argv = sys.argv[2:]
    if sys.argv[0].endswith(".py"):
        runpy.run_path(sys.argv[0], run_name="__main__")
    else:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
