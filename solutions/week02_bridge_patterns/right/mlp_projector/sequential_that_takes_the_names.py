"""Right: an nn.Sequential, and a hook that renames weights as they are loaded."""

from torch import nn


class MLPProjector(nn.Module):
    def __init__(self, d_visual, d_text):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(d_visual, d_text), nn.GELU(), nn.Linear(d_text, d_text))
        self.register_load_state_dict_pre_hook(self._rename)

    @staticmethod
    def _rename(module, state_dict, prefix, *_):
        for theirs, ours in (("linear_1.", "layers.0."), ("linear_2.", "layers.2.")):
            for name in [name for name in state_dict if name.startswith(prefix + theirs)]:
                state_dict[name.replace(theirs, ours)] = state_dict.pop(name)

    def forward(self, visual):
        return self.layers(visual)
