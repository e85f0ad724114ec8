"""Hidden checks of qformer_layer. No two sizes are equal: a wrong cut or a wrong width cannot hide."""

import torch

from course_lib.blip2_qformer import QFormerLayer
from course_lib.checking import (
    build_pair,
    claim,
    expect,
    expect_different,
    expect_raises,
    expect_same,
    expect_tensor,
)

REFERENCE = QFormerLayer

D, D_VISUAL, HEADS, D_HIDDEN = 12, 10, 3, 20
B, Q, T, V = 2, 5, 8, 9
S = Q + T
SIZES = {"d_model": D, "d_visual": D_VISUAL, "n_heads": HEADS, "d_hidden": D_HIDDEN}
QUERY_SIDE, TEXT_SIDE = ("intermediate_query.", "output_query."), ("intermediate.", "output.")


def pair(subject, reference, draw, looks=True, **more):
    return build_pair(subject, reference, draw, **SIZES, looks=looks, **more)


def inputs(draw, b=B):
    return draw.normal(b, S, D), draw.normal(b, V, D_VISUAL)


def some_see(draw, b=B):
    """bool[b s s], True = may see: drawn, never symmetric, and every token sees itself."""
    while True:
        sees = (draw.uniform(0, 1, b, S, S) < 0.5) | torch.eye(S, dtype=torch.bool)
        if not any(torch.equal(one, one.T) for one in sees):
            return sees


@claim(
    "qformer_layer",
    "On any weights and under any mask, queries and text come out as the definition has them, in layers that "
    "look and in layers that do not.",
    weight=2,
)
def values_are_those_of_the_definition(subject, reference, draw):
    for looks in (True, False):
        (tokens, visual), sees = inputs(draw), some_see(draw)
        ours, theirs = pair(subject, reference, draw, looks)
        expect_same(
            ours(tokens, Q, sees, visual),
            theirs(tokens, Q, sees, visual),
            look="First all of them in one self-attention. Then the queries, and only in a layer that looks, "
            "read the picture. Then a feed-forward for each side. The parts add and norm by themselves: what "
            "is the second argument of each, and is anything added twice?",
        )


@claim(
    "qformer_layer", "Queries may come without text, and text without queries, and then without a picture."
)
def either_side_may_be_missing(subject, reference, draw):
    for looks in (True, False):
        tokens, visual = inputs(draw)
        ours, theirs = pair(subject, reference, draw, looks)
        alone = tokens[:, :Q]
        expect_same(
            ours(alone, Q, None, visual),
            theirs(alone, Q, None, visual),
            look="With n_queries as long as the tokens there is no text. Are all tokens treated as queries?",
        )
        for picture in (None, visual):
            expect_same(
                ours(tokens, 0, None, picture),
                theirs(tokens, 0, None, picture),
                look="With n_queries=0 all tokens are text, and text reads no picture, whether one is given "
                "or not. Who looks, and who needs one?",
            )


@claim("qformer_layer", "In one layer the picture reaches every query, and no text token.")
def only_queries_look(subject, reference, draw):
    tokens, visual = inputs(draw)
    ours, theirs = pair(subject, reference, draw)
    other = draw.normal(B, V, D_VISUAL)
    before = expect_tensor(ours(tokens, Q, None, visual), (B, S, D))
    after = expect_tensor(ours(tokens, Q, None, other), (B, S, D))
    expect_same(
        after[:, Q:],
        before[:, Q:],
        look="Text hears of the picture in the next layer, through the queries. Does it read the picture "
        "itself, or do the queries read before all hear each other?",
    )
    still = int(((after - before)[:, :Q].abs().amax(dim=2) < 1e-5).sum())
    expect(
        still == 0,
        seen=f"{still} of {B * Q} queries do not change with the picture",
        look="Which of the tokens are the queries? The first n_queries.",
    )
    expect_same(before, theirs(tokens, Q, None, visual), look="The right tokens look; are the values right?")
    calm, wanted = pair(subject, reference, draw, looks=False)
    seen = expect_tensor(calm(tokens, Q, None, visual), (B, S, D))
    expect_same(
        calm(tokens, Q),
        seen,
        look="A layer built with looks=False has nothing to read a picture with. Is self.looks asked?",
    )
    expect_same(seen, wanted(tokens, Q), look="It reads no picture, as it should; are the values right?")


@claim(
    "qformer_layer", "Each side has its own feed-forward: a change in one leaves the other side as it was."
)
def each_side_has_its_own_feed_forward(subject, reference, draw):
    tokens, visual = inputs(draw)
    ours, theirs = pair(subject, reference, draw)
    weights = theirs.parameters()
    before = expect_tensor(ours(tokens, Q, None, visual), (B, S, D))
    for whose, names, mine, other in (
        ("queries", QUERY_SIDE, slice(0, Q), slice(Q, S)),
        ("text", TEXT_SIDE, slice(Q, S), slice(0, Q)),
    ):
        changed = {
            name: value + draw.normal(*value.shape, std=0.3) if name.startswith(names) else value
            for name, value in weights.items()
        }
        ours.load(changed)
        theirs.load(changed)
        after = expect_tensor(ours(tokens, Q, None, visual), (B, S, D))
        look = (
            "intermediate_query and output_query are for queries, intermediate and output for text. Does "
            "each side go through its own?"
        )
        expect_same(after[:, other], before[:, other], look=look)
        expect_different(after[:, mine], before[:, mine], look=f"The feed-forward of {whose} changed. {look}")
        expect_same(
            after, theirs(tokens, Q, None, visual), look=f"Each side has its own; right values? {look}"
        )


@claim("qformer_layer", "A token changes those that may see it, itself, and nobody else.")
def who_may_see_is_who_is_moved(subject, reference, draw):
    # Row 0 of the batch as it is, then one token changed in each row.
    ours, theirs = pair(subject, reference, draw, looks=False, std=0.25)
    tokens = draw.normal(1, S, D).repeat(1 + S, 1, 1)
    for j in range(S):
        tokens[1 + j, j] = draw.normal(D)
    sees = some_see(draw, 1)
    out = expect_tensor(ours(tokens, Q, sees.repeat(1 + S, 1, 1)), (1 + S, S, D)).double()
    moved = ((out[1:] - out[:1]).abs().amax(dim=2) > 1e-5).T  # [i, j]: token i moves with token j
    wrong = moved != sees[0]
    expect(
        not bool(wrong.any()),
        seen=f"{int((moved & wrong).sum())} pairs influence each other that must not, "
        f"{int((~moved & wrong).sum())} do not that should",
        look="True in sees[b, i, j] means: token i MAY see token j. Is it handed to the self-attention as it "
        "is, and do queries and text stand in it together?",
    )
    expect_same(
        out.float(),
        theirs(tokens, Q, sees.repeat(1 + S, 1, 1)),
        look="The right tokens hear each other; are the values right?",
    )


@claim("qformer_layer", "A hidden visual token reaches no query; what is kept is read as if it were alone.")
def hidden_visual_tokens_reach_no_query(subject, reference, draw):
    b = 3
    tokens, visual = inputs(draw, b)
    kept = 4
    order = torch.stack([draw.permutation(V) for _ in range(b)])
    keep = torch.zeros(b, V, dtype=torch.bool).scatter(1, order[:, :kept], True)
    ours, theirs = pair(subject, reference, draw)
    garbage = torch.where(keep[..., None], visual, 10 * draw.normal(*visual.shape))
    clean = expect_tensor(ours(tokens, Q, None, visual, keep), (b, S, D))
    look = (
        "visual_mask is bool[b v], True = keep; the attention wants bool[b 1 v], True = may see. Does it "
        "arrive there, the right way round?"
    )
    expect_same(ours(tokens, Q, None, garbage, keep), clean, look=look)
    expect_same(ours(tokens, Q, None, visual[keep].reshape(b, kept, D_VISUAL)), clean, look=look)
    expect_different(
        ours(tokens, Q, None, visual, ~keep), clean, look=f"Another mask shows another picture. {look}"
    )
    expect_same(clean, theirs(tokens, Q, None, visual, keep), look=look)


@claim(
    "qformer_layer",
    "The last thing that happens to a token is its side's norm: with that norm plain, it comes out with mean "
    "0 and variance 1, however loud it came in.",
)
def every_token_comes_out_normed(subject, reference, draw):
    plain = {
        f"{side}.LayerNorm.{name}": value
        for side in ("output", "output_query")
        for name, value in (("weight", torch.ones(D)), ("bias", torch.zeros(D)))
    }
    for looks in (True, False):
        tokens, visual = inputs(draw)
        ours, theirs = pair(subject, reference, draw, looks, fixed=plain)
        loud = 30 * tokens + 4
        out = expect_tensor(ours(loud, Q, None, visual), (B, S, D)).double()
        look = (
            "In this layer each part adds first and norms the sum (post-norm, as BERT does). Is anything "
            "added after the last norm?"
        )
        expect_same(out.mean(dim=2), torch.zeros(B, S), tolerance=1e-4, look=look)
        expect_same(out.var(dim=2, correction=0), torch.ones(B, S), tolerance=1e-3, look=look)
        expect_same(
            out.float(),
            theirs(loud, Q, None, visual),
            tolerance=1e-4,
            look="The last norm is where it should be; is what comes before it right?",
        )


@claim("qformer_layer", "Every weight learns, and the gradient reaches tokens and picture.")
def everything_learns(subject, reference, draw):
    (tokens, visual), sees = inputs(draw), some_see(draw)
    pull = draw.normal(B, S, D)
    for looks in (True, False):
        ours, theirs = pair(subject, reference, draw, looks)
        picture = (visual,) if looks else ()
        mine = ours.gradients(tokens, Q, sees, *picture, cotangent=pull)
        right = theirs.gradients(tokens, Q, sees, *picture, cotangent=pull)
        look = "Is something detached, written into in place, or not used?"
        for name, wanted in right.parameters.items():
            got = mine.parameters.get(name)
            expect(got is not None, seen=f"no gradient arrives at {name}", look=look)
            expect_same(got, wanted, tolerance=1e-4, look=f"The gradient of {name} differs. {look}")
        named = zip(("tokens", "sees", "visual"), mine.inputs, right.inputs, strict=False)
        for name, got, wanted in named:
            if wanted is not None:
                expect(got is not None, seen=f"no gradient arrives at {name}", look=look)
                expect_same(got, wanted, tolerance=1e-4, look=f"What arrives at {name} differs. {look}")


@claim(
    "qformer_layer",
    "Queries that should look and get no picture are a ValueError that says how many they are.",
    weight=0.5,
)
def queries_without_a_picture_are_an_error(subject, reference, draw):
    tokens, visual = inputs(draw)
    ours, theirs = pair(subject, reference, draw)
    for n in (Q, S - 2):
        expect_raises(
            lambda n=n: ours(tokens, n),
            "ValueError",
            mentions=(n,),
            look="In a layer that looks, n_queries > 0 and visual=None cannot both be meant. Say so before "
            "something inside breaks, and say how many queries there are.",
        )
    expect_same(
        ours(tokens, Q, None, visual),
        theirs(tokens, Q, None, visual),
        look="With a picture there is nothing to complain about; are the values right?",
    )
