"""Tries to break out of a box. Copied into one by `sandbox.broken_promises` and run there.

Imports nothing of ours: nothing of ours is in a box.

Its last line of output is a JSON list of promises that do not hold: empty when the box is closed.
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
    if sum(name.isdigit() for name in os.listdir("/proc")) > 4:  # bubblewrap's, and this one
        found.append("it can see other processes")
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
    return found


if __name__ == "__main__":
    print(json.dumps(broken(json.loads(sys.argv[1]))))
