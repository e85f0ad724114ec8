"""Misconception: Queries and output are as wide as the model.

Tell: Your queries, or what the heads give back, are d_model wide. They are as wide as all heads together,
n_heads times d_head.
Caught by: reading_is_one_pass, written_words_go_through_one_by_one, blocks_read_beside_the_stream,
written_words_ask_in_the_blocks
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    layers = sizes.n_layers + (-(-sizes.n_layers // cross_every) if cross_every else 0)
    more = layers * 4 * sizes.d_model * (sizes.d_model - sizes.n_heads * sizes.d_head)
    read = text + (0 if cross_every else visual)
    return {
        **found,
        "prefill": found["prefill"] + read * more,
        "writing": found["writing"] + written * more,
    }
