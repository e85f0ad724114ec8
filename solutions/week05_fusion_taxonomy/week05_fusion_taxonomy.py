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
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from einops import einsum, rearrange, reduce, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from course_lib.checks import check

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
# (begin influence_matrix)
#
#
#
#
# (end influence_matrix)

# %% [markdown]
# (begin use influence_matrix)
#
#
#
#
# (end use influence_matrix)

# %% [markdown]
# (begin names)
#
#
#
#
# (end names)

# %% [markdown]
# (begin section 2)
#
#
#
#
# (end section 2)

# %% [markdown]
# (begin raw_patches)
#
#
#
#
# (end raw_patches)

# %% [markdown]
# (begin use raw_patches)
#
#
#
#
# (end use raw_patches)

# %% [markdown]
# (begin early_fusion)
#
#
#
#
# (end early_fusion)

# %% [markdown]
# (begin use early_fusion)
#
#
#
#
# (end use early_fusion)

# %% [markdown]
# (begin section 3)
#
#
#
#
# (end section 3)

# %% [markdown]
# (begin late_fusion)
#
#
#
#
# (end late_fusion)

# %% [markdown]
# (begin use late_fusion)
#
#
#
#
# (end use late_fusion)

# %% [markdown]
# (begin section 4)
#
#
#
#
# (end section 4)

# %% [markdown]
# (begin stream_fusion)
#
#
#
#
# (end stream_fusion)

# %% [markdown]
# (begin use stream_fusion)
#
#
#
#
# (end use stream_fusion)

# %% [markdown]
# (begin thumbnail)
#
#
#
#
# (end thumbnail)

# %% [markdown]
# (begin use thumbnail)
#
#
#
#
# (end use thumbnail)

# %% [markdown]
# (begin section 5)
#
#
#
#
# (end section 5)

# %% [markdown]
# (begin prefix_lm_mask)
#
#
#
#
# (end prefix_lm_mask)

# %% [markdown]
# (begin use prefix_lm_mask)
#
#
#
#
# (end use prefix_lm_mask)

# %% [markdown]
# (begin experiment influence)
#
#
#
#
# (end experiment influence)

# %% [markdown]
# (begin section 6)
#
#
#
#
# (end section 6)

# %% [markdown]
# (begin answer_cost)
#
#
#
#
# (end answer_cost)

# %% [markdown]
# (begin use answer_cost)
#
#
#
#
# (end use answer_cost)

# %% [markdown]
# (begin popular figures)
#
#
#
#
# (end popular figures)

# %% [markdown]
# (begin explorer)
#
#
#
#
# (end explorer)

# %% [markdown]
# ## 7 · The bake-off
#
# Every way to meet is built. Which one is best? The question means nothing until somebody says **equal in
# what**. Published models cannot tell: they differ in data, encoder, language model, size, budget and year at
# once, and the winner is called by whichever of these one likes to name. Here all of it is held still. Eleven
# patterns see the same 4,000 pictures in the same order, eight questions on each, handwritten digits among the
# things and relations among the questions. Wherever a pattern has an encoder or a language model, it is the
# same one, frozen. Each trains with the same optimisers and its own learning rate.
#
# Two budgets, one after the other, because they ask two questions:
#
# - **Equal parameters**: about 150,000 trained numbers and 300 steps for everybody. *What can be said with so
#   many numbers?*
# - **Equal FLOPs**: the same sizes, and as many steps as cost what `merge` spends on its 300. *What does one
#   get for the same arithmetic?* A cheap pattern may practise for longer.
#
# Some cannot keep to the first, and the table says so. `linear` and `early, frozen` are a single map and
# cannot grow. `early` has no encoder and no language model to borrow: its 150,000 numbers are a language
# model 56 wide that has never read a word. `early, wide` is one at full width, with 830,000.

# %% [markdown]
# ### A short one, with your parts
#
# First a bake-off that fits into this notebook: your own six parts in all eleven patterns, one seed, 80 steps,
# equal parameters. It takes two to three minutes. Beside the right answers stand the controls without which no
# such table should be believed: the same questions with *another scene's picture*, and with *no picture*.
#
# **Prediction:** write down your first three and your last three. And a law: for which patterns must the column
# "no picture" hold the same number to the last digit?

# %% experiment="bakeoff_short"
from course_lib.bakeoff import CONTESTANTS, KINDS, bakeoff, measured, train
from course_lib.bakeoff_tables import board, kind_map, results, standing
from course_lib.fusion import PATTERNS, Parts, question_first

parts = Parts(raw_patches, EarlyFusion, LateFusion, StreamFusion, thumbnail, prefix_lm_mask)
scale = {"steps": 3, "n_scenes": 60, "n_test": 12} if FAST else {"steps": 80, "n_test": 100}
names = [name for name in CONTESTANTS if name != "early, wide"]  # it takes twice as long as the others
mine = bakeoff(parts, names=names, budgets=["parameters"], seeds=[SEED], progress=False, **scale)
frozen = [row["blind"] for row in mine["runs"] if row["name"] not in ("early", "late")]
assert len(set(frozen)) == 1  # without a picture, a frozen language model answers as it always did
board(mine, "parameters")

# %% experiment="bakeoff_short_kinds"
kind_map(mine, "parameters")

# %% [markdown]
# ### The question before the picture, or after it?
#
# In a causal stream a picture that stands first is read without the question: section 1 showed it, and no
# training can change it. There are two ways out. A **prefix-LM mask** lets the picture's tokens see the
# question. Or the **question stands first**, and the stream stays causal. One reads that this is worth "5 to 10
# percent". We followed that figure to where it begins, and it begins nowhere: no experiment, no source. One
# vendor's guide advises the opposite, pictures before text; LLaVA's code moves the picture to the front.
# There is a price, too: a picture that stands first can be computed once and cached for every later question.
#
# So we measure. Nine visual tokens, a two-layer MLP, one frozen language model, four orders. For the second the
# mask of exercise 7 is enough. The third has the question, the picture, then only the question mark. The fourth
# repeats the whole question behind the picture. Mind one thing: our language model has read thousands of rows
# with the facts first and the question second, and **never** another order or an open mask. Only the projector
# is trained.
#
# **Prediction:** does seeing the question help the picture's tokens, and if the projector alone can learn, who
# would have to make use of it?

# %% experiment="order"
orders = {
    "picture, question": lambda: PATTERNS["merge"].build(world, parts),
    "picture, question, prefix-LM": lambda: PATTERNS["prefix-lm"].build(world, parts),
    "question, picture, ?": lambda: question_first(world, parts, again=False),
    "question, picture, question": lambda: question_first(world, parts, again=True),
}
rate, rows = PATTERNS["merge"].learning_rate, []
for name, build in orders.items():
    torch.manual_seed(SEED)
    model = build()
    train(model, world, rate, steps=3 if FAST else 120, seed=SEED, kinds=KINDS)
    found = measured(model, world, KINDS, n_scenes=len(world.new.scenes))
    rows.append([name, *(found[what] for what in ("right", "unseen", "shuffled", "blind"))])
Table(["in the stream", "right answers", "unseen pairs", "another's picture", "no picture"], rows)

# %% [markdown]
# (begin section 8)
#
#
#
#
# (end section 8)

# %% [markdown]
# (begin my_fusion)
#
#
#
#
# (end my_fusion)

# %% [markdown]
# (begin use my_fusion)
#
#
#
#
# (end use my_fusion)

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
