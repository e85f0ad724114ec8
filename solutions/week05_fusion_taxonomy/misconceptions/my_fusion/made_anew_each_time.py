"""Misconception: Layers belong where they are used.

Tell: Your layer is made inside forward, anew for every picture. The module has no parameters at all: there
is nothing to train.

Caught by: parameters_stay_within_the_budget, it_learns_to_see, it_sees_well
"""

from einops import rearrange
from torch import nn


class MyFusion(nn.Module):
    def __init__(self, d_visual=128, d_text=128):
        super().__init__()
        self.d_visual, self.d_text = d_visual, d_text

    def forward(self, visual):
        to_word = nn.Linear(6 * self.d_visual, self.d_text)
        return to_word(rearrange(visual, "b (y i x j) d -> b (y x) (i j d)", y=3, i=2, x=2, j=3))
