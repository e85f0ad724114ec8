"""Who may see whom in a Q-Former, for each of BLIP-2's three tasks of the first stage.

    contrast   queries see queries, text sees text: two encoders in one stack, side by side
    match      all see all: a pair is looked at as a whole
    write      queries see queries alone, text sees all queries and the text before it

Axes in this file:
    b  pairs      t  text tokens      s  queries, then text

Source: Li et al. 2023, BLIP-2, arXiv:2301.12597, figure 2.
"""

import torch
from jaxtyping import Bool
from torch import Tensor

from course_lib.errors import ChoiceError

TASKS = ("contrast", "match", "write")


def qformer_mask(task: str, n_queries: int, text_keep: Bool[Tensor, "b t"]) -> Bool[Tensor, "b s s"]:
    """True where token i (a row) may see token j (a column); queries come first.

    Padding is seen by nobody but itself: so a text that is nothing but padding still has something to see,
    and no softmax is taken over an empty row.

    Args:
        task: "contrast", "match" or "write".
        n_queries: queries in front.
        text_keep: True where a text token is real.

    Raises:
        ChoiceError: no such task.
    """
    if task not in TASKS:
        raise ChoiceError(f"There is no task {task!r}; choose one of {', '.join(TASKS)}.")
    b, t = text_keep.shape
    s = n_queries + t
    device = text_keep.device
    is_text = torch.arange(s, device=device) >= n_queries
    looks, looked_at = is_text[:, None], is_text[None, :]
    if task == "contrast":
        sees = looks == looked_at
    elif task == "match":
        sees = torch.ones(s, s, dtype=torch.bool, device=device)
    else:
        earlier = torch.ones(s, s, dtype=torch.bool, device=device).tril()
        sees = ~looked_at | (looks & looked_at & earlier)
    real = torch.cat([text_keep.new_ones(b, n_queries), text_keep], dim=1)
    return (sees & real[:, None, :]) | torch.eye(s, dtype=torch.bool, device=device)
