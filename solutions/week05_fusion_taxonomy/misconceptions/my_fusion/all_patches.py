"""Misconception: A bridge translates each patch.

Tell: You hand on a token for each patch. In the stream that is 36 where 6 are allowed: what is a picture's
share of the context worth?

Caught by: tokens_stay_within_the_budget, it_learns_to_see, it_sees_well
"""

from torch import nn


class MyFusion(nn.Module):
    def __init__(self, d_visual=128, d_text=128):
        super().__init__()
        self.to_word = nn.Linear(d_visual, d_text)

    def forward(self, visual):
        return self.to_word(visual)
