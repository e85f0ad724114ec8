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
# (begin section 5)
#
#
#
#
# (end section 5)

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
