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
# ## 1 · Thirty-two questions
#
# BLIP-2's image encoder hands over 257 tokens for every picture, 1,408 numbers each. The language model gets
# 32. What stands between them is the **Q-Former** (Li et al. 2023): thirty-two learned vectors, the
# *queries*, that go through a small transformer, look at the picture on their way, and come out as its
# summary. Every picture is asked the same thirty-two questions. Only the answers differ.
#
# Week 2 built a simplified one, for pictures alone. This week's is the real one, which also takes **text**.
# Queries and words stand in one row and share one self-attention. So a query can hear a word, and a word a
# query, as far as a mask lets them. That is the trick of the whole week: one stack, and three tasks that
# differ in who may see whom.
#
# Five things are often told otherwise, and each changes what you will write.
#
# * *"It is trained from scratch."* It starts as BERT-base. Only its cross-attention starts at random; the
#   queries' feed-forwards start as copies of BERT's.
# * *"Six layers, and each looks at the picture."* Twelve layers, and every other one looks: 0, 2, 4, ... 10.
# * *"Norm, then attention."* Attention, then add, then norm, as BERT has it.
# * *"Queries and text share everything"*, or *"nothing"*. They share the self-attention, and each side has a
#   feed-forward of its own.
# * *"Queries and text look at the picture."* Only queries look.

# %% [markdown]
# ### One layer
#
# The tokens come in as one row: the queries in front, the text behind them. A mask says who may see whom.
# Three things happen, in this order. Each of them **adds, then norms** (post-norm, as in BERT):
#
# $$x \leftarrow \mathrm{LN}\big(x + \text{self-attention}(x)\big)\quad\text{all of them, together}$$
#
# $$x_q \leftarrow \mathrm{LN}\big(x_q + \text{cross-attention}(x_q,\ \text{picture})\big)
# \quad\text{queries only, every other layer}$$
#
# $$x_q \leftarrow \mathrm{LN}\big(x_q + \mathrm{FFN}_q(x_q)\big),\qquad
# x_t \leftarrow \mathrm{LN}\big(x_t + \mathrm{FFN}_t(x_t)\big)\quad\text{each side its own}$$
#
# ![Diagram of one Q-Former layer, read from below. At the bottom one row of tokens: query 1 to query 3 in
# blue, then three words in green. All six go into one box, self-attention, which queries and text share; a
# mask beside it says who may see whom. Above it the row splits. On the left the queries go into
# cross-attention, which is there in every other layer only; keys and values come into it from the picture
# at the far left. No arrow leads from the picture to the text. Then the queries go through a feed-forward
# of their own, and on the right the text through another. Above, both are one row again. Every box ends
# in: add what came in, then norm.](figures/qformer.png)
#
# Two mistakes are common. The first: one feed-forward for both sides. The transformers library itself shipped
# this layer without the text's feed-forward until somebody wanted to train it and could not (its issue
# 30846, version 4.40). The second: the text reads the picture as well. Then nothing has to pass through the
# queries, and what they say of a picture is worth little to whoever gets them alone. That is what the
# language model of stage 2 gets.

# %% [markdown]
# ### Exercise 1 · A Q-Former layer
#
# Difficulty ●●●○○ · 20 minutes · 4 points
#
# Write `forward` of `QFormerLayer(d_model, d_visual, n_heads, d_hidden, looks)`. In shapes, with
# s = queries + text:
#
#     tokens b s d, sees b s s, visual b v d_visual, visual_mask b v  ->  b s d
#
# * `tokens` holds queries, then text. The first `n_queries` are the queries; either side may be empty.
# * `sees` is `bool[b s s]`, True = token i (row) **may see** token j (column). None: all see all.
# * `visual_mask` is `bool[b v]`, True = **keep**. None: all are kept.
# * Only in a layer with `looks=True` is there a cross-attention. Text never reads the picture.
# * Queries in a layer that looks, and no picture (`visual=None`): raise a `ValueError` that says how many
#   queries there are. Text alone, with `n_queries=0`, needs no picture.
#
# The parts are built for you, under the names of the real checkpoint, and all of them add and norm:
# `PostNormAttention`, called as `attention(asking, source, sees)` with `sees` of `bool[b i j]` or
# `bool[b 1 j]`, returns LN(asking + what was read); `Hidden(x)` is GELU(dense(x)), `d_hidden` wide; and
# `AddNorm`, called as `output(new, old)`, returns LN(dense(new) + old).
#
# <details><summary>Hint 1: what do the parts do already?</summary>
#
# There is no `+` in this forward pass. If you write one, something is added twice.
# </details>
# <details><summary>Hint 2: who is who</summary>
#
# Cut after the self-attention, not before: `queries, text = tokens[:, :n_queries], tokens[:, n_queries:]`.
# Before it they are one row, because they hear each other in it.
# </details>
# <details><summary>Hint 3: the picture's mask</summary>
#
# The attention wants to know for each pair of asking token and source token. All queries may see the same
# visual tokens: `rearrange(visual_mask, "b v -> b 1 v")`.
# </details>
# <details><summary>Hint 4: pseudocode</summary>
#
#     tokens = attention(tokens, tokens, sees)
#     queries, text = the first n_queries, the rest
#     if this layer looks and there are queries:
#         no picture? ValueError
#         queries = crossattention(queries, visual, visual_mask with an axis in its middle, or None)
#     queries = output_query(intermediate_query(queries), queries)
#     text    = output(intermediate(text), text)
#     return queries, then text
# </details>


# %% exercise="qformer_layer"
class QFormerLayer(nn.Module):
    """All hear each other, the queries read the picture, each side thinks. True means may see, or keep."""

    def __init__(
        self, d_model: int, d_visual: int, n_heads: int, d_hidden: int, looks: bool, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.looks = looks
        self.attention = PostNormAttention(d_model, d_model, n_heads, dropout)
        if looks:
            self.crossattention = PostNormAttention(d_model, d_visual, n_heads, dropout)
        self.intermediate, self.output = Hidden(d_model, d_hidden), AddNorm(d_hidden, d_model, dropout)
        self.intermediate_query = Hidden(d_model, d_hidden)
        self.output_query = AddNorm(d_hidden, d_model, dropout)

    def forward(
        self,
        tokens: Float[Tensor, "b s d"],
        n_queries: int,
        sees: Bool[Tensor, "b s s"] | None = None,
        visual: Float[Tensor, "b v d_visual"] | None = None,
        visual_mask: Bool[Tensor, "b v"] | None = None,
    ) -> Float[Tensor, "b s d"]:
        ### BEGIN SOLUTION
        tokens = self.attention(tokens, tokens, sees)
        queries, text = tokens[:, :n_queries], tokens[:, n_queries:]
        if self.looks and n_queries:
            if visual is None:
                raise ValueError(f"{n_queries} queries and no picture to read; give visual, or n_queries=0.")
            keep = None if visual_mask is None else rearrange(visual_mask, "b v -> b 1 v")
            queries = self.crossattention(queries, visual, keep)
        queries = self.output_query(self.intermediate_query(queries), queries)
        text = self.output(self.intermediate(text), text)
        return torch.cat([queries, text], dim=1)
        ### END SOLUTION


# %% check="qformer_layer" points=4
check("qformer_layer", QFormerLayer)

# %% [markdown]
# **Use it** to see who moves whom. Four queries and three words, everybody may see everybody, and one
# picture. We change one token at a time, or the whole picture, and watch every output.
# **Prediction:** which cells stay empty after one layer? And after two?

# %% experiment="use_qformer_layer"
torch.manual_seed(SEED)
layers = [QFormerLayer(d_model=12, d_visual=10, n_heads=3, d_hidden=20, looks=n == 0).eval() for n in (0, 1)]
tokens, visual, change = torch.randn(1, 7, 12), torch.randn(1, 5, 10), torch.randn(12)
names = [*(f"query {k + 1}" for k in range(4)), *(f"word {k + 1}" for k in range(3))]


def through(n_layers, tokens, visual):
    for layer in layers[:n_layers]:
        tokens = layer(tokens, 4, None, visual)
    return tokens[0]


tables = []
with torch.no_grad():
    for n in (1, 2):
        each = [tokens + change * F.one_hot(torch.tensor(k), 7)[:, None] for k in range(7)]
        cases = [(one, visual) for one in each] + [(tokens, visual + torch.randn(1, 5, 10))]
        before = through(n, tokens, visual)
        tables.append(torch.stack([(through(n, *case) - before).norm(dim=-1) for case in cases], dim=1))
assert (tables[0][4:, 7] == 0).all()
assert (tables[1] > 0).all()
title = "how far an output moves when one thing changes: one layer above, two below"
rows = [f"{name}, {layer}" for layer in ("1 layer", "2 layers") for name in names]
plots.matrix(torch.cat(tables), rows, [*names, "picture"], title=title, ylabel="whose output")

# %% [markdown]
# **What we learnt.** After one layer the picture has reached every query and no word: three cells are
# exactly 0. The second layer has no cross-attention, and still the picture now moves every word. It came
# through the queries. Hide the queries from the text by a mask, and it would never come. Whoever holds the
# mask decides what text can know of a picture.
#
# **Use it** at BLIP-2's size: width 768, 12 heads, hidden width 3,072, pictures of width 1,408.
# **Prediction:** which part of a layer is the largest?

# %% experiment="sizes_of_qformer_layer"
with torch.device("meta"):
    looking, calm = (QFormerLayer(768, 1408, 12, 3072, looks) for looks in (True, False))
parts = {
    "self-attention, shared": [looking.attention],
    "cross-attention, queries": [looking.crossattention],
    "feed-forward, queries": [looking.intermediate_query, looking.output_query],
    "feed-forward, text": [looking.intermediate, looking.output],
}
rows = [[name, sum(map(count, modules))] for name, modules in parts.items()]
text_side = rows[3][1]
whole = 6 * count(looking) + 6 * count(calm)
assert sum(row[1] for row in rows) == count(looking)
rows += [["twelve layers, six that look", whole], ["without the text's side", whole - 12 * text_side]]
Table(["part of a layer", "parameters"], rows)

# %% [markdown]
# **What we learnt.** The feed-forwards are the largest parts, and there are two of them. So a Q-Former has two
# sizes: 161.8 million while text comes in, and 105.1 million once the text's side is left out, as in stage 2.
# The paper gives two numbers and does not say why. Its 188 million fit the first, with word embeddings and
# heads (we count 186.7); its 107 million fit the second, with queries and a projection.

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
# ### Thirty-two questions, or one question thirty-two times?
#
# Queries are worth their number only if they read different things. A plain way to look: in each picture,
# take the cosine of what two queries have read, and average over pictures,
#
# $$S_{ij}=\frac1B\sum_b\cos\big(z_{b,i},\,z_{b,j}\big)$$
#
# Off the diagonal, 1 means that the two are copies. What a cosine below 1 means is less sure: two queries
# may point apart and still say the same of every picture. So this number can show that queries have
# collapsed. That they specialise it cannot show; the next experiment asks that, with a control.
#
# There is one sure way to get copies: start all queries alike. Nothing in a layer of yours knows a query by
# its place. Equal queries read alike, come out alike, and get the same gradient. BLIP-2's authors draw
# theirs from a normal distribution with standard deviation 0.02. The transformers library starts them as
# zeros, which does no harm as long as trained ones are loaded over them.

# %% [markdown]
# ### Exercise 8 · Are the queries copies of each other?
#
# Difficulty ●●○○○ · 10 minutes · 2 points
#
# Write `query_similarity(read)`, `b q d -> q q`. In each picture take the cosine of what query i and what
# query j have read; then take the mean over the pictures.
#
# * The diagonal is 1: a query is entirely like itself. No number is below -1.
# * `read` stays as it was.
# * No picture at all: raise a `ValueError` that says that there are 0 pictures.
#
# <details><summary>Hint 1</summary>
#
# A cosine is the dot product of two vectors of length 1. `F.normalize(read, dim=...)` brings vectors to
# length 1; which axis is a vector?
# </details>
# <details><summary>Hint 2</summary>
#
# First the cosine, then the mean. The mean of what a query read in many pictures says what it says of
# *any* picture; we ask what it says of *this* one.
# </details>
# <details><summary>Hint 3: pseudocode</summary>
#
#     no picture? ValueError
#     unit = every vector of read, divided by its length           b q d
#     cosines = unit times unit, turned round                      b q q
#     return the mean of the cosines over b
# </details>


# %% exercise="query_similarity"
def query_similarity(read: Float[Tensor, "b q d"]) -> Float[Tensor, "q q"]:
    """Cosine of what two queries have read in the same picture, the mean over pictures."""
    ### BEGIN SOLUTION
    if not len(read):
        raise ValueError("there are 0 pictures; give at least one.")
    unit = F.normalize(read, dim=-1)
    return reduce(unit @ rearrange(unit, "b q d -> b d q"), "b i j -> i j", "mean")
    ### END SOLUTION


# %% check="query_similarity" points=2
check("query_similarity", query_similarity)

# %% [markdown]
# **Use it** on a question one should ask before paying for thirty-two queries: how do they start? We train a
# small reader, one layer of yours and eight queries, to say which of the kinds of things are in a
# picture. In one version its head gets the mean of the queries, and so cannot know which query said what. In
# the other each query has a place of its own in the head, as each has in the sequence of a language model.
#
# **Prediction:** eight queries start as zeros; as ones; as small random numbers. How far apart are they
# after 150 steps, for each head? And with how many queries, starting from zeros, is the reader as good?

# %% experiment="a_small_reader"
things = [{(t.colour, t.shape) for t in scene.things} for scene in world.train.scenes + world.new.scenes]
kinds = sorted(set().union(*things))
target = torch.tensor([[float(kind in there) for kind in kinds] for there in things])
visual = torch.cat([world.train.features, world.new.features])
n_train = len(world.train.scenes)


class Reader(nn.Module):
    def __init__(self, start, places, dropout):
        super().__init__()
        self.queries, self.places = nn.Parameter(start.clone()), places
        self.norm = nn.LayerNorm(32)
        self.layer = QFormerLayer(32, world.d_visual, n_heads=4, d_hidden=64, looks=True, dropout=dropout)
        self.head = nn.Linear(32 * (len(start) if places else 1), len(kinds))

    def read(self, visual):
        tokens = repeat(self.norm(self.queries), "q d -> b q d", b=len(visual))
        return self.layer(tokens, len(self.queries), None, visual)

    def forward(self, visual):
        read = self.read(visual)
        return self.head(read.flatten(1) if self.places else read.mean(dim=1))


# %% experiment="use_query_similarity" tags=["nbval-ignore-output"]
def trained(start, places=False, dropout=0.0, steps=10 if FAST else 150):
    torch.manual_seed(SEED)
    reader = Reader(start, places, dropout)
    optimiser = torch.optim.Adam(reader.parameters(), lr=3e-3)
    for _ in range(steps):
        batch = torch.randint(n_train, (32,))
        loss = F.binary_cross_entropy_with_logits(reader(visual[batch]), target[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        new, queries = visual[n_train:], reader.eval().queries
        table = query_similarity(reader.read(new))
        loss = F.binary_cross_entropy_with_logits(reader(new), target[n_train:]).item()
        return torch.pdist(queries).max().item() if len(queries) > 1 else 0.0, table.min().item(), loss


zeros, small = torch.zeros(8, 32), 0.02 * torch.randn(8, 32, generator=torch.Generator().manual_seed(SEED))
runs = {("zeros", "mean"): trained(zeros), ("ones", "mean"): trained(zeros + 1)}
runs |= {("small, random", "mean"): trained(small), ("ONE query, zero", "mean"): trained(zeros[:1])}
runs |= {("zeros, dropout 0.1", "mean"): trained(zeros, dropout=0.1)}
runs |= {("zeros", "places"): trained(zeros, places=True), ("small, random", "places"): trained(small, True)}
assert runs["zeros", "mean"][0] < 1e-4 and runs["ones", "mean"][0] < 1e-4
rows = [[*run, f"{apart:.1e}", f"{least:.4f}", f"{loss:.4f}"] for run, (apart, least, loss) in runs.items()]
Table(["start", "head gets", "largest distance", "least likeness", "loss, new pictures"], rows)

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
