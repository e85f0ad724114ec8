"""Misconception: Rearranging is only copying, so it may leave torch for a moment.

Tell: Your values are right, but no gradient comes back through them: the numbers were detached or
copied out of torch. What lies before the merge could then never learn.
Caught by: gradients_go_back_to_their_patches
"""

import torch

from course_lib.projectors import pixel_shuffle as reference


def pixel_shuffle(visual, grid, factor):
    return reference(torch.from_numpy(visual.detach().numpy()), grid, factor)
