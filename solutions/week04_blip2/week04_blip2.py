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
# ### Contrast: which text belongs to which picture?
#
# A batch holds $b$ pictures with their texts. The contrastive task lays all $b\times b$ pairs out as a table
# and asks, along each row, which text is the right one, and along each column, which picture. The answer is
# always on the diagonal. Both sides are projected to one width and brought to length 1, so that only
# directions count. A text is one vector, its [CLS]. A picture is as many as it has queries, $z_{i1},\ldots,
# z_{iq}$, and the *nearest* of them speaks for it:
#
# $$s_{ij}=\max_q\ \cos(z_{iq},\,t_j),\qquad
# \text{loss}=\tfrac12\big[\mathrm{CE}(s/\tau)+\mathrm{CE}(s^{\top}/\tau)\big]$$
#
# Four details are often told wrong. It is the largest cosine, not the mean: one query may speak of the ring
# and another of the square. It is found anew for each text. The temperature $\tau$ *divides*. It starts at
# 0.07 and is a parameter, so it learns like everything else; CLIP keeps the logarithm of a factor instead,
# and multiplies. And a tenth of the target is spread evenly over all texts of the batch (label smoothing, as
# in the published code), so this loss never comes down to 0, however good the model.

# %% [markdown]
# ### Exercise 3 · The contrastive loss
#
# Difficulty ●●○○○ · 15 minutes · 3 points
#
# Write `itc_loss(pictures, texts, temperature, smoothing=0.1)`.
#
# * `pictures` is float[b q e], the projected queries, and `texts` float[b e]. Neither has length 1 yet.
# * `temperature` is a number, or a tensor that learns. The cosines are divided by it.
# * `smoothing` is the share of the target that is spread over all `b`; `F.cross_entropy` knows it as
#   `label_smoothing`. Both directions get it.
# * Return one number: the mean of the two cross-entropies, each a mean over the batch.
# * Another number of pictures than of texts is a `ValueError` that names both numbers.
#
# <details><summary>Hint 1</summary>
#
# Build the table in three steps: lengths to 1, all cosines as [b q k] with `k` for the texts, then the
# largest over one of the axes. Which of the three must be gone?
# </details>
# <details><summary>Hint 2</summary>
#
# `F.normalize` has a `dim`, and its default is 1. For a tensor [b q e], what is axis 1?
# </details>
# <details><summary>Hint 3</summary>
#
# `F.cross_entropy(logits, right)` wants logits, not probabilities, and for each row the number of the right
# column: 0, 1, 2, ... For the other direction transpose the table; the numbers stay.
# </details>
# <details><summary>Hint 4: pseudocode</summary>
#
#     pictures, texts = each vector divided by its length
#     cosine[b, q, k] = queries of picture b times text k
#     logits = largest over q, divided by temperature
#     right = 0 ... b - 1
#     return half of (cross_entropy of logits + cross_entropy of logits transposed), both smoothed
# </details>


# %% exercise="itc_loss"
def itc_loss(
    pictures: Float[Tensor, "b q e"],
    texts: Float[Tensor, "b e"],
    temperature: Float[Tensor, ""] | float,
    smoothing: float = 0.1,
) -> Float[Tensor, ""]:
    """Each picture seeks its text and each text its picture, by the cosine of the nearest query."""
    ### BEGIN SOLUTION
    if len(pictures) != len(texts):
        raise ValueError(f"{len(pictures)} pictures and {len(texts)} texts are no pairs.")
    pictures, texts = F.normalize(pictures, dim=-1), F.normalize(texts, dim=-1)
    logits = reduce(pictures @ texts.T, "b q k -> b k", "max") / temperature
    right = torch.arange(len(logits), device=logits.device)
    rows = F.cross_entropy(logits, right, label_smoothing=smoothing)
    columns = F.cross_entropy(logits.T, right, label_smoothing=smoothing)
    return (rows + columns) / 2
    ### END SOLUTION


# %% check="itc_loss" points=3
check("itc_loss", itc_loss)

# %% [markdown]
# ### Wrong pairs that are nearly right
#
# The matching task asks of one pair: does it belong together? For a wrong pair we take a text from elsewhere
# in the batch. But which? A random one is mostly absurd, and is refused at a glance. The contrastive table
# knows better ones: it says which other text the picture is most easily confused with.
#
# One often reads that the *hardest* negative is taken. The published code of BLIP-2 does not do that. It
# **draws**, with a softmax over the row, the own text masked out:
#
# $$P(\text{picture } i \text{ draws text } j)=\frac{e^{\,l_{ij}}}{\sum_{k\neq i}e^{\,l_{ik}}},\qquad
# l=\frac{s}{\tau}$$
#
# So the more alike, the likelier, and none is certain. One reason is heard for it: in a big batch the
# hardest wrong text may simply be *true* of the picture, and argmax would always call it wrong. Keep that in
# mind. Once your draws work, we measure whether drawing helps.

# %% [markdown]
# ### Exercise 4 · Draw hard negatives
#
# Difficulty ●●●○○ · 15 minutes · 3 points
#
# Write `sample_negatives(logits)`. `logits` is float[b b], similarity over temperature, with pictures in rows
# and texts in columns. Return two tensors of whole numbers, int[b] each:
#
# * first, for each **picture** the number of a wrong text, drawn with a softmax over the others in its row;
# * then, for each **text** the number of a wrong picture, drawn likewise from its column.
#
# The own one is never drawn, whatever the logits are; a small temperature makes them hundreds. Each draws for
# itself, from torch's global generator. `logits` stays as it was: the contrastive loss needs it. A batch of
# one has no wrong pair and is a `ValueError` that names its size.
#
# No single draw is right or wrong, so the checks count. They call your function with many seeds and compare
# shares with the softmax. A right answer fails them by bad luck less than once in ten million times.
#
# <details><summary>Hint 1</summary>
#
# `torch.multinomial(probabilities, 1)` draws one column for each row and returns shape [b 1].
# </details>
# <details><summary>Hint 2</summary>
#
# Masking after the softmax nearly works. But if the own one takes all of it, the others have rounded to 0,
# and nothing is left to draw from. Which logit becomes a probability of exactly 0?
# </details>
# <details><summary>Hint 3</summary>
#
# For the texts nothing is new. They look down the columns, which are the rows of which table?
# </details>
# <details><summary>Hint 4: pseudocode</summary>
#
#     refuse a batch of one
#     own = the diagonal, as booleans (True here = the own pair, to be ruled out)
#     for the table, and for the table transposed:
#         probabilities = softmax along each row of the table with own at minus infinity
#         one draw for each row
# </details>


# %% exercise="sample_negatives"
def sample_negatives(logits: Float[Tensor, "b b"]) -> tuple[Int[Tensor, " b"], Int[Tensor, " b"]]:
    """A wrong text for each picture, then a wrong picture for each text: the more alike, the likelier."""
    ### BEGIN SOLUTION
    if len(logits) < 2:
        raise ValueError(f"a batch of {len(logits)} has no wrong pair.")
    own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    texts, pictures = (
        torch.multinomial(table.masked_fill(own, -torch.inf).softmax(dim=1), 1)[:, 0]
        for table in (logits.detach(), logits.detach().T)
    )
    return texts, pictures
    ### END SOLUTION


# %% check="sample_negatives" points=3
check("sample_negatives", sample_negatives)

# %% [markdown]
# **Use it** on a table that means something. The course's frozen encoder was trained together with a text
# tower, so the two can say how alike a picture and a sentence are. We take eight pictures of one thing each,
# and let one of them, of a big green square, draw its wrong text ten thousand times.
#
# **Prediction.** There are seven other texts, and the most alike has about half of the softmax. How many of
# the seven does argmax ever show to this picture? And how many do your draws?

# %% experiment="use_sample_negatives"
from course_lib.backbones import load_contrastive
from course_lib.microworld import caption
from course_lib.vision import to_pixels

scenes, towers = world.train.scenes, load_contrastive()


@torch.no_grad()
def alike(rows):
    """Cosine over temperature for every picture (row) and every caption (column) of these scenes."""
    texts = world.vocabulary.rows([f"<start> {caption(scenes[i])} <end>" for i in rows], 32)
    return towers(to_pixels(torch.tensor(world.train.pictures[rows])), torch.tensor(texts)).T


torch.manual_seed(SEED)
eight = [i for i, scene in enumerate(scenes) if len(scene.things) == 1][8:16]
logits, one = alike(eight), 2
softmax = logits[one].index_fill(0, torch.tensor(one), -torch.inf).softmax(dim=0)
drawn = torch.stack([sample_negatives(logits)[0][one] for _ in range(10_000)]).bincount(minlength=8) / 10_000
hardest = F.one_hot(softmax.argmax(), 8).float()
assert (drawn - softmax).abs().max() < 0.03
shares = {"softmax over the others": softmax, "10,000 draws": drawn, "argmax": hardest}
by_share = softmax.argsort(descending=True).tolist()
others = {j: " ".join(caption(scenes[eight[j]]).split()[1:4]) for j in by_share if j != one}
scores = {name: {text: share[j].item() for j, text in others.items()} for name, share in shares.items()}
plots.by_kind(scores, xlabel=f"wrong texts for: {caption(scenes[eight[one]])}", ylabel="share")

# %% [markdown]
# **Prediction.** Now batches of 256 scenes of up to four things. A text is *true* of a picture when
# everything it names is there. In how many of the 256 rows is the hardest wrong text in fact true? And are
# draws safer than argmax?

# %% experiment="true_negatives"
rows, many = [], 64 if FAST else 256
for start in range(0, (2 if FAST else 4) * many, many):
    batch = range(start, start + many)
    logits = alike(list(batch))
    things = [set(scenes[i].things) for i in batch]
    true = torch.tensor([[text <= picture for text in things] for picture in things])
    true.fill_diagonal_(False)
    shares = logits.masked_fill(torch.eye(many, dtype=torch.bool), -torch.inf).softmax(dim=1)
    hardest = true[torch.arange(many), shares.argmax(dim=1)]
    drawn = torch.stack([true[torch.arange(many), sample_negatives(logits)[0]] for _ in range(8)])
    rows.append([x.float().mean().item() for x in (hardest, drawn, true.sum(dim=1) / (many - 1))])
mean = [f"{100 * x:.1f} %" for x in torch.tensor(rows).mean(dim=0).tolist()]
ways = ["argmax", "drawn", "drawn evenly"]
Table(["wrong text", "true after all"], [*zip(ways, mean, strict=True)])

# %% [markdown]
# **What we learnt.** argmax shows this picture one of the seven texts, always the same. Your draws follow the
# softmax to a hundredth and show all seven, the pink cross once in ten thousand. Alike is what the towers
# confuse, not what shares words: the green cross, alike in colour, has 1 %. And see what the mask keeps out:
# the picture's own logit is 16.0, and the next one is 3.0. Without the mask, 999,996 draws in a million would
# be the right text.
#
# The second table is less comfortable. With 256 pairs the hardest wrong text is true of the picture in 13.0 %
# of the rows, about sixty times as often as one drawn evenly: what makes a text hard also makes it likely to
# be true. Drawing hardly helps, 12.1 %, because a true text has a large share as well. So drawing is not what
# protects from false negatives; it brings variety. What protects is knowledge: where several captions belong
# to one picture and the data say so, BLIP-2's published code masks every pair of the same picture, not the
# diagonal alone.

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
