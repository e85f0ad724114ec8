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
# ## 2 · At the input, raw
#
# The boldest answer to *where?* is the first place there is, and the boldest answer to *what?* is the
# pixels. Cut the picture into squares, lay each square flat, map it to the width of a word by one matrix,
# and put the result into the stream. Fuyu-8B (Bavishi et al. 2023) is a plain causal language model that
# reads pictures in this way. No encoder stands before it, and nobody has seen the picture before the first
# layer does.
#
# $$t_i = W\,p_i + b,\qquad p_i\in\mathbb R^{\,30\cdot30\cdot3},\quad t_i\in\mathbb R^{4096}$$
#
# On our two axes: *at the input*, *raw patches*. Others call it early fusion. It has three charms. There
# is one model instead of two. Nothing that an encoder would have thrown away is gone. And any size can be
# read: where an encoder has a table of positions, which ends somewhere, this has a **newline**, one learned
# token after each row of patches, as in text. What it costs is often told wrong.
#
# * *"It adds no parameters."* Fuyu's map from 2,700 numbers to 4,096 has 11,063,296. That is 0.12 % of the
#   model, and it is not none.
# * *"It costs 150,528."* That is how many numbers a picture of 224 × 224 pixels with three channels has.
#   They are no parameters, and they are no tokens. Fuyu's processor shrinks what is larger than 1,080 ×
#   1,920; at that size a picture is 36 rows of 64 patches with a newline each: 2,340 tokens. Every layer has
#   to carry them.
# * *"VisualBERT does it, too."* VisualBERT (2019) reads *features* of regions that a Faster R-CNN has found.
#   A detector is an encoder. Few really do without. Fuyu is one, and Gemma 4 12B Unified (2026) another,
#   which reads squares of 48 × 48 pixels through norms and two matrices, and adds positions for row and
#   column.
# * *"There is no encoder, so seeing is free."* Somebody has to see. A linear map looks at one square and
#   compares it with nothing. All the rest is left to the layers of the language model, which must be trained
#   for it. And a causal one reads as one reads text: the first square never learns what is in the last.

# %% [markdown]
# ### Exercise 2 · Raw patches
#
# Difficulty ●●○○○ · 10 minutes · 3 points
#
# Write `raw_patches(pictures, patch)`: cut pictures of shape (b, c, y, x) into squares of `patch` × `patch`
# pixels, and lay each one flat. What comes back has shape (b, v, k).
#
# - Height and width may differ. The y/patch · x/patch = v patches come *row by row*: first along the top
#   row of patches, from left to right, then along the second.
# - In a patch there are k = patch · patch · c numbers: pixels row by row, too, and the c channels of a pixel
#   next to each other. That is the order (y x c), Fuyu's.
# - Nothing is calculated. Each number of the picture occurs once, as it is, and passes its gradient on.
# - If patches do not tile a picture, raise a `ValueError` that names the height, the width, `patch`, and the
#   nearest height and width which they tile. No pixel is cut off or added in silence.
# - A `patch` below 1 is a `ValueError` that names it.
#
# <details><summary>Hint 1</summary>
#
# Each of the two long axes is really two: which row of patches, and which row of pixels in it. Split y and
# x, and you have six axes. All the rest is their order.
# </details>
# <details><summary>Hint 2</summary>
#
# `rearrange` can split, reorder and join in one line. In its left side, `(row y)` is a y-axis cut into rows
# of patches, with the pixels of a patch changing fastest. It has to be told how long `y` is.
# </details>
# <details><summary>Hint 3</summary>
#
# In `(a b c)` the last one changes fastest. In a patch, that is the channel.
# </details>
# <details><summary>Hint 4</summary>
#
# `%` finds what is left over, but 5 % 0 is an error of its own: look at `patch` first. `round(side / patch)`
# is the nearest number of patches.
# </details>
# <details><summary>Hint 5: pseudocode</summary>
#
#     if patch < 1: raise ValueError with patch
#     if height or width leaves something over: raise ValueError with height, width, patch,
#         and for each side the nearest multiple of patch
#     split y into (rows of patches, pixels), and x into (columns of patches, pixels), both patch long
#     join rows and columns of patches to one axis, and pixels and channels to another, channels last
# </details>


# %% exercise="raw_patches"
def raw_patches(pictures: Float[Tensor, "b c y x"], patch: int) -> Float[Tensor, "b v k"]:
    """Squares of `patch` pixels, row by row; in each, pixels row by row, and a pixel's channels together."""
    ### BEGIN SOLUTION
    height, width = pictures.shape[2:]
    if patch < 1:
        raise ValueError(f"patch={patch} is no side of a patch; give 1 or more.")
    if height % patch or width % patch:
        near = [max(1, round(side / patch)) * patch for side in (height, width)]
        raise ValueError(
            f"patches of {patch} pixels do not tile {height} x {width}; {near[0]} x {near[1]} they would."
        )
    return rearrange(pictures, "b c (row y) (col x) -> b (row col) (y x c)", y=patch, x=patch)
    ### END SOLUTION


# %% check="raw_patches" points=3
check("raw_patches", raw_patches)

# %% [markdown]
# **Use it** on a picture whose numbers say where they stand: 4 × 6 pixels, three channels, and the number
# is channel, row and column, so that 213 is channel 2, row 1, column 3. **Prediction:** in patches of 2,
# how many patches are there, and with which three numbers does patch 4 begin?

# %% experiment="use_raw_patches"
c, y, x = torch.meshgrid(torch.arange(3), torch.arange(4), torch.arange(6), indexing="ij")
told = raw_patches((100 * c + 10 * y + x)[None].float(), 2)[0].int()
assert told[4, :3].tolist() == [22, 122, 222]
rows = [[v, " ".join(f"{n:03}" for n in numbers)] for v, numbers in enumerate(told.tolist())]
Table(["patch", "its 12 numbers"], rows)

# %% [markdown]
# Patch 4 is the middle one of the second row. It opens with pixel (2, 2) in its three channels.
#
# **Does the order matter?** We cut a scene into 36 patches of 192 numbers, and put it together again in
# three ways: as it was cut, as if the channels came first in a patch, and as if the patches came column by
# column. **Prediction:** what do the two wrong ones look like? And a linear map that is *trained* on
# patches in the wrong order: will it do worse?

# %% experiment="order_in_a_patch"
from course_lib.vision import to_pixels

scene = to_pixels(torch.from_numpy(world.new.pictures[2:3]))
flat = raw_patches(scene, 8)
rows_first = flat.unflatten(1, (6, 6))
cut = {
    "as it was cut": rows_first.unflatten(3, (8, 8, 3)),
    "channels first": rows_first.unflatten(3, (3, 8, 8)).movedim(3, 5),
    "by column": rows_first.transpose(1, 2).unflatten(3, (8, 8, 3)),
}
again = {name: six.permute(0, 5, 1, 3, 2, 4).reshape(scene.shape) for name, six in cut.items()}
assert torch.equal(again["as it was cut"], scene)

torch.manual_seed(SEED)
shuffle, drawn = torch.randperm(192), nn.Linear(192, world.d_text)
renamed = F.linear(flat[..., shuffle], drawn.weight[:, shuffle], drawn.bias)
torch.testing.assert_close(renamed, drawn(flat))  # the map's columns in the same new order
moved = (drawn(flat[..., shuffle]) - drawn(flat)).abs().mean() / drawn(flat).abs().mean()
print(f"the map's columns as they were: the tokens move by {moved.item():.0%} of their size")
pictures = [(rearrange(p, "1 c y x -> y x c") * 127.5 + 127.5).byte().numpy() for p in again.values()]
plots.album(pictures, list(again), "One scene, put together from its patches in three ways")

# %% [markdown]
# **What we learnt.** With the channels read first, each thing stays in its patches and falls into coloured
# stripes: the top third of a patch has become its red, the middle its green, the rest its blue. By column,
# the scene is mirrored at its diagonal while each patch stays upright, so that things break where patches
# meet.
#
# A map trained on another order would do no worse. Give its columns the same new order, and its tokens are
# the same: that is the assert. A map that is *loaded* knows one order. In any other its tokens move by 98 %
# of their size, no shape is wrong, and no error message comes. So the order is written down, and held
# against the model that the numbers come from.
#
# **Any size.** Two scenes side by side make a picture of 48 × 96. **Prediction:** what do your patches make
# of it, and what does the course's image encoder?

# %% experiment="another_width"
wide = torch.cat(list(to_pixels(torch.from_numpy(world.new.pictures[2:4]))), dim=2)[None]
print(f"48 x 96: {tuple(raw_patches(wide, 8).shape)}, in rows of {wide.shape[3] // 8}")
for said in (lambda: world.encoder(wide), lambda: raw_patches(wide[..., :90], 8)):
    try:
        said()
    except ValueError as problem:
        print(f"{type(problem).__name__}: {problem}")
assert torch.equal(raw_patches(wide, 8).unflatten(1, (6, 12))[:, :, :6].flatten(1, 2), flat)

# %% [markdown]
# **What we learnt.** Twice the width is 72 patches instead of 36, and the left half of each row is what it
# was. The encoder has learnt 36 positions and one size, and refuses. Patches of 8 have a demand of their
# own: the sides must be multiples of 8. Fuyu's processor pads a picture until they are.

# %% [markdown]
# ### Where a row ends
#
# Laid in one line, 36 patches do not say what they were. Six rows of 6? Four of 9? The language model knows
# the place of each token in the line and no more, and which patch stands *below* another depends on the
# width. The course's encoder adds a table of 36 positions, and is tied to one size by it. Fuyu puts a
# newline after each row, the last one too. It is one learned vector, the same for all rows and all
# pictures. So a picture of r rows and c columns costs r · (c + 1) tokens.

# %% [markdown]
# ### Exercise 3 · Patches become words
#
# Difficulty ●●○○○ · 10 minutes · 3 points
#
# Write `EarlyFusion(n_numbers, d_text)`: raw patches as tokens of the language model's stream.
#
# - `self.vision_embed_tokens` is one `nn.Linear` from the `n_numbers` of a patch to `d_text`, with its bias.
#   The name is Fuyu's.
# - `self.newline` is an `nn.Parameter` of shape (d_text,). Draw it small, about 0.02.
# - `forward(patches, columns)` takes patches of shape (b, v, k), row by row, of which `columns` make one
#   row. It returns the stream, of shape (b, v + v/columns, d_text): the tokens of a row, then the newline,
#   then the next row. The last row has its newline, too.
# - Nothing else happens: no positions, no norm, no activation, no scale. The newline does not go through the
#   map.
# - If `columns` is below 1 or does not divide v, raise a `ValueError` that names both numbers.
#
# Weights are loaded by these names, and all of them train.
#
# <details><summary>Hint 1</summary>
#
# First all the patches go through the map, at once. Then the line becomes rows. Which shape has it then?
# </details>
# <details><summary>Hint 2</summary>
#
# As b row col d, the newlines are one more column. `torch.cat` along that axis needs them as b row 1 d:
# `repeat` makes that of a vector.
# </details>
# <details><summary>Hint 3</summary>
#
# 28 % -7 is 0, and 28 % 0 is an error of its own: ask first whether `columns` is at least 1.
# </details>
# <details><summary>Hint 4: pseudocode</summary>
#
#     init:     vision_embed_tokens = Linear(n_numbers, d_text);  newline = Parameter(d_text small numbers)
#     forward:  if columns < 1 or v % columns: raise ValueError with v and columns
#               rows = vision_embed_tokens(patches), cut into rows:  b row col d
#               ends = newline, repeated:                            b row 1 d
#               return cat(rows, ends) along the columns, and back into one line
# </details>


# %% exercise="early_fusion"
class EarlyFusion(nn.Module):
    """Raw patches as tokens, and a newline after each row of them."""

    def __init__(self, n_numbers: int, d_text: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.vision_embed_tokens = nn.Linear(n_numbers, d_text)
        self.newline = nn.Parameter(0.02 * torch.randn(d_text))
        ### END SOLUTION

    def forward(self, patches: Float[Tensor, "b v k"], columns: int) -> Float[Tensor, "b p d_text"]:
        ### BEGIN SOLUTION
        b, v, _ = patches.shape
        if columns < 1 or v % columns:
            raise ValueError(f"{v} patches do not make rows of {columns}; give the patches in one row.")
        rows = rearrange(self.vision_embed_tokens(patches), "b (row col) d -> b row col d", col=columns)
        ends = repeat(self.newline, "d -> b row 1 d", b=b, row=v // columns)
        return torch.cat([rows, ends], dim=2).flatten(1, 2)
        ### END SOLUTION


# %% check="early_fusion" points=3
check("early_fusion", EarlyFusion)

# %% [markdown]
# **Use it** on one line of 36 patches, and tell it four stories about their rows. **Prediction:** 6 rows of
# 6, 4 of 9, 9 of 4, 2 of 18: how many tokens is each, and what differs between them but newlines?

# %% experiment="use_early_fusion"
torch.manual_seed(SEED)
early = EarlyFusion(192, world.d_text)
with torch.no_grad():
    plain = early.vision_embed_tokens(flat)
    for columns in (6, 9, 4, 18):
        stream = early(flat, columns)
        ends = (stream == early.newline).all(dim=-1)[0]
        line = "".join(".|"[one] for one in ends)
        print(f"{36 // columns} rows of {columns:2}, {len(line)} tokens  {line}")
        torch.testing.assert_close(stream[:, ~ends], plain)

# %% [markdown]
# **What we learnt.** 42, 40, 45 and 38 tokens, and without the newlines they are the same 36. All that
# a model is told of a picture's shape is told by the bars. Wide pictures are cheaper than high ones.
#
# **Who does the seeing?** We change one pixel of a scene, and look at what reaches the language model: on
# the one side your stream, on the other the features of the frozen encoder. **Prediction:** how many of the
# 42 tokens move, and how many of the 36?

# %% experiment="one_pixel"
before = world.new.pictures[2:3]
after = before.copy()
after[0, 20, 29] = 255 - after[0, 20, 29]
with torch.no_grad():
    old, new = (early(raw_patches(to_pixels(torch.from_numpy(one)), 8), 6) for one in (before, after))
pairs = {"raw patches": (old, new), "features": (world.features(before), world.features(after))}
rows = []
for name, (one, other) in pairs.items():
    moved = ((one - other).abs().amax(dim=-1)[0] > 1e-4).nonzero().flatten().tolist()
    rows.append([name, one.shape[1], len(moved), moved[0] if len(moved) == 1 else "all"])
assert [row[2] for row in rows] == [1, 36]
Table(["what arrives", "tokens", "moved by one pixel", "which"], rows)

# %% [markdown]
# **What we learnt.** One raw token moves, number 17 of the stream: row 2, column 3, two newlines before it.
# All 36 features move, for in an encoder every patch has heard of every other. So an encoder's tokens are
# *seen* already, and raw ones are not. Whoever takes the encoder away moves its work into the language
# model, and has to train that for it. Section 7 measures what becomes of raw patches if the language model
# stays frozen.
#
# **At full size.** Fuyu's patch has 30 × 30 pixels, and its words have 4,096 numbers. On the meta device
# there are shapes and no numbers. **Prediction:** how does the number of parameters grow with the picture?

# %% experiment="fuyus_size"
with torch.device("meta"):
    fuyu = EarlyFusion(30 * 30 * 3, 4096)
    rows = []
    for height, width in ((240, 240), (300, 300), (1080, 1920), (1920, 1080)):
        stream = fuyu(raw_patches(torch.zeros(1, 3, height, width), 30), width // 30)
        v, tokens = height * width // 900, stream.shape[1]
        rows.append([f"{height} x {width}", 3 * height * width, v, tokens - v, tokens, count(fuyu)])
assert count(fuyu.vision_embed_tokens) == 11_063_296
Table(["picture", "numbers", "patches", "newlines", "tokens", "parameters"], rows)

# %% [markdown]
# **What we learnt.** Not at all: 11,063,296 for the map and 4,096 for the newline, whatever comes. It is
# the tokens that grow. 224 × 224 pixels, the 150,528 numbers of the popular figure, are not tiled by 30;
# padded to 240 × 240 they are 72 tokens. A full screen is 2,340, and turned on its side it would be
# 2,368: more rows, more newlines.

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
