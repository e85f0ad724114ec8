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
# About 6 hours, half of them to read and to try · CPU is enough · needs week 2: cross-attention, and a gate
# · 34 points · Flamingo, arXiv:2204.14198

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
# in one line that the common slips are not there, or in three lines where to look. Hidden checks, run when
# the notebook is graded, hold every sentence of the exercise. Hints are folded; the mildest comes first.
# The cells called *experiment* are not graded. Each starts with a question. Answer it for yourself, with a
# number if you can, before you run the cell. Masks are boolean, and True means **keep**, everywhere.
#
# You need last week's idea of cross-attention and of a gate. You do not need last week's code.

# %% experiment="tools"
# What the experiments use. The exercises need none of it.
from copy import deepcopy

from course_lib import full_size, plots
from course_lib.exhibits import Table
from course_lib.full_size import count
from course_lib.language import LanguageSizes, SwiGLU
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
# `F.scaled_dot_product_attention` takes a boolean `attn_mask`, and there, too, True = keep. It may be of any
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
#                   for each layer: add to the latents what its attention reads (picture, latents, mask),
#                                   then what its feed-forward makes of them
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
felt = torch.stack(columns, dim=1)
reads = torch.cat([keep[0], torch.ones(4, dtype=torch.bool)])
assert (felt[:, reads] > 1e-5).all()
assert (felt[:, ~reads] < 1e-5).all()
names = [f"visual {k}" if keep[0, k] else f"hidden {k}" for k in range(6)]
names, outputs = names + [f"latent {k}" for k in range(4)], [f"output {k}" for k in range(4)]
title = "how far an output moves when one token changes"
plots.matrix(felt, outputs, names, title=title, ylabel="whose output")

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
for start, read_by in (
    ("all ones", "their average"),
    ("at random", "their average"),
    ("all ones", "one after another"),
):
    read = readers[read_by]
    resampler, head = train_latents(start, read)
    with torch.no_grad():
        out = resampler(world.new.features)
        right = ((head(read(out)) > 0) == (asked > 0.5)).float().mean()
    unit = F.normalize(out, dim=-1)
    cosine = ((unit @ unit.mT).sum(dim=(1, 2)) - 8).mean() / (8 * 7)
    apart = (out - out[:, :1]).abs().max()
    rows.append([start, read_by, f"{cosine:.3f}", f"{apart:.1e}", f"{right:.3f}"])
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
# ### Claims we check: "81 times"
#
# One reads that a resampler which turns 576 visual tokens into 64 makes attention in the language model 81
# times cheaper. The sum is simple: $(576/64)^2 = 81$. It holds for a row of pictures without a single word.
# With $T$ tokens of text in the row, the square of scores shrinks by
#
# $$\left(\frac{576 + T}{64 + T}\right)^2 ,$$
#
# and scores are not all that a layer computes. Projections and feed-forward grow with the row's length,
# not with its square.
#
# **Prediction.** With a question of 50 tokens, how many times cheaper is the square of scores? And the whole
# forward pass of a model of 7 billion parameters?

# %% experiment="claims_81_times"
from course_lib import costs

rows = []
for text in (0, 50, 256, 512, 2048):
    many, few = (costs.decoder_flops(costs.SEVEN_B, visual + text) for visual in (576, 64))
    square, whole = costs.score_ratio(576, 64, text), many["total"] / few["total"]
    share = f"{many['scores'] / many['total']:.1%}"
    rows.append([text, f"{square:.1f}", f"{whole:.1f}", f"{many['total'] / 1e12:.2f}", share])
assert [row[1] for row in rows] == ["81.0", "30.2", "6.8", "3.6", "1.5"]
Table(["tokens of text", "scores: times less", "all: times less", "TFLOP with 576", "of it scores"], rows)


# %% experiment="claims_81_times_seen"
def whole(visual, text):
    """FLOPs of a 7B model's forward pass over so many visual and text tokens."""
    return costs.decoder_flops(costs.SEVEN_B, visual + text)["total"]


lengths = [4**n for n in range(7)]
plots.learning_curves(
    {
        "square of scores": [(t, costs.score_ratio(576, 64, t)) for t in lengths],
        "whole forward pass, 7B": [(t, whole(576, t) / whole(64, t)) for t in lengths],
    },
    xlabel="tokens of text beside the picture",
    ylabel="times cheaper with 64 than with 576",
    log=True,
)

# %% [markdown]
# **What we learnt.** At 50 tokens of text the square of scores is 30.2 times smaller, and the whole pass 5.6
# times cheaper, because scores are 2.4 % of its work. At 512 it is 3.6 and 1.9. The functions that counted
# this are plain Python in `course_lib/costs.py`. They agree with torch's own counter to the last FLOP.
#
# All that was for a model like LLaVA, whose visual tokens stand in the row. Flamingo's do not. There the
# language model's self-attention never meets one of them: a picture takes one place, its `<image>` tag, and
# a second one, `<EOC>`, closes its text. What the resampler saves, it saves in *cross*-attention, where
# nothing is squared. **Prediction:** 576 over 64 is 9. Which parts of a cross-attention become nine times
# cheaper, and what does the resampler itself cost?

# %% experiment="claims_9_times"
rows = []
resampler = costs.resampler_flops(576, 64, d_model=1280, n_layers=6, n_heads=16, d_head=96)["total"]
for text in (50, 512):
    many, few = (costs.cross_attention_flops(text, v, 4096, 1280, 32, 128) for v in (576, 64))
    compared = [(f"one layer: {part}", many[part], few[part]) for part in many]
    compared.append(("eight layers, and the resampler", 8 * many["total"], 8 * few["total"] + resampler))
    for what, dear, cheap in compared:
        rows.append([text, what, f"{dear / 1e9:.1f}", f"{cheap / 1e9:.1f}", f"{dear / cheap:.1f}"])
assert all(many[part] == 9 * few[part] for part in ("keys and values", "scores"))
print(f"the resampler alone: {resampler / 1e9:.1f} GFLOP for a picture of 576 tokens")
Table(["tokens of text", "what", "GFLOP with 576", "with 64", "times less"], rows)

# %% [markdown]
# **What we learnt.** Nine times, exactly, in keys, values and scores. The text's own side knows nothing of
# the picture's length, so a whole layer of IDEFICS-9B's size becomes 3.3 times cheaper at 50 tokens of text,
# and 1.4 times at 512. The resampler has a price too, 44.8 GFLOP for this picture. With eight layers to feed,
# as in IDEFICS-9B, the balance is 1.5 times at 50 tokens and 1.2 at 512. What a resampler is really for is
# something else: whatever number of visual tokens comes in, a small picture's or a film's, the same number
# goes out.

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
# ![A row of ten words: my, things, end, image tag, a, ring, end, image tag, a, cross. Below each its index:
# 0 for the first three, 1 for the next four, 2 for the last three. Arrows lead from the four words of index
# 1 to picture 1, and from the three of index 2 to picture 2. The first three read no
# picture.](figures/which_picture.png)

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
# A tag reads its own picture; 0 says that there is none to read. Whether the tag itself belongs in is asked
# again and again (OpenFlamingo's issue 242 is about a mask that seems one picture off), and one place off
# is a picture off.
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


def plain_block(text, pictures, mask):
    """Each word adds the mean of the visual tokens that its row of the mask keeps."""
    share = mask / mask.sum(dim=-1, keepdim=True).clamp(min=1)
    return text + share @ rearrange(pictures, "b n v d -> b (n v) d")


def outputs(pictures, mask):
    text = lm.model.embed_tokens(ids)
    logits = lm(text, keep, positions, before_layer=lambda i, stream: plain_block(stream, pictures, mask))
    return plain_block(text, pictures, mask)[0], logits[0]


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
# ## 3 · GATED XATTN-DENSE
#
# The picture is small now, and we know which token may look at which. What is missing is the layer that
# looks. Flamingo puts new blocks *before* some layers of the frozen language model. Such a block does two
# things to the text $x$, one after the other, and each through a gate of its own:
#
# $$y = x + \tanh(\alpha_\text{xattn})\cdot\mathrm{attention}(\mathrm{norm}(x),\ \text{pictures})$$
# $$z = y + \tanh(\alpha_\text{dense})\cdot\mathrm{feedforward}(\mathrm{norm}'(y))$$
#
# ![Diagram, read from left to right. A thick line, the text, runs through the whole block and nothing stands
# on it but two plus signs. Before the first plus a branch leaves the line: RMSNorm, then masked
# cross-attention, which also gets the pictures, as keys and values, and the media mask, then a factor tanh of
# alpha cross attn, 0 at first, then back to the plus. Behind the first plus a second branch leaves: another
# RMSNorm, then a feed-forward, then a factor tanh of alpha dense, 0 at first, then the second plus. Behind it
# the line goes on into a layer of the language model. That layer is frozen; both branches are
# trained.](figures/gated_block.png)
#
# The name says it: GATED, XATTN for cross-attention, DENSE for the feed-forward. With both $\alpha$ at 0 the
# text goes straight through, and the language model is what it was. You write the attention first, the block
# around it second.

# %% [markdown]
# ### What is new since last week
#
# Last week's `CrossAttention` had one picture a row and a mask for *the picture*: `bool[b v]`, the same for
# every word. Now a row has several pictures, side by side on the axis `s`, and a mask for *each token*:
# `bool[b t s]`. Two things follow. The mask meets the scores, which are `b h t s`, and lacks only the axis of
# the heads. And "nothing to read" is no longer the fate of a whole row: text before the first
# picture reads nothing, while the words behind it read. `o_proj` has no bias this time, so a reading of zero
# stays zero.
#
# The empty row is where real code broke. A softmax of scores that are all equally low gives *equal* weights:
# a token that may see nothing reads the mean of everything, and no error is raised. Idefics had that leak
# (transformers issue 26428); it has been mended.

# %% [markdown]
# ### Exercise 5 · Attention with a mask for each token
#
# Difficulty ●●●○○ · 15 minutes · 4 points
#
# Write `MaskedCrossAttention(d_text, d_visual, n_heads, d_head)`. Its layers are `q_proj`, `k_proj`, `v_proj`
# and `o_proj`, all *without* a bias; weights are loaded by these names. In the columns of a projection, head
# 0 comes first, then head 1, and so on. `n_heads * d_head` need not be `d_text`. The scale is the root of
# `d_head`. In shapes:
#
#     text b t d_text, visual b s d_visual, media_mask b t s -> b t d_text
#
# `media_mask` is boolean, True = **keep**; None keeps all. It belongs to the caller, who hands it to every
# block of the model: do not write into it. A token that keeps nothing gets *exactly* zero, with finite
# gradients for everybody.
#
# <details><summary>Hint 1</summary>
#
# Begin with last week's attention. Which lines know of the mask? There are two: one before the softmax, one
# at the very end.
# </details>
# <details><summary>Hint 2: the shape</summary>
#
# The scores are `b h t s`, the mask is `b t s`. All heads obey the same mask: `media_mask[:, None]`, or
# `rearrange(media_mask, "b t s -> b 1 t s")`.
# </details>
# <details><summary>Hint 3: the token that keeps nothing</summary>
#
# With scores of minus infinity, its softmax is 0/0; and NaN that is replaced afterwards is still NaN in the
# gradient. With the lowest finite number, `torch.finfo(scores.dtype).min`, it reads the mean of everything,
# which is finite, and which you then take away: `media_mask.any(dim=2)` says who has something to read.
# </details>
# <details><summary>Hint 4: the fused attention</summary>
#
# `F.scaled_dot_product_attention(q, k, values, attn_mask=...)` takes booleans, True = keep, and scales by
# itself. For a row without a single True it gave NaN up to torch 2.4 and gives zero since 2.5, so do not lean
# on it. Nor should you turn the mask into floats: those are *added* to the scores.
# </details>
# <details><summary>Hint 5: pseudocode</summary>
#
#     q, k, values = the three projections, each cut into heads
#     scores = q · k over e, divided by the root of d_head          # b h t s
#     where media_mask is False: scores = the lowest finite number
#     read = softmax of the scores over s, times the values          # b h t e
#     out = o_proj(the heads side by side)                           # b t d_text
#     where a token keeps nothing: out = 0
# </details>


# %% exercise="masked_cross_attention"
class MaskedCrossAttention(nn.Module):
    """Each text token reads the visual tokens that its row of the mask keeps. True = keep."""

    def __init__(self, d_text: int, d_visual: int, n_heads: int, d_head: int) -> None:
        super().__init__()
        self.n_heads, self.d_head = n_heads, d_head
        ### BEGIN SOLUTION
        self.q_proj = nn.Linear(d_text, n_heads * d_head, bias=False)
        self.k_proj = nn.Linear(d_visual, n_heads * d_head, bias=False)
        self.v_proj = nn.Linear(d_visual, n_heads * d_head, bias=False)
        self.o_proj = nn.Linear(n_heads * d_head, d_text, bias=False)
        ### END SOLUTION

    def forward(
        self,
        text: Float[Tensor, "b t d_text"],
        visual: Float[Tensor, "b s d_visual"],
        media_mask: Bool[Tensor, "b t s"] | None = None,
    ) -> Float[Tensor, "b t d_text"]:
        ### BEGIN SOLUTION
        q = rearrange(self.q_proj(text), "b t (h e) -> b h t e", h=self.n_heads)
        k = rearrange(self.k_proj(visual), "b s (h e) -> b h s e", h=self.n_heads)
        values = rearrange(self.v_proj(visual), "b s (h e) -> b h s e", h=self.n_heads)
        scores = q @ k.mT / self.d_head**0.5
        if media_mask is not None:
            scores = scores.masked_fill(~media_mask[:, None], torch.finfo(scores.dtype).min)
        out = self.o_proj(rearrange(scores.softmax(dim=-1) @ values, "b h t e -> b t (h e)"))
        if media_mask is not None:
            out = out.masked_fill(~media_mask.any(dim=2, keepdim=True), 0.0)
        return out
        ### END SOLUTION


# %% check="masked_cross_attention" points=4
check("masked_cross_attention", MaskedCrossAttention)

# %% [markdown]
# ### Two gates, and an order
#
# Many summaries of Flamingo show one gate. There are two, and they are not there for symmetry. The
# feed-forward is new and untrained, too, and works on *every* token, also where no picture stands: without a
# gate of its own it would upset the frozen model at the first step, pictures or not.
#
# And mind the order. The feed-forward comes second, and hears what has just been read. Neither branch
# replaces the text: both are added to it, and nothing stands on the way of the text itself, no norm and no
# factor. That is why a closed block is the identity to the last bit.

# %% [markdown]
# ### Exercise 6 · The gated block
#
# Difficulty ●●●○○ · 15 minutes · 4 points
#
# Write `GatedBlock(attention, feed_forward, d_text)`. `attention` is any module called as
# `attention(text, visual, media_mask)`, and `feed_forward` any module from `b t d_text` to `b t d_text`; each
# is graded with a plain stand-in. Weights are loaded by these names:
#
# | name | what |
# |---|---|
# | `cross_attn`, `mlp` | the attention and the feed-forward that were given |
# | `input_layernorm` | `nn.RMSNorm(d_text, eps=1e-6)`, before the attention |
# | `post_attention_layernorm` | `nn.RMSNorm(d_text, eps=1e-6)`, before the feed-forward |
# | `alpha_cross_attn`, `alpha_dense` | parameters `zeros(1)`, one for each gate |
#
# `media_mask` is `bool[b t s]`, True = **keep**, or None; hand it on. Do not write into `text`. (Idefics can
# also give every channel a gate of its own; one number a gate is Flamingo's choice and ours.)
#
# <details><summary>Hint 1</summary>
#
# Last week's block was `text + tanh(alpha) * attention(norm(text), ...)`. Here that line stands twice, with
# other parts. What is `text` in the second?
# </details>
# <details><summary>Hint 2</summary>
#
# Four things come in pairs: branch, norm, gate, addition. Say for each line of yours which of the two it
# uses.
# </details>
# <details><summary>Hint 3</summary>
#
# `text += ...` writes into the caller's tensor. `text = text + ...` makes a new one.
# </details>
# <details><summary>Hint 4: pseudocode</summary>
#
#     read = attention(first norm of text, visual, media_mask)
#     text = text + tanh(first alpha) * read
#     thought = feed-forward(second norm of the text as it is now)
#     return text + tanh(second alpha) * thought
# </details>


# %% exercise="gated_block"
class GatedBlock(nn.Module):
    """Add what the text reads in its pictures, then what a feed-forward makes of it; each behind a gate."""

    def __init__(self, attention: nn.Module, feed_forward: nn.Module, d_text: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.cross_attn, self.mlp = attention, feed_forward
        self.input_layernorm = nn.RMSNorm(d_text, eps=1e-6)
        self.post_attention_layernorm = nn.RMSNorm(d_text, eps=1e-6)
        self.alpha_cross_attn = nn.Parameter(torch.zeros(1))
        self.alpha_dense = nn.Parameter(torch.zeros(1))
        ### END SOLUTION

    def forward(
        self,
        text: Float[Tensor, "b t d_text"],
        visual: Float[Tensor, "b s d_visual"],
        media_mask: Bool[Tensor, "b t s"] | None = None,
    ) -> Float[Tensor, "b t d_text"]:
        ### BEGIN SOLUTION
        read = self.cross_attn(self.input_layernorm(text), visual, media_mask)
        text = text + torch.tanh(self.alpha_cross_attn) * read
        return text + torch.tanh(self.alpha_dense) * self.mlp(self.post_attention_layernorm(text))
        ### END SOLUTION


# %% check="gated_block" points=4
check("gated_block", GatedBlock)

# %% [markdown]
# **Use it**: each gate alone. A text of seven tokens and two pictures of five visual tokens each; the first
# two tokens stand before any picture. **Prediction:** which gate changes those two, and does a gate at −1.5
# change less than one at 1.5?


# %% experiment="use_gated_block"
def new_block(d_text=32, d_visual=24):
    mlp = nn.Sequential(nn.Linear(d_text, 4 * d_text), nn.GELU(), nn.Linear(4 * d_text, d_text))
    return GatedBlock(MaskedCrossAttention(d_text, d_visual, n_heads=4, d_head=8), mlp, d_text)


torch.manual_seed(SEED)
block, text, visual = new_block(), torch.randn(2, 7, 32), torch.randn(2, 10, 24)
picture = torch.tensor([0, 0, 1, 1, 1, 2, 2])  # which one each token reads; 0 for none
keep = repeat(picture[:, None] == torch.tensor([1] * 5 + [2] * 5), "t s -> b t s", b=2)
rows = []
for alpha in (0.0, 0.1, 0.5, 1.5, -1.5, 20.0):
    row = [f"{alpha:.1f}", f"{torch.tensor(alpha).tanh():.4f}"]
    for gates in ((alpha, 0.0), (0.0, alpha)):
        with torch.no_grad():
            block.alpha_cross_attn.fill_(gates[0])
            block.alpha_dense.fill_(gates[1])
            change = block(text, visual, keep) - text
        size = [change[:, part].norm() / text[:, part].norm() for part in (slice(2), slice(2, None))]
        row += [f"{share:.1%}" for share in size]
    rows.append(row)
assert rows[0][2:] == ["0.0%"] * 4
assert all(row[2] == "0.0%" for row in rows)
top = "alpha, tanh, attention: before a picture, behind one, feed-forward: before, behind"
Table(top.split(", "), rows)

# %% [markdown]
# **What we learnt.** The gate of the attention never moves a token that has no picture, however far it opens.
# The gate of the feed-forward moves every token. A sign turns the change round and leaves its size: at 1.5
# and at −1.5 the columns agree. From 1.5 to 20 little more comes in, since $\tanh(1.5)$ is already .905.
#
# **Prediction.** Both gates are closed, and the first batch comes. Which parameters get a gradient? Which one
# step later? And what if somebody, to be on the safe side, starts `o_proj` and the last layer of the
# feed-forward at zero as well?


# %% experiment="who_learns_first"
def gradients_of_two_steps(block):
    """The length of every gradient: in the first step, and in the second."""
    lengths, optimiser = [], torch.optim.SGD(block.parameters(), lr=0.5)
    for _ in range(2):
        shown = visual.clone().requires_grad_()
        optimiser.zero_grad()
        (block(text, shown, keep) - target).square().mean().backward()
        reached = [*block.named_parameters(), ("(the pictures)", shown)]
        lengths.append({name: tensor.grad.norm().item() for name, tensor in reached})
        optimiser.step()
    return lengths


torch.manual_seed(SEED)
target, double = torch.randn(2, 7, 32), new_block()
for weight in (double.cross_attn.o_proj.weight, double.mlp[2].weight, double.mlp[2].bias):
    nn.init.zeros_(weight)
closed, ajar = gradients_of_two_steps(new_block())
never = gradients_of_two_steps(double)[1]
assert [name for name in closed if closed[name] > 0] == ["alpha_cross_attn", "alpha_dense"]
assert all(ajar.values())
assert not any(never.values())
rows = [[name, *(f"{column[name]:.1e}" for column in (closed, ajar, never))] for name in closed]
Table(["", "gates closed", "one step later", "with a second zero, one step later"], rows)

# %% [markdown]
# **What we learnt.** At first the two gates learn, and nothing else: not one weight, and the pictures get
# nothing either, so the resampler below stands still for one step. One step later everything learns, if a
# little. With a second zero, nothing ever does. The gate waits for its branch, and the branch waits for its
# gate. One zero keeps the model whole; two keep it for ever.
#
# **Use it** at full size: the block of Flamingo's largest model, text of width 8,192, pictures of width
# 1,536, 64 heads of 128, and a feed-forward four times as wide inside (its activation is a squared ReLU,
# without parameters). **Prediction:** it is called cross-attention. What share of its numbers is attention?

# %% experiment="a_block_at_full_size"
d = 8192
with torch.device("meta"):  # shapes without numbers
    mlp = nn.Sequential(nn.Linear(d, 4 * d, bias=False), nn.ReLU(), nn.Linear(4 * d, d, bias=False))
    block = GatedBlock(MaskedCrossAttention(d, 1536, n_heads=64, d_head=128), mlp, d)
sizes = {"attention": count(block.cross_attn), "feed-forward": count(block.mlp)}
sizes["norms and gates"] = count(block) - sum(sizes.values())
assert (sizes["attention"], sizes["feed-forward"]) == (159_383_552, 536_870_912)
rows = [[name, size, f"{size / count(block):.1%}"] for name, size in sizes.items()]
Table(["part", "numbers", "share"], [*rows, ["together", count(block), ""]])

# %% [markdown]
# **What we learnt.** 77 % of a block is its feed-forward. Whoever counts "queries, keys, values, output and a
# gate" has missed most of what is trained. The two numbers that decide over all of it are two of 696 million.
#
# ### Four claims about the gate
#
# You will read these. **Prediction:** which of them does your block contradict, and by how much?
#
# 1. "Alpha stays positive, so the gate lies between 0 and 1."
# 2. "The gate interpolates between ignoring the picture and using it fully."
# 3. "output = FFN(self-attention(x) + tanh(α) · cross-attention)."
# 4. "The tanh keeps what is read from drowning the text."


# %% experiment="four_claims"
def with_gate(alpha):
    block.alpha_cross_attn.fill_(alpha)
    return block(text, visual)


def share(change, whole):
    return f"{change.norm() / whole.norm():.1%}"


torch.manual_seed(SEED)
block, text, visual = new_block(), torch.randn(2, 7, 32), torch.randn(2, 10, 24)
with torch.no_grad():
    read, gate = block.cross_attn(block.input_layernorm(text), visual), torch.tensor(0.7).tanh()
    half, wide, closed = with_gate(0.7), with_gate(20.0), with_gate(0.0)
    block.cross_attn.o_proj.weight.neg_()
    turned, as_told = with_gate(-0.7), block.mlp(block.post_attention_layernorm(closed))
    block.cross_attn.o_proj.weight.mul_(100)
    loud = with_gate(-0.7)
rows = [["1", "alpha -0.7 with o_proj turned round, against alpha 0.7", share(turned - half, half)]]
rows += [["2", "text missing from the output at alpha 0.7, if it were so", share(gate * text, text)]]
rows += [["", "text missing from the output at alpha 20, as it is", share(text - (wide - read), text)]]
rows += [["3", "output with closed gates, as told, against the text", share(as_told - text, text)]]
rows += [["4", "what is added at alpha 0.7, against the text", share(half - text, text)]]
rows += [["", "the same with an o_proj a hundred times as large", share(loud - text, text)]]
assert rows[0][2] == rows[2][2] == "0.0%"
Table(["claim", "what we compared", "apart by"], rows)

# %% [markdown]
# **What we learnt.** None of the four holds.
#
# 1. The sign of a gate means nothing. Turn $\alpha$ and `o_proj` round together, and no output moves. Nothing
#    in training prefers one of the two; the authors of Flamingo plot $|\tanh\alpha|$.
# 2. A gate that mixes would take 60 % of the text away at $\alpha=0.7$. Yours, wide open, takes nothing.
# 3. If the FFN in it is the new one, a block with closed gates hands on something else altogether, 100 % off,
#    and the frozen model is gone at the first step. If it is the frozen layer's own, then the block has lost
#    its feed-forward, three quarters of it. And nothing in Flamingo stands beside the self-attention.
# 4. The tanh bounds the gate, not the branch. What the gate multiplies may be as large as it likes.

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
# `self.language_model` and `self.blocks`, both as they came: `blocks` is an `nn.ModuleList`, so they train.
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
from functools import partial


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
# training loop. That leaves one leak, and it makes no noise: **weight decay**. AdamW takes $\eta\lambda w$
# off each number $w$ at each step, also where its gradient is 0. Rows that nobody trains shrink towards 0.
#
# The paper decays what it trains by 0.1, and the resampler not at all. OpenFlamingo, in its later version,
# decays whatever is in a gated layer, gates and norms included. We spare those too, as is usual elsewhere:
# decay pulls towards 0, and 0 is a shut gate.

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
# name of its part: `str.startswith` takes several beginnings at once, as a tuple.
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
# **Use it** on a whole of the kind that we shall train (the experiments below freeze the language model by
# themselves, and step with another optimiser): your resampler, your blocks before each of the four layers,
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
# What you changed, `train` and the hook, hangs on this one object. `deepcopy` leaves hooks of tensors
# behind: in a copy made afterwards every row of the embedding gets its gradient again, and nothing says so.
# And a copied `train` still sets the modes of the original. Copy first, group then.

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
from course_lib import flamingo_experiments as experiments
from course_lib.interleaved import InterleavedModel

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
    flamingo = Flamingo(deepcopy(world.language_model), blocks, 1)
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
# **What we learnt.** Nine merged keys gave .80 to .81 of the right answers in two runs, 36 patches .73 and
# .74, and the latents .52 to .62 (4), .57 to .60 (16) and .51 to .54 (64). A second seed, not run here,
# gave .79, .71, .62 for 4 and .59 for 64. So the patches are ahead of every number of latents, each time,
# and sixty-four latents are certainly no better than four: more room than there are patches buys nothing.
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
# are not shifted here: whoever makes the loss does that.
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
# `pad_sequence` in `nn.utils.rnn` makes one tensor of rows (mind its `batch_first`). Where is
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
    kept = (number <= index.unsqueeze(2)).unsqueeze(3) & visual_mask.unsqueeze(1)
    return kept.flatten(2)


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
# ## 6 · Writing, and learning from examples
#
# So far the model has answered with logits. To write, it takes the likeliest word, appends it, and asks
# again. Everything it reads stays the same from one word to the next, except that one word. So nobody reads
# the row again: a **cache** keeps the keys and values of what has been read. For Flamingo this needs more
# care than for a model of text, and the mistake it invites makes no noise.
#
# Then comes what Flamingo was built for. Put a few pictures with questions *and answers* in front of a new
# picture with a question, and let the model write on. No weight changes. In its training rows stood at most
# five pictures, and still it gains from as many as 32 examples in the prompt (section 2.3 of the paper). That
# is what one gets for letting a word look at one picture only: the number of pictures is nowhere built in.

# %% [markdown]
# ### What a cache knows, and what it does not
#
# ![Diagram. First call: the tokens image tag, what, colour, question mark go in, each with its row of the
# mask, and leave a cache with keys and values of four tokens. Second call: the token red alone goes into the
# language model with its gated blocks, together with the cache and with one new row of the mask, which is the
# last row again.](figures/cache.png)
#
# With a cache, a prompt of $t$ tokens and $n$ new ones cost $t + n - 1$ readings: the prompt once, then each
# new token once, and nobody reads the last. Without one they cost $n\,t + n(n-1)/2$.
#
# What stands in the cache? For each layer of the language model, the keys and values of its self-attention.
# The tokens of the prompt have looked at their pictures, and what they saw is in there. But a *new* token
# enters each gated block by itself, and asks the picture itself. Which picture it may ask is in no cache.
# **It has to be said at every call.** Who says nothing gets one of two things, depending on the library: a
# new word that sees no picture, or one that sees them all. There is no error. The text stays fluent, for the
# prompt's words did see their picture. It only drifts away from it, word by word.
#
# Keys and values *of the pictures* never change while the model writes. One could compute them once and keep
# them, too. Ours are computed at each call; that costs time and changes nothing.

# %% [markdown]
# ### Exercise 10 · Writing with a cache
#
# Difficulty ●●●○○ · 20 minutes · 4 points
#
# Write `generate(model, ids, visual, image_id, end_id, n_new)`. `ids`, `int[t]`, is one prompt, `visual`,
# `float[n v d_visual]`, are the visual tokens of its `n` pictures, in the order of their tags. Return the
# new ids as a **list of plain numbers**, without the prompt.
#
# - The model is called as `logits, cache = model(ids, visual, media_mask, cache)`, with a batch of one: `ids`
#   `int[1 t]`, `visual` `float[1 s d_visual]` where `s` is `n` pictures of `v` tokens one after another, and
#   `media_mask` `bool[1 t s]`, True = **keep**. The first cache is `None`; afterwards it is always the one
#   that the last call returned. `logits` are `float[1 t w]`.
# - The mask is as in exercises 2 and 3: a token looks at the latest picture before it, a tag at its own, and
#   a token before the first tag at none. Build it here, from `ids`; the exercises are graded one by one.
# - **Each token goes through the model once.** The first call reads the prompt, each later one only what is
#   new. New tokens look at the latest picture of the prompt.
# - Always take the likeliest token, but **never the tag**: there is no picture for it. Take the next best.
# - Stop at `end_id`, which is not returned, and after `n_new` tokens at the latest.
# - An empty prompt is a `ValueError` with a 0 in it, and so is a number of tags that is not the number of
#   pictures, with both numbers. What you were given stays as it was.
#
# Here `end_id` cuts no picture off: it ends a chunk, and writing. That is another end than the end of a
# document in exercise 2.
#
# <details><summary>Hint 1: the mask of the prompt</summary>
#
# `(ids == image_id).cumsum(dim=0)` says which picture a token looks at: 1 for the first, 0 for none. Compare
# it with the numbers 1 to n: that is `bool[t n]`. A picture has `v` tokens, so each column comes `v` times.
# </details>
# <details><summary>Hint 2: the mask of a new token</summary>
#
# Behind the last token of the prompt no tag will come, for none is written. So a new token looks where the
# last one looked. `mask[:, -1:]` keeps the axis, `mask[:, -1]` drops it.
# </details>
# <details><summary>Hint 3: which logits?</summary>
#
# The first call gives logits at each token of the prompt. Those at the last one say what comes next. A copy
# of them with `-torch.inf` at the tag has its maximum somewhere else. (0 would not do: are logits positive?)
# </details>
# <details><summary>Hint 4: one loop is enough</summary>
#
# Keep three things: what is new, its mask, the cache. At first they are the whole prompt, its mask, and
# `None`. The end of the loop's body replaces them.
# </details>
# <details><summary>Hint 5: pseudocode</summary>
#
#     refuse what cannot be read
#     new, mask, cache, written = prompt, its mask, None, []
#     while fewer than n_new are written:
#         logits, cache = model(new, all pictures in one row, mask, cache)
#         best = the likeliest at the last position, the tag excepted
#         if best is the end: leave the loop
#         append best to written
#         new, mask = best alone, the last row of mask
#     return written
# </details>


# %% exercise="generate"
@torch.no_grad()
def generate(
    model: Any,
    ids: Int[Tensor, " t"],
    visual: Float[Tensor, "n v d_visual"],
    image_id: int,
    end_id: int,
    n_new: int,
) -> list[int]:
    """Write up to n_new tokens, always the likeliest, and read each token once."""
    ### BEGIN SOLUTION
    index = (ids == image_id).cumsum(dim=0)  # t
    tags = int((ids == image_id).sum())
    if not len(ids) or tags != len(visual):
        raise ValueError(f"{len(ids)} tokens, {tags} tags and {len(visual)} pictures; each tag needs one.")
    own = rearrange(index, "t -> t 1") == torch.arange(1, tags + 1)
    mask = repeat(own, "t n -> 1 t (n v)", v=visual.shape[1])
    row = rearrange(visual, "n v d -> 1 (n v) d")
    new, cache, written = ids[None], None, []
    while len(written) < n_new:
        logits, cache = model(new, row, mask, cache)
        last = logits[0, -1].clone()
        last[image_id] = -torch.inf
        best = int(last.argmax())
        if best == end_id:
            break
        written.append(best)
        new, mask = torch.tensor([[best]]), mask[:, -1:]
    return written
    ### END SOLUTION


# %% check="generate" points=4
check("generate", generate)

# %% [markdown]
# **Use it**: your `generate`, around your `Flamingo`, around the course's language model. `Reader` puts a
# model behind the door `(ids, visual, media_mask, cache)`. It knows ours, and the Llamas of transformers.
#
# **Prediction.** The prompt has 7 tokens, and 8 are written. How many tokens go through the model with a
# cache, and how many without? And what will it write while its gates are closed?

# %% experiment="use_generate"
from course_lib.readers import Reader

torch.manual_seed(SEED)
width, inside = world.d_text, LanguageSizes(n_words=0, d_model=world.d_text, d_hidden=256)
gated_lm = deepcopy(world.language_model)
gated = nn.ModuleList(
    GatedBlock(MaskedCrossAttention(width, world.d_visual, 4, 32), SwiGLU(inside), width)
    for _ in gated_lm.model.layers
)
reader, went_in = Reader(Flamingo(gated_lm, gated)), []


def cached(ids, visual, mask, cache):
    went_in.append(ids.shape[1])
    return reader(ids, visual, mask, cache)


def rereading(ids, visual, mask, cache):
    if cache is not None:
        ids, mask = torch.cat([cache[0], ids], dim=1), torch.cat([cache[1], mask], dim=1)
    return cached(ids, visual, mask, None)[0], (ids, mask)


# %% experiment="with_and_without_a_cache"
vocabulary, pictures = world.vocabulary, world.new.features[:2]
prompt = torch.tensor(vocabulary.encode("<image> a red ring <end> <image> a"))


def blind(ids, visual, mask, cache):  # the language model itself, as it was before any block
    ids, lm = ids if cache is None else torch.cat([cache, ids], dim=1), world.language_model
    positions = torch.arange(ids.shape[1])[None]
    return lm(lm.model.embed_tokens(ids), torch.ones_like(ids).bool(), positions), ids


def write(model):  # -1 is no word, so it writes on behind every end
    return generate(model, prompt, pictures, vocabulary.image_id, -1, 8)


rows = [["no blocks", "no", "", vocabulary.decode(write(blind))]]
for gates, alpha in (("closed", 0.0), ("open", 0.2)):
    for block in gated:
        nn.init.constant_(block.alpha_cross_attn, alpha)
    for name, model in (("yes", cached), ("no", rereading)):
        went_in.clear()
        said = vocabulary.decode(write(model))
        rows.append([gates, name, sum(went_in), said])
assert rows[0][3] == rows[1][3] == rows[2][3] != rows[3][3] == rows[4][3]
Table(["gates", "cache", "tokens that went through", "written"], rows)

# %% [markdown]
# **What we learnt.** 14 tokens with a cache, 84 without, for the same words; at 7 and 8 that is a factor of
# 6, and it grows with every word written. Closed gates write what the language model wrote before it met
# you. Open them a little, at random weights, and it writes something else. Nothing better: nobody has
# trained these blocks.
#
# ### The mistake that makes no noise
#
# **Prediction.** Somebody forgets the mask after the first call, so that new tokens see no picture. At which
# of the eight words can one notice at the earliest? And would you notice by reading the text?


# %% experiment="the_forgotten_mask"
def forgetful(ids, visual, mask, cache):
    return reader(ids, visual, mask if cache is None else torch.zeros_like(mask), cache)


right, wrong = write(cached), write(forgetful)
whole = torch.cat([prompt, torch.tensor(right)])[None]
mask = media_mask(media_index(whole, vocabulary.image_id), torch.ones(1, 2, pictures.shape[1]).bool())
dark = mask.clone()
dark[:, len(prompt) :] = False  # True = keep: the new tokens keep nothing
row = pictures.flatten(0, 1)[None]
gaps = (reader(whole, row, mask)[0] - reader(whole, row, dark)[0])[0].abs().amax(dim=1)
gaps = gaps[len(prompt) - 1 : -1].tolist()
assert min(gaps[1:]) > 1e-3 > gaps[0] == 0
assert right[0] == wrong[0]
Table(
    ["new word", "written", "written, mask forgotten", "logits of this word moved by at most"],
    [
        [k + 1, *map(vocabulary.decode, ([a], [b])), gap]
        for k, (a, b, gap) in enumerate(zip(right, wrong, gaps, strict=True))
    ],
)

# %% [markdown]
# **What we learnt.** The first word is the same, to the last bit: it comes from the prompt, which has
# seen its pictures. From the second on all logits are others. And still six of the eight words are the
# same here. Nobody finds that by reading. It is found by a test: write with a cache and without, and
# compare. (With closed gates even that test passes. A test of such a model opens the gates first.)

# %% [markdown]
# ### A prompt that shows how it is done
#
# A row of solved examples and one that is not: that is the whole of "few-shot". In Flamingo's signs,
#
#     <image> question answer <EOC> <image> question answer <EOC> <image> question
#
# and the model writes on. Three details decide whether it works. Every example is *closed*, as the chunks
# it was trained on were, or it cannot know where an answer ends. The last question is *open*: a sign behind
# it would say that nothing is missing. And each picture has its own tag *in front of its words*, for words
# look at the latest picture before them.
#
# So how does the last question learn from the first example? Not from its picture: its words look at their
# own picture only. What they get comes through the language model's self-attention, from the words of the
# example, which have looked at theirs.
#
# Two things to know when you read numbers about this. Flamingo's "zero-shot" is not an empty prompt: it holds
# two examples of the task, as text, without their pictures (appendix A.2). And no *weight* learns anything
# here. Close the notebook, and what the examples taught is gone.

# %% [markdown]
# ### Exercise 11 · A few-shot prompt
#
# Difficulty ●●○○○ · 10 minutes · 2 points
#
# Write `few_shot_prompt(examples, picture, question, image_id, end_of_chunk_id)`. Each example is a triple
# `(picture, question, answer)`: `float[v d]` and two rows of ids. `picture` and `question` are what is asked
# now. Return a dict with
#
# - `"ids"`, `int[t]`: for each example, in the order given, the tag, the question, the answer and the sign
#   that ends a chunk; then the tag and the open question, and nothing behind it;
# - `"visual"`, `float[n v d]`: one picture for each tag, in the order of the tags.
#
# No examples at all are fine. A question or an answer without ids is a `ValueError` with the 0 in it, and so
# is a picture of another shape than the one asked about, with both numbers of visual tokens. What you were
# given stays as it was.
#
# <details><summary>Hint 1</summary>
#
# `[(picture, question, answer), ..., (picture, question, no answer)]` is one list. A loop over it does both
# parts at once.
# </details>
# <details><summary>Hint 2</summary>
#
# `torch.cat` wants tensors, and a sign is a number: `torch.tensor([image_id])`.
# </details>
# <details><summary>Hint 3: pseudocode</summary>
#
#     for each example: refuse what does not fit; pieces += tag, question, answer, end
#     refuse an empty question; pieces += tag, question
#     return the pieces in one row, and all pictures stacked, the one asked about last
# </details>


# %% exercise="few_shot_prompt"
def few_shot_prompt(
    examples: Sequence[tuple[Float[Tensor, "v d"], Int[Tensor, "..."], Int[Tensor, "..."]]],
    picture: Float[Tensor, "v d"],
    question: Int[Tensor, "..."],
    image_id: int,
    end_of_chunk_id: int,
) -> dict[str, Tensor]:
    """Solved examples, then an open question: {"ids": int[t], "visual": float[n v d]}."""
    ### BEGIN SOLUTION
    tag, end = torch.tensor([image_id]), torch.tensor([end_of_chunk_id])
    pieces, pictures = [], []
    for shown, asked, answer in examples:
        if shown.shape != picture.shape:
            raise ValueError(
                f"a picture is {tuple(shown.shape)}, the one asked about {tuple(picture.shape)}."
            )
        if not len(asked) or not len(answer):
            raise ValueError(f"an example has {len(asked)} ids of question and {len(answer)} of answer.")
        pieces += [tag, asked, answer, end]
        pictures.append(shown)
    if not len(question):
        raise ValueError("the question has 0 ids.")
    return {"ids": torch.cat([*pieces, tag, question]), "visual": torch.stack([*pictures, picture])}
    ### END SOLUTION


# %% check="few_shot_prompt" points=2
check("few_shot_prompt", few_shot_prompt)

# %% [markdown]
# **Use it**: two solved examples and a question, in the words of the micro-world; below them, which picture
# each token may look at. **Prediction:** the prompt is about colours. Which tokens will have looked at the
# first picture itself by the time the model answers?

# %% experiment="use_few_shot_prompt"
from course_lib.microworld import draw_questions

chosen = [3, 7, 10]
asked = [draw_questions(world.new.scenes[k], 1, seed=3, kinds=("colour",))[0] for k in chosen]
parts = [
    (world.new.features[k], *(torch.tensor(world.vocabulary.encode(text)) for text in (one.text, one.answer)))
    for k, one in zip(chosen, asked, strict=True)
]
signs = (world.vocabulary.image_id, world.vocabulary.end_id)
few = few_shot_prompt(parts[:2], parts[2][0], parts[2][1], *signs)
numbers = media_index(few["ids"][None], signs[0])[0]
for n in numbers.unique().tolist():
    print(f"picture {n}:", world.vocabulary.decode(few["ids"][numbers == n].tolist()))
print(f"{len(few['ids'])} tokens in the row, {few['visual'].shape[0] * few['visual'].shape[1]} beside it")
assert int(numbers[-1]) == len(few["visual"]) == 3
titles = [f"picture {n + 1}\n{one.text}\n{one.answer if n < 2 else '…'}" for n, one in enumerate(asked)]
plots.album(world.new.pictures[chosen], titles, "A prompt of two examples and a question")

# %% [markdown]
# **What we learnt.** None after the first `<end>`. The open question reads its own picture and no other, and
# yet it can know that a colour is wanted, and how an answer looks: from the words before it, inside the
# language model. Three pictures of 36 tokens stand beside the row. In the row they cost three tags.
#
# Note how much of such a prompt a *blind* model can use. It sees that answers are colours, and it may just
# copy one. So a gain from examples is not yet a proof that anybody looks at their pictures. What would be?
# Right pictures against swapped ones, with the same words.

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
# **What we learnt.** We ran this twice, on one thread and on two: sums in another order, and 400 steps
# later another model. With one example of each word .92 and .87 are right, with four .95 and .91. Without
# an example .03 and .04: of 32 made-up words none is likelier than another. Exchange the words of the
# examples, and the old answer falls to .06 and .09 while the new one is right in .94 and .91: the model
# says what the row taught it a moment ago. With another row's picture in the last place it is back at the
# guess, .42 to .53. A reader of examples has to give high, low, high, half; one that ignores them gives
# half four times.
#
# More examples than one hardly help. Here a single one says all there is to say: one word, one property.
# That says nothing about tasks in which an example is ambiguous.
#
# Now the last two printed lines, and the experiment on gates once more. The widest attention gate stood
# before layer 1, at 0.06 and 0.11. Shut it, and of the colour words, which alone are asked here, .96 and
# .83 remain. The gate before layer 0 stood at *0.01* both times. Shut that one, and .47 and .65 of them
# remain: the smallest gate was the one that mattered most. What a gate lets through is its height times
# what stands behind it, and the weights behind a small gate can be large. Which gate matters is not read
# off. It is measured, by shutting it.

# %% [markdown]
# ### Where each word looks
#
# Two pictures stand in one row, with a question after each. Every word's cross-attention can be worked out
# from your own layer: its `q_proj` and `k_proj` give $\mathrm{softmax}(q k^\top / \sqrt{d_\text{head}})$ over
# the keys that its row of the mask keeps. A hook notes what goes into the layer, so the layer is not asked to
# cooperate. That these are the weights it used is checked: put through its `v_proj` and `o_proj` they must
# give what it returned.
#
# Point at a word, in the row or in the table: its picture stays light where the word looks, and all else goes
# dark. A click keeps the word, a second click lets it go. Tab and the arrow keys do the same. The two rows of
# buttons choose the block and the head. In a live kernel, three more menus write one word's numbers out.
#
# **Prediction.** Where do the words of the second question look: at the second picture, at both, or at the
# thing that is asked about? And the word before the first tag?

# %% experiment="looking" tags=["nbval-ignore-output"]
from course_lib.gaze import gaze
from course_lib.interleaved import lay_out
from course_lib.looking import looking
from course_lib.microworld import render_many

model = which["model"].eval()
alone = [scene for scene in world.new.scenes if len(scene.things) == 1][:2]
asked = " ".join(
    f"<image> what {kind} is the thing ? {getattr(scene.things[0], kind)} <end>"
    for scene, kind in zip(alone, ("colour", "shape"), strict=True)
)
laid = lay_out([([(f"check {asked}", False)], [])], world.vocabulary)
shown_pictures = render_many(alone)
features = rearrange(world.features(shown_pictures), "n v d -> 1 n v d")


# %% experiment="looking_seen" tags=["nbval-ignore-output"]
def run():
    """One forward pass of the whole row."""
    model(laid, features)


words = world.vocabulary.decode(laid.ids[0].tolist()).split()
index = media_index(laid.ids, world.vocabulary.image_id)[0].tolist()
names = [f"before layer {k}" for k in range(4)]
seen = gaze(run, model.gated, 4, words, shown_pictures, (3, 3), index, names)
looking(seen)

# %% experiment="looking_counted" tags=["nbval-ignore-output"]
cells = [scene.things[0].cell for scene in alone]
rows = [
    [t, word, index[t], *(float(seen.map(k, None, t).flatten()[cells[index[t] - 1]]) for k in range(4))]
    for t, word in enumerate(words)
    if index[t]
]
Table(["place", "word", "reads picture", *(f"on the thing, {name}" for name in names)], rows)

# %% [markdown]
# **What we learnt.** Every word reads the picture of the latest tag and no other; the word before the first
# tag reads nothing. *Where* in its picture it looks has been learned, and from answers alone: nobody told
# the model where the thing is. In our run the first question's `?` has .75 of its last block's attention on
# the one cell that holds the thing, where chance is one in nine. From that place the colour is said next.
#
# Read the table by columns, too. Before layer 0 a word knows only itself. So it cannot ask for what the
# sentence is about, and yet `is` and `what` look at the thing: they look for anything that is not board.
# `?`, which looks hardest before the last layer, looks at it with .03 and .02 before the first.
#
# A warning that belongs to every such picture. A weight says where a word *read*, not what became of it; a
# head can read a cell and add nothing. The page shades each word by its own largest weight, so read the
# number before you believe a light place.

# %% [markdown]
# ## 7 · At full size
#
# Everything you wrote has the shapes of the real thing. Let us count the real thing.

# %% [markdown]
# ### At full size: three Flamingos
#
# The paper tabulates three models. The next cell builds all their new parts of *your* classes, at the
# printed sizes, on torch's meta device: shapes and not one number. Heads are 128 wide in the gated blocks and
# 96 in the resampler, feed-forwards are four times as wide inside, with two matrices and a squared ReLU.
#
# One size the paper does not print: the width from which a gated block makes its keys and values. The
# resampler's tokens are 1,536 wide; whether something brings them to the text's width first is left open. So
# we count both.
#
# **Prediction.** The largest Flamingo has 80 layers and a gated block before every seventh. How many blocks,
# and before which layers? Which part of a block is larger, attention or feed-forward?

# %% experiment="full_size_flamingo"
rows = []
for width, made_from in ((1536, "1,536"), (None, "the text's width")):
    counts = full_size.flamingo_counts(PerceiverResampler, MaskedCrossAttention, GatedBlock, width)
    for name, found in counts.items():
        said = full_size.FLAMINGOS[name].said_gated
        share = found["feed-forward"] / (found["feed-forward"] + found["attention"])
        gap = f"{found['gated'] / said - 1:+.0%}"
        rows.append(
            [name, made_from, found["blocks"], f"{share:.0%}", found["gated"], f"{said / 1e9:g}B", gap]
        )
print("Flamingo-80B: blocks before layers", *full_size.FLAMINGOS["Flamingo-80B"].places)
print(f"resampler: {found['resampler']:,} counted, 194M said ({found['resampler'] / 194e6 - 1:+.0%})")
print(Table(["model", "keys from", "blocks", "feed-forward", "gated, counted", "paper", "gap"], rows))
layers, blocks_of_80 = full_size.FLAMINGOS["Flamingo-80B"].layers, found["blocks"]
print(f"a block before each of {layers} layers would be {layers / blocks_of_80 * found['gated'] / 1e9:.0f}B")
print(
    f"40 layers 4,096 wide: {40 * 12 * 4096**2 / 1e9:.2f}B in matrices; the paper's language model has 7.1B"
)

# %% [markdown]
# **What we learnt.** Twelve blocks, before layers 0, 7, ..., 77. Two thirds to three quarters of a block are
# its feed-forward, not its attention. And the paper's rounded numbers are not all ours:
#
# - *Gated, 3B and 80B.* With keys from the text's width we count 1.21B and 9.66B, where the paper says 1.2B
#   and 10B. With keys from 1,536 it is 1.16B and 8.36B. The first fits better; the paper does not say.
# - *Gated, 9B.* We count 1.80B or 2.01B, and the paper says 1.6B. Here two of its own tables disagree. It
#   prints 40 layers of width 4,096 for a language model of 7.1B, but plain layers of that width (four
#   projections, a feed-forward four times as wide) hold 8.05B in their matrices alone. A language model of
#   32 layers would have 8 blocks and, with keys from the text's width, 1.61B. That is arithmetic, not
#   knowledge.
# - *Resampler.* Six layers as described hold 170M, and the paper says 194M. What the other 24M are, it does
#   not say.
#
# Numbers that differ are no reason to bend the code. They say what a table leaves out.
#
# IDEFICS is open, so nothing has to be guessed. One thing we leave out: the released 9B also norms queries
# and keys, in blocks and resampler, which is 4,352 numbers more. **Prediction:** your block and your
# resampler at its sizes, without these. Do they have as many parameters as transformers' own, exactly?

# %% experiment="full_size_idefics"
with torch.device("meta"):
    resampler = PerceiverResampler(1280, 64, 6, 16, 96)
    attention = MaskedCrossAttention(4096, 1280, 32, 128)
    block = GatedBlock(attention, SwiGLU(LanguageSizes(n_words=0, d_model=4096, d_hidden=11_008)), 4096)
print(f"resampler {count(resampler):,}; gated block {count(block):,}, {count(attention):,} of it attention")
yours = 8 * count(block) + count(resampler)
print(f"eight blocks and the resampler: {yours:,}")
if full_size.has_transformers():
    theirs = full_size.parts_of("IDEFICS-9B style")
    print(f"transformers' IDEFICS:          {theirs['bridge']:,} of {theirs['total']:,}")
    assert yours == theirs["bridge"]

# %% [markdown]
# To the last one. A block has 179.3 million parameters, and three quarters of them, 135.3 million, are its
# SwiGLU.
#
# ### Claims we check: what one reads about Flamingo
#
# First a tiny Flamingo of your parts, with hooks that note who runs when, how long the row is, and what may
# be trained.

# %% experiment="claims_about_flamingo"
from course_lib.language import LanguageModel

d, ran = 16, []
tiny = LanguageModel(LanguageSizes(n_words=20, d_model=d, n_layers=4, n_heads=2, d_hidden=24))
small = nn.ModuleList(GatedBlock(MaskedCrossAttention(d, 12, 2, 8), nn.Linear(d, d), d) for _ in range(2))
flamingo = Flamingo(tiny, small, interval=2)
flamingo.resampler = PerceiverResampler(12, 3, 1, 2, 6)
for name, parts in (("block", small), ("layer", tiny.model.layers)):
    for n, part in enumerate(parts):
        part.register_forward_hook(lambda *_, n=n, name=name: ran.append(f"{name} {n}"))
reads = flamingo.resampler.blocks[0][0].k_proj
reads.register_forward_hook(lambda _, args, __: print("the 3 latents read", args[0].shape[1], "tokens"))
looked = flamingo.resampler(torch.randn(1, 9, 12))
row = torch.tensor([[1, 5, 6, 7]])  # the tag is one of four tokens
mask = torch.ones(1, 4, 3, dtype=torch.bool)  # True = keep
logits = flamingo(looked, mask, tiny.model.embed_tokens(row), torch.ones(1, 4).bool(), torch.arange(4)[None])
print("who was done, one after another:", ", ".join(ran))
print(
    f"{row.shape[1]} tokens went in, with 3 visual tokens beside them; logits for {logits.shape[1]} came out"
)
parameter_groups(flamingo, torch.tensor([1, 2]), weight_decay=0.1)
trains = [name for name, parameter in flamingo.named_parameters() if parameter.requires_grad]
print("trains:", ", ".join(sorted({name.split(".")[0] for name in trains})), "| of the language model:")
print([name for name in trains if name.startswith("language_model")])
assert ran[:3] == ["block 0", "layer 0", "layer 1"]
assert logits.shape[1] == 4

# %% experiment="claims_about_flamingo_seen"
Table(
    ["one reads", "counted or shown", "so"],
    [
        ["resampler: about 100M", "170M counted, 194M in the paper; IDEFICS 126M", "no model of these"],
        ["10B on top of a frozen 80B", "70B frozen + 10B + 194M", "80B is the sum"],
        ["blocks before all 80 layers", "12 blocks; 80 would be 64B", "before every 7th"],
        ["before every / every 4th / every 7th layer", "24 of 24, 10 of 40, 12 of 80", "one size each"],
        [
            "blocks stand after the frozen layer",
            "block 0, layer 0, layer 1, block 1",
            "before it, from the first",
        ],
        ["the tag is replaced by 64 visual tokens", "4 tokens in, 4 out", "the tag stays a token"],
        ["64 tokens of context a picture", "<image>, and <EOC> after its text", "1 or 2"],
        ["latents read the picture", "3 latents and 9 tokens: 12 keys", "and themselves, in one attention"],
        ["only the new layers train", "blocks, resampler, rows of 2 new tokens", "three things train"],
        [
            "a pre-trained resampler",
            "paper, figure 3: drawn anew, trained with the blocks",
            "only NFNet and the LM are",
        ],
        ["projections are most of a block", "feed-forward: 67 to 77 %", "the feed-forward is"],
        ["tags <img>, [IMG]", "paper, section 2.4: <image> and <EOC>", "any id will do, these are theirs"],
    ],
)

# %% [markdown]
# **What we learnt.** Most of these claims are true of *some* model. A number without its model is how they
# went astray: the 4 of "every fourth layer" belongs to the 9B, the 7 to the 80B, and the 1 to the 3B. One
# implementation differs on purpose: OpenFlamingo also puts its blocks before layers, but before layers
# $n - 1$, $2n - 1$ and so on, so a stack of 80 with $n = 7$ would get 11.

# %% [markdown]
# ### Your parts in a real IDEFICS
#
# IDEFICS is Flamingo rebuilt in the open. With a GPU that has the room and a network, the next cell opens
# the weights of IDEFICS-9B (17 GiB in half precision); anywhere else, an IDEFICS of the same classes with
# random weights, every one of them re-drawn, written to disk and loaded back. What follows is the same code
# for both; with the real weights your parts and theirs part where the norms of queries and keys stand,
# which the tiny model does without.
#
# Your parts have its parameters' names, so its weights load by name. Its gated layer's feed-forward is a
# SwiGLU, which `course_lib` has.
#
# **Prediction.** Both do the same sums in another order. How far apart will the numbers be: 0, 1e-7, 1e-3?

# %% experiment="open_an_idefics" tags=["nbval-ignore-output"]
import tempfile

from course_lib.side_by_side import first_difference

idefics = None
if full_size.has_transformers():
    with tempfile.TemporaryDirectory() as folder:
        idefics = full_size.open_idefics(folder)
    print(f"opened {idefics.name}: {count(idefics.model):,} parameters")
else:
    print('This section opens a real model. It needs: pip install "transformers>=5"')


# %% experiment="idefics_parts"
def with_its_weights(mine, theirs):
    """Your part with the weights of theirs, by name; says what it has no place for."""
    left = mine.load_state_dict(theirs.state_dict(), strict=False)
    assert not left.missing_keys, left.missing_keys
    if left.unexpected_keys:
        print(f"{type(mine).__name__} has no place for {left.unexpected_keys}")
    return mine.to(next(theirs.parameters()))


if idefics is not None:
    s = idefics.sizes
    looks = (s["n_latents"], s["resampler_layers"], s["resampler_heads"], s["resampler_head"])
    my_resampler = with_its_weights(PerceiverResampler(s["d_visual"], *looks), idefics.resampler)
    my_blocks, sizes = nn.ModuleList(), LanguageSizes(0, s["d_text"], d_hidden=s["d_hidden"])
    for theirs in idefics.blocks:
        d_head = s["d_text"] // s["n_heads"]
        reads = MaskedCrossAttention(s["d_text"], s["d_visual"], s["n_heads"], d_head)
        my_blocks.append(with_its_weights(GatedBlock(reads, SwiGLU(sizes), s["d_text"]), theirs))
    patches = torch.randn(2, 9, s["d_visual"]).to(next(idefics.model.parameters()))
    tolerance = 1e-2 if idefics.is_real else 1e-5  # the real weights have half precision
    print(first_difference(my_resampler, idefics.resampler, patches, tolerance=tolerance))

# %% [markdown]
# Then the whole model: two pictures in a row, once with transformers' parts and once with yours in their
# places. Your `media_index` says who reads which picture. As a control, the third run reads the wrong one.

# %% experiment="idefics_whole"
if idefics is not None:
    ids = torch.randint(3, s["n_words"], (1, 9), generator=torch.Generator().manual_seed(SEED))
    ids[0, [1, 5]] = 2  # the tag
    index = media_index(ids, image_id=2)
    reads = index[..., None] == torch.arange(1, 3)  # True where a token reads a picture
    ids, reads = ids.to(patches.device), reads.to(patches.device)
    pictures = rearrange(patches, "n v d -> 1 n v d")
    theirs = idefics.logits(ids, pictures, reads)
    yours = idefics.logits(ids, pictures, reads, my_resampler, my_blocks)
    swapped = idefics.logits(ids, pictures, reads.flip(2), my_resampler, my_blocks)
    largest = (yours - theirs).abs().max().item()
    print(
        f"largest difference of the logits: {largest:.1e}; of numbers up to {theirs.abs().max().item():.1f}"
    )
    print(f"with the pictures exchanged: {(swapped - theirs).abs().max().item():.1e}")
    assert idefics.is_real or largest < 1e-5
    assert idefics.is_real or (swapped - theirs).abs().max() > 1e-3

# %% [markdown]
# **What we learnt.** In the tiny model, 24 places of the resampler agree to within 2.4e-7, and the logits
# of the whole model to within 8.9e-8, at numbers up to 0.5. That is float32 rounding, and nothing else.
# With the pictures exchanged the logits move by 1.1e-2, a hundred thousand times as much. So the comparison
# can fail.
#
# transformers' classes can do one thing that your parts leave out: they can norm queries and keys before
# the two meet. It is an option, off in the tiny model, and on in the released IDEFICS-9B. A checkpoint that
# has it on brings weights for which your part has no place; the cell above would name them, and the
# debugger would say that the two part between `v_proj` and `output_proj`, where the norms stand.

# %% [markdown]
# ## 8 · Looking back
#
# | | Flamingo | BLIP-2 |
# |---|---|---|
# | encoder, frozen | NFNet-F6, 435 million | EVA ViT-g/14, 986 million as cut for BLIP-2 |
# | language model, frozen | Chinchilla: 1.4, 7.1 or 70 billion | OPT or FlanT5: 2.7 to 11 billion |
# | what trains | resampler, gated blocks: 1.4, 1.8 or 10.2 billion | Q-Former: about 107 million in stage 2 |
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
#   (arXiv:2303.16199) the gate of its attention. In a product, *one* factor is zero: two zeros multiplied
#   with each other would never move. (ControlNet has two in a row, and the input that is added between them
#   saves it.)
# * **A mask is a table, and a table can be tested.** "Conditioned on the image" is not a statement one can
#   test. "Changing picture 1 moves no word's reading after tag 2" is.
# * **What is cheap in one place is dear in another.** Latents make keys, values and scores of
#   cross-attention nine times cheaper at 576 tokens, a whole layer far less. They do nothing for
#   self-attention here, because pictures never were in it.
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
