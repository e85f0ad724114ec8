"""System calls that fail inside a box, as a seccomp program made by libseccomp.

The list is of what is forbidden, not of what is allowed: numpy, torch and zmq may call what they like of the
rest, and a new version of them does not cost an honest learner a mark. What is on it has one thing in common:
no notebook needs it, and a hole in the kernel behind it has been, or might be, a way out.

A forbidden call returns an error, as it would on a machine without it; it kills nobody. A program that asks
politely, such as one that looks for a faster way and falls back, goes on.
"""

import base64
import ctypes.util
import errno
import functools
import tempfile
import types

# What each group is for, and its calls. A name that the installed libseccomp does not know is passed over.
FORBIDDEN = {
    "make or join namespaces": ("unshare", "setns"),
    "mount": (
        "mount",
        "umount",
        "umount2",
        "pivot_root",
        "chroot",
        "fsopen",
        "fsconfig",
        "fsmount",
        "fspick",
        "open_tree",
        "move_mount",
        "mount_setattr",
    ),
    "open files behind the allow-list": ("open_by_handle_at", "name_to_handle_at"),
    "look into other processes": (
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "kcmp",
        "pidfd_getfd",
        "process_madvise",
    ),
    "load code into the kernel": (
        "bpf",
        "init_module",
        "finit_module",
        "delete_module",
        "kexec_load",
        "kexec_file_load",
    ),
    "use doors that holes were found behind": (
        "io_uring_setup",
        "io_uring_enter",
        "io_uring_register",
        "userfaultfd",
        "perf_event_open",
        "add_key",
        "request_key",
        "keyctl",
        "vmsplice",
    ),
    "run the machine": (
        "reboot",
        "swapon",
        "swapoff",
        "acct",
        "quotactl",
        "syslog",
        "settimeofday",
        "clock_settime",
        "adjtimex",
        "clock_adjtime",
        "sethostname",
        "setdomainname",
        "iopl",
        "ioperm",
        "vhangup",
    ),
}
NAMESPACES = 0x7E020080  # every CLONE_NEW... of clone(2), time (0x80) among them
# Sockets that no network namespace keeps in: to the hypervisor, to raw packets, to the kernel's ciphers.
FAMILIES = {"AF_VSOCK": 40, "AF_PACKET": 17, "AF_ALG": 38, "AF_BLUETOOTH": 31, "AF_XDP": 44, "AF_TIPC": 30}
TIOCSTI, TIOCLINUX = 0x5412, 0x541C  # ioctl: typing into the terminal of whoever started the grader

# Where there are no namespaces, these as well. A kernel's sockets are bound and accepted in the box, and the
# grader connects: nothing in there has to connect to anything.
FORBIDDEN_ALONE = {
    "reach a socket of another program": ("connect",),
    "leave something for others in the kernel's memory": (
        *("shmget", "shmat", "shmctl", "msgget", "msgsnd", "msgrcv", "msgctl"),
        *("semget", "semop", "semtimedop", "semctl", "mq_open", "mq_unlink"),
    ),
    "move another process's memory": ("migrate_pages", "move_pages", "process_mrelease"),
}
# Of families of sockets, these are left: to the kernel's facts about its devices, for libzmq asks; and UNIX
# ones that have to connect before they reach anybody.
AF_UNIX, AF_NETLINK, NETLINK_ROUTE, SOCK_DGRAM, KIND_OF_SOCKET = 1, 16, 0, 2, 0xF
LAST_FAMILY = 63
# Their first argument is whose: one's own is 0. What a user may do to all of that user's processes.
ONLY_ONES_OWN = ("sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr", "prlimit64")
ANYBODYS = ("setpriority", "ioprio_set")
# Landlock has no say in these (landlock(7), "current limitations"). They do nothing and say that they did: an
# honest copy of a file sets its mode and its time, and goes on.
IDLE = (
    *("chmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchownat", "utime", "utimes", "futimesat"),
    *("utimensat", "setxattr", "lsetxattr", "removexattr", "lremovexattr", "setxattrat", "removexattrat"),
)


def library() -> types.ModuleType | None:
    """pyseccomp, or None where libseccomp is not installed."""
    if ctypes.util.find_library("seccomp") is None:
        return None
    import pyseccomp

    module: types.ModuleType = pyseccomp
    return module


@functools.cache
def program(alone: bool = False, same_user: bool = False) -> str | None:
    """The seccomp program in base64, or None without libseccomp.

    Args:
        alone: there are no namespaces around the box.
        same_user: the box runs as the user who grades: what users may do to their own has to be forbidden.
    """
    seccomp = library()
    if seccomp is None:
        return None
    denied, missing = seccomp.ERRNO(errno.EPERM), seccomp.ERRNO(errno.ENOSYS)
    rules = seccomp.SyscallFilter(defaction=seccomp.ALLOW)

    def rule(action: int, name: str, *arguments: object) -> None:
        if seccomp.resolve_syscall(seccomp.Arch.NATIVE, name) >= 0:
            rules.add_rule(action, name, *arguments)

    for names in [*FORBIDDEN.values(), *(FORBIDDEN_ALONE.values() if alone else ())]:
        for name in names:
            rule(denied, name)
    for bit in (1 << n for n in range(32) if NAMESPACES >> n & 1):
        rule(denied, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, bit, bit))
    # clone3 keeps its flags in memory, where a seccomp program cannot look; without it, libc takes clone.
    rule(missing, "clone3")
    for request in (TIOCSTI, TIOCLINUX):
        rule(denied, "ioctl", seccomp.Arg(1, seccomp.MASKED_EQ, 0xFFFFFFFF, request))
    left = {AF_UNIX, AF_NETLINK} if alone else set(range(LAST_FAMILY + 1)) - set(FAMILIES.values())

    def of_family(number: int) -> object:
        # The kernel looks at 32 bits of it, and a program compares 64: what stands in the others is let be.
        return seccomp.Arg(0, seccomp.MASKED_EQ, 0xFFFFFFFF, number)

    for family in set(range(LAST_FAMILY + 1)) - left:
        rule(denied, "socket", of_family(family))
    if alone:
        rule(denied, "socket", seccomp.Arg(0, seccomp.GT, LAST_FAMILY))
        kernel = (of_family(AF_NETLINK), seccomp.Arg(2, seccomp.NE, NETLINK_ROUTE))
        rule(denied, "socket", *kernel)
        # A socket of datagrams takes an address with each one, and needs no connection.
        letters = seccomp.Arg(1, seccomp.MASKED_EQ, KIND_OF_SOCKET, SOCK_DGRAM)
        for name in ("socket", "socketpair"):
            rule(denied, name, of_family(AF_UNIX), letters)
    if same_user:
        theirs = seccomp.Arg(0, seccomp.NE, 0)
        for name in ONLY_ONES_OWN:
            # libzmq sets each thread's schedule as it found it, and gives up where that fails.
            rule(seccomp.ERRNO(0) if name == "sched_setscheduler" else denied, name, theirs)
        for name in ANYBODYS:
            rule(denied, name)
        for name in IDLE:
            rule(seccomp.ERRNO(0), name)
    with tempfile.TemporaryFile() as made:
        rules.export_bpf(made)
        made.seek(0)
        return base64.b64encode(made.read()).decode()
