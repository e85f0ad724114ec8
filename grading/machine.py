"""What the machine under a grader allows, found out before the kernel refuses it, and said in sentences.

Nothing here changes anything. `why_no_namespaces` reads the switches that Linux distributions and container
programs have for namespaces; `closed_to` finds the folder that keeps a box's user out.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

# Where each switch stands, what it is when it forbids, and what to do.
SWITCHES = (
    ("kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1, by root"),
    ("user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000, by root"),
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "an AppArmor profile for bwrap, or sysctl kernel.apparmor_restrict_unprivileged_userns=0, by root",
    ),
)
SYS = Path("/proc/sys")
# By Docker's documentation (docs.docker.com/engine/security/seccomp): its own profile refuses unshare, clone
# with namespaces and mount; its AppArmor profile refuses mounts; a covered /proc refuses another one.
# A container program leaves one of these; the first line of /proc/1/environ is not ours to read.
MARKS = {"/.dockerenv": "Docker", "/run/.containerenv": "Podman"}
IN_CONTAINER = (
    "start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined --cap-add SYS_ADMIN, or grade outside of it"
)
REFUSED = ("namespace", "uid map", "RTM_NEWADDR", "mount proc", "pivot_root", "mount /proc")


def container() -> str:
    """The program in whose container this runs, "a container" if it cannot be told, "" outside of one."""
    for mark, name in MARKS.items():
        if os.path.exists(mark):
            return name
    if os.environ.get("container") or os.path.exists("/run/systemd/container"):
        return "a container"
    return ""


def why_no_namespaces(said: str) -> str:
    """Why bubblewrap may make no namespaces here, and what to do; "" if what it said means something else.

    Args:
        said: what it wrote to its standard error.
    """
    if not said.startswith("bwrap:") or not any(word in said for word in REFUSED):
        return ""
    for name, forbids, todo in SWITCHES:
        try:
            value = (SYS / name).read_text().strip()
        except OSError:
            continue
        if value == forbids and (os.geteuid() != 0 or name.startswith("user/")):
            switch = name.replace("/", ".")
            return f"this machine refuses namespaces: {switch} is {value}; what helps is {todo}"
    inside = container()
    if inside:
        return f"{inside} refuses namespaces; {IN_CONTAINER}"
    if seccomp():
        return (
            "a filter of system calls around this process refuses namespaces, as a container's or a "
            f"service's seccomp profile does; in a container, {IN_CONTAINER}"
        )
    who = "root without CAP_SYS_ADMIN" if os.geteuid() == 0 else "this user"
    return f"{who} may make no namespaces here; start the grader with that right, or on another machine"


def seccomp() -> bool:
    """Whether a filter of system calls is on this process already."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return False
    return any(line.split() == ["Seccomp:", "2"] for line in status.splitlines())


def closed_to(uid: int | None, places: Iterable[Path | str], passing: bool = False) -> str:
    """The first place that a box's user cannot read, as a sentence with what to do; "" if there is none.

    Args:
        uid: the box's user; None if it is the user who grades, whom nothing of this keeps out.
        places: what the box shows: files, or folders, of which the first level is looked at.
        passing: the box has no mounts of its own, so its user has to pass through every folder above, too.
    """
    if uid is None:
        return ""
    for place in map(Path, places):
        above = [*reversed(place.resolve().parents)] if passing else []
        for folder in above:
            if not _allows(folder, 0o1):
                return _closed(folder, uid, f"so {place} cannot be reached", "chmod o+x")
        try:
            inside = sorted(place.iterdir()) if place.is_dir() else []
        except OSError:
            inside = []
        for one in [place, *inside]:
            try:
                kind = one.stat().st_mode
            except OSError:
                continue
            if not _allows(one, 0o5 if stat.S_ISDIR(kind) else 0o4):
                return _closed(one, uid, "and the box needs what is in it", "chmod -R o+rX")
    return ""


def _allows(path: Path, rights: int) -> bool:
    """Whether anybody has these rights: the box's user is nobody's, so the last three bits count."""
    try:
        return path.stat().st_mode & rights == rights
    except OSError:
        return True  # what is not there closes nothing


def _closed(path: Path, uid: int, why: str, todo: str) -> str:
    shown = f"{stat.S_IMODE(path.stat().st_mode):04o}"
    return (
        f"{path} has the mode {shown}, {why}: learners' code runs as user {uid}, who may not enter it; "
        f"{todo} {path}, or install Python and the course where everybody can read (/opt, /srv), "
        "or start the grader as an ordinary user"
    )
