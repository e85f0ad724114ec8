"""Public checks of this week. They run in your notebook, on your objects, and say what they saw.

Each takes a subject (yours) and a source of random inputs. They catch the common slips; hidden checks, run
when the notebook is graded, look closer. Boolean masks say True = keep.

    from course_lib.checks import check
    check("media_index", media_index)
"""

import torch

from course_lib.checking import (
    claim,
    door,
    expect,
    expect_different,
    expect_equal,
    expect_finite,
    expect_keys,
    expect_raises,
    expect_same,
    expect_tensor,
    load_or_fail,
    stand_in,
)

# -- perceiver_resampler ---------------------------------------------------------------------------------


def resampler_weights(draw, d_model=14, n_latents=5, n_layers=2, n_heads=3, d_head=4):
    """Sizes to build a resampler with, and drawn weights under the names that the exercise states."""
    sizes = {"latents": (n_latents, d_model)}
    norms = ["layer_norm"]
    for i in range(n_layers):
        norms += [f"blocks.{i}.0.context_layer_norm", f"blocks.{i}.0.latents_layer_norm", f"blocks.{i}.1.ln"]
        sizes |= {f"blocks.{i}.0.{x}_proj.weight": (n_heads * d_head, d_model) for x in "qkv"}
        sizes |= {
            f"blocks.{i}.0.output_proj.weight": (d_model, n_heads * d_head),
            f"blocks.{i}.1.fc.weight": (4 * d_model, d_model),
            f"blocks.{i}.1.c_proj.weight": (d_model, 4 * d_model),
        }
    sizes |= {f"{norm}.{part}": (d_model,) for norm in norms for part in ("weight", "bias")}
    given = {"d_model": d_model, "n_latents": n_latents, "n_layers": n_layers}
    given |= {"n_heads": n_heads, "d_head": d_head}
    return given, {name: draw.normal(*size, std=0.4) for name, size in sizes.items()}


@claim(
    "perceiver_resampler",
    "Weights go in by name, and any number of visual tokens becomes n_latents tokens.",
    weight=0.5,
)
def any_number_of_visual_tokens_becomes_n_latents(subject, draw):
    given, weights = resampler_weights(draw)
    ours = subject.build_with(weights, **given)
    for b, v in ((2, 8), (3, 1), (2, 21)):
        seen = expect_tensor(
            ours(draw.normal(b, v, 14)), (b, 5, 14), look="The latents are handed on, the picture is not."
        )
        expect_different(
            seen[1:],
            seen[:-1],
            look="Two pictures should not give the same summary. Is the picture read at all?",
        )


@claim("perceiver_resampler", "In one layer, every latent reads the picture and every other latent.")
def latents_read_the_picture_and_each_other(subject, draw):
    given, weights = resampler_weights(draw, n_layers=1)
    ours = subject.build_with(weights, **given)
    visual = draw.normal(1, 8, 14)
    before = expect_tensor(ours(visual), (1, 5, 14))
    changed = visual.clone()
    changed[0, draw.integer(0, 8)] = draw.normal(14)
    moved = (expect_tensor(ours(changed), (1, 5, 14)) - before)[0].abs().amax(dim=1) > 1e-5
    expect(
        bool(moved.all()),
        seen=f"changing one visual token moves {int(moved.sum())} of 5 outputs",
        look="Keys and values come from the visual tokens and the latents together. Are both in `source`?",
    )
    latent = draw.integer(0, 5)
    latents = weights["latents"].clone()
    latents[latent] = draw.normal(14)
    load_or_fail(ours, {**weights, "latents": latents})
    moved = (expect_tensor(ours(visual), (1, 5, 14)) - before)[0].abs().amax(dim=1) > 1e-5
    expect(
        bool(moved.all()),
        seen=f"changing latent {latent} moves {int(moved.sum())} of 5 outputs",
        look="There is no self-attention beside this attention. Through which keys and values could one "
        "latent hear another?",
    )


@claim("perceiver_resampler", "Hidden visual tokens are not read, and a picture of padding gives numbers.")
def hidden_visual_tokens_are_not_read(subject, draw):
    given, weights = resampler_weights(draw)
    ours = subject.build_with(weights, **given)
    visual = draw.normal(2, 7, 14)
    keep = torch.tensor([[True, False, True, True, False, False, True], [False] * 7])
    seen = expect_tensor(ours(visual, keep), (2, 5, 14))
    expect_finite(
        seen,
        look="The second picture keeps none of its 7 tokens. The latents are never hidden: each can still "
        "read all latents.",
    )
    look = (
        "True in visual_mask means KEEP. Is the mask inverted? And there are 7 + 5 keys: the mask of the "
        "visual tokens goes on with one True for each latent."
    )
    alone = expect_tensor(ours(visual[:1, keep[0]]), (1, 5, 14))
    expect_same(seen[:1], alone, look=look)
    expect_same(ours(draw.normal(2, 7, 14), keep)[1], seen[1], look=look)
    expect_different(alone, seen[1:], look="A picture and no picture give the same. Is the picture read?")


# -- media_index -----------------------------------------------------------------------------------------

# (begin media_index)
#
#
#
# (end media_index)

# -- media_mask ------------------------------------------------------------------------------------------

# (begin media_mask)
#
#
#
# (end media_mask)

# -- influence -------------------------------------------------------------------------------------------

# (begin influence)
#
#
#
# (end influence)

# -- masked_cross_attention ------------------------------------------------------------------------------

# (begin masked_cross_attention)
#
#
#
# (end masked_cross_attention)

# -- gated_block -----------------------------------------------------------------------------------------

# (begin gated_block)
#
#
#
# (end gated_block)

# -- flamingo --------------------------------------------------------------------------------------------

# (begin flamingo)
#
#
#
# (end flamingo)

# -- parameter_groups ------------------------------------------------------------------------------------

# (begin parameter_groups)
#
#
#
# (end parameter_groups)

# -- interleave ------------------------------------------------------------------------------------------


INTERLEAVED = ("ids", "keep", "labels")


def small_documents(draw):
    """Ids of the signs and of six words, all different, and two documents made of them."""
    tag, end, pad, *words = (10 + draw.permutation(9)).tolist()
    a, b, c, d, e, f = words
    documents = [
        [(False, torch.tensor([a, b])), (True, torch.tensor([c])), (False, torch.tensor([d]))],
        [(True, torch.tensor([e, f]))],
    ]
    return (tag, end, pad), words, documents


@claim(
    "interleave", "Each chunk is its tag if it has a picture, its words, and a sign for its end.", weight=0.5
)
def a_document_becomes_one_row(subject, draw):
    (tag, end, pad), (a, b, c, d, _, _), documents = small_documents(draw)
    seen = expect_keys(
        subject(documents[:1], tag, end, pad), INTERLEAVED, look="Return a dict with these three."
    )
    expect_same(
        seen["ids"],
        torch.tensor([[a, b, end, tag, c, end, d, end]]),
        look="Three chunks, so three signs for an end. One has a picture, so there is one tag: where?",
    )


@claim("interleave", "A shorter document is filled up on the right, and keep says what is real.", weight=0.5)
def a_shorter_document_is_filled_up(subject, draw):
    (tag, end, pad), (_, _, _, _, e, f), documents = small_documents(draw)
    seen = expect_keys(subject(documents, tag, end, pad), INTERLEAVED, look="Return a dict with these three.")
    ids = expect_tensor(
        seen["ids"], (2, 8), look="The first document has 8 tokens, the second 4 and padding."
    )
    expect_same(
        ids[1],
        torch.tensor([tag, e, f, end, pad, pad, pad, pad]),
        look="On which side of a row does the padding stand, and with which id?",
    )
    keep = expect_tensor(seen["keep"], (2, 8), look="One True or False for every token.")
    expect(keep.dtype == torch.bool, seen=f"keep is of type {keep.dtype}", look="torch.bool, True = keep.")
    expect_same(
        keep, torch.arange(8) < torch.tensor([[8], [4]]), look="True where a token is real: tags are real."
    )


@claim("interleave", "Only what a picture can help with is learned; everything else has the label -100.")
def only_what_a_picture_can_help_with_is_learned(subject, draw):
    (tag, end, pad), (_, _, c, _, e, f), documents = small_documents(draw)
    seen = expect_keys(subject(documents, tag, end, pad), INTERLEAVED, look="Return a dict with these three.")
    no = -100
    expect_same(
        seen["labels"],
        torch.tensor([[no, no, no, no, c, end, no, no], [no, e, f, end, no, no, no, no]]),
        look="Learned are the words of a chunk with a picture and the sign that ends it, each under its own "
        "id and in its own place. Which of yours is one too many, one too few, or one place off?",
    )


# -- generate --------------------------------------------------------------------------------------------

# (begin generate)
#
#
#
# (end generate)

# -- few_shot_prompt -------------------------------------------------------------------------------------

# (begin few_shot_prompt)
#
#
#
# (end few_shot_prompt)

# -----------------------------------------------------------------------------------------------------------

check = door(globals())
