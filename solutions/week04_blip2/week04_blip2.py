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
# ### Does this text say what is in this picture?
#
# Contrast compares two summaries that were made apart. Matching lets queries and text look at each other, and
# asks one question of every pair: does it match? Each query answers in two logits, and `match_logits` gives
# you their mean. For each picture and its text the judge sees three pairs (b pictures, so 3b pairs):
#
# $$(I_i,\,T_i)\to 1\qquad (I_i,\,T_{n(i)})\to 0\qquad (I_{m(i)},\,T_i)\to 0$$
#
# $n(i)$ and $m(i)$ are the wrong text and the wrong picture that `sample_negatives` drew. The loss is the
# plain mean of 3b cross-entropies. Two wrong for one right: that has a consequence for reading the loss. A
# judge who has looked at nothing and says "a third" each time pays
# $-\tfrac13\ln\tfrac13-\tfrac23\ln\tfrac23=0.637$, less than the $\ln 2=0.693$ of a coin, and one who
# always says no is right for 67% of the pairs. Neither number is a sign of sight.
#
# It is often told that negatives are only there to be told apart, and take no part in learning. Drawing them
# is done without gradients, judging them is not. A wrong pair shows the queries which detail they should have
# read; the published code even gathers pictures from the other machines in such a way that gradients flow
# back to them.

# %% [markdown]
# ### Exercise 5 · Right pair, wrong text, wrong picture
#
# Difficulty ●●○○○ · 10 minutes · 3 points
#
# Write `itm_loss(match_logits, visual, ids, keep, wrong_text, wrong_picture)`.
#
# - `match_logits(visual, ids, keep)` is a function. It takes any number of pairs, row by row, and returns two
#   logits for each: (does not match, matches).
# - `visual`, `ids`, `keep` are the b right pairs. True in `keep` means that a token is real.
# - `wrong_text[i]` is the number of a text in the batch that is wrong for picture i; `wrong_picture[i]` the
#   number of a picture that is wrong for text i.
#
# Return one number: the mean cross-entropy over the 3b pairs above, in which the right ones are class 1.
# Nothing is smoothed here. One call with 3b rows is quickest; three calls with b rows are as right.
#
# <details><summary>Hint 1</summary>
#
# A wrong text is two things: its words, and how far they go. What moves when it moves to another picture?
# </details>
# <details><summary>Hint 2</summary>
#
# `ids[wrong_text]` has b rows: in row i the text that is wrong for picture i. Only one side of a pair is
# wrong at a time.
# </details>
# <details><summary>Hint 3: the 3b rows</summary>
#
# | rows | picture | text and keep | target |
# |---|---|---|---|
# | the first b | own | own | 1 |
# | the next b | own | of wrong_text | 0 |
# | the last b | of wrong_picture | own | 0 |
# </details>
# <details><summary>Hint 4: pseudocode</summary>
#
#     pictures = own, own, wrong ones            (one below the other)
#     texts    = own, wrong ones, own            (ids, and keep in the same way)
#     target   = b ones, 2b zeros
#     return mean cross-entropy of match_logits(pictures, texts, their keep) against target
# </details>


# %% exercise="itm_loss"
def itm_loss(
    match_logits: Callable[[Tensor, Tensor, Tensor], Tensor],
    visual: Float[Tensor, "b v d_visual"],
    ids: Int[Tensor, "b t"],
    keep: Bool[Tensor, "b t"],
    wrong_text: Int[Tensor, " b"],
    wrong_picture: Int[Tensor, " b"],
) -> Float[Tensor, ""]:
    """Three pairs for each: right, with a wrong text, with a wrong picture. True in keep means real."""
    ### BEGIN SOLUTION
    pictures = torch.cat([visual, visual, visual[wrong_picture]])
    texts = torch.cat([ids, ids[wrong_text], ids])
    kept = torch.cat([keep, keep[wrong_text], keep])
    b = len(ids)
    target = torch.cat([ids.new_ones(b), ids.new_zeros(2 * b)])
    return F.cross_entropy(match_logits(pictures, texts, kept), target)
    ### END SOLUTION


# %% check="itm_loss" points=3
check("itm_loss", itm_loss)

# %% [markdown]
# ### Say what is in it
#
# The third task writes the text, word by word, behind the queries. Under the mask for writing a word sees all
# queries and the words before it, and nothing of the picture directly: cross-attention belongs to the queries.
# So whatever a caption needs, the queries must have read. That is what this task is for. The captions
# themselves are thrown away, with the whole text side, when stage 2 begins.
#
# Every row begins with [CLS]. Here its place is taken by another sign, [DEC]: the same stack reads the same
# words for three tasks, and this is how the text knows that it should write. Then, with $w$ words in all, the
# logits at place $p$ are held against the word at $p+1$,
#
# $$\mathcal L=-\frac{1}{N}\sum_{p\,:\,x_{p+1}\ \mathrm{is\ real}}\
# \sum_{k=1}^{w}\Big[(1-\varepsilon)\,\delta_{k,\,x_{p+1}}+\frac{\varepsilon}{w}\Big]\log p_k,
# \qquad \varepsilon=0.1$$
#
# where $N$ counts the real words of the whole batch behind the first place. Label smoothing, $\varepsilon$,
# gives a tenth of each target to all words alike.
#
# Two things are often told otherwise. There is no language model in this stage: the words come from BERT's
# own head, which uses the word embeddings a second time as output. And the queries may not see the text while
# it is written, or the answer would leak back through them. This has a second use: queries that see no text
# are the same in contrast and in writing, so the published code computes them once, and keeps their keys and
# values.

# %% [markdown]
# ### Exercise 6 · Learn to write
#
# Difficulty ●●●○○ · 15 minutes · 3 points
#
# Write `itg_loss(writing_logits, visual, ids, keep, write_id, smoothing=0.1)`.
#
# - `writing_logits(visual, ids, keep)` is a function. It returns `float[b t w]`: at each place the logits of
#   the word *after* it. The causal mask is its business, and so is hiding padding from attention.
# - `visual`, `ids`, `keep` are pairs; the first token of each row is [CLS]. True in `keep` means real, and
#   padding stands on the right. What id it has, you do not know.
# - `write_id` is the id of [DEC]. It takes the place of the first token. The other tasks read the same `ids`
#   after you: leave them as they are.
# - `smoothing` is the share of each target that is spread evenly over all w words.
#
# Return one number: the mean over all real words of the batch behind the first place. Each counts the same,
# in a long text as in a short one. Padding is not learned; a sign for the end, being real, is.
#
# <details><summary>Hint 1</summary>
#
# Write one short row down, with padding. Below each place, write what should be said there. Below which
# places stands nothing?
# </details>
# <details><summary>Hint 2</summary>
#
# With t tokens there are t − 1 targets at most. The last place says nothing; the first is never said.
# </details>
# <details><summary>Hint 3</summary>
#
# `F.cross_entropy` knows `label_smoothing`, and leaves out every target of −100, in the sum and in the count.
# It wants words on the second axis: fold batch and places into one.
# </details>
# <details><summary>Hint 4: pseudocode</summary>
#
#     asked  = a copy of ids, with write_id in its first column
#     logits = writing_logits(visual, asked, keep)       without the last place
#     target = ids without the first place               -100 where that word is not real
#     return cross-entropy(logits, target), smoothed, all places of all rows in one list
# </details>


# %% exercise="itg_loss"
def itg_loss(
    writing_logits: Callable[[Tensor, Tensor, Tensor], Tensor],
    visual: Float[Tensor, "b v d_visual"],
    ids: Int[Tensor, "b t"],
    keep: Bool[Tensor, "b t"],
    write_id: int,
    smoothing: float = 0.1,
) -> Float[Tensor, ""]:
    """Each token says the next, behind write_id in the place of the first. True in keep means real."""
    ### BEGIN SOLUTION
    asked = ids.clone()
    asked[:, 0] = write_id
    logits = writing_logits(visual, asked, keep)[:, :-1]
    target = ids[:, 1:].masked_fill(~keep[:, 1:], -100)
    return F.cross_entropy(
        rearrange(logits, "b t w -> (b t) w"), rearrange(target, "b t -> (b t)"), label_smoothing=smoothing
    )
    ### END SOLUTION


# %% check="itg_loss" points=3
check("itg_loss", itg_loss)

# %% [markdown]
# **Use it**, on a writer who cannot write. All words are alike to it: its logits are zeros. So it has no
# answer to hide, and the gradient of your loss shows in which direction each place is pulled: towards one
# word, or towards none.
#
# **Prediction.** The row below is `<start>`, six words, `<end>` and two of padding; `<start>` plays [CLS].
# How many of its ten places are taught something, and what is the one at `<end>` taught?

# %% experiment="use_itg_loss"
from course_lib.microworld import caption

vocabulary = world.vocabulary
names, write_id = [*vocabulary.words, "[DEC]"], len(vocabulary)  # a sign of its own, behind all words
text = next(one for one in map(caption, world.train.scenes) if len(one.split()) == 6)
ids = torch.tensor(vocabulary.rows([f"<start> {text} <end>"], width=10))
keep, no_picture, heard = ids != vocabulary.pad_id, torch.zeros(1, 1, 1), []


def undecided(visual, ids, keep):
    logits = torch.zeros(*ids.shape, len(names), requires_grad=True)
    heard.append((ids, logits))
    return logits


guess = itg_loss(undecided, no_picture, ids, keep, write_id)
guess.backward()
((seen, logits),) = heard
pulls, towards = logits.grad[0].any(dim=1), logits.grad[0].argmin(dim=1)
rows = [
    [place, names[ids[0, place]], names[seen[0, place]], names[towards[place]] if pulls[place] else "nothing"]
    for place in range(seen.shape[1])
]
assert torch.isclose(guess, torch.tensor(len(names)).log())
print(f"loss {guess:.3f} = log {len(names)}")
Table(["place", "the text", "the writer sees", "is taught to say"], rows)

# %% [markdown]
# **Prediction.** Now a writer who is always right, and more and more sure of it. Where does its loss end?

# %% experiment="how_sure_to_be"
w, rows = len(names), []
for right in (1 / w, 0.5, 0.8, 0.9 + 0.1 / w, 0.99, 0.9999, 0.999999):
    logs = torch.full((*seen.shape, w), (1 - right) / (w - 1)).log()
    logs[0, torch.arange(seen.shape[1]), towards] = torch.tensor(right).log()
    plain, smoothed = (itg_loss(lambda *_: logs, no_picture, ids, keep, write_id, e) for e in (0.0, 0.1))
    rows.append([f"{right:.6f}", plain.item(), smoothed.item()])
least = min(row[2] for row in rows)
assert least == rows[3][2]
Table(["share for the right word", "loss", "loss, smoothing 0.1"], rows)

# %% [markdown]
# **Prediction.** Last, a writer without eyes. It is one table, "which word follows which", and it learns from
# your loss. How far down does it come on captions of scenes it has never met?

# %% experiment="a_writer_without_eyes"
table = torch.zeros(w, w, requires_grad=True)
optimiser = torch.optim.Adam([table], lr=0.3)
losses = []
for album, steps in ((world.train, 100), (world.new, 1)):
    texts = [f"<start> {caption(scene)} <end>" for scene in album.scenes[:1000]]
    ids = torch.tensor(vocabulary.rows(texts, width=29))
    keep = ids != vocabulary.pad_id
    for _ in range(steps):
        loss = itg_loss(lambda _, ids, keep: table[ids], no_picture, ids, keep, write_id, 0.0)
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
print(f"at first {losses[0]:.3f}, after 100 steps {losses[-2]:.3f}, on new scenes {losses[-1]:.3f}")

# %% [markdown]
# **What we learnt.** Seven of ten places are taught: six words and `<end>`. The first word is said from [DEC]
# and the picture alone, and nobody learns to say [DEC]. `<end>` is taught nothing, nor is padding.
#
# At the upper end stands a guess, $\ln 106=4.663$. At the lower end smoothing sets a floor: the least loss is
# 0.784 here, at a share of 0.901 for the right word, and a writer who is surer than that pays again (1.830
# at a millionth from certainty). With BERT's 30,522 words and [DEC] the two ends are 10.326 and 1.358. So a
# writing loss that has come to rest will not be 0, and need not be far from perfect.
#
# And most of the way down has nothing to do with pictures. Without smoothing the table alone comes from 4.663
# to 0.970 on new scenes: it knows that left, centre or right comes after "top". A falling loss is no proof of
# sight. What counts is how much a picture takes off what is left.

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
