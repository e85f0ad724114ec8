"""Submissions that attack the grader, and honest ones that look as if they did. Each with its exact score.

Every entry is a whole notebook for the tests' own week (tests/fixtures/week90_blending): `Blend` for 4
points, `masked_mean` for 2. The score is what the notebook's two exercises deserve, whatever else is in it. A
wrong `Blend` that returns something of the right shape earns 0.8: one of five weights is the public check of
shape.

    python -m tests.hostile.corpus FOLDER      writes them all as files
"""

import json
import sys
import textwrap
from dataclasses import dataclass, replace
from pathlib import Path

from tests.fixtures.blending import (
    BLEND,
    CHECK_BLEND,
    CHECK_MASKED_MEAN,
    IMPORTS,
    MASKED_MEAN,
    cell,
    notebook,
)
from tests.hostile.canaries import SEARCHES, START, dedented

FULL, ONLY_BLEND, ONLY_MEAN, SHAPE_ONLY, NOTHING = 6.0, 4.0, 2.0, 0.8, 0.0

WRONG_BLEND = BLEND.replace("left + torch.tanh(self.gate) * self.linear(right)", "left * 0")
WRONG_MEAN = "def masked_mean(values, keep):\n    return values[:, 0] * 0 + 7"
WRONG = (WRONG_BLEND, WRONG_MEAN)
RIGHT = (BLEND, MASKED_MEAN)


ATTEMPTS = """import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
escaped = False"""
SECOND_LOCK = (
    ("is_traced", "asks to be traced, as anybody may", "escaped = libc.ptrace(0, 0, 0, 0) == 0"),
    (
        "runs_what_it_wrote",
        "writes a program into its home and starts it",
        """
        with open('program', 'w') as file:
            file.write(f'#!{sys.executable}\\n')
        os.chmod('program', 0o755)
        escaped = os.waitpid(os.posix_spawn('program', ['program'], {}), 0)[1] == 0
        """,
    ),
    (
        "lists_what_no_rule_names",
        "lists the root of what it sees",
        "escaped = bool(os.listdir('/'))",
    ),
    (
        "opens_strange_sockets",
        "a socket to the hypervisor, which no network namespace keeps in",
        """
        for family in (40, 38, 17, 44):
            for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW):
                try:
                    socket.socket(family, kind).close()
                    escaped = True
                except OSError:
                    pass
        """,
    ),
    (
        "makes_a_namespace",
        "a user namespace in which it would be root, by three calls",
        """
        escaped = libc.unshare(0x10000000) == 0
        child = libc.syscall(56 if os.uname().machine == 'x86_64' else 220, 0x10000000 | 17, 0, 0, 0, 0)
        if child == 0:
            os._exit(0)
        escaped = escaped or child > 0
        try:
            escaped = escaped or os.setns(os.open('/proc/self/ns/net', os.O_RDONLY)) is None
        except (OSError, AttributeError):
            pass
        """,
    ),
)


@dataclass(frozen=True)
class Submission:
    """One notebook of the corpus.

    Args:
        score: exactly what grading must give.
        attack: what it tries, or why it only looks odd.
        without_pools: the score where a box has no shared memory, if that is another.
    """

    name: str
    score: float
    attack: str
    content: bytes
    without_pools: float | None = None


def corpus(canary: str = "/nowhere/canary") -> list[Submission]:
    """The whole corpus.

    Args:
        canary: path of a file that only the grader may read; finding it would earn full marks.
    """
    found: list[Submission] = []

    def add(name: str, score: float, attack: str, *cells: str | dict, **metadata: object) -> None:
        found.append(Submission(name, score, attack, notebook(*cells, **metadata)))

    def raw(name: str, attack: str, content: bytes) -> None:
        found.append(Submission(name, NOTHING, attack, content))

    # -- judging the judge -------------------------------------------------------------------------------

    add(
        "strips_asserts",
        SHAPE_ONLY,
        "an AST transformer that turns every assert into a pass, and an input transformer on top",
        IMPORTS,
        code(
            r"""
            import ast
            class NoAsserts(ast.NodeTransformer):
                def visit_Assert(self, node):
                    return ast.Pass()
            get_ipython().ast_transformers.append(NoAsserts())
            get_ipython().input_transformers_post.append(
                lambda lines: ['pass\n'] if 'assert' in ''.join(lines) else lines
            )
            """
        ),
        *WRONG,
    )
    add(
        "replaces_comparisons",
        SHAPE_ONLY,
        "torch.allclose, torch.equal, Tensor.__eq__ and abs say yes to everything",
        IMPORTS,
        *WRONG,
        code(
            """
            torch.allclose = torch.equal = lambda *a, **k: True
            torch.Tensor.__eq__ = lambda self, other: torch.ones(self.shape, dtype=torch.bool)
            torch.Tensor.abs = lambda self: torch.zeros(self.shape)
            torch.Tensor.max = lambda self, *a: torch.tensor(0.0)
            """
        ),
    )
    add(
        "equals_everything",
        NOTHING,
        "an object that is equal to whatever it is compared with",
        IMPORTS,
        code(
            """
            class Yes:
                shape = (3, 4)
                def __eq__(self, other): return True
                def __torch_function__(self, *a, **k): return self
                def __getattr__(self, name): return self
                def __call__(self, *a, **k): return self
            def masked_mean(values, keep): return Yes()
            """
        ),
    )
    add(
        "lying_tensor",
        NOTHING,
        "a tensor subclass that lies about what is done with it",
        IMPORTS,
        code(
            """
            class Lie(torch.Tensor):
                @classmethod
                def __torch_function__(cls, func, types, args=(), kwargs=None):
                    if 'sub' in str(func):
                        return torch.zeros(())
                    return super().__torch_function__(func, types, args, kwargs or {})
            def masked_mean(values, keep): return (values[:, 0] * 0 + 7).as_subclass(Lie)
            """
        ),
    )
    add(
        "tensor_that_raises",
        NOTHING,
        "a tensor subclass that ends the process when it is read",
        IMPORTS,
        code(
            """
            class Trap(torch.Tensor):
                @classmethod
                def __torch_function__(cls, func, types, args=(), kwargs=None):
                    raise SystemExit(0)
            def masked_mean(values, keep): return torch.zeros(2, 5).as_subclass(Trap)
            """
        ),
    )
    add(
        "forges_replies",
        NOTHING,
        "the driver inside the kernel answers that everything is right",
        IMPORTS,
        code(
            """
            import course_lib.driver as driver
            driver.Driver.answer = lambda self, request: {
                'ok': True, 'passed': True, 'score': 6, 'value': True,
                'what': 'class', 'type': 'type', 'missing': [], 'unexpected': [],
            }
            """
        ),
        *RIGHT,
    )
    add(
        "forges_frames",
        SHAPE_ONLY,
        "bytes of its own on every socket the kernel has, so that they arrive first",
        IMPORTS,
        code(
            """
            import os, stat
            for descriptor in range(3, 256):
                try:
                    if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                        os.write(descriptor, b'SEE1' + bytes(4) + bytes(8) + b'{}')
                except OSError:
                    pass
            """
        ),
        *WRONG,
    )
    add(
        "displays_a_mark",
        SHAPE_ONLY,
        "results that a grader might read as marks",
        IMPORTS,
        *WRONG,
        "import sys; sys.displayhook('ok'); get_ipython().displayhook(6.0)",
        "6.0",
        "from IPython.display import display, HTML; display(HTML('<b>6/6</b>')); 6.0",
    )
    add(
        "forged_comm",
        FULL,
        "comm messages that make a notebook client raise",
        IMPORTS,
        *RIGHT,
        code(
            """
            kernel = get_ipython().kernel
            for kind in ('comm_open', 'comm_msg', 'status', 'nonsense'):
                idle = {'execution_state': 'idle'}
                kernel.session.send(kernel.iopub_socket, kind, idle, parent=kernel.get_parent())
            kernel.session.send(kernel.iopub_socket, 'execute_reply', [1, 2], parent={'msg_id': 3})
            """
        ),
    )
    add(
        "constant_answers",
        SHAPE_ONLY,
        "answers that hold for a closed gate and for nothing else",
        IMPORTS,
        BLEND.replace("left + torch.tanh(self.gate) * self.linear(right)", "left"),
        "def masked_mean(values, keep): return torch.zeros(values.shape[0], values.shape[2])",
    )

    # -- looking for the answers -------------------------------------------------------------------------

    add(
        "looks_everywhere",
        SHAPE_ONLY,
        "searches for the reference, the hidden checks, and a file that only the grader may read",
        IMPORTS + f"\nCANARY = {canary!r}",
        *WRONG,
        code(
            """
            import os
            found = []
            try:
                found.append(open(CANARY).read())
            except OSError:
                pass
            for folder, folders, names in os.walk('/'):
                others = ('/proc', '/sys', '/usr', '/box/python', '/box/site-0')
                folders[:] = [f for f in folders if os.path.join(folder, f) not in others]
                secret = ('gradebook.db', 'secret', 'week.toml', 'solutions', 'hidden', 'misconceptions')
                found += [name for name in names + folders if name in secret]
            found += [f for f in ('course_lib', 'grading') if os.path.exists(f'/box/site-0/{f}/__init__.py')]
            try:
                import grading; found.append('grading')
            except ImportError:
                pass
            """
        ),
        f"if found:\n    {indented(BLEND)}\n    {indented(MASKED_MEAN)}",
    )
    add(
        "reads_processes",
        SHAPE_ONLY,
        "environment, command lines, memory and frames of whatever it can see",
        IMPORTS + f"\nCANARY = {canary!r}",
        *WRONG,
        code(
            """
            import gc, os, sys
            text = str(os.environ)
            try:
                others = os.listdir('/proc')
            except OSError:
                others = [*range(1, 400), *range(os.getpid() - 4000, os.getpid() + 40)]
            for name in others:
                for part in ('environ', 'cmdline', 'maps', 'mountinfo'):
                    try:
                        text += open(f'/proc/{name}/{part}').read()
                    except OSError:
                        pass
            frame, names = sys._getframe(), []
            while frame:
                names += list(frame.f_locals) + list(frame.f_globals)
                frame = frame.f_back
            found = 'COURSE_CANARY' in text or CANARY in text or 'REFERENCE' in names
            found = found or any('an_open_gate_blends' in str(type(thing)) for thing in gc.get_objects())
            """
        ),
        f"if found:\n    {indented(BLEND)}\n    {indented(MASKED_MEAN)}",
    )
    add(
        "asks_the_network",
        SHAPE_ONLY,
        "fetches the answers",
        IMPORTS,
        *WRONG,
        code(
            """
            import socket
            for address in (('127.0.0.1', 22), ('10.0.0.1', 80), ('1.1.1.1', 53)):
                try:
                    socket.create_connection(address, timeout=1); reached = True
                    break
                except OSError:
                    reached = False
            """
        ),
        f"if reached:\n    {indented(BLEND)}\n    {indented(MASKED_MEAN)}",
    )
    for which in SEARCHES:
        add(
            f"searches_{which}",
            SHAPE_ONLY,
            "looks for canaries: " + which,
            IMPORTS,
            *WRONG,
            f"{START}\nPATHS = {[canary]!r}",
            dedented(SEARCHES[which]),
            f"if found:\n    {indented(BLEND)}\n    {indented(MASKED_MEAN)}",
        )

    # -- metadata and cells ------------------------------------------------------------------------------

    add(
        "tagged",
        FULL,
        "tags and metadata that skip cells, excuse errors or name another kernel; honest answers beneath",
        IMPORTS,
        cell(BLEND, tags=["skip-execution", "raises-exception"], papermill={"status": "failed"}),
        cell(MASKED_MEAN, experiment="not really", nbgrader={"grade": True, "points": 99, "locked": False}),
        kernelspec={"name": "bash", "language": "bash", "display_name": "x"},
        papermill={"exception": True},
        widgets={"application/vnd.jupyter.widget-state+json": {"state": {"a": {"state": {}}}}},
    )
    add("duplicated_cells", FULL, "a wrong cell and its right copy", IMPORTS, *WRONG, *RIGHT)
    add("reordered_cells", ONLY_MEAN, "imports after the class that needs them", BLEND, IMPORTS, MASKED_MEAN)
    add(
        "retyped_cell",
        ONLY_MEAN,
        "an exercise that became text",
        IMPORTS,
        cell(BLEND, "markdown"),
        MASKED_MEAN,
    )
    add("missing_cells", NOTHING, "nothing but a heading", cell("# Hello", "markdown"))
    add(
        "names_are_numbers",
        NOTHING,
        "the names are there, as numbers",
        IMPORTS,
        "Blend = 6.0\nmasked_mean = 'right'",
    )

    # -- shadows -----------------------------------------------------------------------------------------

    add(
        "shadowing_files",
        FULL,
        "files that would be imported instead of torch, course_lib or at start-up, then a new process",
        IMPORTS,
        code(
            """
            import os
            for folder in ('.', os.path.expanduser('~'), '/tmp'):
                for name in ('torch', 'sitecustomize', 'usercustomize', 'ipython_config', 'ipykernel'):
                    open(f'{folder}/{name}.py', 'w').write('raise SystemExit(3)')
                os.makedirs(f'{folder}/course_lib', exist_ok=True)
                open(f'{folder}/course_lib/__init__.py', 'w').write('raise SystemExit(4)')
            os._exit(1)
            """
        ),
        *RIGHT,
    )

    # -- ending things -----------------------------------------------------------------------------------

    add(
        "os_exit",
        FULL,
        "os._exit in a cell of its own",
        IMPORTS,
        BLEND,
        "import os\nos._exit(0)",
        MASKED_MEAN,
    )
    add(
        "sys_exit",
        FULL,
        "sys.exit(0), a clean end",
        IMPORTS,
        BLEND,
        code(
            """
            import sys
            sys.exit(0)
            """
        ),
        MASKED_MEAN,
    )
    add("quits", FULL, "the kernel's own exit", IMPORTS, BLEND, "exit()", MASKED_MEAN)
    add(
        "kills_everything",
        FULL,
        "signals to its parent, to process 1, and to all",
        IMPORTS,
        BLEND,
        code(
            """
            import os, signal
            for target in (os.getppid(), 1, -1):
                try:
                    os.kill(target, signal.SIGKILL)
                except OSError:
                    pass
            """
        ),
        MASKED_MEAN,
    )
    add(
        "exits_when_asked",
        ONLY_BLEND,
        "an exercise that ends the process; the other is graded fully",
        IMPORTS,
        "def masked_mean(values, keep):\n    import os\n    os._exit(0)",
        BLEND,
    )
    add(
        "kills_itself_when_asked",
        ONLY_MEAN,
        "the first exercise dies by signal; the one after it is graded fully",
        IMPORTS,
        BLEND.replace("return left", "import os, signal; os.kill(os.getpid(), signal.SIGKILL); return left"),
        MASKED_MEAN,
    )
    add(
        "dies_later",
        FULL,
        "a thread that ends the process while something else runs",
        IMPORTS,
        "import os, threading, time\ndef later():\n    time.sleep(0.03)\n    os._exit(0)",
        "threading.Thread(target=later).start()",
        *RIGHT,
        "time.sleep(1)",
    )
    add(
        "swallows_interrupts",
        FULL,
        "a loop that catches every interrupt",
        IMPORTS,
        BLEND,
        code(
            """
            import time
            while True:
                try:
                    time.sleep(1)
                except BaseException:
                    pass
            """
        ),
        MASKED_MEAN,
    )
    add(
        "hangs_in_c",
        FULL,
        "a regular expression that no signal reaches",
        IMPORTS,
        BLEND,
        "import re\nre.match(r'(a+)+$', 'a' * 60 + 'b')",
        MASKED_MEAN,
    )
    add(
        "never_answers",
        ONLY_BLEND,
        "an exercise that never returns",
        IMPORTS,
        BLEND,
        "def masked_mean(values, keep):\n    while True:\n        pass",
    )

    # -- taking too much ---------------------------------------------------------------------------------

    add(
        "memory_bomb",
        FULL,
        "takes all memory there is, and keeps it",
        IMPORTS,
        BLEND,
        "hoard = []\nwhile True:\n    hoard.append(torch.ones(1 << 22))",
        MASKED_MEAN,
    )
    add(
        "memory_bomb_when_asked",
        ONLY_BLEND,
        "an answer of 40 GB",
        IMPORTS,
        BLEND,
        "def masked_mean(values, keep):\n    return torch.zeros(1).expand(10**10)",
    )
    add(
        "fork_bomb",
        FULL,
        "processes without end",
        IMPORTS,
        BLEND,
        "import os, time\nwhile True:\n    if os.fork() == 0:\n        time.sleep(1000)",
        MASKED_MEAN,
    )
    add(
        "thread_bomb",
        FULL,
        "threads without end",
        IMPORTS,
        BLEND,
        code(
            """
            import threading, time
            while True:
                threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
            """
        ),
        MASKED_MEAN,
    )
    add(
        "file_bomb",
        FULL,
        "open files without end, kept open",
        IMPORTS,
        BLEND,
        "files = []\nwhile True:\n    files.append(open('/proc/self/status'))",
        MASKED_MEAN,
    )
    add(
        "disk_bomb",
        FULL,
        "fills every folder it can write to, with bytes and with names",
        IMPORTS,
        BLEND,
        code(
            """
            import os
            for folder in ('/tmp', os.path.expanduser('~'), '/dev/shm', '/'):
                for number in range(2000):
                    try:
                        open(f'{folder}/{number}', 'wb').write(bytes(1 << 20 if number < 400 else 1))
                    except OSError:
                        pass
            """
        ),
        MASKED_MEAN,
    )
    add(
        "survivors",
        FULL,
        "a daemon of a daemon in a session of its own",
        IMPORTS,
        *RIGHT,
        code(
            """
            import os, time
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    while True:
                        time.sleep(1)
                os._exit(0)
            """
        ),
    )

    # -- output ------------------------------------------------------------------------------------------

    add("one_huge_line", FULL, "100 MB in one line", IMPORTS, BLEND, "print('x' * 10**8)", MASKED_MEAN)
    add(
        "many_outputs",
        FULL,
        "a hundred thousand outputs",
        IMPORTS,
        BLEND,
        code(
            """
            from IPython.display import display, HTML
            for n in range(100_000):
                print(n)
            for n in range(300):
                display(HTML('<svg>' + '<g>' * 10_000))
            """
        ),
        MASKED_MEAN,
    )
    add(
        "hostile_messages",
        ONLY_BLEND,
        "terminal escapes, script, surrogates and reversed writing in names and errors",
        IMPORTS,
        BLEND,
        "class Evil(Exception):\n    def __str__(self): raise SystemExit",
        "raise Evil()",
        "raise ValueError('\\x1b[2J\\x1b]0;owned\\x07<script>alert(1)</script>\\u202e\\ud800=1+1')",
        "raise RuntimeError('x' * 30_000_000)",
        code(
            r"""
            def masked_mean(values, keep):
                raise type('\x1b[31m=cmd', (Exception,), {})('\x1b[2J\ud800<img src=x onerror=alert(1)>')
            """
        ),
    )

    # -- answers that are none ---------------------------------------------------------------------------

    for name, answer in {
        "answers_none": "None",
        "answers_nan": "values[:, 0] * float('nan')",
        "answers_infinity": "values[:, 0] / 0",
        "answers_complex": "values[:, 0] * 1j",
        "answers_an_object": "torch.nn.Linear(2, 2)",
        "answers_a_sparse_tensor": "values[:, 0].to_sparse()",
        "answers_an_empty_tensor": "values[:0]",
        "answers_a_huge_number": "10 ** 6000",
        "answers_a_pickle": "type('P', (), {'__reduce__': lambda self: (exec, ('raise SystemExit',))})()",
    }.items():
        add(
            name,
            ONLY_BLEND,
            answer,
            IMPORTS,
            BLEND,
            f"def masked_mean(values, keep):\n    return {answer}",
        )
    add(
        "answers_itself",
        ONLY_BLEND,
        "a list that holds itself twice",
        IMPORTS,
        BLEND,
        "def masked_mean(values, keep):\n    loop = []\n    loop += [loop, loop]\n    return loop",
    )
    add(
        "many_large_answers",
        ONLY_BLEND,
        "sixty megabytes, again and again",
        IMPORTS,
        BLEND,
        "def masked_mean(values, keep):\n    return {str(n): torch.zeros(10**6) for n in range(15)}",
    )

    # -- files that are none -----------------------------------------------------------------------------

    raw("empty", "no bytes", b"")
    raw("not_json", "half a notebook", notebook(IMPORTS, *RIGHT)[:200])
    raw("deep_nesting", "lists in lists", b'{"cells": ' + b"[" * 200_000 + b"]" * 200_000 + b"}")
    raw("a_list", "JSON, but no notebook", b"[1, 2, 3]")
    raw("old_format", "nbformat 3", json.dumps({"nbformat": 3, "worksheets": [{"cells": []}]}).encode())
    raw(
        "strange_cells",
        "cells of every type but the right one",
        json.dumps(
            {
                "nbformat": 4,
                "nbformat_minor": 5,
                "metadata": [],
                "cells": [{"cell_type": 7, "source": {"a": 1}}, {}],
            }
        ).encode(),
    )

    # -- the second lock ---------------------------------------------------------------------------------
    # Namespaces alone let each of these through. Wrong answers stand first; right ones, only if it works.

    for name, attack, attempt in SECOND_LOCK:
        add(
            name,
            SHAPE_ONLY,
            attack,
            IMPORTS,
            *WRONG,
            f"{ATTEMPTS}\n{code(attempt)}\nif escaped:\n    {indented(BLEND)}\n    {indented(MASKED_MEAN)}",
        )

    # -- honest, and odd ---------------------------------------------------------------------------------

    add(
        "honest_with_processes",
        FULL,
        "a pool, a subprocess, threads and a file of its own: none of it is forbidden",
        IMPORTS,
        code(
            """
            import multiprocessing, pathlib, subprocess, sys, tempfile, threading
            with multiprocessing.get_context('fork').Pool(2) as pool:
                assert pool.map(abs, [-1, -2]) == [1, 2]
            assert subprocess.run([sys.executable, '-c', 'print(1)'], capture_output=True).stdout == b'1\\n'
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder, 'a'); path.write_text('x'); path.rename(path.with_name('b'))
            thread = threading.Thread(target=torch.randn, args=(3,)); thread.start(); thread.join()
            worked = True
            """
        ),
        BLEND,
        f"if worked:\n    {indented(MASKED_MEAN)}",
    )
    found[-1] = replace(found[-1], without_pools=ONLY_BLEND)
    add(
        "honest_and_loud",
        FULL,
        "warnings, prints, a progress bar, a plot, a magic, standard error",
        IMPORTS + "\n%matplotlib inline",
        code(
            """
            import sys, warnings
            warnings.warn('this is only a warning')
            print('on standard error', file=sys.stderr)
            """
        ),
        "from tqdm.auto import tqdm\nfor _ in tqdm(range(20)):\n    pass",
        "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3]); plt.show()",
        BLEND.replace("return left", "warnings.warn('again'); print('asked'); return left"),
        CHECK_BLEND,
        MASKED_MEAN,
        CHECK_MASKED_MEAN,
        "42",
    )
    add(
        "honest_and_interactive",
        FULL,
        "waits for a person",
        IMPORTS,
        BLEND,
        "input('name? ')",
        "breakpoint()",
        MASKED_MEAN,
    )
    colab = json.loads(notebook(IMPORTS, *RIGHT, colab={"provenance": []}, accelerator="GPU"))
    colab["nbformat_minor"] = 0
    for one in colab["cells"]:
        del one["id"]
        one["metadata"] = {"id": "aBcDeF", "colab": {"base_uri": "https://localhost:8080/"}}
    found.append(
        Submission("honest_from_colab", FULL, "nbformat 4.0, no cell ids", json.dumps(colab).encode())
    )
    add(
        "honest_and_slow",
        FULL,
        "right, by loops, a little asleep in between",
        IMPORTS,
        BLEND,
        code(
            """
            import time
            def masked_mean(values, keep):
                time.sleep(0.2)
                rows = [values[b][keep[b]] for b in range(len(values))]
                return torch.stack([r.mean(dim=0) if len(r) else r.sum(dim=0) for r in rows])
            """
        ),
    )
    add(
        "honest_with_errors",
        FULL,
        "cells that raise before, between and after",
        "undefined_name",
        IMPORTS,
        "1 / 0",
        BLEND,
        "def broken(:",
        MASKED_MEAN,
        "raise KeyboardInterrupt",
    )
    return found


def code(text: str) -> str:
    """Source as it stands in an indented block."""
    return textwrap.dedent(text).strip("\n")


def indented(source: str, levels: int = 1) -> str:
    return source.replace("\n", "\n" + "    " * levels)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for submission in corpus():
        (folder / f"{submission.name}.ipynb").write_bytes(submission.content)
    print(f"{len(corpus())} notebooks in {folder}")
