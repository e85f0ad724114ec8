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
# prompt's words did see their picture. It only drifts away from it, word by word. flamingo-mini, an open
# rebuild of Flamingo, had to mend this (its issue 6).
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
import copy

from course_lib.language import LanguageSizes, SwiGLU
from course_lib.readers import Reader

torch.manual_seed(SEED)
width, inside = world.d_text, LanguageSizes(n_words=0, d_model=world.d_text, d_hidden=256)
gated_lm = copy.deepcopy(world.language_model)
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
row = rearrange(pictures, "n v d -> 1 (n v) d")
gaps = (reader(whole, row, mask)[0] - reader(whole, row, dark)[0])[0].abs().amax(dim=1)
gaps = gaps[len(prompt) - 1 : -1].tolist()
assert gaps[0] == 0 and min(gaps[1:]) > 1e-3 and right[0] == wrong[0]
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
index = media_index(few["ids"][None], signs[0])[0]
for n in index.unique().tolist():
    print(f"picture {n}:", world.vocabulary.decode(few["ids"][index == n].tolist()))
print(f"{len(few['ids'])} tokens in the row, {few['visual'].shape[0] * few['visual'].shape[1]} beside it")
assert int(index[-1]) == len(few["visual"]) == 3
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
