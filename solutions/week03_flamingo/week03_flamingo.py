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
# (header: the founder writes it)

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
# (idea in one picture, how this notebook works: the founder)

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
# ### Experiment · How far do gates open?
#
# Your parts are ready to be trained. `build` puts them together: the micro-world's frozen language model,
# with a block before each of its four layers, and between the blocks and the encoder only a learned
# position for each patch. A step shows 8 pictures with a few questions each. Matrices train by Muon,
# gates by AdamW.
#
# Zero is where both gates of a block begin. Then the block's weights get a gradient of exactly zero, and
# only the two gates get one: opening is the first thing that can happen at all. A gate's sign means
# nothing, because `o_proj` can change its own sign and undo it; so the paper draws $|\tanh\alpha|$, and
# so do we. The table has the signed values.
#
# We train at two learning rates, with three seeds. The control gets *shuffled pictures*: every question
# meets the picture of another scene. There is nothing to see in it that would help.
#
# **Prediction.** Which gates open first, and which the furthest? Does a gate stay shut if there is
# nothing worth seeing? Somebody shows you a model whose gates stand at 0.3: does it see?

# %% experiment="gates" tags=["nbval-ignore-output"]
import copy

from course_lib import flamingo_experiments as experiments
from course_lib.interleaved import InterleavedModel
from course_lib.language import LanguageSizes, SwiGLU

SEEDS = (0,) if FAST else (0, 1, 2)


def build(seed, mask=media_mask, n_latents=0, merge=2):
    """A model of your parts; `merge` puts so many patches side by side in each direction."""
    torch.manual_seed(seed)
    d_text, d_visual = world.d_text, merge**2 * world.d_visual
    sizes = LanguageSizes(n_words=0, d_model=d_text, d_hidden=344)
    blocks = nn.ModuleList(
        GatedBlock(MaskedCrossAttention(d_text, d_visual, 4, 32), SwiGLU(sizes), d_text) for _ in range(4)
    )
    resampler = PerceiverResampler(d_visual, n_latents, 1, 4, 32) if n_latents else None
    flamingo = Flamingo(copy.deepcopy(world.language_model), blocks, 1)
    return InterleavedModel(world, flamingo, media_index, mask, resampler, merge)


gates, shown = experiments.gates_opening(build, world, steps=12 if FAST else 80, seeds=SEEDS)
shown

# %% [markdown]
# **What we learnt.** At the higher rate the attention gates before layers 1, 2 and 3 opened to 0.21, 0.25
# and 0.29 (means of three seeds), the one before layer 0 hardly, 0.04. The feed-forwards' stayed below
# 0.12 in every run. Both signs occur, and in no order. These models give .55 to .60 right answers on new
# pictures after so few steps, and .31 with another scene's picture, which is the blind floor.
#
# Now the control. With nothing to see the gates did not stay shut: in one seed of three an attention gate
# reached 0.12, and the feed-forwards' opened as far as those of the models that see, 0.05 to 0.06 on
# average from layer 1 on. A gate follows its gradient, and text alone has one: which answers are common
# does not depend on the picture. And look at the lower rate: its models see a little (.34 to .39) with
# gates of 0.06 to 0.10. So a gate's height tells first of all how fast it was allowed to move. That a
# gate of 0.1 is open does not show that the model sees, and no height would. What shows it is the column
# with another scene's picture.

# %% [markdown]
# ### Experiment · Closed against open
#
# Why begin at zero? The usual answer is that the language model keeps what it can do. Keep *what*, and
# for how long? Ours can answer questions about a caption, in words alone. We give it captions of new
# scenes, behind an `<image>` tag with the scene's picture, and measure its loss on the answers. That
# skill is never trained here: the steps show pictures with questions, and no caption. Everything is equal
# but the number that all gates begin with: 0, 0.1 or 1.
#
# **Prediction.** A gate of 1 lets $\tanh 1 = 0.76$ of an untrained branch into the stream. What is the
# loss on captions at step 0, and after 40 steps? And does the closed model lose anything once its gates
# move?

# %% experiment="closed_open" tags=["nbval-ignore-output"]
starts, shown = experiments.closed_and_open(build, world, steps=12 if FAST else 40, seeds=SEEDS[:2])
assert starts["alpha = 0, seed 0"]["first"] == starts["frozen"]  # not nearly: it is the same model
shown

# %% [markdown]
# **What we learnt.** The axis is logarithmic, and has to be. The frozen model's loss is 0.001. From
# closed gates it is the same number at step 0, digit for digit; from 0.1 it is 0.02 and 0.10; from 1 it
# is 8.0 and 7.2, more than giving every one of the 105 words the same chance would cost (4.65). Forty
# steps bring that down to 0.62 and 0.69.
#
# Two things are less tidy than one reads. A closed start protects the start and no more: while the gates
# open, loss on captions climbs to 0.16 and 0.22 although no weight of the language model has moved. A
# frozen model keeps its weights; what it *does* is changed by whatever is added to its stream, and stays
# what it was only if training shows text too. And closed gates did not learn to see faster: after forty
# steps .41 and .43 of new pictures' questions were right, from 0.1 .40 and .45, from 1 .44 and .39. In so
# small a model that is no difference.

# %% [markdown]
# ### Experiment · What do latents cost, and what do they save?
#
# A resampler turns any number of patches into a fixed number of latents. Flamingo reads 64 for each
# picture. Our pictures have 36 patches, so here 64 latents are *more* than what they summarise, and
# nothing is compressed. We train the same blocks on 4, 16 and 64 latents, on the 36 patches as they are,
# and on 9 keys, each of which is four neighbouring patches side by side. Same steps, same pictures, one
# seed. The seconds are the processor's, so that a machine with other work to do counts them nearly the
# same.
#
# **Prediction.** Put the five in order, twice: by right answers, and by what a step costs.

# %% experiment="latents" tags=["nbval-ignore-output"]
arms = {f"{n} latents": {"n_latents": n, "merge": 1} for n in (4, 16, 64)}
arms |= {"36 patches": {"merge": 1}, "9 merged": {"merge": 2}}
latents, shown = experiments.reading_latents(build, world, arms, steps=12 if FAST else 160)
shown

# %% [markdown]
# **What we learnt.** Nine merged keys gave .81 of the right answers, 36 patches .73, and the latents .62
# (4), .57 (16) and .54 (64). A second seed, not run here, gave .79, .71, .62 for 4 and .59 for 64. So the
# patches are ahead of every number of latents, in both seeds, and sixty-four latents are certainly no
# better than four: more room than there are patches buys nothing.
#
# That is no verdict on resamplers. A resampler begins with latents that mean nothing, and has to learn to
# read before a gate behind it has anything worth opening for; after 160 small steps it is not done. In
# week 2's benchmark, after 500 steps of twice as many pictures, gates behind 16 latents answered .96 to
# .98 and gates before the patches, after 400, .93 to .94.
#
# Nor did latents make a step cheaper: over three runs every arm took between 101 and 145 ms, 64 latents
# the most each time, and nothing else kept its order. With so few keys, reading them is a small part of a
# step, and there is nothing to save. With, say, 256 patches a frame and eight frames of a film a block
# would read 2,048 keys, or 64: that is what a resampler is for.

# %% [markdown]
# (begin section 5)
#
#
#
#
# (end section 5)

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
# ### Experiment · The latest picture, all so far, or all
#
# Your mask keeps one picture for each token: `==`. One often reads that a token looks at every earlier
# picture too: `>=`. It sounds more generous. The paper tried it, and its overall score fell by 7.2
# points, from 70.7 to 63.5.
#
# Our rows have three pictures of one thing each. After each stands a question about *that* thing, its
# colour or its shape, and loss is on all three answers:
#
# `<image> what colour is the thing ? red <end> <image> what shape is the thing ? ring <end> <image> ...`
#
# Nothing in a key says which picture it is of. Under `>=` the third question reads 27 keys of three
# pictures as one heap. Without any mask even the first question does, and then the order of the pictures
# cannot matter at all, whatever is trained: a guess among three things is what remains.
#
# **Prediction.** Three masks, three places in the row: nine numbers. For which of the nine is it certain
# that two masks must agree?


# %% experiment="which_picture" tags=["nbval-ignore-output"]
def all_so_far(index, visual_mask):
    number = torch.arange(1, visual_mask.shape[1] + 1)
    kept = (number <= rearrange(index, "b t -> b t 1")).unsqueeze(3) & visual_mask.unsqueeze(1)
    return rearrange(kept, "b t n v -> b t (n v)")


def all_of_them(index, visual_mask):
    return repeat(visual_mask, "b n v -> b t (n v)", t=index.shape[1])


masks = {"the latest": media_mask, "all so far": all_so_far, "all": all_of_them}
which, shown = experiments.which_picture(build, world, masks, steps=12 if FAST else 80, seeds=SEEDS[:2])
moved = which["before the second tag"]
print("a trained model under another mask: logits before the second tag move by", moved)
assert moved["all so far"] == 0 < moved["all"]  # up to there, == and >= are the same mask
shown

# %% [markdown]
# **What we learnt.** With the latest picture alone, all three places are at .98 to 1.00 after 80 steps.
# With all so far the first place is as good (.98 in both seeds): up to the second tag the two masks are
# the same mask, and a trained model's logits there do not move by a single bit when one is put for the
# other. Then it falls: .65 and .53 for the second picture, .43 and .42 for the third. With no mask every
# place is at about one half, and that can be computed: who names the most frequent answer among three
# things is right in .51 of all rows, if five shapes and six colours are equally likely.
#
# Is `>=` impossible, then? No. The first tag reads the first picture alone, so the frozen model's own
# attention can tell what *not* to say, and a longer training finds this way: in a trial with two pictures
# a row, the second was at .93 after 120 steps, and at 1.00 under `==`. More pictures in sight are no more
# information here. They are a heap to be sorted, and `==` hands it over sorted.

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
# ### Experiment · A word from an example
#
# The last test is the one Flamingo is famous for. A row shows pictures with a made-up word after each,
# and then one more picture:
#
# `<image> this ? dax <end> <image> this ? wug <end> <image> this ?`
#
# *Dax* means red in this row, and round in the next; each row draws its words and their meanings anew. So
# nothing can be remembered, only read from the row. A gated block reads the latest picture alone: what
# the examples showed has to travel from tag to tag through the frozen model's own attention.
#
# Episodes alone do not teach this. So the first 240 steps show *galleries*: two to four pictures, tag
# after tag, then questions about all of them. A question can look at the last picture only, so that the
# tags learn to carry the others. Then galleries and episodes take turns.
#
# A right word is no proof that the examples were read. So each row is asked four times: as it is; with
# the words of its examples *exchanged*, counting the old answer and then the new one; and with another
# row's picture in the last place. One control more costs nothing: no examples at all.
#
# **Prediction.** One example of each of two words: a guess is right half of the time. What do the four
# numbers have to be for a model that reads its examples? And for one that does not?

# %% experiment="shots" tags=["nbval-ignore-output"]
few, shown = experiments.shots(build, world, steps=12 if FAST else 400, n_episodes=10 if FAST else 150)
values = experiments.gate_values(few["model"])[0]
print("attention gates before layers 0 to 3:", *(f"{abs(value):.2f}" for value in values))
print("right words, one shot, that one shut:", *(f"{share:.2f}" for share in few["one gate shut"]))
shown

# %% [markdown]
# **What we learnt.** With one example of each word .92 are right, with two and four .95 (colours .95 to
# 1.00, shapes .89 to .90). Without an example .03: of 32 made-up words none is likelier than another.
# Exchange the words of the examples, and the old answer falls to .06 while the new one is right in .94:
# the model says what the row taught it a moment ago. With another row's picture in the last place it is
# back at the guess, .42 to .53. A reader of examples has to give high, low, high, half; one that ignores
# them gives half four times.
#
# More examples than one hardly help. Here a single one says all there is to say: one word, one property.
# That says nothing about tasks in which an example is ambiguous.
#
# Now the last two printed lines, and the experiment on gates once more. The widest attention gate of this
# model stands at 0.06, before layer 1. Shut it, and nothing is lost: .96 on colours. The gate before
# layer 0 stands at *0.01*. Shut that one, and .47 remain, the guess. What a gate lets through is its
# height times what stands behind it, and the weights behind a small gate can be large. Which gate matters
# is not read off. It is measured, by shutting it.

# %% [markdown]
# (begin interactive looking)
#
#
#
#
# (end interactive looking)

# %% [markdown]
# (begin section 7)
#
#
#
#
# (end section 7)

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
# (where next, references: the founder)
