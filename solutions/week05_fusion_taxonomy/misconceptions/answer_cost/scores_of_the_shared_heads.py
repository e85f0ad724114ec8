"""Misconception: Heads that share keys share their scores.

Tell: You count scores for n_kv_heads heads. Query heads share keys and values, but each asks its own
questions: scores and mixing are paid for every query head.
Caught by: reading_is_one_pass, written_words_go_through_one_by_one, blocks_read_beside_the_stream,
written_words_ask_in_the_blocks
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    saved = 4 * (sizes.n_heads - sizes.n_kv_heads) * sizes.d_head
    read, blocks = text + visual, 0
    if cross_every:
        read, blocks = text, -(-sizes.n_layers // cross_every)
    looked = sizes.n_layers * read**2 + blocks * text * visual
    later = sum(sizes.n_layers * (read + k) + blocks * visual for k in range(1, written + 1))
    return {
        **found,
        "prefill": found["prefill"] - saved * looked,
        "writing": found["writing"] - saved * later,
    }
