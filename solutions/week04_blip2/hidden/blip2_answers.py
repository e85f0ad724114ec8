"""Hidden checks of blip2_answers. Model and processor are stand-ins, called like transformers' own.

The model's letters hang on everything that it is shown, so an answer is right exactly if the right pixels,
prompt, mask and padding came in. True in a mask means keep, and so does 1 in an attention mask.
"""

from course_lib.blip2_answers import blip2_answers
from course_lib.checking import claim, expect, expect_equal, expect_raises, stand_in

REFERENCE = blip2_answers

LETTERS = "abcdefghijklmnopqrstuvwxyz"
PROMPT = (
    "A question travels as 'Question: ... Answer:' and a caption as an empty text. Is each space where it "
    "should be, and none at the end?"
)


def parts(n_queries=5, samples=0, half=0):
    """(model, processor)"""
    model = stand_in("tiny_captioner", n_queries=n_queries, samples=samples, half=half)
    return model, stand_in("tiny_processor", n_queries=n_queries)


def pictures(draw, n):
    return [draw.integers(0, 256, 6, 8, 3).byte() for _ in range(n)]


def question(draw, n_words):
    words = ["".join(LETTERS[i] for i in draw.integers(0, 26, 4).tolist()) for _ in range(n_words)]
    return " ".join(words) + " ?"


def texts(seen, n, look="One answer for each picture, in a list."):
    """`seen` is a list of n texts. Returns it."""
    fine = isinstance(seen, list) and all(isinstance(one, str) for one in seen)
    expect(fine, seen=f"a {type(seen).__name__} where a list of texts is asked for", look=look)
    expect(len(seen) == n, seen=f"{len(seen)} answers for {n} pictures", look=look)
    return seen


def same(seen, wanted, look):
    """Text for text; says where, never what."""
    pairs = zip(texts(seen, len(wanted)), wanted, strict=True)
    wrong = [mine for mine, right in pairs if mine != right]
    what = (
        f"{len(wrong)} of {len(wanted)} answers differ, the first of them {wrong[0][:40]!r}" if wrong else ""
    )
    expect(not wrong, seen=what, look=look)


@claim("blip2_answers", "Without questions, each picture gets its caption.", weight=2)
def each_picture_gets_its_caption(subject, reference, draw):
    for n_queries, n in ((5, 3), (3, 1)):
        shown = pictures(draw, n)
        wanted = reference(*parts(n_queries), shown)
        look = "A caption is what follows an empty text. Do the pixels, the ids and the mask all arrive?"
        same(subject(*parts(n_queries), shown), wanted, look)


@claim("blip2_answers", "A question is asked as BLIP-2 was asked, and the answer is what follows.", weight=2)
def a_question_is_asked_as_in_the_paper(subject, reference, draw):
    for n_words in (2, 4):
        shown, asked = pictures(draw, 1), [question(draw, n_words)]
        same(subject(*parts(), shown, asked), reference(*parts(), shown, asked), PROMPT)


@claim("blip2_answers", "In company a question gets the answer that it gets alone.", weight=2)
def company_changes_no_answer(subject, reference, draw):
    shown = pictures(draw, 4)
    asked = [question(draw, n_words) for n_words in (3, 1, 6, 2)]
    wanted = reference(*parts(), shown, asked)
    look = (
        "Rows of different lengths are padded. On which side may padding stand if the new words follow the "
        "last place of a row? And does the model know which places are padding?"
    )
    same(subject(*parts(), shown, asked), wanted, look)


@claim("blip2_answers", "What comes back is the new text: no prompt, no special token, no space around it.")
def only_the_new_text_comes_back(subject, reference, draw):
    shown = pictures(draw, 6)
    asked = [question(draw, 2) for _ in shown]
    for seen in (subject(*parts(), shown, asked), subject(*parts(), shown)):
        for one in texts(seen, len(shown)):
            expect(
                not any(mark in one for mark in ("<", ">", "Question", "Answer", "?")),
                seen=f"an answer with more in it than the answer: {one[:60]!r}",
                look="generate returns the prompt's ids, and the new ones behind them. Where is the seam, "
                "counted in tokens? And which tokens are not text?",
            )
            expect(
                bool(one) and one == one.strip(),
                seen=f"an answer that begins or ends in white space, or is empty: {one[:60]!r}",
                look="A model's words begin with a space, and its text ends in a line break. Are they text?",
            )


@claim("blip2_answers", "Greedy, also where a checkpoint comes with settings that draw words at random.")
def greedy_whatever_the_checkpoint_says(subject, reference, draw):
    shown, asked = pictures(draw, 2), [question(draw, 3), question(draw, 3)]
    wanted = reference(*parts(samples=1), shown, asked)
    look = (
        "A model may bring generation settings of its own. Which argument of generate says that no word is "
        "drawn? (A temperature of 0 does not say it.)"
    )
    same(subject(*parts(samples=1), shown, asked), wanted, look)


@claim("blip2_answers", "max_new_tokens counts new tokens, not the prompt's.")
def max_new_tokens_counts_new_ones(subject, reference, draw):
    shown, asked = pictures(draw, 2), [question(draw, 2), question(draw, 2)]
    look = "The argument's name says what it counts. Is it handed on to generate, under that name?"
    for most in (3, 5):
        for seen, wanted in (
            (subject(*parts(), shown, asked, most), reference(*parts(), shown, asked, most)),
            (
                subject(*parts(), shown, max_new_tokens=most),
                reference(*parts(), shown, max_new_tokens=most),
            ),
        ):
            same(seen, wanted, look)
    expect_equal(
        max(len(one) for one in subject(*parts(), shown, asked, 4)),
        3,  # the first of four tokens is the space
        name="the longest answer of 4 tokens, in letters,",
        look=look,
    )


@claim("blip2_answers", "Pixels come in the precision of the model's weights.")
def pixels_have_the_models_precision(subject, reference, draw):
    shown = pictures(draw, 2)
    look = (
        "This model's weights are bfloat16, and the processor returns float32. Which of the inputs have to "
        "be cast, and which must not?"
    )
    same(subject(*parts(half=1), shown), reference(*parts(half=1), shown), look)


@claim("blip2_answers", "Another number of questions than of pictures is refused, with both.", weight=0.5)
def another_number_of_questions_is_refused(subject, reference, draw):
    look = "Without an error a picture without a question is forgotten, in silence. Say both numbers."
    shown = pictures(draw, 11)
    texts(subject(*parts(), shown, [question(draw, 1) for _ in shown]), 11)  # as many are accepted
    for n in (10, 13):
        asked = [question(draw, 1) for _ in range(n)]
        expect_raises(
            lambda asked=asked: subject(*parts(), shown, asked),
            "ValueError",
            mentions=[n, 11],
            look=look,
        )
