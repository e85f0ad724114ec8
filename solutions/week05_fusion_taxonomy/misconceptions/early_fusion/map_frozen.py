"""Misconception: What comes before the model is frozen.

Tell: Your map does not train. There is no encoder here that already knows something: the map and the
language model learn together.
Caught by: map_and_newline_learn
"""

from course_lib.raw_patches import EarlyFusion as Reference


class EarlyFusion(Reference):
    def __init__(self, n_numbers, d_text):
        super().__init__(n_numbers, d_text)
        self.vision_embed_tokens.requires_grad_(False)
