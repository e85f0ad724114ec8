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
# ### Stage 2: what is kept, and what learns
#
# Stage 1 ends with a Q-Former that can read a picture and can read and write text. Stage 2 puts it in front
# of a frozen language model:
#
# $$\text{prefix} = \mathrm{QFormer}(\text{queries},\ \text{picture})\,W + b,
# \qquad W \in \mathbb{R}^{d \times d_{\text{text}}}$$
#
# The prefix stands before the words, one visual word for each query. The language model does the reading
# and writing of text from now on, so no text enters the Q-Former any more. Its side for text (in every
# layer, the feed-forward that only text passes through) would take room and never see a gradient. The
# published code deletes it.
#
# Two things are often told wrong here. *"Stage 2 trains only the projection."* It trains the queries, every
# layer of the Q-Former and the projection; one of the authors had to say so in an issue of their
# repository. Frozen are the parts on either side: the image encoder and the language model. *"The Q-Former
# has 188 million parameters."* In stage 1, yes. Without the text side 105 million are left.

# %% [markdown]
# ### Exercise 7 · The prefix
#
# Difficulty ●●○○○ · 15 minutes · 3 points
#
# Write `QueryPrefix(query_tokens, qformer, d_text)`: what stage 2 makes of stage 1.
#
# - `query_tokens`, float of shape (1, q, d), comes from stage 1. `self.query_tokens` is a parameter with a
#   *copy* of it. Another shape is a `ValueError` that names the shape.
# - `qformer` comes from stage 1, too. `self.qformer` is a *deep copy* of it without its side for text: in
#   every layer of `qformer.encoder.layer`, the parts `intermediate` and `output` are deleted. What you were
#   given stays whole. If `qformer.text` is False, there is no such side and nothing to delete; in your copy
#   it is False in any case.
# - `self.language_projection` is one `nn.Linear` from the width of a query to `d_text`.
# - `forward(visual, visual_mask)` returns one word for every query, of shape (b, q, d_text). The Q-Former is
#   called as `qformer(tokens, n_queries, sees, visual, visual_mask)`. All tokens are queries, and
#   `sees=None` lets them all see each other. True in `visual_mask` means keep.
#
# Weights are loaded by these names, and all of them train.
#
# <details><summary>Hint 1</summary>
#
# There is one row of queries and there are b pictures. Which line gives each picture its own row?
# </details>
# <details><summary>Hint 2</summary>
#
# `nn.Parameter(query_tokens)` would share its memory with stage 1. `.detach().clone()` makes a tensor of
# its own.
# </details>
# <details><summary>Hint 3</summary>
#
# `del layer.output` removes a part of a module, with its parameters. Do it in the copy. Whoever deletes
# first and copies then has broken stage 1.
# </details>
# <details><summary>Hint 4: pseudocode</summary>
#
#     init:     if the shape is not (1, q, d): raise ValueError with the shape
#               query_tokens = Parameter(own copy);  qformer = deepcopy(qformer)
#               if qformer.text: for each layer, delete intermediate and output;  qformer.text = False
#               language_projection = Linear(d, d_text)
#     forward:  queries = query_tokens, repeated for each picture
#               return language_projection(qformer(queries, q, None, visual, visual_mask))
# </details>


# %% exercise="query_prefix"
from copy import deepcopy


class QueryPrefix(nn.Module):
    """The queries of stage 1 read a picture, and one matrix makes words of what they read."""

    def __init__(self, query_tokens: Float[Tensor, "1 q d"], qformer: nn.Module, d_text: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        if query_tokens.ndim != 3 or len(query_tokens) != 1:
            raise ValueError(f"query_tokens are {tuple(query_tokens.shape)}; give (1, queries, width).")
        self.query_tokens = nn.Parameter(query_tokens.detach().clone())
        self.qformer = deepcopy(qformer)
        if qformer.text:
            for layer in self.qformer.encoder.layer:
                del layer.intermediate, layer.output
        self.qformer.text = False
        self.language_projection = nn.Linear(query_tokens.shape[2], d_text)
        ### END SOLUTION

    def forward(
        self, visual: Float[Tensor, "b v d_visual"], visual_mask: Bool[Tensor, "b v"] | None = None
    ) -> Float[Tensor, "b q d_text"]:
        ### BEGIN SOLUTION
        queries = repeat(self.query_tokens, "1 q d -> b q d", b=len(visual))
        read = self.qformer(queries, queries.shape[1], None, visual, visual_mask)
        return self.language_projection(read)
        ### END SOLUTION


# %% check="query_prefix" points=3
check("query_prefix", QueryPrefix)

# %% [markdown]
# **Use it** at two sizes. Your layers of exercise 1 become a Q-Former, with a norm in front and the picture
# read in every second layer. At BLIP-2's size it stands on the meta device: shapes and no numbers. At a
# small size it goes before the frozen language model, and one loss goes back through everything.
# **Prediction:** what share of what stage 2 trains is the projection: 2 %, 20 %, 50 %? And which of the
# Q-Former's layers get a gradient?


# %% experiment="your_layers_stacked"
class StackedLayers(nn.Module):
    """A norm, then your layers; every second one, from the first, reads the picture."""

    def __init__(self, d_model, d_visual, n_layers, n_heads, d_hidden, cross_every=2):
        super().__init__()
        self.text, self.layernorm, self.encoder = True, nn.LayerNorm(d_model, eps=1e-12), nn.Module()
        self.encoder.layer = nn.ModuleList(
            QFormerLayer(d_model, d_visual, n_heads, d_hidden, looks=n % cross_every == 0)
            for n in range(n_layers)
        )

    def forward(self, tokens, n_queries, sees=None, visual=None, visual_mask=None):
        tokens = self.layernorm(tokens)
        for layer in self.encoder.layer:
            tokens = layer(tokens, n_queries, sees, visual, visual_mask)
        return tokens


# %% experiment="use_query_prefix"
with torch.device("meta"):
    whole = StackedLayers(768, 1408, n_layers=12, n_heads=12, d_hidden=3072)
    prefix = QueryPrefix(torch.zeros(1, 32, 768), whole, d_text=2560)
parts = {"queries": prefix.query_tokens.numel(), "Q-Former": count(prefix.qformer)}
parts["projection"] = count(prefix.language_projection)
rows = [[name, n, f"{n / count(prefix):.2%}"] for name, n in parts.items()]
rows.append(["dropped with the text side", count(whole) - count(prefix.qformer), ""])
assert count(prefix.qformer) == 105_137_664
Table(["part", "parameters", "of what stage 2 trains"], rows)

# %% experiment="who_learns_in_stage_2"
torch.manual_seed(SEED)
lm, ids = world.language_model, torch.tensor([world.vocabulary.encode("what colour is the ring ?")])
lm.requires_grad_(False)
small = QueryPrefix(0.02 * torch.randn(1, 6, 32), StackedLayers(32, 40, 4, 4, 64), world.d_text)
row = torch.cat([small(torch.randn(1, 9, 40)), lm.model.embed_tokens(ids)], dim=1)
logits = lm(row, torch.ones(row.shape[:2], dtype=torch.bool), torch.arange(row.shape[1])[None])
F.cross_entropy(logits[:, 5:-1].flatten(0, 1), ids[0]).backward()
for part in ("query_tokens", *(f"qformer.encoder.layer.{n}." for n in range(4)), "language_projection"):
    grads = [p.grad for name, p in small.named_parameters() if name.startswith(part)]
    print(f"{part:28} gradient {torch.stack([grad.norm() for grad in grads]).norm().item():.1e}")
# What is added to all keys alike changes no softmax: the keys' biases learn nothing, in any transformer.
learns = {name: bool(p.grad.any()) for name, p in small.named_parameters() if "key.bias" not in name}
assert all(learns.values())
assert all(p.grad is None for p in lm.parameters())

# %% [markdown]
# **What we learnt.** The projection is 1.8 % of what stage 2 trains; 98 % are the Q-Former's layers. With the
# text side 56.7 million parameters went, which no gradient would ever have reached. Every layer gets its
# gradient through the frozen language model: frozen means that its own weights get none, not that
# nothing passes. (A `no_grad` around the language model would be another thing: then nothing would.)
#
# The queries' gradient is the largest here. They start small, with a standard deviation of 0.02, and the norm
# in front of the first layer blows them up about fifty times, and their gradient with them.

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
# ### Asking a BLIP-2
#
# `transformers` opens a BLIP-2 as `AutoModelForImageTextToText`, with a processor beside it that turns
# pictures into pixels and text into ids. Three habits from other models go wrong here.
#
# *The prompt is part of the answer.* With OPT, `generate` returns the prompt's ids and the new ones behind
# them. In older versions it returned the new ones only, and many examples on the web still rely on that.
# (With T5, an encoder-decoder, it returns the new ones only to this day.)
#
# *Padding stands on the right.* That is the tokenizer's habit. But new words follow the last place of a
# row, and there, in a short row, padding would stand. The processor takes `padding_side="left"`. The
# picture's placeholders stay in front of it all, so a padded row has its gap in the middle.
#
# *A temperature of 0 is greedy.* It is not: `generate` divides by the temperature, and with
# `do_sample=True` refuses 0. Greedy is `do_sample=False`, and then no temperature is read.
#
# And the prompt counts. The paper asks its OPT models `Question: ... Answer:`. For a caption the text is
# empty: the model, having seen thousands of captions behind a prefix, writes one.

# %% [markdown]
# ### Exercise 9 · Captions and answers
#
# Difficulty ●●●○○ · 15 minutes · 3 points
#
# Write `blip2_answers(model, processor, pictures, questions=None, max_new_tokens=20)`. It returns a list of
# texts, one for each picture: greedy, and only what is new.
#
# - `pictures` is a list of arrays, uint8 of shape (height, width, 3). `questions` is a list of as many
#   texts, or None. A question becomes the prompt `Question: {question} Answer:`, with no space at the end;
#   None asks for captions, with the prompt `""`. All go through the model in one batch.
# - `processor(images=..., text=..., return_tensors="pt", padding=True, ...)` returns a dict with `input_ids`,
#   `attention_mask` (1 means keep) and `pixel_values`. Its `.to(device, dtype)` casts the pixels alone.
#   The model says `model.device` and `model.dtype`.
# - `model.generate(...)` takes all of these by name, with `max_new_tokens` and `do_sample`.
# - `processor.batch_decode(ids, skip_special_tokens=True)` makes texts. Take the white space off both ends.
# - Another number of questions than of pictures is a `ValueError` that names both numbers. (Without it, a
#   picture without a question is forgotten in silence.)
#
# <details><summary>Hint 1</summary>
#
# Print what `generate` returns for one picture, before you decode it. Where does the new part begin?
# </details>
# <details><summary>Hint 2</summary>
#
# All rows of `input_ids` have the same length, padding and placeholders included. What is new stands behind
# it: cut the ids, not the text.
# </details>
# <details><summary>Hint 3: pseudocode</summary>
#
#     if there are questions, and not one for each picture: raise ValueError with both numbers
#     prompts = "" for each picture, or "Question: ... Answer:" for each question
#     inputs = processor(pictures, prompts, padded on the left), moved to the model's device and dtype
#     ids = model.generate(everything in inputs, max_new_tokens, no sampling)
#     return the decoded ids behind the prompt, without special tokens, stripped
# </details>


# %% exercise="blip2_answers"
def blip2_answers(
    model: Any, processor: Any, pictures: list, questions: list[str] | None = None, max_new_tokens: int = 20
) -> list[str]:
    """Greedy captions, or answers to one question for each picture: the new text alone."""
    ### BEGIN SOLUTION
    if questions is not None and len(questions) != len(pictures):
        raise ValueError(f"{len(questions)} questions for {len(pictures)} pictures; give one for each.")
    prompts = [""] * len(pictures) if questions is None else [f"Question: {q} Answer:" for q in questions]
    batch = {"images": pictures, "text": prompts, "return_tensors": "pt"}
    inputs = processor(**batch, padding=True, padding_side="left").to(model.device, model.dtype)
    ids = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    new = ids[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in processor.batch_decode(new, skip_special_tokens=True)]
    ### END SOLUTION


# %% check="blip2_answers" points=3
check("blip2_answers", blip2_answers)

# %% [markdown]
# **Use it** on a BLIP-2. With a GPU that has the room and a network, these are the real weights with OPT-2.7B
# (15 GB to fetch, half of that in memory). Anywhere else it is a BLIP-2 of the same classes with random
# weights, sixty-nine thousand of them, and a processor of its own. The code is one and the same.

# %% experiment="open_a_blip2" tags=["nbval-ignore-output"]
import tempfile

blip2 = None
if full_size.has_transformers():
    from course_lib import blip2_models

    with tempfile.TemporaryDirectory() as folder:
        blip2 = blip2_models.open_blip2(folder)
    shown = list(world.new.pictures[:3])
    asked = ["what colour is the ring ?", "how many ?", "is there a red ring in the top left corner ?"]
    print(f"opened {blip2.name}: {count(blip2.model):,} parameters")
    print("captions:", blip2_answers(blip2.model, blip2.processor, shown, max_new_tokens=5))
    print("answers: ", blip2_answers(blip2.model, blip2.processor, shown, asked, max_new_tokens=5))
    if not blip2.is_real:
        print("That is noise, as it must be: its weights are random.")
else:
    print('This cell opens a model. It needs: pip install "transformers>=5"')

# %% [markdown]
# **Prediction.** The three questions have three lengths. Which of the three answers change if the rows are
# padded on the right? All, the longest one's, or all but that? And how many of the ids that `generate`
# returns are new?

# %% experiment="use_blip2_answers" tags=["nbval-ignore-output"]
if blip2 is not None:
    model, processor, rows = blip2.model, blip2.processor, []
    prompts = [f"Question: {question} Answer:" for question in asked]
    alone = [
        blip2_answers(model, processor, [picture], [question], max_new_tokens=5)[0]
        for picture, question in zip(shown, asked, strict=True)
    ]
    for side in ("left", "right"):
        batch = {"images": shown, "text": prompts, "return_tensors": "pt", "padding": True}
        inputs = processor(**batch, padding_side=side).to(model.device, model.dtype)
        ids = model.generate(**inputs, max_new_tokens=5, do_sample=False)
        given = inputs["input_ids"].shape[1]
        texts = processor.batch_decode(ids[:, given:], skip_special_tokens=True)
        same = [text.strip() == one for text, one in zip(texts, alone, strict=True)]
        gaps = (inputs["attention_mask"] == 0).sum(dim=1).tolist()
        rows += [[side, given, ids.shape[1], gaps[n], same[n]] for n in range(3)]
    print(Table(["padded on the", "ids in", "ids out", "padding in the row", "as alone"], rows))
    print("decoded whole:", processor.batch_decode(ids, skip_special_tokens=True)[0])

# %% [markdown]
# **What we learnt.** Of the 27 ids that come back, 22 are the prompt; decoded whole, the question stands in
# front of the answer. Padded on the left, every row answers as it does alone. Padded on the right, only the
# longest row does: the others went on from a padding token. No error, no warning that you would see, and a
# table of accuracies that is a little too low. Such a bug survives for months.
#
# With the real weights the prompts hold 26 ids more, as there are 32 queries and not 6; the rest is the same.

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
# ### Sizes, counted
#
# Few models have been described with so many different numbers. Here they are, counted from layers of yours
# on the meta device, and, where `transformers` is installed, from its classes. **Prediction:** how many
# parameters does stage 1 train, how many stage 2? How many would cross-attention in *every* layer cost?

# %% experiment="two_stages_counted"
with torch.device("meta"):
    wide, narrow = (StackedLayers(768, d, 12, 12, 3072) for d in (1408, 1024))
    everywhere = StackedLayers(768, 1408, 12, 12, 3072, cross_every=1)
    words, positions = nn.Embedding(30_523, 768), nn.Embedding(512, 768)  # BERT's words, and [DEC]
    heads = nn.ModuleList([nn.Linear(768, 256), nn.Linear(768, 256), nn.Linear(768, 2)])
    writing = nn.ModuleList([nn.Linear(768, 768), nn.LayerNorm(768)])  # its last matrix is the word table
    widths = {"OPT-2.7B": 2560, "OPT-6.7B": 4096, "FlanT5-XL": 2048, "FlanT5-XXL": 4096}
    trained = {
        (eyes, name): count(QueryPrefix(torch.zeros(1, 32, 768), stack, d_text))
        + 2 * d_visual  # its norm, too
        for eyes, stack, d_visual in (("ViT-g", wide, 1408), ("ViT-L", narrow, 1024))
        for name, d_text in widths.items()
    }
queries_temperature_bias = 32 * 768 + 1 + 30_523
stage1 = sum(map(count, (wide, words, positions, heads, writing))) + queries_temperature_bias
core = trained["ViT-g", "OPT-2.7B"] - 32 * 768 - (768 + 1) * 2560 - 2 * 1408
print(f"stage 1: {stage1 / 1e6:.1f} M; of it, without the text side, {core / 1e6:.1f} M")
Table(
    ["stage 2 trains, in millions", *widths],
    [[eyes, *(f"{trained[eyes, name] / 1e6:.1f}" for name in widths)] for eyes in ("ViT-g", "ViT-L")],
)

# %% [markdown]
# What stage 2 trains is the paper's Table 2: 107 million with OPT-2.7B and FlanT5-XL, 108 with the larger
# two; behind a ViT-L, which the paper joins to the smaller two only, 104 and 103. (The published code trains
# the norm behind the encoder along; it is counted here.) And the 188 million of the paper's section 3.1 is
# stage 1 with all that belongs to it: the word table, positions, the text's feed-forwards and the heads.

# %% experiment="claims_counted"
with torch.device("meta"):
    attend = nn.ModuleList(
        [nn.MultiheadAttention(768, 12), nn.MultiheadAttention(768, 12, kdim=1408, vdim=1408)]
    )
    think = nn.ModuleList(
        [nn.Linear(768, 3072), nn.Linear(3072, 768), *(nn.LayerNorm(768) for _ in range(3))]
    )
popular, matrix = 6 * (count(attend) + count(think)), (768 + 1) * 2560
opt, xxl, more = trained["ViT-g", "OPT-2.7B"], trained["ViT-g", "FlanT5-XXL"], count(everywhere) - count(wide)
rows = [
    ["the Q-Former has 188 M", f"{stage1 / 1e6:.1f} M, {core / 1e6:.1f} M", "stage 1, and stage 2"],
    ["stage 2 trains only the projection", f"{matrix / 1e6:.1f} of {opt / 1e6:.1f} M", "no: all of it"],
    ["cross-attention in each layer", f"{more / 1e6:.1f} M more", "in 6 of 12 layers"],
    ["a popular module of 6 layers is one", f"{popular / 1e6:.1f} M", "no: norm first, no text side"],
    ["32 queries for 257 tokens: 8 times", f"{257 / 32:.2f} times", "right, with [CLS]"],
    ["under 2 % trained (FlanT5-XXL)", f"{xxl / 12.1e9:.1%} of 12.1 B", "right"],
]
if full_size.has_transformers():
    real, clip = full_size.parts_of("BLIP-2 OPT-2.7B"), full_size.parts_of("LLaVA-1.5-7B")["encoder"]
    total, eyes = real["total"], real["encoder"]
    rows.append(["under 2 % trained (OPT-2.7B)", f"{opt / total:.1%} of {total / 1e9:.1f} B", "no"])
    rows.append(["encoder: ViT-G/14", f"{eyes / 1e6:.0f} M, 1408 wide", "g, not G, less its last layer"])
    rows.append(["encoder: 1 B, 1024 wide", f"{clip / 1e6:.0f} M at 1024", "ViT-L; two models mixed up"])
Table(["claim", "counted", "so"], rows)

# %% [markdown]
# **What we learnt.** Both numbers that one reads for the Q-Former are right, each for its own stage, and
# neither is a number for "the trained part of BLIP-2" in general. What is trained is 0.9 % of the largest
# of the paper's models and 2.9 % of the smallest: the bridge stays the same, the models around it grow.
#
# Some claims cannot be counted, only looked up. There are *two* stages of pre-training, not three; what
# follows is fine-tuning on one task, with the encoder unfrozen. The Q-Former does not start from scratch:
# its self-attention and feed-forwards are BERT-base's, and the cross-attention alone is drawn at random.
# "32 to 64 queries" puts two models together: BLIP-2 and InstructBLIP have 32, Flamingo's resampler
# has 64. And "resolution does not matter, it is always 32 tokens" holds for their number only. The encoder
# has learned its positions at 224 pixels.

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
