"""Misconception: Attention is one product.

Tell: You count one product for attention, queries with keys. The second one mixes the values by those
weights, and costs the same.
Caught by: reading_is_one_pass, written_words_go_through_one_by_one, blocks_read_beside_the_stream,
written_words_ask_in_the_blocks
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    read, blocks = text + visual, 0
    if cross_every:
        read, blocks = text, -(-sizes.n_layers // cross_every)
    one = 2 * sizes.n_heads * sizes.d_head
    looked = sizes.n_layers * read**2 + blocks * text * visual
    later = sum(sizes.n_layers * (read + k) + blocks * visual for k in range(1, written + 1))
    return {**found, "prefill": found["prefill"] - one * looked, "writing": found["writing"] - one * later}
