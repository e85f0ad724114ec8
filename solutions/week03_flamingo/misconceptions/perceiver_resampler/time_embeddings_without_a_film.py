"""Misconception: There are always time embeddings, one at least.

Tell: Your resampler has time_embeddings even where n_frames is 0. Such a weight is in no checkpoint,
and nothing would ever train it.
Caught by: any_number_of_visual_tokens_becomes_n_latents, latents_read_the_picture_and_each_other,
hidden_visual_tokens_are_not_read, values_are_those_of_the_definition,
latents_are_learned_and_drawn_at_random, everything_reaches_every_output,
a_picture_is_a_set_of_any_size, hidden_tokens_reach_no_latent, a_picture_of_padding_stays_finite
"""

from course_lib.resampler import PerceiverResampler as Reference


class PerceiverResampler(Reference):
    def __init__(self, d_model, n_latents, n_layers, n_heads, d_head, n_frames=0):
        super().__init__(d_model, n_latents, n_layers, n_heads, d_head, max(1, n_frames))
