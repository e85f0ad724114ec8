"""Misconception: A newline is a fixed mark.

Tell: Your newline is a buffer or a plain tensor, and never learns. What a line's end means to the
language model has to be learnt.
Caught by: map_and_newline_learn, nothing_besides_the_map_and_the_newline
"""

import torch

from course_lib.raw_patches import EarlyFusion as Reference


class EarlyFusion(Reference):
    def __init__(self, n_numbers, d_text):
        super().__init__(n_numbers, d_text)
        del self.newline
        self.register_buffer("newline", torch.zeros(d_text))
