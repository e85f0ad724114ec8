"""Right: the activation as a module of its own."""

from torch import nn


class MLPProjector(nn.Module):
    def __init__(self, d_visual, d_text):
        super().__init__()
        self.linear_1 = nn.Linear(d_visual, d_text)
        self.act = nn.GELU()
        self.linear_2 = nn.Linear(d_text, d_text)

    def forward(self, visual):
        return self.linear_2(self.act(self.linear_1(visual)))
