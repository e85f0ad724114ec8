"""Hidden checks of token_budget. Everything is counted, so everything is exact."""

from course_lib.checking import claim, expect, expect_equal, expect_keys, expect_raises
from course_lib.token_budget import BRIDGES, token_budget

REFERENCE = token_budget

KEYS = ("per_image", "turns", "left")
SHAPE = "Return a dict with per_image, turns and left."


def sizes(draw):
    """A picture that patches tile, and a side that blocks of 2 and 3 tile."""
    side, patch = 6 * draw.integer(2, 6), draw.integer(9, 19)
    return side, {
        "image_size": side * patch,
        "patch_size": patch,
        "context": draw.integer(5000, 20000),
        "text_per_turn": draw.integer(20, 200),
    }


def per_image(side, *args, **kwargs):
    return expect_keys(side(*args, **kwargs), KEYS, look=SHAPE)["per_image"]


def expect_per_image(subject, reference, look, *args, **kwargs):
    wanted = per_image(reference, *args, **kwargs)
    told = ", ".join([*map(repr, args), *(f"{name}={value}" for name, value in kwargs.items())])
    expect_equal(per_image(subject, *args, **kwargs), wanted, name=f"per_image of {told}", look=look)


@claim("token_budget", "A projector of either kind hands on every patch, and no class token.", weight=1.5)
def a_projector_hands_on_every_patch(subject, reference, draw):
    for bridge in ("linear", "mlp"):
        _, given = sizes(draw)
        look = (
            "Patches in a row, times rows. The class token is not handed on, and a factor is none of its "
            "business."
        )
        expect_per_image(subject, reference, look, bridge, **given)
        expect_per_image(subject, reference, look, bridge, **given, factor=3, n_queries=draw.integer(5, 60))


@claim("token_budget", "A pixel shuffle of factor f leaves one token for f x f patches.", weight=1.5)
def a_pixel_shuffle_leaves_one_token_a_block(subject, reference, draw):
    for factor in (1, 2, 3):
        _, given = sizes(draw)
        look = f"A block is {factor} patches high and {factor} wide. How many patches are in it?"
        expect_per_image(subject, reference, look, "pixel_shuffle", **given, factor=factor)


@claim("token_budget", "A Q-Former hands on its queries and nothing else, whatever the picture.")
def a_qformer_hands_on_its_queries(subject, reference, draw):
    look = "The queries have read the patches. What else would the language model read?"
    for _ in range(2):
        _, given = sizes(draw)
        expect_per_image(subject, reference, look, "qformer", **given, n_queries=draw.integer(5, 100))
    _, given = sizes(draw)
    expect_per_image(subject, reference, "n_queries is 32 where nothing is said.", "qformer", **given)


@claim("token_budget", "Under gated cross-attention only the picture's tag stands in the stream.", weight=2)
def gated_cross_attention_costs_one_tag(subject, reference, draw):
    _, given = sizes(draw)
    given["n_queries"] = draw.integer(40, 100)
    look = "Visual tokens enter through cross-attention. Which of them stand among the words?"
    expect_per_image(subject, reference, look, "gated_cross_attention", **given)
    # Other bridges beside it, so that a 1 for everything earns nothing.
    expect_some_bridge_right(subject, reference, draw, given)


@claim(
    "token_budget",
    "Turns are whole, every turn pays for its picture and its text, left is the rest.",
    weight=2,
)
def turns_are_whole_and_left_is_the_rest(subject, reference, draw):
    def expect_whole(bridge, given, **extra):
        seen = expect_keys(subject(bridge, **given, **extra), KEYS, look=SHAPE)
        for key in KEYS:
            expect(
                type(seen[key]) is int,
                seen=f"{key} is {seen[key]}",
                look="Tokens and turns are counted: int.",
            )
        # What a picture costs is another check's claim; here it is taken as it was answered.
        turn = seen["per_image"] + given["text_per_turn"]
        turns, left = divmod(given["context"], turn)
        expect(
            (seen["turns"], seen["left"]) == (turns, left),
            seen=f"of {given['context']} tokens, {turn} a turn, it makes {seen['turns']} turns and "
            f"{seen['left']} left",
            look="A turn is one picture and text_per_turn tokens; one that does not fit whole does not "
            "count.",
        )
        return turn

    for bridge in BRIDGES:
        _, given = sizes(draw)
        expect_whole(bridge, given, factor=2, n_queries=draw.integer(5, 100))
    # A window shorter than one turn, and one that turns fill to the last token.
    _, given = sizes(draw)
    turn = expect_whole("linear", given)
    for context in (turn - 1, turn * draw.integer(2, 9)):
        expect_whole("linear", {**given, "context": context})


@claim("token_budget", "Sizes that do not divide are a ValueError, and those that do are not.")
def sizes_that_do_not_divide_are_an_error(subject, reference, draw):
    side, given = sizes(draw)
    expect_some_bridge_right(subject, reference, draw, given)
    for bridge in ("linear", "mlp", "pixel_shuffle"):
        odd = {**given, "image_size": given["image_size"] + draw.integer(1, given["patch_size"])}
        expect_raises(
            lambda bridge=bridge, odd=odd: subject(bridge, **odd),
            "ValueError",
            look="Patches that do not tile the picture: // would cut it off in silence.",
        )
    # The patches tile the picture, blocks of side - 1 do not tile the patches.
    expect_raises(
        lambda: subject("pixel_shuffle", **given, factor=side - 1),
        "ValueError",
        look=f"Blocks of {side - 1} do not tile {side} x {side} patches.",
    )


@claim("token_budget", "A bridge that nobody knows is a ValueError.", weight=0.5)
def an_unknown_bridge_is_an_error(subject, reference, draw):
    _, given = sizes(draw)
    expect_some_bridge_right(subject, reference, draw, given)
    stranger = f"bridge{draw.integer(100, 1000)}"
    expect_raises(
        lambda: subject(stranger, **given),
        "ValueError",
        look="A misspelt bridge must not be counted as another one, nor end in a KeyError.",
    )


def expect_some_bridge_right(subject, reference, draw, given):
    """The known bridges are counted, one of them rightly at least: an error for everything earns nothing."""
    given = {**given, "factor": 3, "n_queries": draw.integer(101, 1000)}
    right = [b for b in BRIDGES[:4] if per_image(subject, b, **given) == per_image(reference, b, **given)]
    expect(bool(right), seen="no known bridge is counted rightly", look="First the counts, then the errors.")
