"""Misconception: Merging 2 x 2 patches is few enough.

Tell: You merge 2 x 2 patches, as the course does elsewhere, and hand on nine tokens. Here six are allowed:
take larger cells.

Caught by: tokens_stay_within_the_budget, it_learns_to_see, it_sees_well
"""

from einops import rearrange
from torch import nn


class MyFusion(nn.Module):
    def __init__(self, d_visual=128, d_text=128):
        super().__init__()
        self.to_word = nn.Linear(4 * d_visual, d_text)

    def forward(self, visual):
        return self.to_word(rearrange(visual, "b (y i x j) d -> b (y x) (i j d)", y=3, i=2, x=3, j=2))
