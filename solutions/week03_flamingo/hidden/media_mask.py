"""Hidden checks of media_mask. Masks say True = keep.

Axes in this file:
    b  rows of the batch      t  text tokens      n  pictures of a row      v  visual tokens of one
    s  visual tokens of a row, n pictures of v
"""

import torch

from course_lib.checking import claim, expect, expect_raises, expect_same, expect_tensor
from course_lib.media import media_mask

REFERENCE = media_mask

B, T, N, V = 2, 9, 3, 4
SHAPE = "One row for each text token, one column for each visual token of all pictures: bool[b t s], s = n v."


def any_index(draw, b=B, t=T, n=N):
    """Every picture has a reader in every row, and some tokens read none."""
    index = draw.integers(0, n + 1, b, t - n - 1)
    every = torch.arange(n + 1).expand(b, -1)
    return torch.cat([every, index], dim=1)[:, draw.permutation(t)]


def all_real(b=B, n=N, v=V):
    return torch.ones(b, n, v, dtype=torch.bool)


def ragged(draw, b=B, n=N, v=V):
    """Each picture has something real and something that is not."""
    real = draw.uniform(0, 1, b, n, v) < 0.5
    one, other = draw.integers(0, v - 1, b, n, 1), draw.integers(1, v, b, n, 1)
    real = real.scatter(2, one, True)
    return real.scatter(2, (one + other) % v, False)


def asked(subject, index, visual_mask):
    b, n, v = visual_mask.shape
    return expect_tensor(subject(index, visual_mask), (b, index.shape[1], n * v), look=SHAPE)


@claim("media_mask", "A token keeps its own picture: the whole of it, and nothing of any other.", weight=2)
def a_token_keeps_its_own_picture_and_no_other(subject, reference, draw):
    for b, t, n, v in ((B, T, N, V), (1, 11, 5, 3)):
        index, real = any_index(draw, b, t, n), all_real(b, n, v)
        reads = index > 0
        expect_same(
            asked(subject, index, real)[reads],
            reference(index, real)[reads],
            look="A token of index 2 keeps picture 2. Does it keep picture 1 as well, or another one? Is "
            "picture 1 the first, or the second?",
        )


@claim("media_mask", "A token whose index is 0 keeps nothing at all; the others keep something.")
def a_token_without_a_picture_keeps_nothing(subject, reference, draw):
    index, real = any_index(draw), all_real()
    seen = asked(subject, index, real) != 0
    expect(
        bool(seen[index > 0].any(dim=-1).all()),
        seen="tokens with a picture that keep nothing",
        look="Is the mask the right way round? True = keep.",
    )
    expect(
        not bool(seen[index == 0].any()),
        seen=f"a token without a picture keeps {int(seen[index == 0].sum(-1).max())} visual tokens",
        look="0 is no picture: neither the first, nor the last, nor all. What does your comparison make of "
        "it?",
    )


@claim("media_mask", "Of its picture a token keeps the visual tokens that are real, and no padding.")
def only_real_visual_tokens_are_kept(subject, reference, draw):
    for b, t, n, v in ((B, T, N, V), (3, 10, 2, 6)):
        index, real = any_index(draw, b, t, n), ragged(draw, b, n, v)
        expect_same(
            asked(subject, index, real),
            reference(index, real),
            look="Two conditions have to hold: it is my picture, and the visual token is real. visual_mask "
            "says True where it is.",
        )


@claim("media_mask", "A picture that only fills the batch up is kept by nobody.")
def a_picture_that_fills_the_batch_up_is_kept_by_nobody(subject, reference, draw):
    counts = torch.tensor([3, 1, 0])
    real = (torch.arange(N) < counts[:, None])[:, :, None].repeat(1, 1, V)
    index = torch.minimum(any_index(draw, 3), counts[:, None])
    index[1, 0] = 2  # a reader whose picture is not there
    seen = asked(subject, index, real) != 0
    expect(
        bool(seen[0][index[0] > 0].any(dim=-1).all()),
        seen="tokens with a real picture that keep nothing",
        look="The first row has all its pictures. Does it read them?",
    )
    absent = ~real.flatten(1)[:, None]  # b 1 s
    expect(
        not bool((seen & absent).any()),
        seen=f"{int((seen & absent).sum())} visual tokens of absent pictures are kept",
        look="The second row has one picture and the third none; the rest is there to make the rows equally "
        "long. Does visual_mask have its say?",
    )


@claim("media_mask", "Visual tokens lie picture by picture: all of the first, then all of the second.")
def visual_tokens_lie_picture_by_picture(subject, reference, draw):
    for n, v in ((3, 5), (4, 2)):
        index = draw.permutation(n)[None] + 1
        seen = asked(subject, index, all_real(1, n, v))[0] != 0
        for token, number in enumerate(index[0].tolist()):
            kept = seen[token].nonzero().flatten()
            expect(
                len(kept) > 0 and int(kept.max() - kept.min()) == len(kept) - 1 and len(kept) % v == 0,
                seen=f"with {n} pictures of {v} visual tokens, picture {number} is kept at {kept.tolist()}",
                look="The visual tokens of one picture stand side by side in a row. In einops the order "
                "inside the brackets decides: (n v) and (v n) are not the same.",
            )


@claim("media_mask", "Each row of a batch has its own tokens and its own pictures.")
def rows_do_not_mix(subject, reference, draw):
    index, real = any_index(draw, 4), ragged(draw, 4)
    together = asked(subject, index, real)
    for row in range(4):
        one = slice(row, row + 1)
        expect_same(
            together[one],
            reference(index[one], real[one]),
            look="A row in a batch gives what it gives alone. Which row's pictures does it look into?",
        )


@claim("media_mask", "The mask is boolean, so that ~mask is its opposite.", weight=0.5)
def the_mask_is_boolean(subject, reference, draw):
    index, real = any_index(draw), ragged(draw)
    seen = asked(subject, index, real)
    expect(
        seen.dtype == torch.bool,
        seen=f"a mask of type {seen.dtype}",
        look="torch's attention takes True = keep, or numbers to add to the scores: a mask of ones and zeros "
        "would be added, and hide next to nothing.",
    )
    expect(bool(seen.any()) and not bool(seen.all()), seen="a mask that is all alike", look=SHAPE)


@claim(
    "media_mask", "An index beyond the pictures is a ValueError that names both; pictures to spare are not."
)
def an_index_beyond_the_pictures_is_an_error(subject, reference, draw):
    n, v = draw.integer(11, 19), 2
    index = any_index(draw, 2, n + 4, n)
    asked(subject, index, all_real(2, n, v))  # the last picture is still there
    asked(subject, index.clamp(max=n - 2), all_real(2, n, v))
    beyond = n + draw.integer(1, 30)
    index[1, draw.integer(0, n)] = beyond
    expect_raises(
        lambda: subject(index, all_real(2, n, v)),
        "ValueError",
        mentions=[beyond, n],
        look=f"A token asks for picture {beyond} of {n}. A tag without its picture would read nothing, in "
        "silence. Name both numbers.",
    )
