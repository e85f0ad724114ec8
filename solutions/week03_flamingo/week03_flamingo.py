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
assert rows[0][2:] == ["0.0%"] * 4 and all(row[2] == "0.0%" for row in rows)
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
assert all(ajar.values()) and not any(never.values())
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
assert sizes["attention"] == 159_383_552 and sizes["feed-forward"] == 536_870_912
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
