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
# # Week 3 · Flamingo
#
# After this notebook you can
#
# 1. put new layers into a frozen language model without editing it, so that it stays itself until its gates
#    open;
# 2. say for every token which picture it reads, and prove it by changing one picture at a time;
# 3. write text that holds several pictures, and know which of its tokens a model should learn;
# 4. read a claim about gates, latents or shots, and name the control that would have caught it.
#
# About 3 hours · CPU is enough · needs week 2: cross-attention, and a gate · 34 points · Flamingo,
# arXiv:2204.14198

# %%
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from course_lib.checks import check

# %% tags=["parameters"]
SEED, DEVICE = 0, "cpu"
FAST = False  # True shortens every experiment, for a trial run; the numbers then mean nothing

# %% [markdown]
# **The idea in one picture**
#
# ![Diagram. On the left two pictures; each goes through a frozen image encoder and a trained Perceiver
# resampler, and becomes four latents. On the right a language model of four frozen layers between a frozen
# embedding and a frozen output. Before layer 0 and before layer 2 stands a trained block called GATED
# XATTN-DENSE. From the latents of both pictures arrows, keys and values, lead into both blocks. Into the
# embedding goes one row: image tag, a, red, ring, end, image tag, a, and a gap. No picture token stands in
# that row.](figures/flamingo.png)
#
# In week 2 a picture came into the language model's sequence as if it were words. Flamingo (Alayrac et al.
# 2022) leaves the sequence alone. Where a picture belongs stands a tag, `<image>`, which is a word like any
# other. The picture itself waits beside the model, and between the frozen layers stand new ones that let
# each word look at it:
#
# $$y \leftarrow y + \tanh(\alpha_\text{attention})\cdot\mathrm{attention}(y,\ \text{its picture}),\qquad
# y \leftarrow y + \tanh(\alpha_\text{dense})\cdot\mathrm{feed\ forward}(y)$$
#
# Both gates start at 0. On the first day the model is the language model it was, bit for bit. And because a
# tag can stand anywhere, so can a picture: between sentences, after examples, ten times in one row. In
# shapes: pictures `b n v d` become latents `b n q d`; a row `b t` of tags and words reads them through a
# mask `b t (n q)`.
#
# Four questions make up this week. How many tokens should stand for a picture? Which picture may a word
# look at? How does one add layers to a model that must not change? And what does it take to learn from
# examples in the prompt?

# %% [markdown]
# **How this notebook works.** You write eleven parts. Below each part stands its check: run it, and it says
# in one line whether you may go on, or in three lines where to look. Hints are folded; the mildest comes
# first. The cells called *experiment* are not graded. Each starts with a question. Answer it for yourself,
# with a number if you can, before you run the cell. Masks are boolean, and True means **keep**, everywhere.
#
# You need last week's idea of cross-attention and of a gate. You do not need last week's code.

# %% experiment="tools"
# What the experiments use. The exercises need none of it.
from course_lib import full_size, plots
from course_lib.exhibits import Table
from course_lib.full_size import count
from course_lib.world import MicroWorld

world = MicroWorld.load(n_scenes=200, n_test=24) if FAST else MicroWorld.load()

# %% [markdown]
# ## 1 · A fixed number of tokens, whatever comes in
#
# An encoder hands over one token for every patch: 576 for a picture of 336 pixels. Ten frames of a film are
# 5,760. A cross-attention that reads them all in every block pays for them in every block.
#
# Flamingo puts a **Perceiver resampler** in between. It keeps a few learned vectors, the **latents**, 64 in
# the paper. They read the picture a few times over, and from then on they stand for it. The idea is that of
# the Perceiver (Jaegle et al. 2021): let a small set ask a large one, and the cost no longer grows with the
# square of the large one.
#
# You know one way to get from many tokens to few: take an average. An average asks every patch the same
# question. A latent learns what to ask.
#
# One reads that the resampler is "cross-attention from learned queries to the picture". Three things are
# missing in that sentence, and you will build all three.
#
# * Keys and values come from the picture's tokens **and from the latents themselves**, side by side. So the
#   latents read the picture and each other in one attention. There is no separate self-attention.
# * Both are normed before they are read, each by its own norm, and the result is normed at the end.
# * The tokens of a film also get a learned **time embedding**, one for each frame. Nothing else tells the
#   frames apart, for attention does not know an order.
#
# It is also not "pretrained", as one reads. Only the encoder and the language model are. The resampler
# starts from random numbers and trains together with the gated blocks.

# %% [markdown]
# (begin perceiver_resampler)
#
#
#
#
# (end perceiver_resampler)

# %% [markdown]
# (begin use perceiver_resampler)
#
#
#
#
# (end use perceiver_resampler)

# %% [markdown]
# (begin claims 81x)
#
#
#
#
# (end claims 81x)

# %% [markdown]
# (begin section 2)
#
#
#
#
# (end section 2)

# %% [markdown]
# (begin media_index)
#
#
#
#
# (end media_index)

# %% [markdown]
# (begin media_mask)
#
#
#
#
# (end media_mask)

# %% [markdown]
# (begin influence)
#
#
#
#
# (end influence)

# %% [markdown]
# (begin use influence)
#
#
#
#
# (end use influence)

# %% [markdown]
# (begin section 3)
#
#
#
#
# (end section 3)

# %% [markdown]
# (begin masked_cross_attention)
#
#
#
#
# (end masked_cross_attention)

# %% [markdown]
# (begin gated_block)
#
#
#
#
# (end gated_block)

# %% [markdown]
# (begin use gated_block)
#
#
#
#
# (end use gated_block)

# %% [markdown]
# (begin section 4)
#
#
#
#
# (end section 4)

# %% [markdown]
# (begin flamingo)
#
#
#
#
# (end flamingo)

# %% [markdown]
# (begin use flamingo)
#
#
#
#
# (end use flamingo)

# %% [markdown]
# (begin parameter_groups)
#
#
#
#
# (end parameter_groups)

# %% [markdown]
# (begin use parameter_groups)
#
#
#
#
# (end use parameter_groups)

# %% [markdown]
# (begin experiment gates)
#
#
#
#
# (end experiment gates)

# %% [markdown]
# (begin experiment closed_open)
#
#
#
#
# (end experiment closed_open)

# %% [markdown]
# (begin experiment latents)
#
#
#
#
# (end experiment latents)

# %% [markdown]
# ## 5 · Rows of pictures and words
#
# Flamingo learned from web pages: text with pictures in it, in the order in which somebody put them there.
# No one labels anything. The text around the pictures is the label.
#
# Two signs make a row of such a page. `<image>` says that a picture stands here. `<EOC>`, the end of a
# chunk, says that the words that go with a picture are over. Our language model has a sign for that
# already, `<end>`.
#
# Both are **text tokens**, with embeddings of their own. One reads that "each image tag is replaced by the
# picture's features". That is LLaVA. In Flamingo a picture costs the context one tag, and one more with its
# `<EOC>`. The 64 latents never stand in the row.

# %% [markdown]
# (begin interleave)
#
#
#
#
# (end interleave)

# %% [markdown]
# (begin use interleave)
#
#
#
#
# (end use interleave)

# %% [markdown]
# (begin experiment which_picture)
#
#
#
#
# (end experiment which_picture)

# %% [markdown]
# (begin section 6)
#
#
#
#
# (end section 6)

# %% [markdown]
# (begin generate)
#
#
#
#
# (end generate)

# %% [markdown]
# (begin use generate)
#
#
#
#
# (end use generate)

# %% [markdown]
# (begin few_shot_prompt)
#
#
#
#
# (end few_shot_prompt)

# %% [markdown]
# (begin use few_shot_prompt)
#
#
#
#
# (end use few_shot_prompt)

# %% [markdown]
# (begin experiment shots)
#
#
#
#
# (end experiment shots)

# %% [markdown]
# (begin interactive looking)
#
#
#
#
# (end interactive looking)

# %% [markdown]
# ## 7 · At full size
#
# Everything you wrote has the shapes of the real thing. Let us count the real thing.

# %% [markdown]
# (begin full size tables)
#
#
#
#
# (end full size tables)

# %% [markdown]
# (begin real idefics)
#
#
#
#
# (end real idefics)

# %% [markdown]
# ## 8 · Looking back
#
# | | Flamingo | BLIP-2 |
# |---|---|---|
# | encoder, frozen | NFNet-F6, 435 million | EVA ViT-g/14, 986 million as cut for BLIP-2 |
# | language model, frozen | Chinchilla: 1.4, 7.1 or 70 billion | OPT or FlanT5: 2.7 to 11 billion |
# | what trains | resampler and gated blocks: 1.4, 1.8 or 10.2 billion | Q-Former: about 107 million in stage 2 |
# | a picture is | 64 latents beside the row | 32 tokens in the row |
# | it costs the context | one or two tokens | 32 tokens |
# | training | one run, on interleaved pages, pairs and films | two stages |
# | examples in the prompt | the point of it | no gain, say its authors |
#
# What to keep from this week, apart from the code:
#
# * **A closed gate is a promise one can test to the last bit.** The same trick has other names elsewhere.
#   ReZero (arXiv:2003.04887) starts every residual branch at 0. LoRA (arXiv:2106.09685) starts one of its
#   two matrices at 0, ControlNet (arXiv:2302.05543) its connecting convolutions, LLaMA-Adapter
#   (arXiv:2303.16199) the gate of its attention. All of them set *one* factor to zero. Two would never
#   move.
# * **A mask is a table, and a table can be tested.** "Conditioned on the image" is not a statement one can
#   test. "Changing picture 1 moves no word's reading after tag 2" is.
# * **What is cheap in one place is dear in another.** Latents make cross-attention nine times cheaper at
#   576 tokens. They do nothing for self-attention here, because pictures never were in it.
#
# ### To discuss
#
# *You have a frozen language model, and users who send five pictures and one question. Flamingo's tag, or
# LLaVA's tokens? What would change your mind: the length of the text, the size of the print in the
# pictures, the money for training? And which experiment here, in an afternoon, would tell you more than a
# table of benchmarks?*

# %% [markdown] generated="common_mistakes"
# ## Common mistakes
#
# Each of these is a real misunderstanding, and each leaves its own trace in the numbers. If the feedback on
# your notebook names one of them, it was recognised by that trace.

# %% [markdown]
# ## Where next
#
# * **The open models.** IDEFICS (arXiv:2306.16527) and OpenFlamingo (arXiv:2308.01390) rebuilt Flamingo in
#   the open; Otter (arXiv:2305.03726) trained OpenFlamingo further on instructions. OpenFlamingo puts its
#   blocks before layers n−1, 2n−1 and so on, not before 0, n and so on. A checkpoint of one is not a
#   checkpoint of the other.
# * **Is it better than concatenation?** Idefics2 (arXiv:2405.02246) compares the two at equal backbones:
#   with frozen backbones cross-attention was ahead, with trained ones concatenation. Week 5 does the
#   comparison here.
# * **The pattern today.** Llama 3.2 Vision (arXiv:2407.21783) has gated cross-attention layers; NVLM
#   (arXiv:2409.11402) sets them beside concatenation and a hybrid.
# * **Films.** The time embeddings of your resampler are all that Flamingo knows of time. It was trained
#   with eight frames and ran with thirty, by interpolating the embeddings.
#
# Week 4 takes the third bridge apart: BLIP-2's Q-Former, and its two stages of training.
#
# ## References
#
# * Alayrac et al. 2022. *Flamingo: a Visual Language Model for Few-Shot Learning.* NeurIPS. arXiv:2204.14198
# * Jaegle et al. 2021. *Perceiver: General Perception with Iterative Attention.* ICML. arXiv:2103.03206
# * Laurençon et al. 2023. *OBELICS: An Open Web-Scale Filtered Dataset of Interleaved Image-Text Documents.*
#   arXiv:2306.16527
# * Awadalla et al. 2023. *OpenFlamingo.* arXiv:2308.01390
# * Tsimpoukelli et al. 2021. *Multimodal Few-Shot Learning with Frozen Language Models.* arXiv:2106.13884
# * Bachlechner et al. 2020. *ReZero is All You Need.* arXiv:2003.04887
# * Hoffmann et al. 2022. *Training Compute-Optimal Large Language Models* (Chinchilla). arXiv:2203.15556
