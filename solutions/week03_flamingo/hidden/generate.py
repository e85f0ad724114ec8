"""Hidden checks of generate. The model is a stand-in with a cache, which keeps a record of what it was asked.

Axes in this file:
    t  tokens of the prompt      n  its pictures      v  visual tokens of one      s  n pictures of v
"""

import torch

from course_lib.checking import (
    claim,
    expect,
    expect_raises,
    expect_tensor,
    load_or_fail,
    stand_in,
)
from course_lib.flamingo import generate
from course_lib.media import media_index, media_mask

REFERENCE = generate

N_WORDS, D_VISUAL, V = 29, 7, 5
LOUD = 60.0  # a bias that no other logit comes near


def model_with(side, weights):
    """The stand-in, built on this side, with these weights."""
    model = side.build_stand_in("cached_reader", n_words=N_WORDS, d_visual=D_VISUAL)
    load_or_fail(model, weights)
    return model


def drawn_weights(subject, draw, *, never=(), std=0.7):
    """Every parameter drawn anew; the words in `never` are the least likely everywhere."""
    plain = subject.build_stand_in("cached_reader", n_words=N_WORDS, d_visual=D_VISUAL)
    weights = draw.weights_like(plain.parameters(), std=std)
    weights["says.bias"][list(never)] = -LOUD
    return weights


def signs(draw):
    """The tag's id and the end's, two different ones."""
    image_id, end_id = draw.permutation(N_WORDS)[:2].tolist()
    return image_id, end_id


def prompt(draw, n, image_id, end_id, text_first=True):
    """Words, and n tags with words behind them; and n pictures. Neither sign is among the words."""
    others = torch.tensor([word for word in range(N_WORDS) if word not in (image_id, end_id)])

    def words(low, high):
        return others[draw.integers(0, len(others), draw.integer(low, high))]

    pieces = [words(2, 4)] if text_first or not n else []
    for _ in range(n):
        pieces += [torch.tensor([image_id]), words(1, 5)]
    return torch.cat(pieces), draw.normal(n, V, D_VISUAL)


def written_by(side, *given):
    """What it returned, which has to be a list of whole numbers."""
    found = side(*given)
    expect(
        isinstance(found, list) and all(type(one) is int for one in found),
        seen=f"{_kind(found)} came back",
        look="Return a list of plain numbers, int(...) of each; an empty one if nothing was written.",
    )
    return found


def _kind(found):
    if not isinstance(found, list):
        return f"a {type(found).__name__}"
    return "a list with " + (", ".join({type(one).__name__ for one in found} - {"int"}) or "whole numbers")


def expect_written(seen, wanted, look):
    """Equal, said without saying what is right."""
    places = [k for k, (a, b) in enumerate(zip(seen, wanted, strict=False)) if a != b]
    expect(
        not places,
        seen=f"of {len(seen)} tokens written the {_nth(places[0]) if places else ''} is another one",
        look=look,
    )
    expect(len(seen) == len(wanted), seen=f"{len(seen)} tokens written, not {len(wanted)}", look=look)


def _nth(place):
    return {0: "first", 1: "second", 2: "third"}.get(place, f"{place + 1}th")


@claim(
    "generate",
    "Each token written is the likeliest after the whole row before it, as if nothing were cached.",
    weight=2,
)
def the_cache_changes_nothing(subject, reference, draw):
    for n, length in ((1, 6), (0, 5), (2, 7), (3, 4)):
        image_id, end_id = signs(draw)
        weights = drawn_weights(subject, draw, never=(image_id, end_id))
        ids, visual = prompt(draw, n, image_id, end_id)
        mine = written_by(subject, model_with(subject, weights), ids, visual, image_id, end_id, length)
        row = torch.cat([ids, torch.tensor(mine[:length], dtype=torch.long)])[None]
        known = bool(((row >= 0) & (row < N_WORDS)).all())
        expect(known, seen="an id that is no word", look="What do you append to what was written?")
        every = torch.ones(1, n, V, dtype=torch.bool)
        mask = media_mask(media_index(ids[None], image_id), every)
        mask = torch.cat([mask, mask[:, -1:].expand(1, row.shape[1] - len(ids), n * V)], dim=1)
        logits, _ = model_with(reference, weights)(row, visual.reshape(1, n * V, D_VISUAL), mask, None)
        logits[..., image_id] = -torch.inf
        likeliest = logits[0, len(ids) - 1 :].argmax(dim=1).tolist()
        expect_written(
            mine,
            likeliest[:length],
            look=f"The prompt has {n} pictures, and no end comes. The whole row was read once more, at once. "
            "After which position does the next token stand? Is the cache that the last call returned "
            "handed to the next, with new tokens only, and with a row of the mask for them?",
        )


@claim("generate", "Each token of the prompt may look at the latest picture before it, and at no other.")
def the_prompt_looks_at_its_latest_picture(subject, reference, draw):
    for n, text_first in ((1, True), (3, True), (2, False), (0, True)):
        image_id, end_id = signs(draw)
        weights = drawn_weights(subject, draw, never=(image_id, end_id))
        given = (*prompt(draw, n, image_id, end_id, text_first), image_id, end_id, 1)
        mine, theirs = model_with(subject, weights), model_with(reference, weights)
        seen, wanted = written_by(subject, mine, *given), written_by(reference, theirs, *given)
        kept, right = (one.report()["buffers"]["kept"][: len(given[0])] for one in (mine, theirs))
        expect_tensor(
            kept, right.shape, look=f"The whole prompt is read, and visual is one row of {n} x {V} tokens."
        )
        differ = [k for k in range(len(kept)) if not torch.equal(kept[k], right[k])]
        expect(
            not differ,
            seen=f"{len(differ)} of {len(kept)} tokens of a prompt with {n} pictures have another row of the "
            f"mask; the first of them, number {differ[0] if differ else ''}, keeps "
            f"{int(kept[differ[0]].sum()) if differ else 0} of {n * V} visual tokens",
            look="Count the tags up to each token, the token itself among them. Which picture is the "
            "latest? True says keep, and a token before the first tag keeps nothing.",
        )
        expect_written(seen, wanted, look="The mask is right. Does visual arrive in order, n pictures of v?")


@claim("generate", "Each new token may look at the latest picture of the prompt, and at no other.", weight=2)
def new_tokens_look_at_the_latest_picture(subject, reference, draw):
    for n, length, text_first in ((2, 2, False), (1, 4, True), (3, 3, True), (0, 3, True)):
        image_id, end_id = signs(draw)
        weights = drawn_weights(subject, draw, never=(image_id, end_id))
        given = (*prompt(draw, n, image_id, end_id, text_first), image_id, end_id, length)
        model = model_with(subject, weights)
        written_by(subject, model, *given)
        record = model.report()["buffers"]
        expect(
            len(record["read"]) > len(given[0]),
            seen=f"no token was read after the prompt's {len(given[0])}",
            look="What was written has to be read, too, or the model will not know of it.",
        )
        newest = expect_tensor(
            record["kept"], (len(record["read"]), n * V), look="visual is the same at every call."
        )[-1]
        right = torch.arange(n * V) >= (n - 1) * V
        expect(
            torch.equal(newest, right),
            seen=f"the newest token keeps {int((newest & right).sum())} of {V if n else 0} visual tokens of "
            f"the latest picture, and {int((newest & ~right).sum())} of others",
            look="The cache holds what was read, and not who may look where. The mask has to be said again "
            "at each call, for the new token: which row of the prompt's mask is the one to repeat?",
        )


@claim("generate", "The picture still matters at the last token written, and only the latest one does.")
def the_picture_matters_to_the_last(subject, reference, draw):
    image_id, end_id = signs(draw)
    length = 5
    while True:
        # A model that says what it sees, and nothing else: no word and no state has a say.
        weights = drawn_weights(subject, draw, never=(image_id, end_id), std=1.0)
        weights["word.weight"].zero_()
        weights["turn.weight"].zero_()
        ids, visual = prompt(draw, 2, image_id, end_id)
        others = [visual.clone(), visual.clone()]
        for place, changed in enumerate(others):
            changed[place] = draw.normal(V, D_VISUAL)
        said = [
            written_by(reference, model_with(reference, weights), ids, shown, image_id, end_id, length)
            for shown in (visual, torch.zeros_like(visual), others[1], visual[[0, 0]])
        ]
        if len({one[0] for one in said}) == len(said):
            break
    for shown, right in ((visual, said[0]), (others[0], said[0]), (others[1], said[2])):
        mine = written_by(subject, model_with(subject, weights), ids, shown, image_id, end_id, length)
        wrong = [k for k, (a, b) in enumerate(zip(mine, right, strict=False)) if a != b]
        expect(
            len(mine) == length and not wrong,
            seen=f"{len(mine)} tokens written, and number {wrong[0] + 1 if wrong else '-'} is not what the "
            "latest picture says",
            look="This model says what it sees, and nothing else. Its prompt has two pictures. Is the latest "
            "one seen at the first new token, and at the last?",
        )


@claim("generate", "Each token goes through the model once: the prompt, then what was written.", weight=2)
def each_token_is_read_once(subject, reference, draw):
    for n, length in ((1, 6), (0, 3), (2, 1)):
        image_id, end_id = signs(draw)
        weights = drawn_weights(subject, draw, never=(image_id, end_id))
        ids, visual = prompt(draw, n, image_id, end_id)
        model = model_with(subject, weights)
        mine = written_by(subject, model, ids, visual, image_id, end_id, length)
        read = model.report()["buffers"]["read"].tolist()
        expect(
            len(mine) == length,
            seen=f"{len(mine)} tokens written where {length} were asked for",
            look="No end comes here.",
        )
        row = ids.tolist() + mine
        # Whether the last token written is read, too, is a matter of taste: nobody asks what comes after it.
        expect(
            read in (row, row[:-1]),
            seen=f"{len(read)} tokens went through the model for a prompt of {len(ids)} and {length} written",
            look="The first call reads the prompt. Each later one reads the newest token alone: the cache "
            "knows the rest. Is something read again, or left out?",
        )


@claim("generate", "Writing stops at the end, which is not returned.", weight=1.5)
def writing_stops_at_the_end(subject, reference, draw):
    for n, stop in ((1, 2), (2, 0), (0, 1), (1, 4)):
        while True:
            image_id, end_id = signs(draw)
            weights = drawn_weights(subject, draw, never=(image_id, end_id))
            ids, visual = prompt(draw, n, image_id, end_id)
            free = written_by(reference, model_with(reference, weights), ids, visual, image_id, end_id, 9)
            end = free[stop]
            if end not in free[:stop] and end not in ids.tolist():
                break
        model = model_with(subject, weights)
        mine = written_by(subject, model, ids, visual, image_id, end, 9)
        read = len(model.report()["buffers"]["read"])
        look = "At most 9 tokens were asked for. Is the end looked for in each token, the first one too, and "
        expect(
            end not in mine,
            seen=f"the end is among the {len(mine)} tokens returned",
            look=look + "before it is kept?",
        )
        expect_written(mine, free[:stop], look=look + "does the writing stop there?")
        expect(
            read <= len(ids) * (stop + 1) + stop * (stop + 1) // 2,
            seen=f"{read} tokens went through the model, for a prompt of {len(ids)} and {stop} written",
            look="What is returned is right. Does the model go on behind the end, for something that is "
            "thrown away?",
        )


@claim("generate", "At most n_new tokens are written; n_new = 0 gives an empty list.")
def at_most_n_new_are_written(subject, reference, draw):
    image_id, end_id = signs(draw)
    weights = drawn_weights(subject, draw, never=(image_id, end_id))
    ids, visual = prompt(draw, 1, image_id, end_id)
    longest = written_by(reference, model_with(reference, weights), ids, visual, image_id, end_id, 7)
    for length in (7, 1, 0, draw.integer(2, 6)):
        mine = written_by(subject, model_with(subject, weights), ids, visual, image_id, end_id, length)
        expect(
            len(mine) == length,
            seen=f"{len(mine)} tokens for n_new = {length}",
            look="No end comes here. Are only new tokens returned, and how often does your loop run?",
        )
        expect_written(mine, longest[:length], look="A smaller n_new only ends the same writing sooner.")


@claim("generate", "The tag is never written, be it the likeliest: the next likeliest is.")
def the_tag_is_never_written(subject, reference, draw):
    for shift in (0.0, -40.0, 40.0):
        while True:
            image_id, end_id = signs(draw)
            weights = drawn_weights(subject, draw)
            weights["says.bias"] += shift
            weights["says.bias"][image_id] = LOUD + shift
            ids, visual = prompt(draw, 2, image_id, end_id)
            right = written_by(reference, model_with(reference, weights), ids, visual, image_id, end_id, 6)
            if len(right) == 6:
                break
        mine = written_by(subject, model_with(subject, weights), ids, visual, image_id, end_id, 6)
        look = "There is no picture for a tag that the model writes. What do you do with its logit before "
        expect(
            image_id not in mine,
            seen=f"{mine.count(image_id)} of {len(mine)} tokens written are the tag",
            look=look + "you take the likeliest, and is that right when all logits are negative?",
        )
        expect_written(mine, right, look=look + "you take the likeliest?")


@claim("generate", "What it was given stays as it was.", weight=0.5)
def the_prompt_stays_as_it_was(subject, reference, draw):
    image_id, end_id = signs(draw)
    weights = drawn_weights(subject, draw, never=(image_id, end_id))
    ids, visual = prompt(draw, 2, image_id, end_id)
    written = subject.changed_inputs(model_with(subject, weights), ids, visual, image_id, end_id, 4)
    expect(
        not written,
        seen=f"written into: {', '.join(('ids', 'visual')[k] for k in written)}",
        look="A slice such as ids[-1:] is a window onto the prompt, and no copy. Make a new tensor for the "
        "newest token.",
    )
    mine = written_by(subject, model_with(subject, weights), ids, visual, image_id, end_id, 4)
    right = written_by(reference, model_with(reference, weights), ids, visual, image_id, end_id, 4)
    expect_written(mine, right, look="The prompt is left alone. Is the right thing written, too?")


@claim("generate", "A prompt with more or fewer tags than pictures is a ValueError that names both numbers.")
def tags_and_pictures_are_counted(subject, reference, draw):
    image_id, end_id = signs(draw)
    weights = drawn_weights(subject, draw, never=(image_id, end_id))
    for n, given in ((2, 1), (1, 3), (3, 0), (0, 2)):
        ids, visual = prompt(draw, n, image_id, end_id)
        right = written_by(reference, model_with(reference, weights), ids, visual, image_id, end_id, 2)
        mine = written_by(subject, model_with(subject, weights), ids, visual, image_id, end_id, 2)
        expect_written(mine, right, look=f"{n} tags and {n} pictures are no error.")
        expect_raises(
            lambda ids=ids, given=given: subject(
                stand_in("cached_reader", n_words=N_WORDS, d_visual=D_VISUAL),
                ids,
                draw.normal(given, V, D_VISUAL),
                image_id,
                end_id,
                2,
            ),
            "ValueError",
            mentions=[n, given],
            look=f"{n} tags and {given} pictures. A picture shown to the wrong text is worse than an error: "
            "compare the two before the model is asked, and name both.",
        )


@claim("generate", "An empty prompt is a ValueError; a tag alone is a prompt.", weight=0.5)
def an_empty_prompt_is_an_error(subject, reference, draw):
    image_id, end_id = signs(draw)
    weights = drawn_weights(subject, draw, never=(image_id, end_id))
    alone, visual = torch.tensor([image_id]), draw.normal(1, V, D_VISUAL)
    right = written_by(reference, model_with(reference, weights), alone, visual, image_id, end_id, 3)
    mine = written_by(subject, model_with(subject, weights), alone, visual, image_id, end_id, 3)
    expect_written(mine, right, look="The prompt is one tag. Which picture does it read?")
    expect_raises(
        lambda: subject(model_with(subject, weights), alone[:0], visual[:0], image_id, end_id, 3),
        "ValueError",
        mentions=[0],
        look="After nothing there is no last position whose logits one could take. Say so, with the number.",
    )
