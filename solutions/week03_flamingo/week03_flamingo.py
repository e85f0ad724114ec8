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
# ### A fixed number of tokens, whatever comes in
#
# A picture may come as 144 visual tokens, as 576, or, as a film of eight frames, as 4,608. The layers that
# you will put into the language model read these tokens anew in every place where they stand. So Flamingo
# first makes 64 tokens of any number. The part that does it is a *Perceiver resampler*, six layers deep in
# the paper, and it is trained from scratch together with the new layers.
#
# It keeps $q$ learned *latents*. In each layer they read the picture and then think about it:
#
# $$x \leftarrow x + \mathrm{attention}\big(Q=\mathrm{LN}(x),\;\;
# K, V = [\,\mathrm{LN}(\text{visual});\ \mathrm{LN}(x)\,]\big),
# \qquad x \leftarrow x + \mathrm{FFN}(\mathrm{LN}(x))$$
#
# Look at the square bracket, which is often told wrong. The latents do not read the picture alone. They
# stand among the keys and values themselves, behind the visual tokens, so that one softmax shares each
# latent's attention out over the picture *and* the other latents. Therefore there is **no separate
# self-attention**, unlike in week 2's Q-Former. It also makes padding harmless: where every visual token is
# hidden, a latent still has latents to read.
#
# Nothing in it knows an order. A picture's tokens bring their places along from the encoder. For a film,
# each token gets the learned *time embedding* of its frame added, before anything else happens to it.

# %% [markdown]
# ### Exercise 1 · The Perceiver resampler
#
# Difficulty ●●●●○ · 25 minutes · 4 points
#
# Write `PerceiverResampler(d_model, n_latents, n_layers, n_heads, d_head, n_frames=0)`. In shapes:
#
#     visual b v d, visual_mask b v, frame b v -> b q d        with q = n_latents, for any v
#
# * `latents` is a parameter of shape `(n_latents, d_model)`, drawn from a normal distribution with standard
#   deviation 1. All pictures of a batch start from the same latents.
# * `time_embeddings`, a parameter drawn alike, has the shape `(n_frames, d_model)` and is there only if
#   `n_frames` is not 0. `frame` is `int[b v]`: which row of it each visual token gets. None adds nothing.
# * `visual_mask` is `bool[b v]`, True = **keep**; None keeps all. The latents are always kept.
# * After the last layer stands one more norm, `layer_norm`.
#
# The parts of a layer are written for you, so that their names are right: weights travel by name. You write
# the two forward passes and the whole. `n_heads * d_head` need not be `d_model`; in the columns of a
# projection head 0 comes first, then head 1, and so on. The feed-forward bends with a plain ReLU (the paper
# squares it; the public weights that yours could load do not).
#
# <details><summary>Hint 1</summary>
#
# Write down the shape of the scores: `b h q s`. How long is `s`, what stands first in it, and how long is
# the mask that you were given?
# </details>
# <details><summary>Hint 2: three norms</summary>
#
# `latents_layer_norm` is used once in a layer: its result asks, and the same result stands among the keys.
# `context_layer_norm` is for the visual tokens. What is read is added to the latents *as they came*.
# </details>
# <details><summary>Hint 3: the mask</summary>
#
# `F.scaled_dot_product_attention(q, k, values, attn_mask=keep)` takes a boolean `keep`, True = keep, of any
# shape that broadcasts to `b h q s`. Join `visual_mask` and one True for each latent, in the order of the
# keys.
# </details>
# <details><summary>Hint 4: why not start the latents at zero?</summary>
#
# Latents that start alike ask alike, read alike and get the same gradient, for ever. You would pay for 64
# and have one.
# </details>
# <details><summary>Hint 5: pseudocode</summary>
#
#     attention:    asking = latents_layer_norm(latents)
#                   source = context_layer_norm(visual), then asking          # b s d, s = v + q
#                   q = q_proj(asking), k = k_proj(source), values = v_proj(source), cut into heads
#                   keep = visual_mask, then True for each latent
#                   return output_proj(what is read, the heads side by side)
#
#     feed-forward: c_proj(relu(fc(ln(latents))))
#
#     the whole:    if there are frames: visual = visual + time_embeddings[frame]
#                   latents = the learned latents, once for each picture
#                   for each layer: latents = latents + attention(visual, latents, visual_mask)
#                                   latents = latents + feed_forward(latents)
#                   return layer_norm(latents)
# </details>


# %% exercise="perceiver_resampler"
class LatentAttention(nn.Module):
    """The latents read the visual tokens and themselves. True in visual_mask means keep."""

    def __init__(self, d_model: int, n_heads: int, d_head: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.context_layer_norm = nn.LayerNorm(d_model)
        self.latents_layer_norm = nn.LayerNorm(d_model)
        self.q_proj = nn.Linear(d_model, n_heads * d_head, bias=False)
        self.k_proj = nn.Linear(d_model, n_heads * d_head, bias=False)
        self.v_proj = nn.Linear(d_model, n_heads * d_head, bias=False)
        self.output_proj = nn.Linear(n_heads * d_head, d_model, bias=False)

    def forward(
        self,
        visual: Float[Tensor, "b v d"],
        latents: Float[Tensor, "b q d"],
        visual_mask: Bool[Tensor, "b v"] | None = None,
    ) -> Float[Tensor, "b q d"]:
        ### BEGIN SOLUTION
        asking = self.latents_layer_norm(latents)
        source = torch.cat([self.context_layer_norm(visual), asking], dim=1)
        projected = self.q_proj(asking), self.k_proj(source), self.v_proj(source)
        q, k, values = (rearrange(x, "b s (h e) -> b h s e", h=self.n_heads) for x in projected)
        keep = None
        if visual_mask is not None:
            own = visual_mask.new_ones(latents.shape[:2])
            keep = rearrange(torch.cat([visual_mask, own], dim=1), "b s -> b 1 1 s")
        read = F.scaled_dot_product_attention(q, k, values, attn_mask=keep)
        return self.output_proj(rearrange(read, "b h q e -> b q (h e)"))
        ### END SOLUTION


class LatentFeedForward(nn.Module):
    """Two linear layers around a ReLU, four times as wide inside."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.ln = nn.LayerNorm(d_model)
        self.fc = nn.Linear(d_model, 4 * d_model, bias=False)
        self.c_proj = nn.Linear(4 * d_model, d_model, bias=False)

    def forward(self, latents: Float[Tensor, "b q d"]) -> Float[Tensor, "b q d"]:
        ### BEGIN SOLUTION
        return self.c_proj(self.fc(self.ln(latents)).relu())
        ### END SOLUTION


class PerceiverResampler(nn.Module):
    """Any number of visual tokens in, n_latents tokens out. True in visual_mask means keep."""

    def __init__(
        self, d_model: int, n_latents: int, n_layers: int, n_heads: int, d_head: int, n_frames: int = 0
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.ModuleList([LatentAttention(d_model, n_heads, d_head), LatentFeedForward(d_model)])
            for _ in range(n_layers)
        )
        self.layer_norm = nn.LayerNorm(d_model)
        ### BEGIN SOLUTION
        self.latents = nn.Parameter(torch.randn(n_latents, d_model))
        if n_frames:
            self.time_embeddings = nn.Parameter(torch.randn(n_frames, d_model))
        ### END SOLUTION

    def forward(
        self,
        visual: Float[Tensor, "b v d"],
        visual_mask: Bool[Tensor, "b v"] | None = None,
        frame: Int[Tensor, "b v"] | None = None,
    ) -> Float[Tensor, "b q d"]:
        ### BEGIN SOLUTION
        if frame is not None:
            visual = visual + self.time_embeddings[frame]
        latents = repeat(self.latents, "q d -> b q d", b=len(visual))
        for attention, feed_forward in self.blocks:
            latents = latents + attention(visual, latents, visual_mask)
            latents = latents + feed_forward(latents)
        return self.layer_norm(latents)
        ### END SOLUTION


# %% check="perceiver_resampler" points=4
check("perceiver_resampler", PerceiverResampler)

# %% [markdown]
# **Use it**: one resampler, pictures of four sizes, each token 64 wide. **Prediction:** how many tokens come
# out for a single visual token, for 576, and for a film of eight frames?

# %% experiment="use_perceiver_resampler"
torch.manual_seed(SEED)
resampler = PerceiverResampler(d_model=64, n_latents=64, n_layers=2, n_heads=4, d_head=16).to(DEVICE)
with torch.no_grad():
    for v in (1, 144, 576, 8 * 576):
        out = resampler(torch.randn(1, v, 64, device=DEVICE))
        print(f"{v:5,} visual tokens of width 64 -> {out.shape[1]} tokens of width {out.shape[2]}")
        assert out.shape == (1, 64, 64)

# %% [markdown]
# **Use it** to see what reads what. A small resampler with a single layer reads six visual tokens, of which
# the third and the fourth are hidden. We change one visual token, or one latent, at a time and watch every
# output. **Prediction:** draw the table first. Which columns are empty? Which cells are darkest?

# %% experiment="who_moves_which_output"
torch.manual_seed(SEED)
small = PerceiverResampler(d_model=12, n_latents=4, n_layers=1, n_heads=2, d_head=6)
visual, change = torch.randn(1, 6, 12), torch.randn(12)
keep = torch.tensor([[True, True, False, False, True, True]])  # True = keep
columns = []
with torch.no_grad():
    before = small(visual, keep)[0]
    for tokens in (visual[0], small.latents):
        for k in range(len(tokens)):
            as_it_was = tokens[k].clone()
            tokens[k] += change
            columns.append((small(visual, keep)[0] - before).norm(dim=-1))
            tokens[k] = as_it_was
influence = torch.stack(columns, dim=1)
reads = torch.cat([keep[0], torch.ones(4, dtype=torch.bool)])
assert (influence[:, reads] > 1e-5).all()
assert (influence[:, ~reads] < 1e-5).all()
names = [f"visual {k}" if keep[0, k] else f"hidden {k}" for k in range(6)]
names, outputs = names + [f"latent {k}" for k in range(4)], [f"output {k}" for k in range(4)]
title = "how far an output moves when one token changes"
plots.matrix(influence, outputs, names, title=title, ylabel="whose output")

# %% [markdown]
# **What we learnt.** Two columns are empty: what is hidden reaches nobody. All others are full, and the four
# on the right are the ones that many drawings leave out. Each latent moves its own output most, 2.0 to 3.2,
# because everything it reads is added to it. It moves the *other* outputs by 0.065 to 0.486, through the keys
# and values that you joined; a visual token moves them by 0.045 to 0.205. In one layer, picture and latents
# are read side by side.
#
# ### Latents that start alike
#
# Hint 4 says that equal latents stay equal. Let us try hard to train them apart. Eight latents read the
# micro-world's pictures, their outputs are *averaged*, and a linear layer says which of six colours are in
# the picture. An average is blind to the order of the latents. So is every cross-attention that knows no
# positions, and Flamingo's knows none: nothing in it can tell one latent from another. Once all latents
# start as ones, once at random. And once, as a control, they start as ones and the layer reads the eight
# outputs one after another. **Prediction:** how alike are two outputs after 100 steps, as a mean cosine, in
# each case? And will the right answers tell you?


# %% experiment="latents_that_start_alike"
def there(album):
    """float[b c]: 1 where a picture holds something of that colour."""
    held = [{thing.colour for thing in scene.things} for scene in album.scenes]
    return torch.tensor([[float(colour in one) for colour in colours] for one in held])


def train_latents(start, read):
    """A resampler, and a layer that reads its outputs and says which colours are in the picture."""
    torch.manual_seed(SEED)
    resampler = PerceiverResampler(d_model=world.d_visual, n_latents=8, n_layers=1, n_heads=4, d_head=16)
    if start == "all ones":
        nn.init.ones_(resampler.latents)
    head = nn.Linear(read(resampler(world.train.features[:1])).shape[1], len(colours))
    optimiser = torch.optim.AdamW([*resampler.parameters(), *head.parameters()], lr=3e-3)
    for _ in range(20 if FAST else 100):
        rows = torch.randint(len(wanted), (64,))
        said = head(read(resampler(world.train.features[rows])))
        optimiser.zero_grad()
        F.binary_cross_entropy_with_logits(said, wanted[rows]).backward()
        optimiser.step()
    return resampler, head


# %% experiment="latents_that_start_alike_seen"
colours = sorted({thing.colour for scene in world.train.scenes for thing in scene.things})
wanted, asked, rows = there(world.train), there(world.new), []
readers = {"their average": lambda out: out.mean(dim=1), "one after another": lambda out: out.flatten(1)}
for start, reader in (
    ("all ones", "their average"),
    ("at random", "their average"),
    ("all ones", "one after another"),
):
    read = readers[reader]
    resampler, head = train_latents(start, read)
    with torch.no_grad():
        out = resampler(world.new.features)
        right = ((head(read(out)) > 0) == (asked > 0.5)).float().mean()
    unit = F.normalize(out, dim=-1)
    cosine = ((unit @ unit.mT).sum(dim=(1, 2)) - 8).mean() / (8 * 7)
    apart = (out - out[:, :1]).abs().max()
    rows.append([start, reader, f"{cosine:.3f}", f"{apart:.1e}", f"{right:.3f}"])
assert float(rows[0][2]) > 0.999 > float(rows[1][2])
Table(["latents start", "read by", "mean cosine of two outputs", "largest difference", "right answers"], rows)

# %% [markdown]
# **What we learnt.** Latents that start as ones do not part. After 100 steps, in our run, their outputs are
# equal to the last bit: eight were paid for, and there is one. Drawn at random they stay apart, with a mean
# cosine of 0.85 (0.88 and 0.83 with two other seeds). The control shows that training *could* have parted
# equal latents: where the reader knows which is which, the cosine falls to 0.78. A reader without positions
# gives it no reason to.
#
# Now look at the last column. Nothing there gives the fault away, 0.996 against 0.999, for one latent is
# enough to name six colours. Such a mistake does not show in a score until the task needs more; it shows in
# one number that you have to think of asking for.

# %% [markdown]
# (begin claims 81x)
#
#
#
#
# (end claims 81x)

# %% [markdown]
# ## 2 · Which picture does a word look at?
#
# A web page shows a dog and says something about it, then shows a cat and says something about that.
# Flamingo reads such a page as one row of words, in which a tag, `<image>`, stands wherever a picture stood.
# The tag is a token like any other, with an embedding of its own, and no pixel ever takes its place. The
# pictures come in from the side, through cross-attention; the tag only says where.
#
# So each word has to be told which pictures it may look at. Flamingo's rule is short:
#
# > a word looks at **the latest picture before it**, and at no other; text before the first picture looks
# > at none.
#
# That sounds like waste. Why not at all the pictures so far? The authors tried it (Alayrac et al. 2022,
# table 10): looking at the latest alone scored 70.7, looking at all the previous ones 63.5. One more thing
# speaks for the rule. A word always meets exactly one picture, however many the row holds. Flamingo was
# trained on rows of at most 5 pictures, and was then shown rows of 32.
#
# One often reads that "text is conditioned on its picture and on all previous ones". Of the whole model this
# is true. Of its cross-attention it is false. The difference is the subject of the next three exercises, and
# the third one proves it.

# %% [markdown]
# ### Exercise 2 · Number the pictures
#
# Difficulty ●●○○○ · 10 minutes · 2 points
#
# The paper writes the rule as a function $\varphi$ from words to pictures. It is nothing but a count: how
# many tags there are among the words up to this one, **this one included**.
#
#     ids     the  <image>  a  ring  <image>  cross
#     index    0      1     1    1      2       2
#
# A tag reads its own picture; 0 says that there is none to read. Whether the tag itself belongs in is
# asked again and again (OpenFlamingo's issue 242 is about just this), and one place off is a picture off.
#
# Write `media_index(ids, image_id, end_id=None)`, `int[b t] -> int[b t]`.
#
# * Each row of the batch is counted on its own. Two tags side by side are two pictures.
# * A row may hold several documents, one after another, each closed by a sign whose id is `end_id`. The sign
#   still reads the picture of the document that it ends. What follows reads none, up to the next tag.
# * The count goes on from document to document: the row's pictures lie in one line, and the number is the
#   place in it. With `E` for the sign, `t I t E t I t` is `0 1 1 1 0 2 2`.
# * `end_id=None` means that nothing ends. An `end_id` of 0 is an id like any other.
#
# <details><summary>Hint 1</summary>
#
# A running count is a running sum over "is this one a tag?", along the text and not along the batch.
# </details>
# <details><summary>Hint 2: the end</summary>
#
# A word is cut off if a sign stands between its latest tag and itself. Put otherwise: more documents have
# ended before this word than had ended when its tag came.
# </details>
# <details><summary>Hint 3: the sign itself</summary>
#
# The documents that ended *before* a token: a running sum over the signs, minus the token's own.
# </details>
# <details><summary>Hint 4: pseudocode</summary>
#
#     index = running sum of is_tag
#     if no end_id was given: that is all
#     ended = running sum of is_end, minus is_end
#     ended_at_tag = what ended was at the latest tag: keep it at the tags, then torch.cummax
#     index where ended equals ended_at_tag, else 0
# </details>


# %% exercise="media_index"
def media_index(ids: Int[Tensor, "b t"], image_id: int, end_id: int | None = None) -> Int[Tensor, "b t"]:
    """Which picture each token reads: 1 for that of the row's first tag, and so on; 0 for none."""
    ### BEGIN SOLUTION
    is_tag = ids == image_id
    index = is_tag.long().cumsum(dim=1)
    if end_id is None:
        return index
    is_end = (ids == end_id).long()
    ended = is_end.cumsum(dim=1) - is_end  # documents that ended before this token
    ended_at_tag = torch.where(is_tag, ended, 0).cummax(dim=1).values
    return torch.where(ended == ended_at_tag, index, 0)
    ### END SOLUTION


# %% check="media_index" points=2
check("media_index", media_index)

# %% [markdown]
# The index speaks of pictures. Attention needs to know about keys, and a picture is not one key but many:
# after the resampler, 64 in Flamingo. Lay the visual tokens of all $n$ pictures side by side, $v$ for each,
# and the mask is one boolean table with a row for each word and a column for each of the $s = n\,v$ keys:
#
# $$\text{keep}_{\,i,\,(j,k)} \;=\; \big[\,\varphi(i) = j\,\big]\ \wedge\ \text{real}_{\,j,k}$$
#
# The second factor is there because batches are ragged. Rows with fewer pictures are filled up with pictures
# that are not there, and none of their tokens is real.

# %% [markdown]
# ### Exercise 3 · The mask
#
# Difficulty ●●○○○ · 10 minutes · 2 points
#
# Write `media_mask(index, visual_mask)`. `index` is `int[b t]` as `media_index` returns it;
# `visual_mask` is `bool[b n v]`, **True = keep**: the visual token is real. Return `bool[b t s]`,
# **True = keep**, with `s = n v`: all visual tokens of the first picture, then all of the second.
#
# * A word keeps the real visual tokens of its own picture. A word of index 0 keeps nothing at all: its row
#   is all False, and that is as it should be.
# * An index beyond the `n` pictures is a `ValueError` that names both numbers: a tag whose picture is missing
#   would read nothing, in silence. Pictures to spare are no mistake.
#
# <details><summary>Hint 1</summary>
#
# Compare each word's index with the numbers of the pictures: b t on one side, n on the other, b t n in all.
# The first picture's number is not 0.
# </details>
# <details><summary>Hint 2: two conditions</summary>
#
# `b t n` says whose picture it is, `b n v` which visual tokens are real. Give each the axis that it lacks,
# with length 1, and `&` does the rest: `b t n v`.
# </details>
# <details><summary>Hint 3: pseudocode</summary>
#
#     refuse an index above n
#     own = index as b t 1 == the numbers 1 ... n
#     kept = own as b t n 1 & visual_mask as b 1 n v
#     lay n and v out in one line: (n v), the picture first
# </details>


# %% exercise="media_mask"
def media_mask(index: Int[Tensor, "b t"], visual_mask: Bool[Tensor, "b n v"]) -> Bool[Tensor, "b t s"]:
    """Which visual tokens each word may read: the real ones of its own picture. True = keep, s = n v."""
    ### BEGIN SOLUTION
    n = visual_mask.shape[1]
    if (index > n).any():
        raise ValueError(f"index {int(index.max())} asks for a picture, and there are only {n} in a row.")
    own = rearrange(index, "b t -> b t 1") == torch.arange(1, n + 1, device=index.device)
    kept = rearrange(own, "b t n -> b t n 1") & rearrange(visual_mask, "b n v -> b 1 n v")
    return rearrange(kept, "b t n v -> b t (n v)")
    ### END SOLUTION


# %% check="media_mask" points=2
check("media_mask", media_mask)

# %% [markdown]
# ### Exercise 4 · Who reads, and who only hears of it
#
# Difficulty ●●○○○ · 10 minutes · 2 points
#
# "My second picture is a cat, unlike the first." Whoever writes `unlike` has to know of a picture that its
# own cross-attention will not show. It does, because the words about the first picture have read it, and
# the language model's own self-attention carries what they know to every later word. Cross-attention shows
# one picture; self-attention remembers the others.
#
# Write `influence(index, n_images)`. `index` is `int[b t]`, from `media_index`. Return a dict of two tables,
# `bool[b t n]` each, a row for each word and a column for each picture:
#
# * `"reads"`: True where the word's cross-attention reads the picture;
# * `"reaches"`: True where changing the picture can change what the language model makes of the word. A
#   gated block stands *before* each layer, and self-attention is causal.
#
# Behind the end of a document the index is 0, and nothing is read. Self-attention knows nothing of that:
# here its mask is causal and no more. (Whoever packs documents into rows has to cut that mask too.)
# No index is larger than `n_images`. This exercise is graded alone, so write it without your `media_mask`.
#
# <details><summary>Hint 1</summary>
#
# `reads` is `own` of exercise 3. For `reaches` ask for each word: which pictures have been read by anybody
# up to here, myself included?
# </details>
# <details><summary>Hint 2: how many layers does it take?</summary>
#
# One. The block before a layer has let a word read; in the very next step, that layer's self-attention, any
# later word can hear it. More layers add no True to the table.
# </details>
# <details><summary>Hint 3: pseudocode</summary>
#
#     reads = index as b t 1 == the numbers 1 ... n_images
#     reaches = running "or" of reads along the text: a running maximum does it, or a running sum > 0
# </details>


# %% exercise="influence"
def influence(index: Int[Tensor, "b t"], n_images: int) -> dict[str, Bool[Tensor, "b t n"]]:
    """Which picture each word reads, and which pictures can reach it in the end."""
    ### BEGIN SOLUTION
    reads = rearrange(index, "b t -> b t 1") == torch.arange(1, n_images + 1, device=index.device)
    return {"reads": reads, "reaches": reads.cumsum(dim=1) > 0}
    ### END SOLUTION


# %% check="influence" points=2
check("influence", influence)

# %% [markdown]
# **Use it**, and do not believe it: measure. First the mask itself, for one row of three pictures with four
# visual tokens each, all of them real. Read it line by line: three steps, and a blank for the words in front.

# %% experiment="the_mask_seen"
words = "two things <image> a red ring <image> a blue cross <image> and".split()
ids = torch.tensor([world.vocabulary.encode(" ".join(words))])
index = media_index(ids, world.vocabulary.image_id)
latest = media_mask(index, torch.ones(1, 3, 4, dtype=torch.bool))
keys = [f"{token} of {picture}" for picture in (1, 2, 3) for token in (1, 2, 3, 4)]
title = "media_mask: 1 where a word keeps a visual token"
plots.matrix(latest[0], words, keys, title=title, xlabel="visual token of picture")

# %% [markdown]
# Now the proof of your two tables, in the course's own frozen language model. Before each of its four layers
# every word adds the mean of the visual tokens that the mask lets it keep. That is the dullest block there
# is, and it will do; the real one comes in section 3. Then we change one picture at a time and see what
# moves: behind one block, and in the logits.
#
# **Prediction.** The last word, `and`, stands behind the third picture. Change the *first*. Does `and` move
# behind one block? Do its logits move? Do those of `things`, the second word?

# %% experiment="use_influence"
torch.manual_seed(SEED)
pictures, lm = world.output_scale * torch.randn(1, 3, 4, world.d_text), world.language_model
keep, positions = torch.ones_like(ids, dtype=torch.bool), torch.arange(len(words))[None]


def block(text, pictures, mask):
    """Each word adds the mean of the visual tokens that its row of the mask keeps."""
    share = mask / mask.sum(dim=-1, keepdim=True).clamp(min=1)
    return text + share @ rearrange(pictures, "b n v d -> b (n v) d")


def outputs(pictures, mask):
    text = lm.model.embed_tokens(ids)
    logits = lm(text, keep, positions, before_layer=lambda i, stream: block(stream, pictures, mask))
    return block(text, pictures, mask)[0], logits[0]


@torch.no_grad()
def moved(mask):
    """How far each word moves when each picture is turned round: behind one block, and in the logits."""
    there, turned = outputs(pictures, mask), 1 - 2 * torch.eye(3)[:, :, None, None]
    back = [outputs(pictures * one, mask) for one in turned]
    return [torch.stack([(b[k] - there[k]).norm(dim=-1) for b in back], dim=1) for k in (0, 1)]


# %% experiment="who_influences_whom"
tables, (in_block, in_logits) = influence(index, 3), moved(latest)
assert torch.equal(in_block > 0, tables["reads"][0])
assert torch.equal(in_logits > 0, tables["reaches"][0])
measured = in_block / in_block.max(), in_logits / in_logits.max()
values = torch.cat([tables["reads"][0], measured[0], tables["reaches"][0], measured[1]], dim=1)
names = [f"{what} {number}" for what in ("reads", "block", "reaches", "logits") for number in (1, 2, 3)]
title = "picture 1, 2, 3: your two tables, and beside each what was measured (1 = the largest move)"
plots.matrix(values, words, names, title=title)

# %% [markdown]
# **What we learnt.** Both of your tables are the truth, entry by entry, and each 0 is a 0 to the last bit.
# Behind one block a word has moved with its own picture alone. In the logits the steps have become a
# staircase: nothing is ever forgotten, and nothing is known beforehand. The last word moves most with its
# own picture, and half as far with the first, which it has only heard of.
#
# **Use it** once more, for the commonest slip in this corner: `>=` where `==` belongs, so that a word keeps
# its own picture and all earlier ones. A reimplementation that many have learnt from had it
# (lucidrains/flamingo-pytorch, issue 6). The figure shows the share of each picture in what a word reads.
# **Prediction:** which of the two measured tables above changes its pattern of zeros? Could you find this
# slip if you saw the logits alone?

# %% experiment="latest_or_all"
picture = torch.arange(1, 4)
earlier_too = repeat(index[:, :, None] >= picture, "b t n -> b t (n v)", v=4)
_, in_logits_too = moved(earlier_too)
assert torch.equal(in_logits_too > 0, in_logits > 0)
for sign, far in (("==", in_logits[-1]), (">=", in_logits_too[-1])):
    told = ", ".join(f"{one:.1f}" for one in far.tolist())
    print(f"{sign}  as picture 1, 2 or 3 changes, the logits of `and` move by {told}")
kept = torch.cat([latest, earlier_too]).float()
share = kept / kept.sum(dim=-1, keepdim=True).clamp(min=1)
share = rearrange(share, "mask t (n v) -> t mask n v", n=3).sum(dim=-1).flatten(1)
names = [f"{sign} {number}" for sign in ("==", ">=") for number in (1, 2, 3)]
plots.matrix(share, words, names, title="the share of picture 1, 2, 3 in what a word reads")

# %% [markdown]
# **What we learnt.** With `>=` a word behind the third picture has a third of its own and two thirds of the
# others; behind the thirty-second it would have one in thirty-two. Training may teach it to choose, but
# nothing in the visual tokens says which picture is the latest. In our row the first picture now moves the
# last word twice as far as the word's own does: 17.5 against 8.0. With `==` it was 8.5 against 16.6.
#
# And the pattern in the logits is the same, zero for zero: self-attention brings the earlier pictures in
# either way. So whoever tests for this slip by changing a picture and watching the end of the model will
# never find it. It shows behind a single block, and that is where the hidden checks look.

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
# ## 4 · Into a language model that nobody edits
#
# You have a block. Now it has to get into a language model that somebody else has trained, and that is to
# stay what it is. Three ways are in use.
#
# - **Edit the model's code.** Then you keep a copy of somebody's file, for ever.
# - **Wrap its layers**: put a module of your own in a layer's place. OpenFlamingo does this. It works, and
#   every parameter inside has a new name, so a checkpoint has to be translated on its way in.
# - **Hang something before a layer** for the time of a call. torch has *hooks* for that. Class, code, names
#   and checkpoint stay as they are, and one class of yours serves every model of that family.
#
# We take the third way. Then comes the question that decides what such a model will be like: which numbers
# may training change?

# %% [markdown]
# ### Where a block stands
#
# **Before** a layer, starting with the very first one (appendix B.1.1 of the paper; Idefics does it the
# same way). One also reads "after each layer". The difference shows at the two ends: what the last block
# reads still passes through a layer of the language model, and so does what the first one reads.
#
# How often? That depends on the size of the model, and this is where sources contradict each other, for
# each of them is right about one size. With interval $n$ a block stands before layers $0, n, 2n, \dots$
#
# | | frozen language model | interval | blocks |
# |---|---|---|---|
# | Flamingo-3B | 1.4B, 24 layers | 1 | 24 |
# | Flamingo-9B | 7.1B, 40 layers | 4 | 10: before 0, 4, …, 36 |
# | Flamingo (80B) | 70B, 80 layers | 7 | 12: before 0, 7, …, 77 |
#
# The last row is cut short: behind layer 77 come only two more. (80B is the total. The frozen model in it
# is Chinchilla with 70B.) OpenFlamingo counts otherwise and puts a block where $(i+1)$ is divisible by $n$,
# so before layers 6, 13, …, 76: eleven blocks where the paper has twelve. With $n=1$ nobody sees the
# difference.

# %% [markdown]
# ### Exercise 7 · Flamingo
#
# Difficulty ●●●●○ · 25 minutes · 4 points
#
# Write `Flamingo(language_model, blocks, interval=1)`. The language model has its layers in
# `language_model.model.layers`, as ours and every Llama of transformers has. Block `j` is called as
# `blocks[j](text, visual, media_mask)`, returns the new text, and stands before layer `j * interval`. Keep
# `self.language_model` and `self.blocks`, both as they came.
#
# `forward(visual, media_mask, *args, **kwargs)` hands all that follows the mask to the language model, and
# returns what that returns, whatever it is. In `media_mask`, `bool[b t s]`, True = **keep**.
#
# - **The language model is not edited.** Its parameters keep their names. Called on its own, before,
#   between and after your calls, it is itself, bit for bit; and a second `Flamingo` around it has a life of
#   its own.
# - **No call remembers another.** That holds also for a call that ended in an error.
# - Some libraries call `layer(hidden, ...)`, others `layer(hidden_states=hidden, ...)`. Meet both.
# - A number of blocks that does not fit is a `ValueError` with both numbers: those given and those needed.
#
# <details><summary>Hint 1: how many places?</summary>
#
# `layers[::interval]` are the layers that get a block. Its length knows about the interval that is cut
# short.
# </details>
# <details><summary>Hint 2: hooks</summary>
#
# `handle = layer.register_forward_pre_hook(hook, with_kwargs=True)` makes torch call
# `hook(layer, args, kwargs)` before each call of the layer. It returns the pair `(args, kwargs)` that the
# layer is to get instead. `handle.remove()` takes the hook out again.
# </details>
# <details><summary>Hint 3: the hook</summary>
#
# If `args` holds something, the hidden states are `args[0]`; put the block's answer there and `args[1:]`
# behind it. If it is empty, they are `kwargs["hidden_states"]`.
# </details>
# <details><summary>Hint 4: a trap of Python's</summary>
#
# A function made in a loop looks its names up when it is *called*. By then the loop is over, and every hook
# would call the last block. Write a function that takes a block and returns its hook.
# </details>
# <details><summary>Hint 5: tidying up</summary>
#
# Hooks stay until they are removed. Put them in at the start of `forward`, and take them out under
# `finally`, which runs even when the language model raises an error.
# </details>
# <details><summary>Hint 6: pseudocode</summary>
#
#     before(block): returns hook(layer, args, kwargs), which
#         if there are args: returns ((block(args[0], visual, media_mask), rest of args), kwargs)
#         otherwise: returns (args, kwargs with hidden_states = block(kwargs["hidden_states"], ...))
#     hooks = before(block), registered on each layer that has a place
#     try: return language_model(*args, **kwargs)
#     finally: remove the hooks
# </details>


# %% exercise="flamingo"
class Flamingo(nn.Module):
    """A language model with block j before layer j * interval. The model itself is not edited."""

    def __init__(self, language_model: nn.Module, blocks: nn.ModuleList, interval: int = 1) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.language_model, self.blocks, self.interval = language_model, blocks, interval
        places = len(language_model.model.layers[::interval])
        if len(blocks) != places:
            raise ValueError(f"interval={interval} has places for {places} blocks; {len(blocks)} were given.")
        ### END SOLUTION

    def forward(
        self,
        visual: Float[Tensor, "b s d_visual"],
        media_mask: Bool[Tensor, "b t s"],
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        ### BEGIN SOLUTION
        def before(block):
            def hook(layer, args, kwargs):
                if args:
                    return (block(args[0], visual, media_mask), *args[1:]), kwargs
                return args, {**kwargs, "hidden_states": block(kwargs["hidden_states"], visual, media_mask)}

            return hook

        pairs = zip(self.language_model.model.layers[:: self.interval], self.blocks, strict=True)
        hooks = [layer.register_forward_pre_hook(before(block), with_kwargs=True) for layer, block in pairs]
        try:
            return self.language_model(*args, **kwargs)
        finally:
            for hook in hooks:
                hook.remove()
        ### END SOLUTION


# %% check="flamingo" points=4
check("flamingo", Flamingo)

# %% [markdown]
# **Use it** on two language models that know nothing of each other: ours, and a small random Llama of
# transformers (if that is installed). Both get your blocks, before every second layer. The row has two
# tags. **Prediction:** with closed gates, how many of the logits move when we exchange the pictures? And
# with the gates a little open, which words' logits move: all, those behind a tag, or those that read that
# picture?

# %% experiment="use_flamingo"
from copy import deepcopy
from functools import partial

from course_lib.language import LanguageSizes, SwiGLU


def blocks_for(language_model, d_text, d_visual, interval):
    """Your gated block, once for each place."""
    return nn.ModuleList(
        GatedBlock(
            MaskedCrossAttention(d_text, d_visual, n_heads=4, d_head=16),
            SwiGLU(LanguageSizes(n_words=0, d_model=d_text, d_hidden=2 * d_text)),
            d_text,
        )
        for _ in language_model.model.layers[::interval]
    )


# %% experiment="two_models"
sentence = "there is <image> a red ring and <image> a small cross"
ids = torch.tensor([world.vocabulary.encode(sentence)])
mask = media_mask(media_index(ids, world.vocabulary.image_id), torch.ones(1, 2, 5, dtype=torch.bool))
ours, keep, positions = deepcopy(world.language_model), torch.ones_like(ids).bool(), torch.arange(len(ids[0]))
inputs = {"embeds": ours.model.embed_tokens(ids).detach(), "keep": keep, "positions": positions[None]}
models = [("ours", ours, world.d_text, lambda call: call(**inputs))]
if full_size.has_transformers():
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 5, "num_attention_heads": 4}
    torch.manual_seed(SEED)
    llama = LlamaForCausalLM(LlamaConfig(vocab_size=len(world.vocabulary), **sizes)).eval()
    models.append(("a Llama", llama, 48, lambda call: call(input_ids=ids).logits))

# %% experiment="use_flamingo_seen"
torch.manual_seed(SEED)
pictures, rows = torch.randn(3, 1, 10, 24), []
for name, model, width, logits_of in models:
    flamingo = Flamingo(model, blocks_for(model, width, 24, interval=2), interval=2)
    for gate in (0.0, 0.5):
        with torch.no_grad():
            for block in flamingo.blocks:
                block.alpha_cross_attn.fill_(gate)
                block.alpha_dense.fill_(gate)
            alone = logits_of(model)
            seen = [logits_of(partial(flamingo, picture, mask)) for picture in pictures]
            equal = [torch.equal(one, alone) for one in seen]
            moved = max((one - seen[0]).abs().max().item() for one in seen)
            rows.append([name, len(flamingo.blocks), gate, f"{sum(equal)} of 3", f"{moved:.2f}"])
        assert all(equal) == (gate == 0.0)
        assert torch.equal(logits_of(model), alone)
Table(["model", "blocks", "alpha", "pictures with the model's own logits", "pictures move logits by"], rows)

# %% experiment="which_words_move"
torch.manual_seed(SEED)
with torch.no_grad():
    flamingo = Flamingo(ours, blocks_for(ours, world.d_text, 24, interval=2), interval=2)
    for block in flamingo.blocks:
        block.alpha_cross_attn.fill_(0.5)
    shown = torch.randn(1, 2, 5, 24)
    there = flamingo(rearrange(shown, "b n v d -> b (n v) d"), mask, **inputs)
    moves = []
    for picture in range(2):
        other = shown.clone()
        other[:, picture] = torch.randn(5, 24)
        back = flamingo(rearrange(other, "b n v d -> b (n v) d"), mask, **inputs)
        moves.append((back - there)[0].abs().amax(dim=-1))
assert not moves[0][:2].any()
assert not moves[1][:7].any()
assert moves[0][2:].all()
rows = [[word, a, b] for word, a, b in zip(sentence.split(), *torch.stack(moves).tolist(), strict=True)]
Table(["at the word", "first picture changed: logits move by", "second picture changed"], rows)

# %% [markdown]
# **What we learnt.** With closed gates both models return their own logits for every picture, to the last
# bit. Five layers with interval 2 took three blocks: the last interval is cut short. And neither model was
# touched.
#
# The second table is the three rules of section 2, in a language model. The words before the first tag see
# nothing: exactly 0. Those between the tags move with the first picture alone. Those behind the second tag
# move with both, and yet no block let them read the first one: it came along the language model's own
# self-attention. "The text is conditioned on all previous pictures" is true only in this roundabout way.
#
# One trap lies near. Many put their hooks in once, for good, and keep the picture in the object where the
# hooks find it. Then copy such a model with `deepcopy`: the copy's hooks still ask the *original* for its
# picture, find none, and the copy answers as a blind model, without a word. Ours did, before we changed it.
# Hooks for the time of a call have no such memory.

# %% [markdown]
# ### What trains
#
# "Only the new layers are trained", one reads. Three corrections.
#
# - The **resampler** trains too. It is often called pretrained, like the encoder before it, but it starts
#   from random numbers, together with the blocks. Pretrained are the vision encoder and the language model.
# - So do the **rows of new tokens**. The language model has never met `<image>` or `<EOC>`; their rows of
#   the embedding are random numbers. All other rows are the language model, and stay.
# - **Frozen** is more than `requires_grad_(False)`. You met the three duties in week 2: no gradient into
#   the weights, gradient through them, and dropout that sleeps even after `model.train()`.
#
# A row is no tensor, and `requires_grad` is for whole tensors. So the embedding asks for a gradient, and a
# hook on it, `weight.register_hook(f)`, sets the gradient of the old rows to 0. OpenFlamingo does it in its
# training loop. That leaves one leak, and it makes no noise: **weight decay**. AdamW takes
# $\eta\lambda w$ off each number $w$ at each step, whether or not a gradient came. Rows that nobody trains
# shrink towards 0.
#
# The paper decays what it trains by 0.1, and the resampler not at all. OpenFlamingo decays whatever is in a
# gated layer, gates and norms included. We spare those too, as is usual elsewhere: decay pulls towards 0,
# and 0 is a shut gate.

# %% [markdown]
# ### Exercise 8 · What trains
#
# Difficulty ●●●○○ · 20 minutes · 3 points
#
# Write `parameter_groups(model, new_ids, weight_decay)`. `model` has a part `language_model`, with its
# embedding in `language_model.model.embed_tokens`; a part `resampler`; a part `blocks`; and perhaps more.
# Change the model in place:
#
# - Everything outside the language model trains. In it nothing does, except, where `new_ids` (`int[k]`) is
#   not empty, the embedding. Of that, the rows `new_ids` get the gradient they would have got anyway, and
#   all others exactly 0. Where `new_ids` is empty, the embedding is frozen with the rest.
# - `model.train()` wakes everything but the language model, which stays in eval mode, and `model.eval()`
#   puts everything to sleep. When your function returns, the model is in training mode, in this sense.
# - Gradients pass through the language model as before.
#
# Return two groups for an optimiser, `{"params": [...], "weight_decay": ...}`. The first decays by
# `weight_decay`: the matrices, that is all trained parameters with exactly two axes, outside the resampler
# and the language model. The second has 0.0: all else that trains. Each trained parameter is in one of
# them, once.
#
# An id without a row, too large *or negative*, is a `ValueError` that names the id and the last row.
#
# <details><summary>Hint 1: in which order?</summary>
#
# First look at the ids. Then wake everything, then freeze the language model, then wake its embedding if
# there are new ids. Only then sort the parameters, by what they ask for.
# </details>
# <details><summary>Hint 2: rows</summary>
#
# A column `is_new` of shape `(rows, 1)` is 1 where a row is new and 0 elsewhere. The hook gets the gradient
# and returns `gradient * is_new`.
# </details>
# <details><summary>Hint 3: staying in eval mode</summary>
#
# As in week 2: give *this one* model a `train` of its own, which calls the class's `train` and then
# `language_model.eval()`. `model.eval()` is nothing but `model.train(False)`, so it follows.
# </details>
# <details><summary>Hint 4: names</summary>
#
# `model.named_parameters()` gives each parameter once, tied ones too, under a name that begins with the
# name of its part: `name.startswith(("language_model.", "resampler."))`.
# </details>
# <details><summary>Hint 5: pseudocode</summary>
#
#     refuse ids below 0 or past the last row
#     all parameters ask for a gradient; those of the language model do not
#     if there are new ids: the embedding does; a hook multiplies its gradient by is_new
#     define train(mode): the class's own; then language_model.eval(); model.train = train; call it
#     each parameter that asks, has two axes, is of neither resampler nor language model: first list
#     each other one that asks: second list
#     return both lists, with weight_decay and with 0.0
# </details>


# %% exercise="parameter_groups"
def parameter_groups(
    model: nn.Module, new_ids: Int[Tensor, " k"], weight_decay: float
) -> list[dict[str, Any]]:
    """Freeze the language model but for the rows of new tokens; return what an optimiser may change."""
    ### BEGIN SOLUTION
    language_model = model.language_model
    embedding = language_model.model.embed_tokens.weight
    for i in new_ids.tolist():
        if not 0 <= i < len(embedding):
            raise ValueError(f"id {i} has no row; the embedding has rows 0 to {len(embedding) - 1}.")
    model.requires_grad_(True)
    language_model.requires_grad_(False)
    if len(new_ids):
        embedding.requires_grad_(True)
        is_new = torch.zeros(len(embedding), 1, device=embedding.device)
        is_new[new_ids] = 1.0
        embedding.register_hook(lambda gradient: gradient * is_new)

    def train(mode: bool = True) -> nn.Module:
        type(model).train(model, mode)
        language_model.eval()
        return model

    model.train = train
    model.train()
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = parameter.ndim == 2 and not name.startswith(("language_model.", "resampler."))
            (matrices if decays else others).append(parameter)
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    ### END SOLUTION


# %% check="parameter_groups" points=3
check("parameter_groups", parameter_groups)

# %% [markdown]
# **Use it** on the whole that we shall train: your resampler, your blocks before each of the four layers,
# the language model of the micro-world. Only `<image>` is new to it. **Prediction:** which of its three
# parts is the largest, and what share of all numbers trains?


# %% experiment="use_parameter_groups"
def whole():
    """A Flamingo with its resampler, around a copy of the language model."""
    torch.manual_seed(SEED)
    language_model = deepcopy(world.language_model)
    flamingo = Flamingo(language_model, blocks_for(language_model, world.d_text, world.d_visual, interval=1))
    flamingo.resampler = PerceiverResampler(world.d_visual, 9, 2, 4, 32)
    return flamingo


tag = torch.tensor([world.vocabulary.image_id])
model = whole()
decayed, others = parameter_groups(model, tag, weight_decay=0.1)
in_decayed = {id(parameter) for parameter in decayed["params"]}
rows = []
for part, module in model.named_children():
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    decays = count([parameter for parameter in trained if id(parameter) in in_decayed])
    rows.append([part, count(module), count(trained), decays, next(module.children()).training])
total = count(model)
learns = sum(row[2] for row in rows) - count([model.language_model.model.embed_tokens.weight]) + world.d_text
print(f"{learns:,} of {total:,} numbers can change: {learns / total:.1%}, {world.d_text} of them for <image>")
Table(["part", "numbers", "ask for a gradient", "decay", "in training mode"], rows)

# %% [markdown]
# **Use it** for one step of AdamW on one sentence, next to three ways of doing it less carefully.
# **Prediction:** `ring` is in the sentence and `digit` is not. Which of the two words moves in which row?


# %% experiment="one_step"
def rows_after_a_step(keep_rows, weight_decay):
    """How far three rows of the embedding move in one step of AdamW, relative to their length."""
    model = whole()
    groups = parameter_groups(model, tag if keep_rows else torch.arange(len(world.vocabulary)), 0.1)
    groups[1]["weight_decay"] = weight_decay
    words = model.language_model.model.embed_tokens
    before = words.weight.detach().clone()
    ids = torch.tensor([world.vocabulary.encode("<image> there is a red ring <end>")])
    shape = (torch.ones(1, 6, dtype=torch.bool), torch.arange(6)[None])
    visual = model.resampler(world.train.features[:1])
    mask = media_mask(media_index(ids[:, :-1], tag.item()), torch.ones(1, 1, 9, dtype=torch.bool))
    logits = model(visual, mask, words(ids[:, :-1]), *shape)
    F.cross_entropy(logits[0], ids[0, 1:]).backward()
    torch.optim.AdamW(groups, lr=1e-3).step()
    moved = (words.weight.detach() - before).norm(dim=1) / before.norm(dim=1)
    return [f"{moved[world.vocabulary.ids[word]]:.1e}" for word in ("<image>", "ring", "digit")]


rows = [["your groups", *rows_after_a_step(True, 0.0)]]
rows += [["the embedding decays", *rows_after_a_step(True, 0.1)]]
rows += [["all rows get a gradient", *rows_after_a_step(False, 0.0)]]
rows += [["both", *rows_after_a_step(False, 0.1)]]
assert rows[0][2:] == ["0.0e+00", "0.0e+00"]
Table(["", "<image> moves by", "ring", "digit"], rows)

# %% [markdown]
# **What we learnt.** At this size more than half of all numbers train: 921,608 of 1,726,600. The language
# model is tiny, and a bridge is not. In Flamingo's largest it is an eighth, 10.2 of 80.6 billion (table 5
# of the paper).
#
# The step says where the leaks are. With decay, rows without any gradient shrink by one ten-thousandth,
# which is learning rate times decay. That looks like nothing. After 10,000 such steps 0.37 of a word is
# left, for $(1-10^{-4})^{10{,}000}=0.37$, and no gradient holds against it. Without the hook, `digit` moves
# as far as `ring`, though the sentence does not hold it: the embedding is also the output layer, and a
# softmax pushes at every word that was not the right one. (Adam's first step has the size of the learning
# rate, whatever the gradient's.)
#
# What you changed, `train` and the hook, hangs on this one object. `deepcopy` leaves hooks of tensors behind:
# in a copy made afterwards every row of the embedding gets its gradient again, and nothing says so. Copy
# first, group then.

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
# ### Text with pictures in it
#
# A web page is words, a picture, more words, another picture. Flamingo writes it down as one row of text.
# Where a picture stands, the text gets a *tag*, and where a stretch of text ends, a sign for the *end of
# chunk*. The paper's are `<image>` and `<EOC>`; in the micro-world `<end>` does the second job.
#
#     what is there <end> <image> a red ring <end> <image> a blue square <end>
#
# One reads that the visual tokens take the tag's place. They do in LLaVA and in week 2's merge, not here.
# The tag **stays a word** with an embedding of its own, and it says where the picture belongs; words look
# at the picture from there. So a picture costs the context one token, or two with its sign, however many
# visual tokens it has.
#
# What should the model learn from such a row? We take OpenFlamingo's rule: only what a picture can help
# with. That is the words of a chunk that has one, and the sign that ends it. A tag is put there by whoever
# asks, never guessed. And words without a picture read none, so they can teach the new layers nothing.

# %% [markdown]
# ### Exercise 9 · Pictures and words in one row
#
# Difficulty ●●○○○ · 20 minutes · 3 points
#
# Write `interleave(documents, image_id, end_of_chunk_id, pad_id)`. A document is a list of chunks. A chunk
# is a pair: does it have a picture, and `int[t]`, the ids of its words. As a row, each chunk is
#
# 1. `image_id`, if it has a picture;
# 2. its words;
# 3. `end_of_chunk_id`, always, after the last chunk too.
#
# Return a dict with rows padded on the right to the longest, T:
#
# | key | what it holds |
# |---|---|
# | `ids` | `int[b T]`: the rows, filled up with `pad_id` |
# | `keep` | `bool[b T]`: True = keep, wherever a token is real; tags are |
# | `labels` | `int[b T]`: a token's own id where it is learned, -100 where it is not |
#
# Learned are the words and the `end_of_chunk_id` of every chunk *with* a picture. Not learned are tags,
# padding, and chunks without a picture, before the first picture, between two, or after the last. Labels
# are not shifted here: the language model does that itself.
#
# `pad_id` may be the id of a word, too, or be `end_of_chunk_id`. If there are no documents, a document has
# no chunks or a chunk has no words, raise a `ValueError` that names the document and the chunk by their
# numbers, counted from 0. And leave what you are given as it is.
#
# <details><summary>Hint 1</summary>
#
# Do one row first, with pencil and paper: words `[7, 8]` without a picture, then `[9]` with one. Write ids
# and labels below each other. How long is it?
# </details>
# <details><summary>Hint 2: one row</summary>
#
# Walk along the chunks with two lists that grow together, one of ids and one of labels. Whether a chunk has
# a picture decides two things: is there a tag, and are the labels ids or -100?
# </details>
# <details><summary>Hint 3: padding</summary>
#
# `nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=...)` makes one tensor of rows. Where is
# it real? Compare places with lengths; an id proves nothing, for `pad_id` may be a word.
# </details>
# <details><summary>Hint 4: pseudocode</summary>
#
#     for each document:
#         for each chunk (has_picture, words):
#             if it has a picture: append image_id to ids, -100 to labels
#             chunk = the words, then end_of_chunk_id
#             append chunk to ids; append chunk, or as many -100, to labels
#     T = the longest row
#     ids filled up with pad_id, labels with -100, keep = place < length
# </details>


# %% exercise="interleave"
def interleave(
    documents: Sequence[Sequence[tuple[bool, Int[Tensor, "t"]]]],
    image_id: int,
    end_of_chunk_id: int,
    pad_id: int,
) -> dict[str, Tensor]:
    """Lay documents out as rows of one length; learn only what a picture can help with."""
    ### BEGIN SOLUTION
    if not documents:
        raise ValueError("there are 0 documents; give at least one.")
    rows, targets = [], []
    for number, document in enumerate(documents):
        if not document:
            raise ValueError(f"document {number} has 0 chunks; give it at least one.")
        ids, labels = [], []
        for place, (has_picture, words) in enumerate(document):
            if not len(words):
                raise ValueError(f"chunk {place} of document {number} has 0 words; give at least one.")
            if has_picture:
                ids.append(image_id)
                labels.append(-100)
            chunk = [*words.tolist(), end_of_chunk_id]
            ids += chunk
            labels += chunk if has_picture else [-100] * len(chunk)
        rows.append(torch.tensor(ids))
        targets.append(torch.tensor(labels))
    lengths = torch.tensor([len(row) for row in rows])
    return {
        "ids": nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad_id),
        "keep": torch.arange(int(lengths.max())) < lengths[:, None],
        "labels": nn.utils.rnn.pad_sequence(targets, batch_first=True, padding_value=-100),
    }
    ### END SOLUTION


# %% check="interleave" points=3
check("interleave", interleave)

# %% [markdown]
# **Use it** on two small documents of the micro-world. **Prediction:** three pictures in all. How many of
# the 28 places are learned? And are the last words of the second row, which do follow a picture?

# %% experiment="use_interleave"
words = world.vocabulary
written = [
    [(False, "what is there"), (True, "a red ring"), (True, "a blue square")],
    [(True, "a green cross"), (False, "and a thing")],
]
documents = [[(seen, torch.tensor(words.encode(text))) for seen, text in chunks] for chunks in written]
batch = interleave(documents, words.image_id, words.end_id, words.pad_id)
rows = []
for k, (ids, labels, keep) in enumerate(zip(batch["ids"], batch["labels"], batch["keep"], strict=True)):
    for i, label, kept in zip(ids.tolist(), labels.tolist(), keep.tolist(), strict=True):
        learned = words.words[label] if label != -100 else "-100"
        rows.append([f"document {k}", words.words[i], learned, "yes" if kept else "no"])
real, learned = int(batch["keep"].sum()), int((batch["labels"] != -100).sum())
print(f"{batch['ids'].numel()} places, {real} real tokens, {learned} learned")
assert learned == 4 + 4 + 4
Table(["", "token", "label", "kept"], rows)

# %% experiment="what_a_picture_costs"
plain = interleave([[(False, ids) for _, ids in documents[0]]], words.image_id, words.end_id, words.pad_id)
tags = batch["ids"][0].eq(words.image_id).sum().item()
more = int(batch["keep"][0].sum()) - plain["ids"].shape[1]
print(f"{tags} pictures make the row {more} tokens longer; merged in LLaVA's way it would be {tags * 576:,}")
assert more == tags

# %% [markdown]
# **What we learnt.** Of 23 real tokens 12 are learned: the words of three pictures and the three signs after
# them. "and a thing" is not, although a picture stands before it: its chunk has none. And "a" is learned in
# three places and ignored in one, so what decides is where a token stands, never its id.
#
# A picture costs one tag. It is not for nothing, of course: its 64 latents are read in every gated layer. But
# they take no room in the context, and that is how a prompt can hold many pictures.

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
