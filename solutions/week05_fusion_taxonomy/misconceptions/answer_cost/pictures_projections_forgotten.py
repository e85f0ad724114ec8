"""Misconception: Cross-attention costs what its scores cost.

Tell: In the prefill you leave out the picture's keys and values. Each block makes its own, two matrices
over every visual token, and with a short question that is most of what the picture costs.
Caught by: a_pictures_keys_are_made_once, blocks_read_beside_the_stream
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    blocks = -(-sizes.n_layers // cross_every) if cross_every else 0
    made = blocks * 4 * visual * d_visual * sizes.n_kv_heads * sizes.d_head
    return {**found, "prefill": found["prefill"] - made}
