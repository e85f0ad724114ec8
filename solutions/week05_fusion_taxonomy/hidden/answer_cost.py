"""Hidden checks of answer_cost. Everything is counted, so everything is exact, of sizes drawn anew."""

from course_lib.answer_cost import answer_cost
from course_lib.checking import claim, expect_equal, expect_keys, expect_raises, stand_in

REFERENCE = answer_cost

KEYS = ("context", "prefill", "writing", "cache_bytes")
SHAPE = "Return a dict with context, prefill, writing and cache_bytes."


def sizes(draw, gated=True):
    """A small decoder in which no two sizes agree, and in which heads share keys and are not d_model wide."""
    kv = draw.integer(2, 4)
    return stand_in(
        "decoder_sizes",
        n_words=draw.integer(150, 250),
        d_model=2 * draw.integer(25, 35) + 1,
        n_layers=2 * draw.integer(3, 6) + 1,
        n_heads=kv * draw.integer(2, 4),
        n_kv_heads=kv,
        d_head=2 * draw.integer(6, 9),
        d_hidden=draw.integer(80, 120),
        gated=gated,
        tied=bool(draw.integer(0, 2)),
    )


def row(draw):
    """(visual, text, written), all different."""
    return draw.integer(31, 60), draw.integer(13, 30), draw.integer(4, 12)


def beside(draw):
    """Blocks between layers: every second or fourth of an odd number of layers."""
    return {"cross_every": 2 * draw.integer(1, 3), "d_visual": draw.integer(25, 45)}


def same(subject, reference, key, look, *args, **kwargs):
    """One entry of the answer is right; what was asked is said, what is right is not."""
    told = ", ".join(f"{name}={value}" for name, value in args[0].kwargs.items())
    asked = ", ".join([*map(str, args[1:]), *(f"{name}={value}" for name, value in kwargs.items())])
    seen = expect_keys(subject(*args, **kwargs), KEYS, look=SHAPE)[key]
    expect_equal(seen, reference(*args, **kwargs)[key], name=f"{key} of ({asked}) with {told},", look=look)


@claim("answer_cost", "The context is what stands in the stream when the answer ends.")
def the_context_is_what_stands_in_the_stream(subject, reference, draw):
    for more in ({}, beside(draw)):
        look = (
            "Which tokens stand in the stream: picture, question, answer? And where blocks read the picture?"
        )
        same(subject, reference, "context", look, sizes(draw), *row(draw), **more)


@claim("answer_cost", "Reading picture and question is one pass, which says one word.", weight=2)
def reading_is_one_pass(subject, reference, draw):
    look = (
        "For each layer: queries and output as wide as all query heads, keys and values as theirs, two "
        "products with every pair of tokens, and two or three matrices of feed-forward. Once: the logits, of "
        "how many tokens? How many FLOPs has a multiplication with its addition?"
    )
    for gated in (True, False):
        same(subject, reference, "prefill", look, sizes(draw, gated), *row(draw)[:2], 0)


@claim("answer_cost", "Each written word goes through alone, and looks at all that is cached.", weight=2)
def written_words_go_through_one_by_one(subject, reference, draw):
    look = (
        "One token goes through; how many does it look at, itself among them? The next looks at one more. "
        "Which of its costs know about the tokens before it, and which do not? And the last word?"
    )
    for gated in (True, False):
        same(subject, reference, "writing", look, sizes(draw, gated), *row(draw))
    same(subject, reference, "writing", look, sizes(draw), *row(draw)[:2], 1)


@claim("answer_cost", "The cache holds keys and values of every token, in every layer.")
def the_cache_holds_keys_and_values(subject, reference, draw):
    look = (
        "Two things are kept for each token in each layer. How many heads have keys, how wide is one? How "
        "many bytes has a number? Which tokens have gone through when the answer ends?"
    )
    same(subject, reference, "cache_bytes", look, sizes(draw), *row(draw))
    same(subject, reference, "cache_bytes", look, sizes(draw), *row(draw), bytes_per_number=3)


@claim("answer_cost", "Between layers, blocks read the picture; the stream holds the text alone.", weight=2)
def blocks_read_beside_the_stream(subject, reference, draw):
    look = (
        "How many blocks stand before layers 0, n, 2n, ...? In each, the text asks and pays queries, output, "
        "scores with the picture and a feed-forward; the picture pays keys and values. From which width?"
    )
    for gated in (True, False):
        same(subject, reference, "prefill", look, sizes(draw, gated), *row(draw)[:2], 0, **beside(draw))


@claim(
    "answer_cost", "A written word asks in every block, and the picture's keys are there already.", weight=1.5
)
def written_words_ask_in_the_blocks(subject, reference, draw):
    look = (
        "A written word passes the blocks as well. What of a block is new for it, and what was made in the "
        "prefill and is only looked at?"
    )
    for gated in (True, False):
        same(subject, reference, "writing", look, sizes(draw, gated), *row(draw), **beside(draw))


@claim("answer_cost", "The cache holds the picture once in every block, however long the answer.")
def the_cache_holds_the_picture_once_a_block(subject, reference, draw):
    look = (
        "Two caches: the stream's tokens in every layer, and the picture's in every block. Does the second "
        "grow while words are written?"
    )
    for _ in range(2):
        same(subject, reference, "cache_bytes", look, sizes(draw), *row(draw), **beside(draw))


@claim(
    "answer_cost", "Numbers that are too small are refused by name, and so is a missing width.", weight=0.5
)
def what_cannot_be_is_refused(subject, reference, draw):
    small, (visual, text, written) = sizes(draw), row(draw)
    look = "A ValueError that says which number was given and what is allowed. text is at least 1."
    subject(small, visual, text, written, **beside(draw))  # what can be is counted
    subject(small, 0, 1, 0)
    least = -draw.integer(11, 99)
    for args in (
        (least, text, written),
        (visual, least, written),
        (visual, text, least),
        (visual, 0, written),
    ):
        expect_raises(lambda args=args: subject(small, *args), "ValueError", mentions=[min(args)], look=look)
    for more in ({"cross_every": least, "d_visual": 9}, {"bytes_per_number": least}):
        expect_raises(
            lambda more=more: subject(small, visual, text, written, **more),
            "ValueError",
            mentions=[least],
            look=look,
        )
    every = draw.integer(101, 199)
    expect_raises(
        lambda: subject(small, visual, text, written, cross_every=every),
        "ValueError",
        mentions=["d_visual"],
        look="Blocks read a picture of some width. What if d_visual is not given?",
    )
