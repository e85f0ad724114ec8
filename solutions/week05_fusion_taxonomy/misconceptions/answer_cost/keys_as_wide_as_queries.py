"""Misconception: Shared heads make the cache smaller, and nothing else.

Tell: You make keys and values for every query head. Where heads share, the matrices of keys and values are
narrower too, and cheaper.
Caught by: reading_is_one_pass, written_words_go_through_one_by_one, blocks_read_beside_the_stream,
written_words_ask_in_the_blocks
"""

from dataclasses import replace

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    wide = replace(sizes, n_kv_heads=sizes.n_heads)
    dear = reference(wide, visual, text, written, cross_every, d_visual, bytes_per_number)
    return {**dear, "cache_bytes": found["cache_bytes"]}
