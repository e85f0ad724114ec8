"""Misconception: The batch may stand second.

Tell: Your tokens come as (n, b, d): tokens first, pictures second, as some of torch's own layers want it.
The stream reads (b, n, d).

Caught by: tokens_stay_within_the_budget, widths_are_arguments, pictures_keep_to_themselves,
nothing_is_left_to_chance, every_patch_counts, every_parameter_learns, it_learns_to_see, it_sees_well
"""

from einops import rearrange
from torch import nn


class MyFusion(nn.Module):
    def __init__(self, d_visual=128, d_text=128):
        super().__init__()
        self.to_word = nn.Linear(6 * d_visual, d_text)

    def forward(self, visual):
        cells = rearrange(visual, "b (y i x j) d -> (y x) b (i j d)", y=3, i=2, x=2, j=3)
        return self.to_word(cells)
