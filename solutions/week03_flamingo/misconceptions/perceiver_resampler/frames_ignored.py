"""Misconception: Time embeddings are built, and that is all.

Tell: frame makes no difference to your output: the time embeddings are built and never added.
Caught by: each_token_gets_the_embedding_of_its_frame, gradients_arrive_everywhere
"""

from course_lib.resampler import PerceiverResampler as Reference


class PerceiverResampler(Reference):
    def forward(self, visual, visual_mask=None, frame=None):
        return super().forward(visual, visual_mask)
