"""Hidden checks of query_similarity."""

import torch
from einops import repeat

from course_lib.blip2_stage2 import query_similarity
from course_lib.checking import claim, expect, expect_raises, expect_same, expect_tensor

REFERENCE = query_similarity

B, Q, D = 3, 5, 7


@claim(
    "query_similarity", "The table is the one the definition gives, for any pictures, queries and widths.", 2
)
def values_are_those_of_the_definition(subject, reference, draw):
    for b, q, d in ((B, Q, D), (6, 4, 2), (1, 3, 8), (2, 1, 5)):
        read = draw.normal(b, q, d) + draw.normal(1, 1, d)
        expect_same(
            subject(read),
            reference(read),
            look="Cosine within each picture, then the mean over the pictures. Over which axis is the length "
            "taken, and which axis is averaged away?",
        )


@claim("query_similarity", "A query is entirely like itself, and likeness has no direction.")
def the_table_is_that_of_a_likeness(subject, reference, draw):
    read = draw.normal(B, Q, D)
    seen = expect_tensor(subject(read), (Q, Q), look="One number for every pair of queries: q by q.")
    look = "Vectors of length 1 have a dot product of 1 with themselves. Are they that long?"
    expect_same(torch.diagonal(seen), torch.ones(Q), look=look)
    expect_same(seen.T, seen, look="Is the same thing compared, in the same place, on both sides?")
    copied = read.clone()
    copied[:, 3] = read[:, 1]
    seen = expect_tensor(subject(copied), (Q, Q))
    expect_same(seen[1, 3], torch.ones(()), look="Two queries that read the same are as like as can be: 1.")
    expect_same(seen[1], seen[3], look="Two queries that read the same are like a third to the same degree.")
    expect_same(seen, reference(copied), look="It is a likeness; of what, and averaged over what?")


@claim("query_similarity", "How loud a query or a picture is changes nothing: every picture counts alike.")
def loudness_changes_nothing(subject, reference, draw):
    read = draw.normal(B, Q, D)
    quiet = expect_tensor(subject(read), (Q, Q))
    look = "Each vector is brought to length 1 on its own, before anything is averaged. Is it?"
    expect_same(
        subject(draw.uniform(3, 30, B, 1, 1) * read), quiet, look=f"One picture was made louder. {look}"
    )
    expect_same(
        subject(draw.uniform(3, 30, 1, Q, 1) * read), quiet, look=f"One query was made louder. {look}"
    )
    expect_same(quiet, reference(read), look="Loudness is out of it; is the rest right?")


@claim("query_similarity", "Queries alike in one picture and opposite in another are, on average, not alike.")
def likeness_keeps_its_sign_until_the_mean(subject, reference, draw):
    # In two pictures the second query is 2 and -3 times the first; in four, three agree and one does not.
    one = draw.normal(2, D)
    seen = subject(torch.stack([one, torch.tensor([[2.0], [-3.0]]) * one], dim=1))
    look = "Opposite directions have a cosine of -1, and the mean of 1 and -1 is 0. Where is the sign lost?"
    expect_same(seen, torch.eye(2), look=look)
    four = (
        repeat(draw.normal(4, D), "b d -> b 2 d")
        * torch.tensor([[1.0, 1], [1, 2], [1, 3], [1, -4]])[..., None]
    )
    expect_same(expect_tensor(subject(four), (2, 2))[0, 1], torch.tensor(0.5), look=look)


@claim(
    "query_similarity",
    "Pictures in another order change nothing; queries in another order reorder the table.",
)
def only_the_order_of_queries_shows(subject, reference, draw):
    read = draw.normal(B, Q, D)
    seen = expect_tensor(subject(read), (Q, Q))
    order = draw.permutation(Q)
    look = "Are queries compared with queries of the same picture, in the order they came?"
    expect_same(subject(read[draw.permutation(B)]), seen, look=look)
    expect_same(subject(read[:, order]), seen[order][:, order], look=look)
    other = read.clone()
    other[0] = draw.normal(Q, D)
    expect_same(
        B * (expect_tensor(subject(other), (Q, Q)) - seen),
        reference(other[:1]) - reference(read[:1]),
        look="One of the pictures changed. Only its own share of the mean should have.",
    )


@claim(
    "query_similarity",
    "It looks and does not touch; and of no picture it says nothing but a ValueError.",
    0.5,
)
def it_looks_and_does_not_touch(subject, reference, draw):
    read = 3 * draw.normal(B, Q, D)
    touched = subject.changed_inputs(read)
    expect(
        touched == [],
        seen="the tensor that was handed in is another one afterwards",
        look="Who measures must not change what is measured. Is something divided in place?",
    )
    expect_raises(
        lambda: subject(draw.normal(0, Q, D)),
        "ValueError",
        mentions=(0,),
        look="The mean over no picture is NaN, which travels far before anybody notices. Refuse it, with the "
        "number of pictures in the message.",
    )
    expect_same(subject(read), reference(read), look="Are the values right?")
