"""Misconception: One large matrix costs no more than a few small ones.

Tell: Nine patches side by side are 1,152 numbers, and a matrix from there to a word has 147,456. Make them
narrow first: through a middle of 88, in and out together cost 112,640.

Caught by: parameters_stay_within_the_budget, it_learns_to_see, it_sees_well
"""

from einops import rearrange
from torch import nn


class MyFusion(nn.Module):
    def __init__(self, d_visual=128, d_text=128):
        super().__init__()
        self.to_word = nn.Linear(9 * d_visual, d_text)

    def forward(self, visual):
        return self.to_word(rearrange(visual, "b (y i x j) d -> b (y x) (i j d)", y=2, i=3, x=2, j=3))
