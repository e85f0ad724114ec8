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
# ## 1 · Where can they meet?
#
# A picture and a question go in, an answer comes out. Somewhere on the way the two have to meet. Weeks 2 to 4
# built three meeting places: tokens in front of the words, blocks between the layers, a Q-Former that sums up
# first. This week lays all of them on one table, and asks every system the same two questions:
#
# 1. **Where do they meet?** At the input of the language model, between its layers, at both, or at the
#    output.
# 2. **What of the picture arrives there?** Raw patches, or the features of an encoder that has looked
#    already.
#
# A diagram answers neither reliably. It shows boxes and arrows, not what an arrow can carry: a mask may shut
# it, a gate may be closed, a norm may open a path that nobody drew. An attention map shows where one layer
# looks, not what has come through four of them.
#
# So the first tool of this week asks the model itself. Change one input and hold all others. Whatever moves
# can be influenced by it. Whatever stays, to the last bit, in try after try, in all likelihood cannot. This
# needs to know nothing about the model, and it goes first because you will hold it against everything that
# you build this week.

# %% [markdown]
# ### Exercise 1 · Who can influence whom
#
# Difficulty ●●○○○ · 15 minutes · 3 points
#
# Write `influence_matrix(run, inputs, tries=3, seed=0)`.
#
# - `run` is the model: `run(a list of tensors)` gives a list of tensors. How many come out need not be how
#   many went in. `inputs` is a list of tensors of floats, of any shapes.
# - It returns `bool[o n]`, a row for each output and a column for each input. Entry (o, n) is True if output
#   o differs from what it is for your `inputs` when input n *alone* is replaced, by standard normal numbers
#   of the same shape and type. Each input gets `tries` different replacements, and one that arrives is
#   enough.
# - An output differs if any of its numbers does, however little. No tolerance.
# - All replacements come from one `torch.Generator`, seeded with `seed`.
# - A model may write into what it is given, and may hand out the same tensors again at the next call. Your
#   `inputs` must be afterwards what they were before.
# - `ValueError` if there is no input or `tries` is below 1, with the number in the message; and if two runs
#   on the same `inputs` differ, because then a change proves nothing.
#
# A True is a proof. A False is evidence, and grows with the tries.
#
# <details><summary>Hint 1</summary>
#
# Why exact? A masked key gets the weight 0.0, not a small one, and 0.0 times anything is 0.0. What cannot
# arrive leaves the same bits. `torch.equal` asks for that.
# </details>
# <details><summary>Hint 2</summary>
#
# Why replace, and not nudge, or set to zero? A norm takes a shift off. A ReLU that is shut has no slope.
# Zeros change nothing where zeros were.
# </details>
# <details><summary>Hint 3</summary>
#
# Three things need copies: what you hand to `run`, each time; the first answer, which you keep; and the list
# in which one tensor is replaced. `[one.clone() for one in inputs]` is such a copy.
# </details>
# <details><summary>Hint 4: pseudocode</summary>
#
#     refuse no input, or tries < 1
#     before = copies of run(copies of inputs);   again = run(copies of inputs);   refuse if they differ
#     moved = all False, one row per output, one column per input
#     for each input n, for each try:
#         changed = copies of inputs;   changed[n] = random numbers from the generator
#         after = run(changed)
#         for each output o:   moved[o, n] = moved[o, n] or before[o] is not exactly after[o]
# </details>


# %% exercise="influence_matrix"
@torch.no_grad()
def influence_matrix(
    run: Callable[[list[Tensor]], Sequence[Tensor]], inputs: Sequence[Tensor], tries: int = 3, seed: int = 0
) -> Bool[Tensor, "o n"]:
    """True where an output changes when one input is replaced by random numbers and all others stay."""
    ### BEGIN SOLUTION
    if not inputs or tries < 1:
        raise ValueError(f"{len(inputs)} inputs and {tries} tries; give at least one of each.")
    draw = torch.Generator().manual_seed(seed)
    before = [out.clone() for out in run([one.clone() for one in inputs])]
    again = run([one.clone() for one in inputs])
    if not all(map(torch.equal, before, again)):
        raise ValueError("two runs with the same inputs differ; is dropout awake? Call eval() first.")
    moved = torch.zeros(len(before), len(inputs), dtype=torch.bool)
    for n, one in enumerate(inputs):
        for _ in range(tries):
            changed = [other.clone() for other in inputs]
            changed[n] = torch.randn(one.shape, generator=draw, dtype=one.dtype)
            for o, after in enumerate(run(changed)):
                moved[o, n] |= not torch.equal(before[o], after)
    return moved
    ### END SOLUTION


# %% check="influence_matrix" points=3
check("influence_matrix", influence_matrix)

# %% [markdown]
# **Use it** on something small: six tokens, and four ways to handle them. A LayerNorm over the width of each
# token, as every transformer has it, and one over the whole row. Then attention in a window: True in `sees`
# means that token i may see token j, and each may see itself and its left neighbour. **Prediction:** which of
# the two norms lets tokens influence each other? And how far does the window reach after three layers?

# %% experiment="use_influence_matrix"
torch.manual_seed(SEED)
names, six = [f"token {n}" for n in range(1, 7)], [*torch.randn(6, 8)]
sees = torch.ones(6, 6, dtype=torch.bool).tril().triu(-1)  # True = keep: itself, and its left neighbour


def window(tokens, n_layers):
    row = torch.stack(tokens)[None]
    for _ in range(n_layers):
        normed = F.layer_norm(row, (8,))
        row = row + F.scaled_dot_product_attention(normed, normed, normed, attn_mask=sees)
    return [*row[0]]


found = {
    "norm over each token": influence_matrix(lambda tokens: [F.layer_norm(one, (8,)) for one in tokens], six),
    "norm over the row": influence_matrix(lambda tokens: [*F.layer_norm(torch.stack(tokens), (6, 8))], six),
    "one layer of a window": influence_matrix(lambda tokens: window(tokens, 1), six),
    "three layers of it": influence_matrix(lambda tokens: window(tokens, 3), six),
}
assert torch.equal(found["norm over each token"], torch.eye(6, dtype=torch.bool))
assert found["norm over the row"].all()
for n, name in ((1, "one layer of a window"), (3, "three layers of it")):
    assert torch.equal(found[name], torch.linalg.matrix_power(sees.float(), n) > 0)
plots.yes_or_no(found, names, names, title="Column: what is replaced; row: what moves", across=4)

# %% [markdown]
# **What we learnt.** A norm over the row fills the table: 36 of 36. It has no attention and no mask, and yet
# every token influences every other, the later ones the earlier ones included. In a causal model it would
# hand each word the words that it is to predict, so such a model has to normalise each token by itself.
#
# The window reaches one token further with every layer: 11 entries after one, 18 after three. The mask is the
# same each time. What a model can route is not its mask but the mask's *power*: with $M$ for the mask and $L$
# layers, whatever is not zero in $M^L$. For a causal mask that changes nothing, since $M^L$ has the same
# triangle as $M$; a token that may not see forward will not after a hundred layers. Keep that for section 5.
#
# One warning. Take the norm out of `window`, and only 15 of the 18 are found, and 16 with a hundred tries.
# Without it the tokens grow from layer to layer, attention saturates, and a weight that is too small to be
# seen beside 1 carries nothing, in float64 either. The path is there, and at these numbers nothing passes. So
# a False is evidence about a model *as it is*; only the mask's power says what no weights could change.

# %% [markdown]
# ### Three words that name nothing
#
# You will meet *early*, *mid* and *late fusion* in every text on the subject. Take the commonest design of
# all, LLaVA's: an encoder looks, a projector maps, and its tokens stand in front of the words. Is that early,
# mid or late? Published answers:
#
# | it is called | by | because |
# |---|---|---|
# | early | Wadekar et al. 2024, arXiv:2405.17927, type C | it joins at the *input* of the language model |
# | mid | Microsoft's card of Phi-4-reasoning-vision-15B, 2026 | it joins *between* two trained models |
# | late | Shukor et al. 2025, arXiv:2504.07951 | an encoder works on the picture *alone* first |
#
# All three, then. Older work means something else again. In the survey of Baltrušaitis et al. 2017
# (arXiv:1705.09406), early is joining *features* and late is joining *decisions*. In Nagrani et al. 2021
# (arXiv:2107.00135), mid is a layer's number: where two streams begin to exchange anything. And Chameleon
# (arXiv:2405.09818) has "early-fusion" in its title for a model without any encoder. So a sentence such as
# "early fusion beats late fusion" says nothing until you know who says it. Here is what we say instead:
#
# | where ↓ · what → | raw patches | an encoder's features |
# |---|---|---|
# | **at the input** | Fuyu | LLaVA · Qwen-VL, 256 queries · BLIP-2, 32 queries · PaliGemma, prefix-LM |
# | **between layers** | | Flamingo · Llama 3.2-Vision |
# | **at the input and between layers** | | NVLM-H: a thumbnail in front, tiles between |
# | **at the output** | | CLIP: two vectors, compared |
#
# Nothing forbids the empty cells. Chameleon and Emu3 (arXiv:2409.18869) add a third *what*, at the input:
# discrete codes from a learned tokenizer, which the language model reads, and can write, like words.
#
# Four things are often told otherwise.
#
# * *"Every major vision-language model since 2022 uses mid fusion."* In whichever sense: Fuyu (2023) reads
#   raw patches, Chameleon and Emu3 (2024) read codes.
# * *"VisualBERT works on raw pixels, without an encoder."* It reads regions that a Faster R-CNN has found
#   (arXiv:1908.03557): at the input, features.
# * *"GPT-4o, Claude and Gemini use hybrid fusion."* Where picture and words meet in them is not public. A
#   diagram of it is a guess, and this course has none.
# * *"A model needs a fusion module."* Put visual tokens and words into one stream, and self-attention has
#   nothing that tells them apart. **Self-attention is already a fusion mechanism**; a module besides it is
#   there for cost, or to keep a frozen model as it was.
#
# The patterns that you will compare all week, in these names (the short names on the left keep two of the old
# words, as labels of the exercises):

# %% experiment="names"
from course_lib.fusion import PATTERNS

rows = [[name, one.where, one.what, one.trains] for name, one in PATTERNS.items()]
Table(["pattern", "where they meet", "what arrives", "what trains"], rows)

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
# ### Eleven patterns, one experiment
#
# Now all of it together: every pattern, built from **your** parts, and asked by **your** `influence_matrix`.
# The picture is cut into three strips, the question into its words; each is replaced alone. What moves is
# looked at behind the last layer: the visual tokens in three parts, then the logits at each word. The models
# are untrained, and that is enough: where there is no path, training cannot lay one. Gates are opened by
# hand, from 0 to 1, because a gate that is shut hides everything behind it.
#
# Two remarks on reading it. Where an encoder's features arrive, a strip is a strip of *features*: the encoder
# itself has long since mixed the whole picture. And at the output, in `late`, rows are the two towers' own
# tokens, and the row "answer" is the head.
#
# **Prediction:** `early` has no encoder, `linear` a matrix, `mlp` two. How far do their three tables differ?
# In which patterns does any visual token know of the question? And does the answer ever reach what stands
# before it?

# %% experiment="influence"
from course_lib.fusion import Parts
from course_lib.fusion_influence import HEARD, STRIPS, TOKENS, depths, drawn, how_deep, who_influences_whom

parts = Parts(raw_patches, EarlyFusion, LateFusion, StreamFusion, thumbnail, prefix_lm_mask)
torch.manual_seed(SEED)
built = {name: one.build(world, parts) for name, one in PATTERNS.items()}
met = {name: who_influences_whom(influence_matrix, model, world) for name, model in built.items()}
drawn(met)

# %% experiment="influence_laws"
question, answer = met["linear"].columns[3:-1], met["linear"].columns[-1:]
for name, one in met.items():
    where = PATTERNS[name].where
    assert not one.reaches(answer, (*TOKENS, *question)).any()  # nobody knows what is still to be said
    assert one.reaches((*STRIPS, *question), ["answer"]).all()  # and the answer hears everything
    knows = one.reaches(question, TOKENS)  # does a visual token know of the question?
    assert knows.all() if name == "prefix-lm" else not knows.any()
    words = one.reaches(STRIPS, question)  # does a word know of the picture, before the head?
    assert not words.any() if where == "output" else words.all()
    assert (where == "layers") == (not set(TOKENS) & set(one.rows))  # then no visual token is in the stream
same = [name for name, one in met.items() if torch.equal(one.moved, met["early"].moved)]
print("the very same table:", " · ".join(same))
assert same == ["early", "early, frozen", "linear", "mlp", "merge"]

# %% [markdown]
# **What we learnt.** Five of the eleven tables are the same to the last entry, from raw patches and a
# language model that starts from nothing, to features, merged four to one, in front of a frozen one. *What*
# arrives does not show here at all. *Where* it arrives, and the mask, decide who can influence whom.
#
# * **In a causal stream, a picture that stands first never knows the question.** The upper right block is
#   empty in every pattern but one. That text routes information to the visual tokens is said of such models,
#   and cannot be: their states are the same whatever you ask. (Which is what lets a server keep them.)
# * It does not even know itself: its first tokens have never seen its last rows. With features the encoder
#   has mixed them before; with raw patches nobody has.
# * **With a prefix-LM mask** both hold no longer: the block is full, and only the answer's column stays
#   empty.
# * **A bottleneck** (`resampler`, `q-former`) fills the small square: each of its tokens has read everything.
#   Where tokens stand no longer says what they have seen.
# * **Between layers** there is no visual token in the stream: the picture is looked at, and is never changed
#   by what the language model thinks. Its lower half is that of `linear`, all the same.
# * **At the output** picture and words make two blocks with nothing between them. They meet in one row.
#
# Tables like these say what *can* flow. Whether it does, and helps, is the bake-off's question.
#
# **How deep do they meet?** The same experiment, at each layer. **Prediction:** after which of the language
# model's four layers do the question's words first know of the picture: in `linear`, in `cross-attention`, in
# `late`? Which of these would you call early, mid, late?

# %% experiment="influence_depth"
deep = {name: depths(influence_matrix, model, world) for name, model in built.items()}
know = {name: one[HEARD[0]].tolist() for name, one in deep.items()}
for name, one in know.items():
    where = PATTERNS[name].where
    assert one[0] == ("layers" in where)  # a block before layer 1 comes before any self-attention
    assert one == ([False] * 5 + [True] if where == "output" else [one[0]] + [True] * 5)
how_deep(deep)

# %% [markdown]
# **What we learnt.** The pattern that texts call *mid*, or *deep*, is the first to meet: its block stands
# before layer 1, and there the words know of the picture before they know of each other. Concatenation, the
# one called *early*, meets in layer 1's self-attention. And both have met by layer 1 of 4. The three words do
# not even order what they name; the two questions do.

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
