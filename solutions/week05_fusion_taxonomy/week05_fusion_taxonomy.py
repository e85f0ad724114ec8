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
# ## 4 · In the stream, between layers, or both
#
# Weeks 2 to 4 built the pieces one at a time: a projector, a resampler, a Q-Former, a gated block. Each came
# with a language model of its own around it. Here they meet, and it turns out that two arguments tell all of
# them apart: what **enters** the stream in front of the words, and which **blocks** stand between the layers.
#
# | pattern | `enter` | `blocks` | the stream grows by | as in |
# |---|---|---|---|---|
# | concatenation | a projector | none | a token for each patch, or merged cell | LLaVA |
# | concatenation, bottleneck | resampler or Q-Former | none | a token for each query | BLIP-2 |
# | cross-attention | none | gated blocks | nothing of the picture | Flamingo |
# | hybrid | few tokens, a coarse look | gated blocks | the few; the blocks read all | NVLM-H |
#
# Three things are often told wrong. *Concatenation is said not to fuse, only to put side by side.* Yet
# self-attention over one stream is a fusion mechanism already. Call the picture's places $P$. Word $i$ takes
#
# $$\sum_{j\in P}a_{ij}\,v_j+\sum_{j\notin P,\;j\le i}a_{ij}\,v_j,\qquad\sum_j a_{ij}=1.$$
#
# The first sum is cross-attention, with the layer's own keys and values and nothing new to train in it. But
# both sums share one softmax: a word that looks at the picture has less left for the other words. A gated
# block has a softmax of its own, and adds. *Blocks are said to follow the layers.* Flamingo puts each
# **before** a layer, from the very first on: in the largest model, before every seventh of 80, which makes
# twelve. *The `<image>` tag is said to be replaced by what was seen.* In LLaVA it is. In Flamingo it stays a
# word with an embedding of its own, and the picture's whole cost in the stream is that word.
#
# The language model stays frozen in all four, here. That is no part of a pattern: LLaVA's second stage trains
# it, and raw patches (section 2) have nobody else to learn to see. So your module will leave it alone.

# %% [markdown]
# ### Exercise 5 · One door for all
#
# Difficulty ●●●○○ · 20 minutes · 5 points
#
# Write `StreamFusion(language_model, enter=None, blocks=None, interval=1)`, and keep all four under these
# names. It is called as `fusion(visual, ids, keep, visual_mask=None, sees=None, positions=None)`.
#
# - The stream is what `enter(visual)` returns, `b p d`, then the words' embeddings,
#   `language_model.model.embed_tokens(ids)`, `b t d`. Neither is changed on the way. Without `enter`, p is 0.
# - `blocks[n]` stands before layer `n * interval`. It is called as `block(text, visual, visual_mask)`, on
#   the words alone; what it returns takes their place. The visual tokens of the stream pass it by.
# - The language model is called once, as `language_model(stream, sees, positions, before_layer)`. Before its
#   layer `i` it calls `hidden = before_layer(i, hidden)`, with `hidden` as long as the stream.
# - True in `keep` is a real word; the stream's visual tokens are all real. If nobody gives `sees`, hand over
#   the stream's keep mask, bool `b s` with s = p + t, and the model looks back by itself. If somebody gives
#   `sees`, bool `b s s`, it takes that mask's place. True = may see.
# - `positions`, int `b s`: given, or else counted from 0 over what is real. What a padded word gets does not
#   matter.
# - It returns the logits at the words, `b t w`: none at visual tokens.
# - `ValueError`: neither `enter` nor `blocks`; an `interval` below 1 with blocks; or a number of blocks other
#   than there are places for in `language_model.model.layers`. The message names the numbers: how many blocks
#   were given, and how many fit.
# - Freeze nothing and wake nothing: who trains is decided outside.
#
# <details><summary>Hint 1</summary>
#
# How many tokens stand in front is known once `enter` has been called, and not before: a resampler takes 36
# and returns 9.
# </details>
# <details><summary>Hint 2</summary>
#
# With `words[:, :0]`, a front of no tokens, you need no second branch for a model without `enter`.
# </details>
# <details><summary>Hint 3</summary>
#
# `cumsum` over the mask counts what is real up to a token and the token itself. The first real one is to get
# a 0.
# </details>
# <details><summary>Hint 4</summary>
#
# `before_layer` is a function inside `forward`, so it knows `visual`, `visual_mask` and p. It cuts `hidden`
# after p tokens and puts it together again. `range(0, n_layers, interval)` lists the layers that have a
# block.
# </details>
# <details><summary>Hint 5: pseudocode</summary>
#
#     words = embedded ids;  front = enter(visual), or no token;  p = how many
#     real = p Trues, then keep
#     positions, if none were given = (how many are real so far) - 1, and never below 0
#     before_layer(i, hidden):  no block before layer i? hidden as it is
#                               else: the first p as they are, then block(the others, visual, visual_mask)
#     logits = language_model(front and words, sees or else real, positions, before_layer)
#     return logits without the first p
# </details>


# %% exercise="stream_fusion"
class StreamFusion(nn.Module):
    """A language model with visual tokens in front of its words, or blocks between its layers, or both."""

    def __init__(
        self,
        language_model: nn.Module,
        enter: nn.Module | None = None,
        blocks: nn.ModuleList | None = None,
        interval: int = 1,
    ) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        if enter is None and blocks is None:
            raise ValueError("neither enter nor blocks: the picture has no way in; give one, or both.")
        if blocks is not None:
            if interval < 1:
                raise ValueError(f"interval={interval}; 1 puts a block before every layer.")
            places = len(range(0, len(language_model.model.layers), interval))
            if len(blocks) != places:
                raise ValueError(f"{len(blocks)} blocks with interval={interval}; give {places}.")
        self.language_model, self.enter, self.blocks, self.interval = language_model, enter, blocks, interval
        ### END SOLUTION

    def forward(
        self,
        visual: Tensor,
        ids: Int[Tensor, "b t"],
        keep: Bool[Tensor, "b t"],
        visual_mask: Bool[Tensor, "b v"] | None = None,
        sees: Bool[Tensor, "b s s"] | None = None,
        positions: Int[Tensor, "b s"] | None = None,
    ) -> Float[Tensor, "b t w"]:
        ### BEGIN SOLUTION
        words = self.language_model.model.embed_tokens(ids)
        front = words[:, :0] if self.enter is None else self.enter(visual)
        p = front.shape[1]
        real = torch.cat([keep.new_ones(front.shape[:2]), keep], dim=1)
        if positions is None:
            positions = (real.long().cumsum(dim=1) - 1).clamp(min=0)

        def before_layer(i, hidden):
            if self.blocks is None or i % self.interval:
                return hidden
            text = self.blocks[i // self.interval](hidden[:, p:], visual, visual_mask)
            return torch.cat([hidden[:, :p], text], dim=1)

        stream = torch.cat([front, words], dim=1)
        sees = real if sees is None else sees
        return self.language_model(stream, sees, positions, before_layer)[:, p:]
        ### END SOLUTION


# %% check="stream_fusion" points=5
check("stream_fusion", StreamFusion)

# %% [markdown]
# **Use it**: four patterns over one frozen language model, by two arguments. The pieces are those of weeks 2
# and 3, freshly drawn, so this is not about who answers well (section 7 is). We show each another picture,
# and see how far the logits behind the question move; then we set all gates to $\alpha=1$ and look again.
#
# **Prediction:** which of the four is deaf to its picture before any training? And of the hybrid's two doors,
# is one closed then, or none?

# %% experiment="use_stream_fusion"
from course_lib.cross_attention import CrossAttention
from course_lib.gated_cross_attention import GatedCrossAttention
from course_lib.projectors import LinearProjector
from course_lib.resampler import PerceiverResampler

torch.manual_seed(SEED)
lm, d, d_text = world.language_model, world.d_visual, world.d_text


def few(n):
    return nn.Sequential(PerceiverResampler(d, n, n_layers=1, n_heads=4), LinearProjector(d, d_text))


def gated(n):
    blocks = (GatedCrossAttention(CrossAttention(d_text, d, 4, 18), d_text) for _ in range(n))
    return nn.ModuleList(blocks)


fusions = {
    "concatenation": StreamFusion(lm, enter=LinearProjector(d, d_text)),
    "concatenation, bottleneck": StreamFusion(lm, enter=few(9)),
    "cross-attention": StreamFusion(lm, blocks=gated(4)),
    "hybrid": StreamFusion(lm, enter=few(4), blocks=gated(2), interval=2),
}

# %% experiment="four_patterns_at_the_start"
ids = torch.tensor([world.vocabulary.encode("what colour is the ring ?")])
keep = torch.ones_like(ids, dtype=torch.bool)  # True = keep
one, other = world.new.features[:1], world.new.features[1:2]


@torch.no_grad()
def moved(fusion):
    """How far another picture moves the logits behind the last word."""
    return (fusion(one, ids, keep) - fusion(other, ids, keep))[0, -1].abs().max().item()


rows, alone = [], lm(lm.model.embed_tokens(ids), keep, torch.arange(ids.shape[1])[None])
assert torch.equal(fusions["cross-attention"](one, ids, keep), alone)  # bit for bit
for name, fusion in fusions.items():
    front, blocks = 0 if fusion.enter is None else fusion.enter(one).shape[1], fusion.blocks or []
    trained = count(p for p in fusion.parameters() if p.requires_grad)
    start = moved(fusion)
    for block in blocks:
        nn.init.ones_(block.alpha)
    rows.append([name, front, front + ids.shape[1], len(blocks), trained, start, moved(fusion)])
Table(["pattern", "visual tokens", "stream", "blocks", "trained", "moved at the start", "gates open"], rows)

# %% [markdown]
# **What we learnt.** Same question, same frozen model, and a stream of 42, 15, 6 or 10 tokens. The picture's
# share of it is 36, 9, 0 or 4; in a long conversation that share is what counts. Cross-attention is deaf at
# the start, by design: with its gates closed its logits are bit for bit those of the language model alone. It
# pays for an empty stream with 148,996 trained numbers in four blocks, where the plain projector has 16,512.
# The bottleneck has the most of the three pure patterns, 215,296, and moves the logits by 0.12; the
# projector, a thirteenth of it, by 1.1. A fresh bridge says nothing of a trained one: that takes the
# bake-off.
#
# The hybrid has one door open from the first step on, its four tokens in front (0.069); the blocks join as
# their gates open. Whatever enters in front is read from the start, and disturbs from the start, too.

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
# ## 5 · Who may see whom
#
# A language model looks back only. That is the price for training on every word at once: what is to be
# predicted must not be seen. Put a picture in front of such a model, and it obeys the same rule, for no
# reason of its own. Its first token sees itself. Its last sees the picture. **None of them sees the
# question**, because the question comes later. All that a layer does to the picture's tokens, it does without
# knowing what will be asked. One can read that a model with an image in front "routes information from the
# text to the visual tokens". In a causal decoder no such path exists, in any layer: your influence matrix
# will show an empty corner.
#
# The rule is stricter than it need be. Picture and question are *given*; nobody has to predict them, so they
# may look at each other in both directions. Only the answer must stay causal. That is a **prefix-LM**:
#
# $$\text{token } i \text{ sees token } j\iff j\le i\;\text{ or both are of the prefix.}$$
#
# T5's paper compares it with other masks (section 3.2); PaliGemma reads picture and question so,
# and learns from the answer alone. Gemma 3 stands between: its picture's tokens see each other both ways, and
# all text is causal. Then the picture reads itself better, and still does not hear the question.
#
# What does one give up? A causal picture is read once, and its keys and values serve any question. Under a
# prefix-LM the question changes the picture's tokens, from the first layer on. Another question, and all is
# to be read anew.

# %% [markdown]
# ### Exercise 7 · A prefix-LM's mask
#
# Difficulty ●●○○○ · 10 minutes · 3 points
#
# Write `prefix_lm_mask(keep, is_prefix)`: `bool b s`, `bool b s` -> `bool b s s`. Entry `[b, i, j]` is True
# where token i may see token j.
#
# - `is_prefix` is True for what is given (picture, question) and False for what is to be written. A prefix
#   may stand in several pieces, as in a conversation of two turns, and each row has its own.
# - Two tokens of the prefix see each other, whichever comes first. Any other pair is causal: token i sees j
#   if j is not later. So a row without a prefix is causal throughout.
# - True in `keep` is a real token. Nothing sees a token that is not real, but itself.
# - Every token sees itself, padding too, so that no row is empty: softmax over nothing is NaN. What else a
#   padded token sees does not matter.
# - Masks of different shapes are a `ValueError` that names both shapes. What is given is not changed.
#
# <details><summary>Hint 1</summary>
#
# Draw it for three tokens of prefix and two of answer, four quarters. Which is full, which is empty, which is
# a triangle? Does the answer see the whole prefix anyway?
# </details>
# <details><summary>Hint 2</summary>
#
# "Both are of the prefix" is an *and* of a column and a row: `is_prefix` as `b i 1` and as `b 1 j`.
# </details>
# <details><summary>Hint 3</summary>
#
# Who is looked at stands in the last axis. Take the padding out after you have opened the triangle, and put
# the diagonal back last of all.
# </details>
# <details><summary>Hint 4: pseudocode</summary>
#
#     shapes differ? ValueError with both
#     earlier = lower triangle, diagonal included         s s
#     both    = i is prefix and j is prefix               b s s
#     return ((earlier or both) and j is real) or i is j
# </details>


# %% exercise="prefix_lm_mask"
def prefix_lm_mask(keep: Bool[Tensor, "b s"], is_prefix: Bool[Tensor, "b s"]) -> Bool[Tensor, "b s s"]:
    """Who may see whom: the prefix all of the prefix, everything else what is not later. True = may see."""
    ### BEGIN SOLUTION
    if keep.shape != is_prefix.shape:
        raise ValueError(f"{tuple(keep.shape)} and {tuple(is_prefix.shape)}: give both for each token.")
    n = keep.shape[1]
    earlier = torch.ones(n, n, dtype=torch.bool, device=keep.device).tril()
    both = rearrange(is_prefix, "b i -> b i 1") & rearrange(is_prefix, "b j -> b 1 j")
    itself = torch.eye(n, dtype=torch.bool, device=keep.device)
    return ((earlier | both) & rearrange(keep, "b j -> b 1 j")) | itself
    ### END SOLUTION


# %% check="prefix_lm_mask" points=3
check("prefix_lm_mask", prefix_lm_mask)

# %% [markdown]
# **Use it** for three masks: your function gives all of them, by what it is told is prefix. Nothing: causal.
# The picture alone: Gemma 3's for one picture. Picture and question: PaliGemma's.

# %% experiment="use_prefix_lm_mask"
names = ["picture"] * 3 + ["what", "colour", "?", "red", "<end>"]
keep, place = torch.ones(1, 8, dtype=torch.bool), torch.arange(8)[None]  # True = keep
masks = {
    "causal": prefix_lm_mask(keep, place < 0),
    "picture both ways": prefix_lm_mask(keep, place < 3),
    "prefix-LM": prefix_lm_mask(keep, place < 6),
}
panels = {name: mask[0].numpy() for name, mask in masks.items()}
assert not panels["causal"][:3, 3:].any()
assert panels["prefix-LM"][:6, :6].all()
plots.yes_or_no(panels, names, names, title="row: who looks; column: who is looked at")

# %% [markdown]
# Now the same three in the frozen language model, with 36 visual tokens in front of it. We ask about a cross
# instead of a ring, change nothing else, and look behind every layer: how far did the picture's tokens move,
# as a share of their length? **Prediction:** under which mask do they move at all, and from which layer on?

# %% experiment="does_the_picture_hear_the_question"
torch.manual_seed(SEED)
fusion = StreamFusion(world.language_model, enter=LinearProjector(world.d_visual, world.d_text))
layers = world.language_model.model.layers
asked = [world.vocabulary.encode(f"what colour is the {shape} ? red") for shape in ("ring", "cross")]
n = 36 + len(asked[0])
keep, place = torch.ones(2, n, dtype=torch.bool), torch.arange(n).expand(2, n)  # True = keep
rows = []
for name, prefix in {"causal": 0, "picture both ways": 36, "prefix-LM": n - 1}.items():
    sees, states = prefix_lm_mask(keep, place < prefix), []
    watch = lambda layer, given, out, states=states: states.append(out)  # noqa: E731
    hooks = [layer.register_forward_hook(watch) for layer in layers]
    with torch.no_grad():
        fusion(world.new.features[:1].expand(2, -1, -1), torch.tensor(asked), keep[:, 36:], sees=sees)
    for hook in hooks:
        hook.remove()
    moves = [(state[0] - state[1]).norm(dim=-1) / state[0].norm(dim=-1) for state in states]
    n_moved = int((moves[-1][:36] > 0).sum())
    assert n_moved == (36 if name == "prefix-LM" else 0)
    rows.append([name, f"{n_moved} of 36", *(move[:36].mean().item() for move in moves)])
Table(["mask", "visual tokens moved", *(f"behind layer {i}" for i in range(4))], rows)

# %% [markdown]
# **What we learnt.** Under a causal mask not one of 36 visual tokens moves, not in the last digit, behind no
# layer. Letting the picture look at itself both ways changes nothing in that. Under the prefix-LM all 36
# move, behind layer 0 already, by a tenth of their length. So the price can be counted as well. Eight
# questions of nine words behind a causal picture are one row of 36 + 8 · 9 = 108 tokens. Under a prefix-LM
# they are eight rows of 45, which makes 360.
#
# It need not pay: *may* see is not *will use*. This language model has never been trained to look ahead. How
# a prefix-LM does after training stands in section 7.
#
# One step further is one too far: call everything prefix, so that the answer sees itself, too. We train two
# tiny language models on questions and answers alone, without pictures, one under each mask. Then both write
# the first word of answers that are not there to be seen. **Prediction:** which has the lower loss at the end
# of its training, and which is the better one when it has to write?

# %% experiment="a_leak"
from course_lib.language import LanguageModel, LanguageSizes
from course_lib.microworld import draw_questions
from course_lib.microworld.blocks import question_blocks

drawn = [draw_questions(scene, 8, seed=SEED) for scene in world.train.scenes[:200]]
blocks = question_blocks(drawn, world.vocabulary)
ids, keep, answer = (one.flatten(0, 1) for one in (blocks.ids, blocks.keep, blocks.is_answer))
positions, given = torch.arange(ids.shape[1])[None], keep & ~answer  # True = keep


def trained(prefix):
    """A language model of one layer after 60 steps under this mask, and its last loss."""
    torch.manual_seed(SEED)
    tiny = LanguageModel(LanguageSizes(len(world.vocabulary), d_model=32, n_layers=1, n_heads=2, d_hidden=64))
    optimiser = torch.optim.Adam(tiny.parameters(), lr=1e-2)
    for _ in range(5 if FAST else 60):
        row = torch.randint(len(ids), (32,))
        sees, hit = prefix_lm_mask(keep[row], prefix[row]), answer[row, 1:]
        logits = tiny(tiny.model.embed_tokens(ids[row]), sees, positions.expand(32, -1))[:, :-1]
        loss = F.cross_entropy(logits[hit], ids[row, 1:][hit])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return tiny, loss.item()


# %% experiment="a_leak_seen"
sees, last, each = prefix_lm_mask(given, given), given.sum(dim=1) - 1, torch.arange(len(ids))
first_word, rows = ids[each, last + 1], []
for name, prefix in {"prefix-LM": given, "everything is prefix": keep}.items():
    tiny, loss = trained(prefix)
    with torch.no_grad():  # the answer is hidden from everybody, as when one writes it
        logits = tiny(tiny.model.embed_tokens(ids), sees, positions.expand(len(ids), -1))[each, last]
    right = (logits.argmax(dim=-1) == first_word).float().mean().item()
    rows.append([name, loss, F.cross_entropy(logits, first_word).item(), right])
if not FAST:
    assert rows[1][1] < rows[0][1] / 2
    assert rows[1][2] > rows[0][2] * 1.5
Table(["mask in training", "last loss, trained", "loss of the first word, written", "right"], rows)

# %% [markdown]
# **What we learnt.** The lower loss is the worse model. With everything called prefix, the word to be
# predicted stands in plain sight one place further on. The loss falls to 0.10, and what has been learned is
# to copy. When the answer is not there, the loss of its first word is 3.2, against 1.3 for the prefix-LM
# (three seeds: 3.1 to 4.1, against 1.2 to 1.3). The share of right first words hides it, 0.32 against 0.34:
# without a picture both guess. Nothing crashed, and the curve looked better than ever. A loss that is too
# good is a mask to look at.

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
