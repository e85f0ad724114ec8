"""Misconception: The newline keeps what it was drawn with.

Tell: Your newline is a parameter that does not train. What a line's end means to the language model has
to be learnt.
Caught by: map_and_newline_learn
"""

from course_lib.raw_patches import EarlyFusion as Reference


class EarlyFusion(Reference):
    def __init__(self, n_numbers, d_text):
        super().__init__(n_numbers, d_text)
        self.newline.requires_grad_(False)
