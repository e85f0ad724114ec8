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
