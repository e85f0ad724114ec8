"""`make hostile`: the whole corpus on every rung, with both kinds of kernel. Exits 1 on any loss or escape.

A notebook is exact when it gets its honest score and leaves nothing behind. It has escaped when it gets more,
or leaves a process or a folder.
"""

import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import track

from grading import parent, sandbox
from tests.fixtures import blending, processes
from tests.hostile.canaries import made
from tests.hostile.corpus import corpus
from tests.hostile.test_hostile import CANARY, grade, left_behind

KINDS = (("bubblewrap", True, "forked from a warm parent"), ("bubblewrap", False, "an interpreter each"))


def main() -> int:
    console = Console(stderr=True)
    CANARY.write_text(made("file"))
    os.environ["COURSE_CANARY"] = made("environment")
    best, lines = True, []
    try:
        with tempfile.TemporaryDirectory() as place:
            edition = blending.edition(Path(place))
            for rung, warm, name in KINDS:
                sandbox.check(rung)
                submissions = corpus(str(CANARY))
                exact = escaped = 0
                for one in track(submissions, f"{rung}, {name}", console=console):
                    processes.begin()
                    score, left = grade(one.content, edition, rung, warm).score, left_behind()
                    exact += score == one.score and not left
                    escaped += score > one.score or bool(left)
                    if score != one.score or left:
                        console.print(f"{one.name}: {score} where {one.score} is honest; left behind: {left}")
                forked = bool(parent.running())
                if warm != forked:
                    console.print("kernels were not started as they were to be")
                parent.close_all()
                lines.append(
                    f"{rung}, {name}: {len(submissions)} notebooks, {exact} exact, {escaped} escapes"
                )
                best = best and exact == len(submissions) and not escaped and warm == forked
    finally:
        CANARY.unlink()
    print("\n".join(lines))
    return 0 if best else 1


if __name__ == "__main__":
    sys.exit(main())
