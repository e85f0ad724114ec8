"""What every test stands on: shapes are checked, numbers repeat, one thread each."""

import os
import random

# Also for the processes that tests start, and before torch and numpy load.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from jaxtyping import install_import_hook

# Every annotated shape of course_lib is checked while tests run. In a learner's kernel it is not: there, only
# the checks speak. Nothing may import course_lib before this line.
install_import_hook("course_lib", "beartype.beartype")

import numpy as np
import pytest
import torch

from tests.fixtures import processes

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def repeatable_numbers() -> None:
    """A test that forgets to seed sees the same numbers alone, in company, and in any order."""
    processes.begin()
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
