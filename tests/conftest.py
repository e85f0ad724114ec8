"""What every test stands on: shapes are checked, numbers repeat, one thread each."""

import os
import random
from collections.abc import Iterator

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


UNTOUCHED = {name: getattr(torch, name) for name in ("allclose", "equal", "isclose", "randn", "rand")}


@pytest.fixture(autouse=True)
def torch_is_left_as_it_was() -> Iterator[None]:
    """Some notebooks in tests replace parts of torch. What gets out would change every test after it."""
    yield
    changed = [name for name, function in UNTOUCHED.items() if getattr(torch, name) is not function]
    for name in changed:
        setattr(torch, name, UNTOUCHED[name])
    assert not changed, f"this test left torch with another {', '.join(changed)}"
