"""Misconception: The mean to take off is that of the batch.

Tell: You take the mean over the pictures off each of them. A picture alone is then nothing at all, and in
company it says something of the others.

Caught by: pictures_keep_to_themselves, nothing_is_left_to_chance
"""

from einops import rearrange
from torch import nn


class MyFusion(nn.Module):
    def __init__(self, d_visual=128, d_text=128):
        super().__init__()
        self.to_word = nn.Linear(6 * d_visual, d_text)

    def forward(self, visual):
        visual = visual - visual.mean(dim=0, keepdim=True)
        return self.to_word(rearrange(visual, "b (y i x j) d -> b (y x) (i j d)", y=3, i=2, x=2, j=3))
