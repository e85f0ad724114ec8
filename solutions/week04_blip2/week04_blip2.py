# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["colab"]
import sys

if "google.colab" in sys.modules:  # first drop the week's .whl file into Colab's file pane
    get_ipython().system("pip install --quiet --no-deps jaxtyping wadler-lindig *.whl")

# %% [markdown]
# (begin header)
#
#
#
#
# (end header)

# %%
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange, reduce, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from course_lib.checks import check
from course_lib.post_norm import AddNorm, Hidden, PostNormAttention

# %% tags=["parameters"]
SEED, DEVICE = 0, "cpu"
FAST = False  # True shortens every experiment, for a trial run; the numbers then mean nothing

# %% [markdown]
# (begin idea)
#
#
#
#
# (end idea)

# %% experiment="tools"
# What the experiments use. The exercises need none of it.
from course_lib import full_size, plots
from course_lib.exhibits import Table
from course_lib.full_size import count
from course_lib.world import MicroWorld

world = MicroWorld.load(n_scenes=200, n_test=24) if FAST else MicroWorld.load()

# %% [markdown]
# (begin section 1)
#
#
#
#
# (end section 1)

# %% [markdown]
# (begin qformer_layer)
#
#
#
#
# (end qformer_layer)

# %% [markdown]
# (begin use qformer_layer)
#
#
#
#
# (end use qformer_layer)

# %% [markdown]
# (begin section 2)
#
#
#
#
# (end section 2)

# %% [markdown]
# (begin qformer_mask)
#
#
#
#
# (end qformer_mask)

# %% [markdown]
# (begin use qformer_mask)
#
#
#
#
# (end use qformer_mask)

# %% [markdown]
# (begin section 3)
#
#
#
#
# (end section 3)

# %% [markdown]
# (begin itc_loss)
#
#
#
#
# (end itc_loss)

# %% [markdown]
# (begin sample_negatives)
#
#
#
#
# (end sample_negatives)

# %% [markdown]
# (begin use sample_negatives)
#
#
#
#
# (end use sample_negatives)

# %% [markdown]
# (begin itm_loss)
#
#
#
#
# (end itm_loss)

# %% [markdown]
# (begin itg_loss)
#
#
#
#
# (end itg_loss)

# %% [markdown]
# (begin use itg_loss)
#
#
#
#
# (end use itg_loss)

# %% [markdown]
# (begin experiment stage1)
#
#
#
#
# (end experiment stage1)

# %% [markdown]
# (begin section 4)
#
#
#
#
# (end section 4)

# %% [markdown]
# (begin query_prefix)
#
#
#
#
# (end query_prefix)

# %% [markdown]
# (begin use query_prefix)
#
#
#
#
# (end use query_prefix)

# %% [markdown]
# (begin experiment stages)
#
#
#
#
# (end experiment stages)

# %% [markdown]
# (begin query_similarity)
#
#
#
#
# (end query_similarity)

# %% [markdown]
# (begin experiment probe)
#
#
#
#
# (end experiment probe)

# %% [markdown]
# (begin experiment against_mlp)
#
#
#
#
# (end experiment against_mlp)

# %% [markdown]
# (begin section 5)
#
#
#
#
# (end section 5)

# %% [markdown]
# (begin blip2_answers)
#
#
#
#
# (end blip2_answers)

# %% [markdown]
# (begin use blip2_answers)
#
#
#
#
# (end use blip2_answers)

# %% [markdown]
# (begin experiment few_shot)
#
#
#
#
# (end experiment few_shot)

# %% [markdown]
# (begin section 6)
#
#
#
#
# (end section 6)

# %% [markdown]
# (begin full size)
#
#
#
#
# (end full size)

# %% [markdown]
# (begin looking back)
#
#
#
#
# (end looking back)

# %% [markdown] generated="common_mistakes"
# ## Common mistakes
#
# Each of these is a real misunderstanding, and each leaves its own trace in the numbers. If the feedback on
# your notebook names one of them, it was recognised by that trace.

# %% [markdown]
# (begin where next)
#
#
#
#
# (end where next)
