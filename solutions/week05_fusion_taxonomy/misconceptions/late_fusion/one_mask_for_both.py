"""Misconception: One mask says what is real.

Tell: You pool the question with the mask of the picture. Each side has its own mask, of its own length.

Caught by: nobody
"""

import torch

from course_lib.late_fusion import LateFusion as Reference
from course_lib.late_fusion import masked_mean


class LateFusion(Reference):
    def forward(self, visual, text, visual_mask=None, text_mask=None):
        seen = self.picture(masked_mean(visual, visual_mask))
        asked = self.question(masked_mean(text, visual_mask))
        return self.head(torch.cat([seen, asked, seen * asked], dim=-1))
