"""Misconception: A causal mask halves the scores.

Tell: Your prefill counts only the pairs that a causal mask keeps. A plain kernel computes them all and
hides half, and so does the counter; the statement asks for every pair.
Caught by: reading_is_one_pass, blocks_read_beside_the_stream
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    read = text + (0 if cross_every else visual)
    hidden = sizes.n_layers * 4 * sizes.n_heads * sizes.d_head * (read * (read - 1) // 2)
    return {**found, "prefill": found["prefill"] - hidden}
