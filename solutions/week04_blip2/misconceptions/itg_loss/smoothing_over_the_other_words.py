"""Misconception: The smoothed share goes to the other words.

Tell: Your smoothing spreads over all words but the right one. It goes to all w of them, as in
F.cross_entropy.
Caught by: smoothing_is_spread_over_all_words
"""


def itg_loss(writing_logits, visual, ids, keep, write_id, smoothing=0.1):
    asked = ids.clone()
    asked[:, 0] = write_id
    logits = writing_logits(visual, asked, keep)
    says, target = logits[:, :-1], ids[:, 1:].masked_fill(~keep[:, 1:], -100)
    kept = target != -100
    logs = says[kept].log_softmax(dim=-1)
    right = logs.gather(1, target[kept][:, None])[:, 0]
    others = (logs.sum(dim=-1) - right) / (logs.shape[1] - 1)
    return -((1 - smoothing) * right + smoothing * others).mean()
