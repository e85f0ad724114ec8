"""Misconception: There are n_layers // cross_every blocks.

Tell: You count a block too few where cross_every does not divide the number of layers. They stand before
layers 0, n, 2n, ...: what is left over of the layers has one in front of it too.
Caught by: blocks_read_beside_the_stream, written_words_ask_in_the_blocks,
the_cache_holds_the_picture_once_a_block
"""

from dataclasses import replace

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    if not cross_every or sizes.n_layers % cross_every == 0:
        return found
    # What one block more costs: a layer more, with a block in front of it and without one.
    layers = [replace(sizes, n_layers=n) for n in (1, 2)]
    args = (visual, text, written, 1, d_visual, bytes_per_number)
    two, lone = reference(layers[1], *args), reference(layers[1], *args[:3], 2, *args[4:])
    return {key: found[key] - (two[key] - lone[key]) for key in found}
