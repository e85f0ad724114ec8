"""`make hostile`: the whole corpus on every rung, with both kinds of kernel. Exits 1 on any loss or escape.

A notebook is exact when it gets its honest score and leaves nothing behind. It has escaped when it gets more,
or leaves a process or a folder.

The rung without namespaces is tried where none can be made, by root and by an ordinary user. There the user's
pools of processes have no shared memory (docs/security.md), and the one notebook that needs it is scored so.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import track

from grading import parent, sandbox
from tests.fixtures import blending, no_namespaces, processes
from tests.hostile.canaries import made
from tests.hostile.corpus import corpus
from tests.hostile.test_hostile import CANARY, grade, left_behind

KINDS = (("bubblewrap", True, "forked from a warm parent"), ("bubblewrap", False, "an interpreter each"))


def run(rung: str, warm: bool, name: str, edition: Path, console: Console) -> bool:
    """Grade the corpus and print its line. True if every notebook is exact and none escaped."""
    sandbox.check(rung)
    shared_memory = rung == "bubblewrap" or os.geteuid() == 0
    submissions = corpus(str(CANARY))
    exact = escaped = 0
    for one in track(submissions, f"{rung}, {name}", console=console):
        processes.begin()
        honest = one.score if shared_memory or one.without_pools is None else one.without_pools
        score, left = grade(one.content, edition, rung, warm).score, left_behind()
        exact += score == honest and not left
        escaped += score > honest or bool(left)
        if score != honest or left:
            console.print(f"{one.name}: {score} where {honest} is honest; left behind: {left}")
    forked = bool(parent.running())
    if warm != forked:
        console.print("kernels were not started as they were to be")
    parent.close_all()
    print(f"{rung}, {name}: {len(submissions)} notebooks, {exact} exact, {escaped} escapes", flush=True)
    return exact == len(submissions) and not escaped and warm == forked


def main() -> int:
    parser = argparse.ArgumentParser(prog="make hostile")
    parser.add_argument("--alone", metavar="WHO", help=argparse.SUPPRESS)
    who = parser.parse_args().alone
    console = Console(stderr=True)
    CANARY.write_text(made("file"))
    os.environ["COURSE_CANARY"] = made("environment")
    try:
        with tempfile.TemporaryDirectory() as place:
            os.chmod(place, 0o755)
            edition = blending.edition(Path(place))
            if who is not None:
                return 0 if run("landlock", False, f"without namespaces, {who}", edition, console) else 1
            good = [run(*kind, edition, console) for kind in KINDS]
        # As root, who could be kept out of a box that is an ordinary user's; and as that user.
        for root in [True, False] if os.geteuid() == 0 else [False]:
            code = f"import sys\nsys.argv = ['hostile', '--alone', {'root' if root else 'ordinary user'!r}]\n"
            code += "from tests.hostile.__main__ import main\nsys.exit(main())"
            good.append(
                subprocess.run(no_namespaces.command(code, root), env=no_namespaces.AROUND).returncode == 0
            )
    finally:
        CANARY.unlink()
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
