"""Public checks of this week. They run in your notebook, on your objects, and say what they saw.

Each takes a subject (yours) and a source of random inputs. They catch the common slips; hidden checks, run
when the notebook is graded, look closer. Boolean masks say True = keep.

    from course_lib.checks import check
    check("linear_projector", LinearProjector)
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

# -- linear_projector ------------------------------------------------------------------------------------


@claim("linear_projector", "Every visual token comes out as wide as a word embedding.", weight=0.5)
def projected_tokens_have_the_width_of_the_text(subject, draw):
    d_visual, d_text = 10, 12
    visual = draw.normal(2, 5, d_visual)
    expect_tensor(
        subject.build(d_visual, d_text)(visual),
        (2, 5, d_text),
        look="Five tokens of width 10 go in for each of two pictures; five of width 12 should come out.",
    )


@claim(
    "linear_projector", "It takes weights by name, and a token of zeros comes out as the bias.", weight=0.5
)
def a_token_of_zeros_becomes_the_bias(subject, draw):
    projector = subject.build(10, 12)
    bias = draw.normal(12)
    load_or_fail(projector, {"linear.weight": draw.normal(12, 10), "linear.bias": bias})
    expect_same(
        projector(torch.zeros(2, 5, 10)),
        bias.expand(2, 5, 12),
        look="Wx + b at x = 0 is b. Does anything else happen on the way?",
    )


@claim(
    "linear_projector",
    "Each token is projected by itself, and twice the token is twice the answer.",
    weight=0.5,
)
def twice_the_token_is_twice_the_answer(subject, draw):
    projector = subject.build(10, 12)
    bias = draw.normal(12)
    load_or_fail(projector, {"linear.weight": draw.normal(12, 10), "linear.bias": bias})
    visual = draw.normal(2, 5, 10)
    once = expect_tensor(projector(visual), (2, 5, 12))
    look = "One linear layer and nothing else: is a token normed, centred or scaled, before it or behind it?"
    expect_same(projector(3 * visual) - bias, 3 * (once - bias), look=look, tolerance=1e-4)
    expect_same(
        projector(visual[:, 2:3]), once[:, 2:3], look=f"A token alone, without its neighbours. {look}"
    )


# -- mlp_projector ---------------------------------------------------------------------------------------


@claim("mlp_projector", "Every visual token comes out as wide as a word embedding.", weight=0.5)
def tokens_come_out_as_wide_as_the_text(subject, draw):
    d_visual, d_text = 10, 12
    visual = draw.normal(2, 5, d_visual)
    expect_tensor(
        subject.build(d_visual, d_text)(visual),
        (2, 5, d_text),
        look="Which layer goes from d_visual to d_text, and which from d_text to d_text?",
    )


@claim(
    "mlp_projector", "It takes weights by name, and something between its layers is not linear.", weight=0.5
)
def something_between_the_layers_is_not_linear(subject, draw):
    projector = subject.build(10, 12)
    load_or_fail(
        projector,
        {
            "linear_1.weight": draw.normal(12, 10),
            "linear_1.bias": draw.normal(12),
            "linear_2.weight": draw.normal(12, 12),
            "linear_2.bias": draw.normal(12),
        },
    )
    visual = draw.normal(2, 5, 10)
    there, back, middle = (expect_tensor(projector(x), (2, 5, 12)) for x in (visual, -visual, 0 * visual))
    expect_different(
        there + back,
        2 * middle,
        look="Two linear layers in a row are one, and for one f(x) + f(-x) is twice f(0). Where is the GELU?",
    )


@claim("mlp_projector", "0.5, doubled by the first layer, becomes GELU(1), which is 0.8413.", weight=0.5)
def between_the_layers_stands_gelu(subject, draw):
    projector = subject.build(12, 12)
    weights = {"linear_1.weight": 2 * torch.eye(12), "linear_2.weight": torch.eye(12)}
    load_or_fail(projector, {**weights, "linear_1.bias": torch.zeros(12), "linear_2.bias": torch.zeros(12)})
    halves = torch.tensor([0.5, -0.5, 1.0])[:, None].repeat(1, 4).flatten()
    seen = expect_tensor(projector(halves[None, None]), (1, 1, 12))[0, 0]
    told = ", ".join(f"{halves[k]:g} becomes {seen[k]:.4f}" for k in (0, 4, 8))
    expect(
        bool((seen - torch.nn.functional.gelu(2 * halves)).abs().max() < 1e-5),
        seen=told,
        look="The second layer hands on what it gets here, so what you see stands between the two, or "
        "around them. Is it nn.GELU(), once, in the middle, and the exact one?",
    )


# -- pixel_shuffle ---------------------------------------------------------------------------------------


@claim("pixel_shuffle", "A quarter of the tokens, each four times as wide, for factor 2.", weight=0.5)
def tokens_get_fewer_and_wider(subject, draw):
    for (rows, columns), factor in (((4, 6), 2), ((3, 9), 3)):
        expect_tensor(
            subject(draw.normal(2, rows * columns, 5), (rows, columns), factor),
            (2, rows * columns // factor**2, 5 * factor**2),
            look=f"{rows} x {columns} patches in blocks of {factor} x {factor}: how many blocks are there, "
            "and how many numbers are in one?",
        )


@claim("pixel_shuffle", "A merged token holds a block of neighbours, read row by row.", weight=0.5)
def a_merged_token_holds_a_block_of_neighbours(subject, draw):
    # Eight tokens of one number each, two rows of four. The two blocks lie side by side.
    numbers = draw.normal(8)
    blocks = numbers[torch.tensor([[0, 1, 4, 5], [2, 3, 6, 7]])]
    expect_same(
        subject(numbers[None, :, None], (2, 4), 2),
        blocks[None],
        look="Tokens 0 and 1 lie above tokens 4 and 5. A reshape alone takes 0, 1, 2, 3, which are one line.",
    )


@claim(
    "pixel_shuffle", "4 x 4 patches become 4 tokens, row by row; in one, a patch's channels stay together."
)
def a_grid_of_four_by_four_is_read_in_order(subject, draw):
    patches = torch.arange(16.0)[:, None] + torch.tensor([0.0, 0.5])  # patch 6 is (6, 6.5): two channels
    seen = expect_tensor(subject(patches[None], (4, 4), 2), (1, 4, 8))[0]
    for place, block in enumerate(((0, 1, 4, 5), (2, 3, 6, 7), (8, 9, 12, 13), (10, 11, 14, 15))):
        expect(
            torch.equal(seen[place], patches[list(block)].flatten()),
            seen=f"new token {place}, counted from 0, reads {', '.join(f'{one:g}' for one in seen[place])}",
            look="Patches are numbered 0 to 15, row by row; patch 6 holds 6 and 6.5. New tokens come row by "
            "row, and in one of them i changes slowest, then j, and the channel fastest.",
        )


@claim(
    "pixel_shuffle",
    "A grid that does not hold the tokens, or a factor that does not fit it, is refused.",
    weight=0.5,
)
def what_does_not_fit_is_refused_by_number(subject, draw):
    for grid, factor, named in (((4, 5), 2, 24), ((4, 6), 4, 4), ((3, 8), 2, 2)):
        expect_raises(
            lambda grid=grid, factor=factor: subject(draw.normal(1, 24, 3), grid, factor),
            "ValueError",
            mentions=[named],
            look=f"24 tokens, a grid of {grid[0]} x {grid[1]}, factor {factor}. Which two do not fit? Say "
            "v, or the factor, in a ValueError.",
        )


# -- merge_image_tokens ----------------------------------------------------------------------------------

MERGED = ("embeds", "keep", "positions", "labels")


@claim(
    "merge_image_tokens",
    "A picture stands where its placeholder stood, with the words around it.",
    weight=0.5,
)
def a_picture_stands_where_its_placeholder_stood(subject, draw):
    embedding, features = draw.normal(9, 6), draw.normal(1, 3, 6)
    ids = torch.tensor([4, 7, -200, 2])
    merged = expect_keys(
        subject([ids], [ids.clone()], features, embedding, -200),
        MERGED,
        look="Return a dict with these keys.",
    )
    expect_same(
        merged["embeds"],
        torch.cat([embedding[[4, 7]], features[0], embedding[[2]]])[None],
        look="Two words, three visual tokens, one word: six positions in all.",
    )


@claim(
    "merge_image_tokens",
    "Rows of different length become one rectangle, and keep says what is real.",
    weight=0.5,
)
def rows_become_one_rectangle(subject, draw):
    embedding, features = draw.normal(9, 6), draw.normal(1, 3, 6)
    ids = [torch.tensor([5, 3]), torch.tensor([8, -200, 1])]
    merged = expect_keys(
        subject(ids, [row.clone() for row in ids], features, embedding, -200),
        MERGED,
        look="Which keys are there?",
    )
    expect_tensor(
        merged["embeds"], (2, 5, 6), look="The second row has 1 + 3 + 1 positions; the first is padded."
    )
    keep = expect_tensor(merged["keep"], (2, 5), look="One True or False for every position.")
    expect(keep.dtype == torch.bool, seen=f"keep is of type {keep.dtype}", look="torch.bool, True = keep.")
    expect_equal(
        keep.sum(dim=1).tolist(),
        [2, 5],
        name="how many positions each row keeps",
        look="What is padding, what not?",
    )


@claim("merge_image_tokens", "No visual token is trained on: its label is -100.", weight=0.5)
def visual_tokens_carry_no_label(subject, draw):
    embedding, features = draw.normal(9, 6), draw.normal(1, 2, 6)
    ids, labels = torch.tensor([4, -200, 2, 7]), torch.tensor([-100, -200, 6, 3])
    merged = expect_keys(
        subject([ids], [labels], features, embedding, -200), MERGED, look="Which keys are there?"
    )
    expect_same(
        merged["labels"],
        torch.tensor([[-100, -100, -100, 6, 3]]),
        look="Labels travel with their words; in place of the placeholder stand two -100.",
    )


@claim("merge_image_tokens", "Pictures go in order through all rows; positions count what is real.")
def pictures_go_in_order_through_all_rows(subject, draw):
    embedding, features = draw.normal(9, 6), draw.normal(3, 2, 6)
    ids = [torch.tensor([-200, 4, -200, 3]), torch.tensor([8, -200])]
    look = "One counter for the whole batch: the third placeholder, in row 1, is the third picture."
    merged = expect_keys(
        subject(ids, [row.clone() for row in ids], features, embedding, -200), MERGED, look=look
    )
    first = torch.cat([features[0], embedding[[4]], features[1], embedding[[3]]])
    second = torch.cat([embedding[[8]], features[2], torch.zeros(3, 6)])
    expect_same(
        merged["embeds"], torch.stack([first, second]), look=f"{look} Padding is zeros, at the right."
    )
    places = torch.tensor([[0, 1, 2, 3, 4, 5], [0, 1, 2, 0, 0, 0]])
    look = "Positions run through words and visual tokens alike, from 0 in each row; padding has 0."
    expect_same(merged["positions"], places, look=look)
    no = -100
    labels = torch.tensor([[no, no, 4, no, no, 3], [8, no, no, no, no, no]])
    look = "Words keep their labels; visual tokens and padding have -100."
    expect_same(merged["labels"], labels, look=look)
    for n in (2, 4):
        expect_raises(
            lambda n=n: subject(ids, [row.clone() for row in ids], draw.normal(n, 2, 6), embedding, -200),
            "ValueError",
            mentions=[3, n],
            look=f"3 placeholders and {n} pictures. Say both numbers in a ValueError.",
        )


# -- token_budget ----------------------------------------------------------------------------------------


@claim("token_budget", "A projector hands on every patch, and turns fill the window.", weight=0.5)
def every_patch_costs_a_token(subject, draw):
    side, patch, text = draw.integer(8, 25), draw.integer(10, 17), draw.integer(20, 90)
    left = draw.integer(1, text)
    turns = draw.integer(3, 9)
    budget = expect_keys(
        subject("mlp", side * patch, patch, turns * (side * side + text) + left, text),
        ("per_image", "turns", "left"),
        look="Return a dict with these keys.",
    )
    seen = {name: budget[name] for name in ("per_image", "turns", "left")}
    expect_equal(
        seen,
        {"per_image": side * side, "turns": turns, "left": left},
        name=f"the budget of pictures of {side * patch} pixels in patches of {patch}",
        look="How many patches are in a row, and in the picture? A turn is one picture and its text.",
    )


@claim("token_budget", "A Q-Former hands on its queries, however large the picture.", weight=0.5)
def a_qformer_costs_its_queries(subject, draw):
    n_queries = draw.integer(10, 50)
    budget = expect_keys(
        subject("qformer", 14 * draw.integer(10, 30), 14, 4096, 50, n_queries=n_queries),
        ("per_image",),
        look="Return a dict with per_image, turns and left.",
    )
    expect_equal(
        budget["per_image"], n_queries, name="per_image", look="The language model sees queries, not patches."
    )


@claim("token_budget", "Four patches merged are a fourth of the tokens, and a gated block's tag is one.")
def each_bridge_has_its_own_price(subject, draw):
    def tokens_of(bridge, side, **more):
        look = "Return a dict with per_image, turns and left."
        return expect_keys(subject(bridge, 14 * side, 14, 4096, 50, **more), ("per_image",), look=look)[
            "per_image"
        ]

    side = 2 * draw.integer(5, 12)
    for bridge, more, tokens in (
        ("linear", {"factor": 2}, side * side),
        ("pixel_shuffle", {"factor": 2}, side * side // 4),
        ("gated_cross_attention", {"n_queries": 9}, 1),
    ):
        look = f"{side} x {side} patches. What of them stands in the language model's sequence?"
        told = f"per_image of {bridge!r} with {more}"
        expect_equal(tokens_of(bridge, side, **more), tokens, name=told, look=look)
    for bridge, odd, look in (
        ("pixel_shuffle", 15, "15 x 15 patches in blocks of 2 x 2: what becomes of the last row?"),
        ("telepathy", side, "There is no bridge of this name. Say so in a ValueError."),
    ):
        expect_raises(
            lambda bridge=bridge, odd=odd: tokens_of(bridge, odd, factor=2), "ValueError", look=look
        )


# -- cross-attention ---------------------------------------------------------------------------------------


@claim(
    "cross_attention",
    "Weights go in by name, and each word gets one token of its own width back.",
    weight=0.5,
)
def the_output_looks_like_the_text(subject, draw):
    d_text, d_visual, n_heads, d_head = 11, 10, 3, 4
    ours = subject.build(d_text, d_visual, n_heads, d_head)
    width = n_heads * d_head
    sizes = {"q_proj.weight": (width, d_text), "k_proj.weight": (width, d_visual)}
    sizes |= {
        "v_proj.weight": (width, d_visual),
        "out_proj.weight": (d_text, width),
        "out_proj.bias": (d_text,),
    }
    load_or_fail(ours, {name: draw.normal(*size) for name, size in sizes.items()})
    for b, t, v in ((2, 7, 5), (1, 3, 9)):
        seen = ours(draw.normal(b, t, d_text), draw.normal(b, v, d_visual))
        expect_tensor(
            seen, (b, t, d_text), look="The words ask, so there are as many answers as words. How wide?"
        )


@claim("cross_attention", "Copies of one visual token are read like that token alone: weights sum to 1.")
def copies_of_one_token_read_like_that_token(subject, draw):
    ours = subject.build(11, 10, 3, 4)
    text, one, other = draw.normal(2, 7, 11), draw.normal(2, 1, 10), draw.normal(2, 1, 10)
    alone = expect_tensor(ours(text, one), (2, 7, 11))
    look = "Each word shares out one whole attention over the visual tokens. Over which axis is the softmax?"
    expect_same(ours(text, one.repeat(1, 6, 1)), alone, look=look)
    expect_same(
        alone, alone[:, :1].repeat(1, 7, 1), look=f"With one token to read, all words read the same. {look}"
    )
    expect_different(
        ours(text, other), alone, look="Another picture has to be read differently. Is it read at all?"
    )


@claim("cross_attention", "Hidden tokens reach nobody, and where all are hidden the output is exactly zero.")
def hidden_tokens_and_empty_rows(subject, draw):
    ours = subject.build(11, 10, 3, 4)
    text, visual = draw.normal(2, 7, 11), draw.normal(2, 5, 10)
    keep = torch.tensor([[True, False, True, True, False], [False] * 5])
    seen = expect_tensor(ours(text, visual, keep), (2, 7, 11))
    look = "True in visual_mask means KEEP. Is the mask inverted, or does it come after the softmax?"
    expect_same(seen[0], expect_tensor(ours(text, visual[:, keep[0]]), (2, 7, 11))[0], look=look)
    look = (
        "A row that may look at nothing has nothing to add. What does a softmax over it give, and "
        "out_proj's bias?"
    )
    expect_finite(seen, look=look)
    expect_same(seen[1], torch.zeros(7, 11), tolerance=0.0, look=look)


# -- Q-Former ----------------------------------------------------------------------------------------------


@claim(
    "qformer",
    "Weights go in by name: queries, layers, to_text; layers 0, 2, 4, ... look at the picture.",
    weight=0.5,
)
def weights_go_in_by_name(subject, draw):
    d_visual, d_text, n_queries, n_layers, n_heads, d = 10, 14, 5, 3, 2, 12
    ours = subject.build(d_visual, d_text, n_queries, n_layers, n_heads, d)
    sizes = {"queries": (n_queries, d), "to_text.weight": (d_text, d), "to_text.bias": (d_text,)}
    for i in range(n_layers):
        layer = {"self_attention.in_proj_weight": (3 * d, d), "feed_forward.0.weight": (4 * d, d)}
        layer |= {
            "feed_forward.0.bias": (4 * d,),
            "feed_forward.2.weight": (d, 4 * d),
            "feed_forward.2.bias": (d,),
        }
        looking = ["self", "cross"] if i % 2 == 0 else ["self"]
        if i % 2 == 0:
            layer |= {f"cross_attention.{x}_proj_weight": (d, d if x == "q" else d_visual) for x in "qkv"}
        for kind in looking:
            layer |= {f"{kind}_attention.in_proj_bias": (3 * d,), f"{kind}_attention.out_proj.weight": (d, d)}
            layer |= {f"{kind}_attention.out_proj.bias": (d,)}
        for norm in [*looking, "feed"]:
            layer |= {f"{norm}_norm.weight": (d,), f"{norm}_norm.bias": (d,)}
        sizes |= {f"layers.{i}.{name}": size for name, size in layer.items()}
    load_or_fail(ours, {name: draw.normal(*size) for name, size in sizes.items()})


@claim(
    "qformer",
    "However many visual tokens there are, n_queries tokens of the text's width come out.",
    weight=0.5,
)
def a_picture_becomes_n_queries_tokens(subject, draw):
    ours = subject.build(d_visual=10, d_text=14, n_queries=5, n_layers=2, n_heads=3, d_model=12)
    ours.eval()
    for b, v in ((2, 7), (3, 20)):
        visual = draw.normal(b, v, 10)
        seen = expect_tensor(ours(visual), (b, 5, 14), look="Is to_text applied at the end, to every query?")
        expect_different(
            seen[1:],
            seen[:-1],
            look="Two pictures should not give the same summary. Is the picture read at all?",
        )


@claim(
    "qformer", "Hidden tokens are not read; a picture that keeps nothing gives numbers, whatever is in it."
)
def hidden_tokens_are_not_read(subject, draw):
    ours = subject.build(d_visual=10, d_text=14, n_queries=5, n_layers=2, n_heads=3, d_model=12)
    ours.eval()
    visual = draw.normal(2, 4, 10)
    keep = torch.tensor([[True, False, True, False], [False] * 4])
    seen = expect_tensor(ours(visual, keep), (2, 5, 14))
    look = (
        "In torch's key_padding_mask True means IGNORE; in visual_mask True means KEEP. Is it turned round?"
    )
    expect_same(seen[0], expect_tensor(ours(visual[:1, keep[0]]), (1, 5, 14))[0], look=look)
    look = (
        "With every key ignored, torch's softmax is 0/0. What should a query have read where there is "
        "nothing?"
    )
    expect_finite(seen, look=look)
    expect_same(expect_tensor(ours(draw.normal(2, 4, 10), keep), (2, 5, 14))[1], seen[1], look=look)
    expect_different(seen[1], seen[0], look="A picture with two tokens to read is not one with none.")


@claim("qformer", "The queries are learned, drawn small and apart: standard deviation 0.02.", weight=0.5)
def queries_are_learned_and_drawn_apart(subject, draw):
    ours = subject.build(d_visual=10, d_text=14, n_queries=40, n_layers=1, n_heads=3, d_model=30)
    queries = expect_tensor(ours.parameters().get("queries"), (40, 30), look="An nn.Parameter, self.queries.")
    apart = queries.std(dim=0).mean().item()
    expect(
        0.015 < apart < 0.025,
        seen=f"from query to query, numbers differ by a standard deviation of {apart:.3f}",
        look="Queries that are alike read alike, and stay alike. How are they drawn, and how large?",
    )


@claim("qformer", "Every query hears every other.")
def every_query_hears_every_other(subject, draw):
    ours = subject.build(d_visual=10, d_text=14, n_queries=5, n_layers=2, n_heads=3, d_model=12)
    weights = draw.weights_like(ours.parameters(), std=0.5)
    expect("queries" in weights, seen="no parameter is called queries", look="An nn.Parameter, self.queries.")
    ours.eval()
    visual = draw.normal(2, 4, 10)
    for query in (0, 4):
        load_or_fail(ours, weights)
        once = expect_tensor(ours(visual), (2, 5, 14))
        queries = weights["queries"].clone()
        queries[query] = draw.normal(12)
        load_or_fail(ours, {**weights, "queries": queries})
        still = int(((ours(visual) - once).abs().amax(dim=(0, 2)) < 1e-6).sum())
        look = "Self-attention among the queries has no mask. Do all of them ask, and are all of them keys?"
        expect(not still, seen=f"another query {query} leaves {still} of 5 outputs as they were", look=look)


# -- gated cross-attention -----------------------------------------------------------------------------------


@claim(
    "gated_cross_attention", "A new block returns the text, bit for bit, whatever the picture is.", weight=0.5
)
def a_new_block_returns_the_text(subject, draw):
    ours = subject.build(attention=stand_in("linear_read", d_text=12, d_visual=10), d_text=12)
    look = "Is alpha 0 at the start, passed through tanh, and is the text itself added, unchanged?"
    for visual in (draw.normal(2, 5, 10), 100 * draw.normal(2, 5, 10)):
        text = draw.normal(2, 7, 12)
        expect_same(ours(text, visual), text, tolerance=0.0, look=look)
    load_or_fail(ours, {**ours.parameters(), "alpha": torch.tensor([0.8])})
    look = "With alpha at 0.8 the block has to change the text. Does the gate open?"
    expect_different(ours(text, visual), text, look=look)


@claim(
    "gated_cross_attention",
    "An open gate lets the picture in: alpha and -alpha push the text in opposite directions.",
)
def an_open_gate_lets_the_picture_in(subject, draw):
    ours = subject.build(attention=stand_in("linear_read", d_text=12, d_visual=10), d_text=12)
    weights = {**draw.weights_like(ours.parameters()), "alpha": draw.uniform(0.5, 1.5, 1)}
    text, visual = draw.normal(2, 7, 12), draw.normal(2, 5, 10)
    load_or_fail(ours, weights)
    plus = expect_tensor(ours(text, visual), (2, 7, 12)).double() - text
    expect_different(ours(text, draw.normal(2, 5, 10)), text + plus, look="Another picture, the same output?")
    load_or_fail(ours, {**weights, "alpha": -weights["alpha"]})
    minus = expect_tensor(ours(text, visual), (2, 7, 12)).double() - text
    look = "What is added is tanh(alpha) times what was read. Is something else gated, or the sign lost?"
    expect_same(minus, -plus, tolerance=1e-4, look=look)


@claim("gated_cross_attention", "tanh is on alpha: one of 20 and one of 40 are both wide open.", weight=0.5)
def a_gate_is_never_more_than_open(subject, draw):
    ours = subject.build(attention=stand_in("linear_read", d_text=12, d_visual=10), d_text=12)
    weights = draw.weights_like(ours.parameters())
    text, visual, seen = draw.normal(2, 7, 12), draw.normal(2, 5, 10), []
    for alpha in (20.0, 40.0):
        load_or_fail(ours, {**weights, "alpha": torch.tensor([alpha])})
        seen.append(expect_tensor(ours(text, visual), (2, 7, 12)))
    expect_same(seen[1], seen[0], look="tanh(20) and tanh(40) are 1. Of what do you take tanh?")
    silent = {name: torch.zeros_like(one) for name, one in weights.items() if name.startswith("attention.")}
    load_or_fail(ours, {**weights, **silent, "alpha": torch.tensor([20.0])})
    look = "The attention gives zeros here, behind an open gate. What else changes the text?"
    expect_same(ours(text, visual), text, look=look)


@claim(
    "gated_cross_attention",
    "What is read goes through the norm, and what a mask hides is not read.",
    weight=0.5,
)
def it_reads_through_its_norm_and_its_mask(subject, draw):
    ours = subject.build(attention=stand_in("linear_read", d_text=12, d_visual=10), d_text=12)
    weights = {**draw.weights_like(ours.parameters()), "alpha": torch.ones(1)}
    load_or_fail(ours, weights)
    text, visual, keep = draw.normal(2, 7, 12), draw.normal(2, 5, 10), draw.keep_mask(2, 5)  # True = keep
    added = [expect_tensor(ours(k * text, visual), (2, 7, 12)) - k * text for k in (1, 10)]
    look = "A LayerNorm takes the size off. Does the attention get norm(text), and is text itself added to?"
    expect_same(added[1], added[0], look=look, tolerance=1e-3)
    once = expect_tensor(ours(text, visual, keep), (2, 7, 12))
    look = "True in visual_mask means keep. Is it the third thing that your attention is given?"
    for changed, judged in ((~keep, expect_same), (keep, expect_different)):
        judged(
            ours(text, torch.where(changed[..., None], draw.normal(2, 5, 10), visual), keep), once, look=look
        )


# -- freezing --------------------------------------------------------------------------------------------


@claim("freeze", "With 'bridge' to train, the bridge's parameters are handed over and all others are frozen.")
def the_bridge_alone_is_handed_to_the_optimiser(subject, draw):
    pipeline = subject.build_stand_in("tiny_pipeline", d_pixel=6, d_visual=8, d_text=5)
    returned = subject(pipeline, ["bridge"])
    awake = [name for name, needs in pipeline.report()["requires_grad"].items() if needs]
    bridge = ["bridge.0.weight", "bridge.0.bias"]
    look = (
        "Everything but the named parts asks for no gradient, biases and the model's own parameters included."
    )
    expect(awake == bridge, seen=f"a gradient is asked for by: {', '.join(awake) or 'nothing'}", look=look)
    names = (
        [getattr(one, "name", type(one).__name__) for one in returned] if isinstance(returned, list) else None
    )
    look = "The optimiser gets a list of the parameters that train. What does the last line return?"
    expect(names == bridge, seen=f"returned: {', '.join(map(str, names)) if names else names}", look=look)


@claim("freeze", "A later model.train() wakes the bridge and nobody else.")
def a_later_train_wakes_nobody_up(subject, draw):
    pipeline = subject.build_stand_in("tiny_pipeline", d_pixel=6, d_visual=8, d_text=5)
    subject(pipeline, ["bridge"])
    pipeline.train()
    awake = {
        name.split(".")[0] for name, training in pipeline.report()["training"].items() if training and name
    }
    look = (
        "Every training loop calls model.train(), which goes down into all parts. What keeps the frozen "
        "ones in "
    )
    look += "eval mode then, and the bridge out of it?"
    expect(awake == {"bridge"}, seen=f"in training mode: {', '.join(sorted(awake)) or 'nothing'}", look=look)


check = door(globals())
