"""Misconception: The vectors may be brought to length 1 where they lie.

Tell: The table is right, and the tensor you were given is another one afterwards: `/=` writes into it.
Make a new one.
Caught by: it_looks_and_does_not_touch
"""


def query_similarity(read):
    if not len(read):
        raise ValueError("there are 0 pictures; give at least one.")
    read /= read.norm(dim=-1, keepdim=True)
    return (read @ read.mT).mean(dim=0)
