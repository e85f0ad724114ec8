"""A short soak: `make soak` is the long one."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

ROOT = Path(__file__).parent.parent.parent


def test_a_class_graded_under_fire_and_on_a_full_disk_loses_nothing() -> None:
    command = [sys.executable, "-m", "tests.soak", "--submissions", "9", "--kills", "3", "--seed", "4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "9 submissions, 3 kills, 0 lost, 0 doubled", said
    assert done.returncode == 0, said
    full = re.search(r"which was full (\d+) times", done.stdout)
    assert full is not None
    assert int(full[1]) >= 1, said
