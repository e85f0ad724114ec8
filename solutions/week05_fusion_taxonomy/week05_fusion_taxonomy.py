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
# # Week 5 · The full fusion taxonomy
#
# After this notebook you can
#
# 1. name a fusion by where two modalities meet and by what arrives there, and read the three uses of early,
#    mid and late;
# 2. find out who can affect whom in any model, by trying, and say why a picture placed first cannot see the
#    question;
# 3. build every pattern over one interface: raw patches, concatenation, a bottleneck, blocks between layers,
#    both, and two vectors;
# 4. count what a meeting place costs in tokens, FLOPs and bytes, and design a fusion under a budget.
#
# About 3 hours · CPU is enough · needs week 2: projectors and cross-attention, week 3: a resampler,
# week 4: a Q-Former, and masks · 33 points · Fuyu, Flamingo, PaliGemma, NVLM-H, and arXiv:2504.07951

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
# **The idea in one picture**
#
# ![Diagram of all the places where a picture and words can meet. On the right a language model: at the bottom
# its stream, the picture's tokens hatched in blue, then the words in orange; above it six layers and the next
# word. On the left a picture, and behind it an image encoder. Stars mark where they meet. At the input, raw
# patches: past the encoder, through one trained matrix into the stream, as many tokens as patches, and
# newlines. At the input, features: from the encoder through a trained linear map, an MLP or merging into the
# stream, one token a patch or one for four. At the input, bottleneck: through a trained resampler or Q-Former
# into the stream, as many tokens as there are queries. Between layers, features: all tokens stand beside the
# stream, and trained blocks between the layers let the words, and only them, look at them. At the output,
# features: the mean makes one vector of the picture; it and one vector of the words go into a trained head,
# which picks one of the answers. Hybrid: at the input and between layers, a few tokens in front, all of them
# beside. Encoder and language model are frozen; with raw patches the language model usually
# trains.](figures/patterns.png)
#
# Where can two modalities meet, and what does each meeting place cost and buy? So far this course has built
# three bridges, one after another. Here they stand side by side, with those that were missing, and all of
# them do the same job: a picture $x$ and a question go in, an answer comes out. One language model with $L$
# layers has only three kinds of doors:
#
# $$s^{(0)}=\big[\,\text{enter}(x),\ \text{words}\,\big],\qquad
# s^{(l+1)}=\text{layer}_l\big(\text{block}_l(s^{(l)},\,x)\big),\qquad
# \text{answer}=\text{head}\big(s^{(L)},\,x\big)$$
#
# A pattern says which of the three the picture takes, and what $x$ is: raw patches, or the features of an
# encoder that has looked already. LLaVA enters and does nothing else. Flamingo has blocks, and only a tag in
# the stream. NVLM-H has both. Two towers have neither: picture and words meet in the head. Fuyu enters too,
# with patches that nobody has looked at. Two questions, then, name them all: **where** do they meet, and
# **what** arrives there? *Early*, *mid* and *late* answer neither of them; section 1 shows three readings.
#
# The shapes, at the size of this week's micro-world: a picture is `b 3 48 48`, its 36 features are
# `b 36 128`, and what stands in the stream in front of the words is `b p 128`, with $p$ from 0 to 42.

# %% [markdown]
# **The plan.** Nine sections:
#
# 1. *Where can they meet?* A tool that asks any model who can influence whom, and names that mean one thing.
# 2. *At the input, raw.* No encoder: the language model does the seeing.
# 3. *At the output.* Two vectors and a head, and what a mean forgets.
# 4. *In the stream, between layers, or both.* One module, and ten of eleven patterns behind it.
# 5. *Who may see whom.* A picture placed first cannot see the question, unless a mask lets it.
# 6. *What it costs.* Tokens, FLOPs, bytes; popular numbers, counted again; two explorers.
# 7. *The bake-off.* The same scenes for all; the same parameters, then the same FLOPs.
# 8. *Your own, under a budget.* You design one, and it is trained on questions that you have not seen.
# 9. *Looking back.*
#
# **How this notebook works.** You write nine parts. Below each part stands its check: run it, and it says in
# one line whether you may go on, or in three lines where to look. Hints are folded; the mildest comes first.
# The cells called *experiment* are not graded. Each starts with a question. Answer it for yourself, with a
# number if you can, before you run the cell. Masks are boolean, and True means **keep**, everywhere.
#
# Projectors, the gated block, the resampler and the Q-Former of weeks 2 to 4 are given (`course_lib`). If you
# have skipped a week, you need its idea, not its code.

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
# ### Turn it yourself
#
# Nine ways to meet, at full size, and your `answer_cost` on the bill. The encoder is CLIP's ViT-L/14, read
# at any size. The width of a stack is the number of tokens in the stream: what is twice as wide holds twice
# as many. A star marks where picture and words meet. In a live notebook, choose a way, a language model, the
# picture's size and the length of the text. Elsewhere you see all nine at once.
#
# **Prediction.** A picture of 336 pixels a side, 50 tokens of question, a language model of 7B. How many
# times dearer is it to read under an MLP than under cross-attention? And if the question has 1,000 tokens:
# is cross-attention still the cheapest of those that write an answer?

# %% experiment="fusion_explorer" tags=["nbval-ignore-output"]
from course_lib.cost_model import picture_tokens
from course_lib.fusion_explorer import SIZES, bill, flops, fusion_explorer, resolution_explorer

fusion_explorer(answer_cost)

# %% [markdown]
# What the drawing hides: eye and bridge are frozen or small, but not free. The table under the figure has
# them in a column of their own. Blocks stand before every fourth layer; *raw patches* are 28 pixels a side;
# the hybrid's thumbnail has 8 × 8 tokens. *Two vectors* chooses among answers, so it writes nothing.

# %% experiment="bills_that_cross"
rows, reads = [], {}
for way in ("MLP", "merge", "resampler", "cross-attention", "hybrid", "two vectors"):
    for side, text in ((336, 50), (336, 1000), (672, 50)):
        found = bill(answer_cost, SIZES["7B"], way, side, text, written=20)
        reads[way, side, text] = found.prefill
    rows.append([way, *(flops(reads[way, *at]) for at in ((336, 50), (336, 1000), (672, 50)))])
assert reads["cross-attention", 336, 50] < reads["resampler", 336, 50]
assert reads["cross-attention", 336, 1000] > reads["merge", 336, 1000] > reads["resampler", 336, 1000]
assert reads["resampler", 336, 50] == reads["resampler", 672, 50]
Table(["way", "336 pixels, 50 tokens of text", "336 pixels, 1,000", "672 pixels, 50"], rows)

# %% [markdown]
# **What we learnt.** With a short question the MLP reads for 8.31 TFLOP and cross-attention for 0.88: 9.4
# times. With a long one it is 21.71 against 16.35, and cross-attention is now dearer than merging (15.50)
# and than a resampler (14.37). A block has a feed-forward of its own, and it is the *words* that go through
# it, each of them, however small the picture. Concatenation pays for the picture; blocks pay for the text.
# Writing tells the same: 0.32 TFLOP against 0.27 for 20 tokens.
#
# A picture twice as wide and twice as high costs the MLP 4.0 times as much to read, cross-attention 1.3
# times, and the resampler nothing more. It has moved the cost to the encoder, which needs 1.92 TFLOP for
# 2,304 patches, more than the language model behind the resampler does. And look at the prefix-LM: its bill
# is the linear projector's, to the byte. Its mask costs no FLOP. What it gives up is not on the bill: the
# picture's keys and values now depend on the question, and cannot be kept for the next one.
#
# ### How large may a picture be?
#
# An encoder reads pictures of one size, here 336 × 336. A larger one can be read whole, if the encoder's
# positions allow it, or be cut into tiles, each read by itself, with a small copy of the whole beside them.
# Move width and height. What does a tile that is nearly empty cost? How many pictures are left to a
# conversation?
#
# **Prediction.** 1008 × 672 pixels are exactly 3 × 2 tiles. How many tokens more does it take to make the
# picture 14 pixels wider, one column of patches?

# %% experiment="resolution_explorer" tags=["nbval-ignore-output"]
resolution_explorer(picture_tokens)

# %% experiment="one_column_more"
for width in (1008, 1022):
    whole = picture_tokens(width, 672, 14)
    tiled = picture_tokens(width, 672, 14, tile=336, max_tiles=8)
    print(f"{width} x 672: {whole:,} tokens read whole, {tiled:,} in tiles, {tiled / 8192:.0%} of 8,192")
more = tiled - picture_tokens(1008, 672, 14, tile=336, max_tiles=8)
print(f"one column of patches more: 48 tokens whole, {more:,} in tiles")
assert more == 2 * 576

# %% [markdown]
# **What we learnt.** Two tiles: 1,152 tokens for 48 patches, and the rest is padding. Tiles cost in steps,
# so a good program first shrinks a picture to a size that fills its tiles; week 6 does that. Merging 2 × 2
# patches leaves 144 of a tile's 576 tokens. InternVL, SmolVLM and Qwen2-VL all merge.

# %% [markdown]
# (begin section 7)
#
#
#
#
# (end section 7)

# %% [markdown]
# (begin experiment bakeoff)
#
#
#
#
# (end experiment bakeoff)

# %% [markdown]
# (begin experiment order)
#
#
#
#
# (end experiment order)

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
# ## 9 · Looking back
#
# The whole map on one page. Tokens are those of the micro-world, where a picture has 6 × 6 patches; *v* is
# the number of visual tokens, *t* of text tokens. The names are those of the bake-off.
#
# | pattern | where · what | in the stream | trains | who sees whom | cost grows with |
# |---|---|---|---|---|---|
# | early | input · raw patches | 42, newlines too | everything | causal | *v* + *t* |
# | early, frozen | input · raw patches | 42 | one matrix | causal | *v* + *t* |
# | linear, mlp | input · features | 36 | projector | causal | *v* + *t* |
# | merge | input · features | 9 | projector | causal | *v*/4 + *t* |
# | resampler, q-former | input · features | 9 | the bottleneck | causal | queries + *t* |
# | prefix-lm | input · features | 9 | projector | picture and question both ways | *v*/4 + *t* |
# | cross-attention | layers · features | 1, a tag | blocks, gates | words see it | *t*; *v* in blocks |
# | hybrid | both · features | 4 | projector, blocks, gates | causal; words see all | *t*; *v* in blocks |
# | late | output · features | 0 | two maps, a head | nobody before the head | *t* |
#
# Two costs do not show in the last column. A prefix-LM cannot keep the picture's keys and values for another
# question. And whoever has an encoder pays for *v* in there, even where the language model sees few tokens.
#
# What to keep from this week, apart from the code:
#
# * **Two questions name a fusion.** Where do they meet, and what arrives there? Whoever says *early* or
#   *late* has to say in whose words.
# * **Ask the model, not the diagram.** Change one input and watch. Whether something can reach something else
#   is a fact about a model, and it can be tested.
# * **Order is part of the architecture.** In a causal stream a picture that stands first is read without the
#   question. No training changes that. A mask does, or another order, and each has its price.
# * **A price has a unit.** Tokens, FLOPs, bytes and parameters rank the same patterns in four ways. "Cheap"
#   means nothing before one says which, and for which length of text.
# * **Equal needs a word after it.** Equal parameters, equal FLOPs and equal steps are three different races.
#   Say which one was run, with how many seeds, and claim no more than that.
#
# ### To discuss
#
# *You are to build a model that reads scanned contracts: forty pages, small print, ten questions about each.
# Where should page and question meet? Which of your numbers decides it: the tokens, the cache that ten
# questions could share, or what a bottleneck loses of small print? And which experiment of this notebook
# would you repeat at full size before you believe its answer?*

# %% [markdown] generated="common_mistakes"
# ## Common mistakes
#
# Each of these is a real misunderstanding, and each leaves its own trace in the numbers. If the feedback on
# your notebook names one of them, it was recognised by that trace.

# %% [markdown]
# ## Where next
#
# * **One stream, two sets of weights.** A mixture of transformers (arXiv:2411.04996) gives each modality its
#   own feed-forwards, norms and attention projections, and lets all tokens share one self-attention. They
#   meet in the scores and nowhere else. BAGEL (arXiv:2505.14683) builds on it, one set of weights to
#   understand and one to draw.
# * **Pictures as words.** Chameleon (arXiv:2405.09818) and Emu3 (arXiv:2409.18869) turn a picture into
#   discrete tokens of a codebook, so that one model reads and writes both. On our two axes that is at the
#   input, with a third answer to *what*: codes. Transfusion (arXiv:2408.11039) keeps patches continuous,
#   draws them by diffusion in the same transformer, and lets the patches of a picture see each other both
#   ways.
# * **At the input and between layers, without a block.** DeepStack (arXiv:2406.04334) adds further visual
#   features to the picture's own places in the stream, layer after layer. Qwen3-VL (arXiv:2511.21631) does
#   it with features from the middle of its encoder.
# * **Tokens that leave.** FastV (arXiv:2403.06764) drops half of the picture's tokens after the second layer,
#   by the attention that they get. Matryoshka models (arXiv:2405.17430) train one model on many numbers of
#   tokens, and let the user choose.
# * **No encoder, again.** EVE (arXiv:2406.11832) and NEO (arXiv:2510.14979) have none, as Fuyu has none. Of
#   Gemma 4 there is such a variant: in transformers' code a patch of 48 × 48 raw pixels goes through norms
#   and two linear maps, and through no attention.
# * **How they scale.** Shukor et al. (arXiv:2504.07951) trained 457 models. In their words, early fusion is
#   raw patches and late fusion is an encoder's features, both at the input; the first was no worse, and
#   better when small.
#
# What closed systems do inside is not public, and this course does not guess.
#
# Week 6 takes one pattern, features at the input, all the way: LLaVA, trained end to end in two phases, with
# chat templates, LoRA and high resolution.
#
# ## References
#
# * Bavishi et al. 2023. *Fuyu-8B: A Multimodal Architecture for AI Agents.* adept.ai/blog/fuyu-8b
# * Liu et al. 2023. *Visual Instruction Tuning* (LLaVA). NeurIPS. arXiv:2304.08485
# * Alayrac et al. 2022. *Flamingo: a Visual Language Model for Few-Shot Learning.* NeurIPS. arXiv:2204.14198
# * Dai et al. 2024. *NVLM: Open Frontier-Class Multimodal LLMs.* arXiv:2409.11402
# * Beyer et al. 2024. *PaliGemma: A versatile 3B VLM for transfer.* arXiv:2407.07726
# * Raffel et al. 2020. *Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer*
#   (T5; section 3.2 for the prefix-LM). JMLR. arXiv:1910.10683
# * Radford et al. 2021. *Learning Transferable Visual Models From Natural Language Supervision* (CLIP). ICML.
#   arXiv:2103.00020
# * Shukor et al. 2025. *Scaling Laws for Native Multimodal Models.* arXiv:2504.07951
# * Liang et al. 2024. *Mixture-of-Transformers: A Sparse and Scalable Architecture for Multi-Modal Foundation
#   Models.* arXiv:2411.04996
# * Deng et al. 2025. *Emerging Properties in Unified Multimodal Pretraining* (BAGEL). arXiv:2505.14683
# * Chameleon Team 2024. *Chameleon: Mixed-Modal Early-Fusion Foundation Models.* arXiv:2405.09818
# * Wang et al. 2024. *Emu3: Next-Token Prediction is All You Need.* arXiv:2409.18869
# * Zhou et al. 2024. *Transfusion: Predict the Next Token and Diffuse Images with One Multi-Modal Model.*
#   arXiv:2408.11039
# * Meng et al. 2024. *DeepStack: Deeply Stacking Visual Tokens is Surprisingly Simple and Effective for
#   LMMs.* NeurIPS. arXiv:2406.04334
# * Chen et al. 2024. *An Image is Worth 1/2 Tokens After Layer 2: Plug-and-Play Inference Acceleration for
#   Large Vision-Language Models* (FastV). ECCV. arXiv:2403.06764
# * Cai et al. 2024. *Matryoshka Multimodal Models.* arXiv:2405.17430
# * Diao et al. 2024. *Unveiling Encoder-Free Vision-Language Models* (EVE). NeurIPS. arXiv:2406.11832
