"""Misconception: The hidden layer is detached, so that only the second layer learns.

Tell: Your values are right, but no gradient arrives at linear_1: the hidden layer is detached or
computed under no_grad. Both layers of the bridge learn.
Caught by: gradients_arrive_at_picture_and_weights
"""

import torch.nn.functional as F

from course_lib.projectors import MLPProjector as Reference


class MLPProjector(Reference):
    def forward(self, visual):
        return self.linear_2(F.gelu(self.linear_1(visual)).detach())
