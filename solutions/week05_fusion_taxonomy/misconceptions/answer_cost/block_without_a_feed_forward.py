"""Misconception: A block between layers is a cross-attention.

Tell: Your blocks have no feed-forward. Flamingo's has one of its own, as wide as the decoder's, and most of
the block's cost is there.
Caught by: blocks_read_beside_the_stream, written_words_ask_in_the_blocks
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    blocks = -(-sizes.n_layers // cross_every) if cross_every else 0
    saved = blocks * (6 if sizes.gated else 4) * sizes.d_model * sizes.d_hidden
    return {
        **found,
        "prefill": found["prefill"] - text * saved,
        "writing": found["writing"] - written * saved,
    }
