"""Public checks of this week. They run in your notebook, on your objects, and say what they saw.

Each takes a subject (yours) and a source of random inputs. They catch the common slips; hidden checks, run
when the notebook is graded, look closer. Boolean masks say True = keep.

    from course_lib.checks import check
    check("media_index", media_index)
"""

import torch
import torch.nn.functional as F

from course_lib.checking import (
    claim,
    door,
    expect,
    expect_different,
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


@claim(
    "perceiver_resampler", "Where no branch adds anything, the latents come out: normed, once.", weight=0.5
)
def bare_latents_come_out_normed_once(subject, draw):
    given, weights = resampler_weights(draw)
    silent = {name for name in weights if "output_proj" in name or "c_proj" in name}
    weights |= {name: torch.zeros_like(weights[name]) for name in silent}
    ours = subject.build_with(weights, **given)
    last = F.layer_norm(weights["latents"], (14,), weights["layer_norm.weight"], weights["layer_norm.bias"])
    expect_same(
        expect_tensor(ours(draw.normal(2, 8, 14)), (2, 5, 14)),
        last.expand(2, 5, 14),
        look="output_proj and c_proj are zero here, so attention and feed-forward give zeros. To what are "
        "they added, and what happens to the sum after the last layer, and only there?",
    )


@claim("perceiver_resampler", "A visual token is read by its direction: normed, each by itself.", weight=0.5)
def a_visual_token_is_normed_before_it_is_read(subject, draw):
    given, weights = resampler_weights(draw)
    ours, visual = subject.build_with(weights, **given), 3 * draw.normal(2, 8, 14)
    size, offset = draw.uniform(2, 5, 2, 8, 1), draw.normal(2, 8, 1)
    expect_same(
        ours(size * visual + offset),
        expect_tensor(ours(visual), (2, 5, 14)),
        tolerance=1e-3,
        look="Each visual token was stretched and shifted, which context_layer_norm takes off. Do keys and "
        "values come from what has been through it?",
    )


@claim("perceiver_resampler", "Every layer reads the picture.", weight=0.5)
def every_layer_reads_the_picture(subject, draw):
    given, weights = resampler_weights(draw)
    for deaf in (0, 1):
        name = f"blocks.{deaf}.0.output_proj.weight"
        ours = subject.build_with({**weights, name: torch.zeros_like(weights[name])}, **given)
        expect_different(
            ours(draw.normal(2, 8, 14)),
            expect_tensor(ours(draw.normal(2, 8, 14)), (2, 5, 14)),
            look=f"Layer {deaf} was made deaf, so layer {1 - deaf} alone can have read. What does it get as "
            "its picture, and does it go on from the latents of the layer before?",
        )


@claim("perceiver_resampler", "The latents are learned, and drawn apart: standard deviation 1.", weight=0.5)
def latents_are_learned_and_drawn_apart(subject, draw):
    ours = subject.build(d_model=30, n_latents=40, n_layers=1, n_heads=2, d_head=4)
    latents = expect_tensor(ours.parameters().get("latents"), (40, 30), look="An nn.Parameter, self.latents.")
    spread, apart = latents.std(dim=0).mean().item(), latents.std().item()
    expect(
        0.8 < spread < 1.2 and 0.8 < apart < 1.2,
        seen=f"from latent to latent, numbers differ by a standard deviation of {spread:.2f}",
        look="Latents that are alike stay alike. Are they drawn from a normal distribution, each for itself?",
    )


@claim(
    "perceiver_resampler",
    "A frame's embedding is added to its visual tokens, before anything else is done to them.",
    weight=0.5,
)
def a_frame_is_added_to_its_tokens(subject, draw):
    given, weights = resampler_weights(draw)
    weights["time_embeddings"] = draw.normal(4, 14)
    ours = subject.build_with(weights, **given, n_frames=4)
    visual, frame = draw.normal(2, 8, 14), draw.integers(0, 4, 2, 8)
    seen = expect_tensor(ours(visual, None, frame), (2, 5, 14))
    plain = ours(visual + weights["time_embeddings"][frame])
    look = "frame is int[b v]: each visual token says which row of time_embeddings is its own."
    expect_same(seen, plain, look=look)
    expect_different(ours(visual), seen, look="Without a frame nothing is added.")


# -- media_index -----------------------------------------------------------------------------------------


@claim("media_index", "t I t t I t reads 0 1 1 1 2 2, and a row without a tag reads none.", weight=0.5)
def a_row_of_two_pictures_is_numbered(subject, draw):
    image_id = draw.integer(1, 9)
    ids = draw.integers(10, 90, 2, 6)
    ids[0, 1] = ids[0, 4] = image_id
    expect_same(
        subject(ids, image_id),
        torch.tensor([[0, 1, 1, 1, 2, 2], [0, 0, 0, 0, 0, 0]]),
        look="Walk along the row with a counter. When does it go up: at the tag, or behind it? And does the "
        "second row begin at 0 again?",
    )


@claim("media_index", "t I E t I E with E as end_id reads 0 1 1 0 2 2.", weight=0.5)
def what_follows_an_end_reads_none(subject, draw):
    image_id, end_id = draw.integer(1, 9), draw.integer(90, 99)
    ids = draw.integers(10, 90, 1, 6)
    ids[0, [1, 4]], ids[0, [2, 5]] = image_id, end_id
    expect_same(
        subject(ids, image_id, end_id),
        torch.tensor([[0, 1, 1, 0, 2, 2]]),
        look="The sign still reads its document's picture; what follows it reads none, up to the next tag. "
        "Does the count go on there?",
    )


# -- media_mask ------------------------------------------------------------------------------------------


@claim(
    "media_mask", "It is a boolean table: a row for each word, a column for each visual token.", weight=0.5
)
def the_media_mask_has_a_column_for_each_visual_token(subject, draw):
    index = draw.integers(0, 4, 2, 7)
    mask = expect_tensor(
        subject(index, torch.ones(2, 3, 5, dtype=torch.bool)),
        (2, 7, 15),
        look="3 pictures of 5 visual tokens are 15 columns, and 7 words are 7 rows.",
    )
    expect(mask.dtype == torch.bool, seen=f"a mask of type {mask.dtype}", look="True = keep: a boolean mask.")


@claim(
    "media_mask",
    "A word keeps the real visual tokens of its own picture, and a word of index 0 none.",
    weight=0.5,
)
def a_word_keeps_its_own_picture(subject, draw):
    index = torch.tensor([[0, 1, 2]])
    visual_mask = torch.tensor([[[True, True, True], [True, False, False]]])
    own = torch.zeros(1, 3, 6, dtype=torch.bool)
    own[0, 1, :3] = own[0, 2, 3] = True
    expect_same(
        subject(index, visual_mask),
        own,
        look="Two pictures of three visual tokens; of the second only the first token is real. Which picture "
        "has number 1, and which number says none?",
    )


# -- influence -------------------------------------------------------------------------------------------


@claim("influence", "Each table says yes or no for each word and each picture.", weight=0.5)
def the_tables_have_a_column_for_each_picture(subject, draw):
    index = draw.integers(0, 4, 2, 7)
    found = expect_keys(subject(index, 3), ("reads", "reaches"), look="Return a dict with these two tables.")
    for key, table in found.items():
        expect_tensor(table, (2, 7, 3), look=f"{key}: 2 rows of 7 words and 3 pictures. bool[b t n].")
        expect(table.dtype == torch.bool, seen=f"{key} of type {table.dtype}", look="Yes or no: boolean.")


@claim(
    "influence",
    "Whatever a word reads reaches it, and nothing reaches a word in front of all pictures.",
    weight=0.5,
)
def what_is_read_reaches(subject, draw):
    index = torch.tensor([[0, 0, 1, 1, 2, 2, 2]])
    found = expect_keys(subject(index, 2), ("reads", "reaches"), look="Return a dict with these two tables.")
    reads, reaches = (expect_tensor(found[key], (1, 7, 2)).bool() for key in ("reads", "reaches"))
    look = "The block adds what a word reads to that very word. Is it among those that are reached?"
    expect(bool(reads.any()), seen="nobody reads anything", look="Index 1 reads the first picture.")
    expect(
        not bool((reads & ~reaches).any()), seen="a word reads a picture that does not reach it", look=look
    )
    look = "Those two words come before both pictures. From whom could they have heard of one?"
    expect(not bool(reaches[:, :2].any()), seen="a picture reaches a word in front of it", look=look)


@claim("influence", "A row of five words with 1 1 0 2 2: behind an end a picture is heard of, not read.")
def behind_an_end_a_picture_is_still_heard_of(subject, draw):
    index = torch.tensor([[1, 1, 0, 2, 2], [0, 0, 2, 2, 2]])
    found = expect_keys(subject(index, 2), ("reads", "reaches"), look="Return a dict with these two tables.")
    tables = {key: expect_tensor(found[key], (2, 5, 2)).bool() for key in ("reads", "reaches")}
    heard = {(0, 0): 0, (0, 1): 3, (1, 0): None, (1, 1): 2}  # from which word on a picture has been heard of
    for (row, picture), first in heard.items():
        for word in range(5):
            yes = {
                "reads": int(index[row, word]) == picture + 1,
                "reaches": first is not None and word >= first,
            }
            for key, wanted in yes.items():
                said = bool(tables[key][row, word, picture])
                expect(
                    said is wanted,
                    seen=f"{key}: {said} for word {word} of row {row} (index {int(index[row, word])}) and "
                    f"picture {picture + 1}",
                    look="Reading is the word's own cross-attention. Reaching needs anybody at or before it "
                    "who has read, in its own row.",
                )


# -- masked_cross_attention ------------------------------------------------------------------------------


@claim(
    "masked_cross_attention",
    "Weights go in by name, and each text token gets one vector of its own width back.",
    weight=0.5,
)
def weights_go_in_by_name_and_text_comes_out(subject, draw):
    d_text, d_visual, n_heads, d_head = 11, 10, 2, 4
    ours = subject.build(d_text, d_visual, n_heads, d_head)
    width = n_heads * d_head
    sizes = {"q_proj.weight": (width, d_text), "k_proj.weight": (width, d_visual)}
    sizes |= {"v_proj.weight": (width, d_visual), "o_proj.weight": (d_text, width)}
    load_or_fail(ours, {name: draw.normal(*size) for name, size in sizes.items()})
    for b, t, s in ((3, 7, 5), (1, 6, 9)):
        seen = ours(draw.normal(b, t, d_text), draw.normal(b, s, d_visual))
        look = "The text asks, so there are as many answers as text tokens. How wide?"
        expect_tensor(seen, (b, t, d_text), look=look)


@claim("masked_cross_attention", "A token reads what its own row keeps, as if nothing else were there.")
def a_token_reads_as_if_the_rest_were_not_there(subject, draw):
    ours = subject.build(11, 10, 2, 4)
    text, visual = draw.normal(1, 7, 11), draw.normal(1, 5, 10)
    keep = torch.zeros(1, 7, 5, dtype=torch.bool)
    keep[:, :3, :2], keep[:, 3:, 2:] = True, True  # two pictures: of two visual tokens, and of three
    seen = expect_tensor(ours(text, visual, keep), (1, 7, 11))
    look = (
        "media_mask is bool[b t s] and True means KEEP: each text token has a row of its own. Is it used so?"
    )
    first = expect_tensor(ours(text[:, :3], visual[:, :2]), (1, 3, 11))
    second = expect_tensor(ours(text[:, 3:], visual[:, 2:]), (1, 4, 11))
    expect_same(seen[:, :3], first, look=look)
    expect_same(seen[:, 3:], second, look=look)
    look = "Another picture has to be read differently. Is it read at all?"
    expect_different(ours(text, draw.normal(1, 5, 10), keep), seen, look=look, least=1e-4)


@claim("masked_cross_attention", "A token that keeps nothing gets exactly zero, and nobody else does.")
def text_before_any_picture_gets_exactly_zero(subject, draw):
    ours = subject.build(11, 10, 2, 4)
    text, visual = draw.normal(2, 7, 11), 10 * draw.normal(2, 5, 10)
    keep = torch.ones(2, 7, 5, dtype=torch.bool)
    keep[0, :3] = False
    seen = expect_tensor(ours(text, visual, keep), (2, 7, 11))
    look = "A token that may look at nothing has nothing to add. What does a softmax over it give?"
    expect_finite(seen, look=look)
    expect_same(seen[0, :3], torch.zeros(3, 11), tolerance=0.0, look=look)
    look = "A token that does keep something came out as zero. Is more than its own row asked?"
    expect(bool(seen[0, 3:].any(dim=-1).all() & seen[1].any(dim=-1).all()), seen="zeros elsewhere", look=look)


# -- gated_block -----------------------------------------------------------------------------------------


def _block(subject):
    attention = stand_in("masked_read", d_text=12, d_visual=10)
    return subject.build(attention, stand_in("feed_forward", d_text=12, d_hidden=9), 12)


@claim("gated_block", "A new block returns the text, bit for bit, whatever is in the pictures.", weight=0.5)
def a_new_block_returns_the_text(subject, draw):
    ours = _block(subject)
    look = (
        "Are both alphas 0 at first, does each go through tanh, and is the text itself added to, unchanged?"
    )
    for visual in (draw.normal(2, 5, 10), 100 * draw.normal(2, 5, 10)):
        text = draw.normal(2, 7, 12)
        expect_same(ours(text, visual), text, tolerance=0.0, look=look)
    opened = {"alpha_cross_attn": torch.tensor([0.8]), "alpha_dense": torch.tensor([-0.6])}
    load_or_fail(ours, {**ours.parameters(), **opened})
    look = "With its gates open the block has to change the text. Do they open?"
    expect_different(ours(text, visual), text, look=look)


@claim("gated_block", "Each gate opens a branch of its own: one lets the picture in, the other does not.")
def each_gate_opens_a_branch_of_its_own(subject, draw):
    ours = _block(subject)
    names = ours.parameters()
    look = "alpha_cross_attn is for what is read, alpha_dense for the feed-forward. Has each branch its gate?"
    expect("alpha_cross_attn" in names and "alpha_dense" in names, seen=f"{', '.join(names)}", look=look)
    text, pictures = draw.normal(2, 7, 12), (draw.normal(2, 5, 10), draw.normal(2, 5, 10))
    for cross, dense in ((0.9, 0.0), (0.0, 0.9)):
        gates = {"alpha_cross_attn": torch.tensor([cross]), "alpha_dense": torch.tensor([dense])}
        load_or_fail(ours, {**names, **gates})
        one, other = (expect_tensor(ours(text, visual), (2, 7, 12)) for visual in pictures)
        expect_different(one, text, look=look)
        if cross:
            expect_different(one, other, look=look)
        else:
            expect_same(one, other, tolerance=0.0, look=look)


@claim("gated_block", "A gate and its negative push the text in opposite directions.")
def a_negative_gate_pushes_the_other_way(subject, draw):
    ours = _block(subject)
    weights = draw.weights_like(ours.parameters())
    text, visual = draw.normal(2, 7, 12), draw.normal(2, 5, 10)
    look = "Each branch adds tanh(alpha) times what it made. Is something else gated, or the sign lost?"
    for gate, other in (("alpha_cross_attn", "alpha_dense"), ("alpha_dense", "alpha_cross_attn")):
        alpha = draw.uniform(0.5, 1.5, 1)
        load_or_fail(ours, {**weights, gate: alpha, other: torch.zeros(1)})
        plus = expect_tensor(ours(text, visual), (2, 7, 12)).double() - text
        load_or_fail(ours, {**weights, gate: -alpha, other: torch.zeros(1)})
        minus = expect_tensor(ours(text, visual), (2, 7, 12)).double() - text
        expect_same(minus, -plus, tolerance=1e-4, look=look)


@claim("gated_block", "tanh is on the gates: one of 20 and one of 40 are both wide open.", weight=0.5)
def a_gate_is_never_more_than_open(subject, draw):
    ours = _block(subject)
    weights = draw.weights_like(ours.parameters())
    text, visual = draw.normal(2, 7, 12), draw.normal(2, 5, 10)
    seen = []
    for alpha in (20.0, 40.0):
        gates = {name: torch.tensor([alpha]) for name in ("alpha_cross_attn", "alpha_dense")}
        load_or_fail(ours, {**weights, **gates})
        seen.append(expect_tensor(ours(text, visual), (2, 7, 12)))
    expect_same(seen[1], seen[0], look="tanh(20) and tanh(40) are 1. Of what do you take tanh?")
    silent = {
        name: torch.zeros_like(one) for name, one in weights.items() if name.startswith(("cross", "mlp"))
    }
    load_or_fail(ours, {**weights, **gates, **silent})
    look = "Attention and feed-forward give zeros here, behind open gates. What else changes the text?"
    expect_same(ours(text, visual), text, look=look)


@claim(
    "gated_block",
    "Each branch reads the text through its norm: ten times the text says the same.",
    weight=0.5,
)
def each_branch_reads_through_its_norm(subject, draw):
    ours = _block(subject)
    weights, visual = draw.weights_like(ours.parameters()), draw.normal(2, 5, 10)
    text = draw.normal(2, 7, 12)
    pairs = (
        ("alpha_cross_attn", "alpha_dense", "input_layernorm"),
        ("alpha_dense", "alpha_cross_attn", "post_attention_layernorm"),
    )
    for gate, shut, norm in pairs:
        load_or_fail(ours, {**weights, gate: torch.ones(1), shut: torch.zeros(1)})
        added = [expect_tensor(ours(k * text, visual), (2, 7, 12)) - k * text for k in (1, 10)]
        look = f"RMSNorm takes the size off. Does this branch get its text through {norm}, and that alone?"
        expect_same(added[1], added[0], look=look, tolerance=1e-3)
        load_or_fail(
            ours, {**weights, gate: torch.ones(1), shut: torch.zeros(1), f"{norm}.weight": torch.zeros(12)}
        )
        look = (
            f"With {norm}'s weights at zero, the branch reads the same of any text. Is it this branch's norm?"
        )
        blank = [ours(one, visual) - one for one in (text, text.flip(1))]
        expect_same(blank[1], blank[0], look=look, tolerance=1e-4)


@claim("gated_block", "media_mask arrives at the attention: what it hides is not read.", weight=0.5)
def the_mask_is_handed_on(subject, draw):
    ours = _block(subject)
    weights, text, visual = draw.weights_like(ours.parameters()), draw.normal(2, 7, 12), draw.normal(2, 5, 10)
    load_or_fail(ours, {**weights, "alpha_cross_attn": torch.ones(1)})
    keep = draw.keep_mask(2, 5)[:, None].expand(2, 7, 5)  # True = keep
    once = expect_tensor(ours(text, visual, keep), (2, 7, 12))
    look = "True in media_mask means keep. Is it the third thing that your attention is given?"
    for changed, judged in ((~keep, expect_same), (keep, expect_different)):
        judged(
            ours(text, torch.where(changed[:, 0, :, None], draw.normal(2, 5, 10), visual), keep),
            once,
            look=look,
        )


# -- flamingo --------------------------------------------------------------------------------------------


@claim("flamingo", "What a word has read before a layer, later words hear of behind it.", weight=0.5)
def what_a_word_has_read_goes_on(subject, draw):
    decoder = subject.build_stand_in("tiny_decoder", n_words=11, d_text=6, n_layers=1)
    ours = subject.build(decoder, stand_in("adding_blocks", n=1, d_text=6, d_visual=5))
    weights = draw.weights_like(ours.parameters(), std=0.6)
    load_or_fail(ours, {**weights, "blocks.0.strength": draw.uniform(0.8, 1.6, 1)})
    ours.eval()
    ids, mask = draw.integers(0, 11, 2, 7), torch.zeros(2, 7, 4, dtype=torch.bool)
    mask[:, 2] = True  # True = keep: the third word alone reads
    first, second = (
        expect_tensor(ours(draw.normal(2, 4, 5), mask, ids), (2, 7, 11), look="Logits for every word.")
        for _ in range(2)
    )
    look = "The mask lets the third word alone read. What do the words before it have to do with it?"
    expect_same(second[:, :2], first[:, :2], tolerance=0.0, look=look)
    look = "A block before the layer: what the third word read, the layer can hand to the last one."
    expect_different(second[:, -1], first[:, -1], look=look)


@claim("flamingo", "With closed blocks it is the language model; open ones let pictures in, for one call.")
def closed_it_is_the_language_model(subject, draw):
    decoder = subject.build_stand_in("tiny_decoder", n_words=11, d_text=6, n_layers=5)
    decoder.eval()
    ids, mask = draw.integers(0, 11, 2, 7), torch.ones(2, 7, 4, dtype=torch.bool)
    alone = expect_tensor(decoder(ids), (2, 7, 11))
    ours = subject.build(decoder, stand_in("adding_blocks", n=3, d_text=6, d_visual=5), interval=2)
    ours.eval()
    visual = draw.normal(2, 4, 5)
    look = "The blocks are closed and return their text. What else does your code do to the stream?"
    expect_same(ours(visual, mask, ids), alone, tolerance=0.0, look=look)
    open_now = {f"blocks.{j}.strength": torch.ones(1) for j in range(3)}
    load_or_fail(ours, {**ours.parameters(), **open_now})
    expect_different(ours(visual, mask, ids), alone, look="Now the blocks are open. Is each of them called?")
    look = "The language model was called on its own, after your call. What is left of that call?"
    expect_same(decoder(ids), alone, tolerance=0.0, look=look)


@claim("flamingo", "Block j stands before layer j * interval: what it let a word read goes on from there.")
def each_block_stands_before_its_layer(subject, draw):
    mask = torch.zeros(2, 7, 4, dtype=torch.bool)
    mask[:, 2] = True  # True = keep: the third word alone reads
    for n_layers, interval, block in ((2, 1, 0), (2, 1, 1), (4, 2, 0), (4, 2, 1)):
        decoder = subject.build_stand_in("tiny_decoder", n_words=11, d_text=6, n_layers=n_layers)
        blocks = stand_in("adding_blocks", n=2, d_text=6, d_visual=5)
        ours = subject.build(decoder, blocks, interval)
        ours.eval()
        ids, place = draw.integers(0, 11, 2, 7), block * interval
        visual = draw.normal(2, 4, 5), draw.normal(2, 4, 5)
        for awake in (place, place - 1):  # the last layer that hands anything on to later words
            weights = draw.weights_like(ours.parameters(), std=0.6)
            for name in weights:
                asleep = any(f"layers.{i}.mix." in name for i in range(awake + 1, n_layers))
                if asleep or "strength" in name:
                    weights[name] = torch.zeros_like(weights[name])
            weights[f"blocks.{block}.strength"] = 2 * torch.ones(1)
            weights[f"blocks.{block}.strengths"] = torch.ones(1, 1, 6)
            load_or_fail(ours, weights)
            first, second = (expect_tensor(ours(one, mask, ids), (2, 7, 11)) for one in visual)
            told = f"{n_layers} layers, interval {interval}, block {block} alone open; "
            told += f"from layer {awake + 1} on, layers hand nothing to later words"
            look = f"{told}. The third word reads: does your block change what it says?"
            expect_different(second[:, 2], first[:, 2], look=look, least=1e-5)
            if awake == place:
                look = f"{told}. Layer {place} comes after this block. Is the block called before it?"
                expect_different(second[:, -1], first[:, -1], look=look, least=1e-5)
            else:
                look = f"{told}. This block comes after all that do. Is it called earlier?"
                expect_same(second[:, -1], first[:, -1], tolerance=0.0, look=look)


@claim("flamingo", "A number of blocks that does not fit is refused, with the numbers.", weight=0.5)
def too_many_blocks_are_refused(subject, draw):
    look = "14 layers with interval 3 have places before layers 0, 3, 6, 9 and 12. What do 8 blocks do there?"
    decoder = subject.build_stand_in("tiny_decoder", n_words=11, d_text=6, n_layers=14)
    subject.build(decoder, stand_in("adding_blocks", n=5, d_text=6, d_visual=5), 3)
    blocks = stand_in("adding_blocks", n=8, d_text=6, d_visual=5)
    expect_raises(lambda: subject.build(decoder, blocks, 3), "ValueError", mentions=[8, 5], look=look)


# -- parameter_groups ------------------------------------------------------------------------------------

TINY_FLAMINGO = {"n_words": 13, "d_text": 6, "n_layers": 2, "d_visual": 5, "n_blocks": 3}


@claim("parameter_groups", "Blocks and resampler train; of the language model, the embedding at most.")
def blocks_and_resampler_train(subject, draw):
    for new in (torch.tensor([4, 9]), torch.zeros(0, dtype=torch.long)):
        model = subject.build_stand_in("tiny_flamingo", **TINY_FLAMINGO)
        subject(model, new, 0.1)
        for name, needs in model.report()["requires_grad"].items():
            embedding = name.endswith("embed_tokens.weight")
            trains = len(new) > 0 if embedding else not name.startswith("language_model.")
            expect(
                needs == trains,
                seen=f"with {len(new)} new ids, {name} asks for {'a' if needs else 'no'} gradient",
                look="The language model is frozen, but for its embedding where there are new tokens. All "
                "else starts from random numbers.",
            )


@claim("parameter_groups", "A later model.train() wakes everything but the language model.", weight=0.5)
def train_wakes_all_but_the_language_model(subject, draw):
    model = subject.build_stand_in("tiny_flamingo", **TINY_FLAMINGO)
    subject(model, torch.tensor([4, 9]), 0.1)
    model.train()
    for name, training in model.report()["training"].items():
        expect(
            not name or training != name.startswith("language_model"),
            seen=f"after model.train(), {name} is in {'training' if training else 'eval'} mode",
            look="model.train() goes down into every part. What keeps the language model out, and only it?",
        )


@claim(
    "parameter_groups", "Two groups: what decays, and what does not. Each parameter that trains is in one."
)
def two_groups_for_the_optimiser(subject, draw):
    model = subject.build_stand_in("tiny_flamingo", **TINY_FLAMINGO)
    amount = float(draw.uniform(0.05, 0.4, 1))
    returned = subject(model, torch.tensor([4, 9]), amount)
    look = 'Return [{"params": [...], "weight_decay": ...}, {...}]: what decays first, then what does not.'
    expect(
        isinstance(returned, list) and len(returned) == 2 and all(isinstance(one, dict) for one in returned),
        seen=f"a {type(returned).__name__} where a list of two dicts is asked for",
        look=look,
    )
    names = []
    for group, decay in zip(returned, (amount, 0.0), strict=True):
        group = expect_keys(group, ("params", "weight_decay"), look=look)
        expect(group["weight_decay"] == decay, seen=f"weight_decay is {group['weight_decay']}", look=look)
        expect(isinstance(group["params"], list), seen="params is no list", look=look)
        names.append([getattr(one, "name", type(one).__name__) for one in group["params"]])
    trained = [name for name, needs in model.report()["requires_grad"].items() if needs]
    look = "Sort what asks for a gradient into two lists, each parameter into one of them."
    seen = f"{len(names[0])} + {len(names[1])} parameters where {len(trained)} train"
    expect(sorted(names[0] + names[1]) == sorted(trained), seen=seen, look=look)
    gates = [name for name in names[0] if "strength" in name or not name.startswith("blocks.")]
    look = "Gates, vectors, the resampler and the embedding do not decay."
    expect(not gates, seen=f"decays: {', '.join(gates[:3])}", look=look)


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


def reader_for(subject, draw, n_words, d_visual, unlikely):
    """A model with a cache, every parameter drawn anew; `unlikely` words are never the likeliest."""
    model = subject.build_stand_in("cached_reader", n_words=n_words, d_visual=d_visual)
    weights = draw.weights_like(model.parameters(), std=0.7)
    weights["says.bias"][list(unlikely)] = -60.0
    load_or_fail(model, weights)
    return model


@claim("generate", "Without pictures, each token is the likeliest after the whole row before it.", weight=0.5)
def each_token_is_the_likeliest(subject, draw):
    tag, end, ids = 1, 3, draw.integers(4, 23, 5)
    model, none = reader_for(subject, draw, 23, 7, (tag, end)), torch.zeros(0, 4, 7)
    written = subject(model, ids, none, tag, end, 6)
    look = "Return the new ids, as a list of plain numbers."
    expect(isinstance(written, list), seen=f"a {type(written).__name__}", look=look)
    expect(all(type(one) is int for one in written), seen="not all are plain numbers", look=look)
    expect(len(written) == 6, seen=f"{len(written)} tokens for n_new = 6", look="No end comes here.")
    row = torch.cat([ids, torch.tensor(written)])[None]
    logits, _ = model(row, none.reshape(1, 0, 7), torch.ones(1, 11, 0, dtype=torch.bool), None)
    wrong = [k for k, best in enumerate(logits[0, 4:-1].argmax(dim=1).tolist()) if best != written[k]]
    expect(
        not wrong,
        seen=f"{len(wrong)} of 6 are not, the first of them number {wrong[0] + 1 if wrong else 0}",
        look="The whole row was read once more, at once. Which position's logits say what comes next? Is "
        "the cache handed on from call to call, with the newest token alone?",
    )


@claim("generate", "Each token is read once, and each one behind a tag can see the picture.", weight=0.5)
def new_tokens_can_see_the_picture(subject, draw):
    tag, end = 2, 5
    ids = torch.cat([torch.tensor([tag]), draw.integers(6, 23, 4)])
    model = reader_for(subject, draw, 23, 7, (tag, end))
    subject(model, ids, draw.normal(1, 3, 7), tag, end, 4)
    record = model.report()["buffers"]
    expect(
        len(record["read"]) in (8, 9),
        seen=f"{len(record['read'])} tokens went through the model for a prompt of 5 and 4 written",
        look="The first call reads the prompt; each later one reads the newest token alone.",
    )
    blind = int((~record["kept"].all(dim=1)).sum())
    expect(
        not blind,
        seen=f"{blind} of {len(record['read'])} tokens could not see the whole picture before them",
        look="A mask is not in the cache. Which row of it belongs to a new token?",
    )


@claim("generate", "Two pictures: each token sees the latest one before it, the written ones the last.")
def each_token_sees_the_latest_picture(subject, draw):
    tag, end = 2, 5
    word = draw.integers(6, 23, 5).tolist()
    ids = torch.tensor([word[0], tag, word[1], word[2], tag, word[3]])
    model = reader_for(subject, draw, 23, 7, (tag, end))
    subject(model, ids, draw.normal(2, 3, 7), tag, end, 4)
    latest = [0, 1, 1, 1, 2, 2] + [2] * 4  # 0: none
    kept = model.report()["buffers"]["kept"]
    expect(
        kept.shape[1:] == (6,), seen=f"a mask for {kept.shape[-1]} visual tokens", look="2 pictures of 3: 6."
    )
    for place, (row, number) in enumerate(zip(kept.tolist(), latest, strict=False)):
        wanted = [number == 1] * 3 + [number == 2] * 3
        what = f"token {place} of the prompt, counted from 0," if place < 6 else f"written token {place - 5}"
        expect(
            row == wanted,
            seen=f"{what} could see {sum(row[:3])} of 3 visual tokens of the first picture and "
            f"{sum(row[3:])} of 3 of the second",
            look="The row is: word, tag, word, word, tag, word. Each looks at the latest picture before it, "
            "a tag at its own, a word in front of all at none. Visual tokens stand picture by picture.",
        )


@claim("generate", "Writing stops at the end, at once if need be, and the tag is never written.", weight=0.5)
def it_stops_at_the_end_and_writes_no_tag(subject, draw):
    tag, end, ids = 1, 3, draw.integers(4, 23, 5)
    model, none = reader_for(subject, draw, 23, 7, (tag,)), torch.zeros(0, 4, 7)
    weights = model.parameters()
    said = {"end": weights["says.bias"].clone(), "tag": weights["says.bias"].clone()}
    said["end"][end] = 60.0
    load_or_fail(model, {**weights, "says.bias": said["end"]})
    written = subject(model, ids, none, tag, end, 6)
    look = "The end is the likeliest from the first step on. Is it looked for before anything is written?"
    expect(written == [], seen=f"{len(written)} ids where the end comes first", look=look)
    written = []
    for likely in (-60.0, 60.0):
        said["tag"][[tag, end]] = torch.tensor([likely, -60.0])
        load_or_fail(model, {**weights, "says.bias": said["tag"]})
        written.append(subject(model, ids, none, tag, end, 6))
    look = "There is no picture for a tag. Where it is the likeliest, take the next best, and go on."
    expect(tag not in written[1], seen="the tag among the new ids", look=look)
    expect(
        written[0] == written[1], seen="other words where a tag was likely than where it was not", look=look
    )


@claim("generate", "An empty prompt, and a picture without a tag, are a ValueError.", weight=0.5)
def what_cannot_be_read_is_refused(subject, draw):
    model = reader_for(subject, draw, 23, 7, (1, 3))
    ids = draw.integers(4, 23, 6)
    expect_raises(
        lambda: subject(model, ids[:0], torch.zeros(0, 3, 7), 1, 3, 2),
        "ValueError",
        look="There is no last position in an empty prompt.",
    )
    expect_raises(
        lambda: subject(model, ids, draw.normal(1, 3, 7), 1, 3, 2),
        "ValueError",
        mentions=[0, 1],
        look="0 tags and 1 picture: name both numbers.",
    )


# -- few_shot_prompt -------------------------------------------------------------------------------------


@claim("few_shot_prompt", "A solved example, then the open question: each behind its tag.", weight=0.5)
def an_example_stands_before_the_open_question(subject, draw):
    tag, end = 1, 3
    first, asked = draw.normal(4, 6), draw.normal(4, 6)
    question, answer, open_question = (draw.integers(5, 40, n) for n in (3, 2, 4))
    prompt = expect_keys(
        subject([(first, question, answer)], asked, open_question, tag, end),
        ("ids", "visual"),
        look="Return a dict with these two.",
    )
    signs = (torch.tensor([tag]), torch.tensor([end]))
    row = torch.cat([signs[0], question, answer, signs[1], signs[0], open_question])
    expect_same(
        prompt["ids"], row, look="Tag, question, answer, end; then tag and question. Nothing closes the last."
    )
    expect_same(
        prompt["visual"],
        torch.stack([first, asked]),
        look="One picture for each tag, in the order of the tags.",
    )


@claim("few_shot_prompt", "With no examples, the prompt is a tag and a question.", weight=0.5)
def no_examples_are_a_prompt_too(subject, draw):
    asked, question = draw.normal(4, 6), draw.integers(5, 40, 3)
    prompt = expect_keys(subject([], asked, question, 1, 3), ("ids", "visual"), look="A dict with these two.")
    expect_tensor(prompt["ids"], (4,), look="A tag, and three words of question.")
    expect_tensor(prompt["visual"], (1, 4, 6), look="One picture, in front of it an axis for pictures.")


@claim("few_shot_prompt", "An example without an answer is a ValueError.", weight=0.5)
def an_example_has_an_answer(subject, draw):
    picture, question = draw.normal(4, 6), draw.integers(5, 40, 3)
    expect_raises(
        lambda: subject([(picture, question, question[:0])], picture, question, 1, 3),
        "ValueError",
        mentions=[0],
        look="An example without an answer teaches the model to say nothing. Say how many ids there were.",
    )


# -----------------------------------------------------------------------------------------------------------

check = door(globals())
