"""Secrets planted where nothing in a box may find them, and notebooks that look for them everywhere.

A canary is CANARY, a place, and 32 random hexadecimal digits. A searching notebook knows that form and every
path, and not the digits: whatever it finds, it has really read.
"""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from tests.fixtures.blending import IMPORTS, notebook

FORM = r"CANARY-[a-z]+-[0-9a-f]{32}"

START = """
import ctypes, gc, os, re, socket, stat, sys
FORM = re.compile(b'CANARY' b'-[a-z]+-[0-9a-f]{32}')
libc = ctypes.CDLL(None, use_errno=True)
libc.write.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
found = set()
def look(data):
    if isinstance(data, str):
        data = data.encode('utf-8', 'replace')
    if b'CANARY' in data:
        found.update(FORM.findall(data))
def read(path, most=1 << 22):
    try:
        look(path)
        with open(path, 'rb', buffering=0) as file:
            look(file.read(most) or b'')
    except (OSError, ValueError):
        pass
def link(path):
    try:
        look(os.readlink(path))
    except OSError:
        pass
def regions(one):
    for line in open(f'/proc/{one}/maps'):
        span, rights, *_ = line.split()
        if rights[0] == 'r' and '.so' not in line and '[v' not in line:
            start, end = (int(number, 16) for number in span.split('-'))
            yield start, min(end, start + (512 << 20))
"""

SEARCHES = {
    "files": """
        for path in PATHS:
            read(path)
        roots = ('/proc/self/root', '/proc/1/root', '/proc/1/cwd')
        for top in ('/', os.getcwd(), '/tmp', '/dev/shm', '/box', *roots):
            for folder, folders, names in os.walk(top):
                others = ('/proc', '/sys', '/usr', '/box/python', '/box/site-0')
                folders[:] = [one for one in folders if os.path.join(folder, one) not in others]
                for name in names:
                    path = os.path.join(folder, name)
                    if os.path.isfile(path):
                        read(path)
        """,
    "processes": """
        for path in ('environ', 'cmdline'):
            read(f'/proc/self/{path}')
        look(str(dict(os.environ)))
        parts = ('environ', 'cmdline', 'maps', 'comm', 'mountinfo', 'status', 'stack', 'auxv', 'syscall')
        others = [*os.listdir('/proc'), 'self', 'thread-self', os.getppid(), *range(1, 300)]
        for one in others:
            for part in parts:
                read(f'/proc/{one}/{part}')
            for part in ('cwd', 'exe', 'root'):
                link(f'/proc/{one}/{part}')
            for part in ('fd', 'map_files', 'task'):
                try:
                    names = os.listdir(f'/proc/{one}/{part}')
                except OSError:
                    continue
                for name in names:
                    link(f'/proc/{one}/{part}/{name}')
        for name in ('unix', 'tcp', 'packet'):
            read(f'/proc/net/{name}')
        """,
    "memory": """
        def scan(one):
            with open(f'/proc/{one}/mem', 'rb', buffering=0) as memory:
                for start, end in regions(one):
                    for at in range(start, end, 1 << 20):
                        try:
                            memory.seek(at)
                            look(memory.read(min((1 << 20) + 64, end - at)) or b'')
                        except (OSError, ValueError, OverflowError):
                            pass
        for one in {'self', '1', str(os.getppid()), *[n for n in os.listdir('/proc') if n.isdigit()]}:
            try:
                scan(one)
            except OSError:
                pass
        # /proc may be shut: the kernel's own write copies from any address, and says so where there is none.
        reader, writer = os.pipe()
        page = 1 << 12
        mega = {id(thing) >> 20 for thing in gc.get_objects()} | {id(name) >> 20 for name in globals()}
        # What a parent had before it forked is frozen, and not among those.
        for module in list(sys.modules.values()):
            mega |= {id(thing) >> 20 for thing in list(getattr(module, '__dict__', {}).values())}
        mega |= {one + step for one in set(mega) for step in range(-4, 5)}
        try:
            mega |= {at >> 20 for start, end in regions('self') for at in range(start, end, 1 << 20)}
        except OSError:
            pass
        for one in sorted(mega):
            block = b''
            for at in range(one << 20, (one + 1) << 20, page * 8):
                got = libc.write(writer, at, page * 8)
                if got > 0:
                    block += os.read(reader, got)
            look(block)
        for thing in gc.get_objects():
            parts = thing.values() if type(thing) is dict else thing
            for part in list(parts) if type(thing) in (dict, list, tuple) else ():
                if type(part) in (str, bytes):
                    look(part)
        frame = sys._getframe()
        while frame:
            look(repr({name: value for name, value in frame.f_locals.items() if type(value) is str}))
            frame = frame.f_back
        """,
    "descriptors": """
        for number in range(1024):
            link(f'/proc/self/fd/{number}')
            try:
                look(os.pread(number, 1 << 22, 0))
            except OSError:
                pass
            if os.path.isfile(f'/proc/self/fd/{number}'):
                read(f'/proc/self/fd/{number}')
            try:
                if stat.S_ISSOCK(os.fstat(number).st_mode):
                    with socket.socket(fileno=os.dup(number)) as twin:
                        look(twin.recv(1 << 20, socket.MSG_PEEK | socket.MSG_DONTWAIT))
            except OSError:
                pass
        for name in ('grader', 'mine', 'neighbour'):
            with socket.socket(socket.AF_UNIX) as one:
                one.settimeout(1)
                try:
                    one.connect(chr(0) + name)
                    look(one.recv(1 << 16))
                except OSError:
                    pass
        """,
}

# What it found goes wherever a notebook can put anything: its output, its folders, its errors, its answers.
TELL = """
told = ' '.join(sorted(one.decode() for one in found)) or 'nothing'
print(told); print(told, file=sys.stderr); os.write(2, told.encode())
from IPython.display import display, HTML
display(HTML(told))
for folder, folders, names in os.walk('/box'):
    if not folder.startswith(('/box/python', '/box/site-0')):
        try:
            open(folder + '/told', 'w').write(told)
        except OSError:
            pass
open('told', 'w').write(told)
class Blend(nn.Module):
    def __init__(self, d):
        raise RuntimeError(told[:300])
def masked_mean(values, keep):
    return {'told': told, 'bytes': torch.tensor(list(told.encode()), dtype=torch.uint8)}
"""


def made(place: str) -> str:
    """A fresh canary for one place."""
    return f"CANARY-{place}-{secrets.token_hex(16)}"


@dataclass
class Canaries:
    """What is hidden, by place; and every path that a well-informed attacker would try."""

    values: dict[str, str] = field(default_factory=dict)
    paths: list[Path] = field(default_factory=list)

    def new(self, place: str) -> str:
        self.values[place] = made(place)
        return self.values[place]

    def inside(self, data: str | bytes) -> set[str]:
        """Places whose canary stands in this."""
        raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
        return {place for place, value in self.values.items() if value.split("-")[2].encode() in raw}


def searching(which: str, paths: list[Path] | list[str], *before: str) -> bytes:
    """A notebook that looks for canaries in one way and tells what it found in every way.

    Args:
        which: a key of `SEARCHES`.
        before: cells that run first.
    """
    start = f"{START}\nPATHS = {[os.fspath(one) for one in paths]!r}"
    raising = "raise RuntimeError(told[:300])"
    return notebook(IMPORTS, *before, start, dedented(SEARCHES[which]), TELL, raising)


def dedented(source: str) -> str:
    lines = source.strip("\n").rstrip().splitlines()
    return "\n".join(line.removeprefix("        ") for line in lines)
