# %% [markdown]
# ### The first stage, as a whole
#
# Everything is there: a layer, three masks, three losses and a way to draw wrong pairs. `train_stage1` puts
# its own queries, words and heads around **your** parts and trains them on our scenes, each with a caption
# such as `a small red circle top left and a big blue square middle right`. The encoder is frozen, and there
# is no language model anywhere. In each step, 48 pairs go through your stack under all three masks, and the
# three losses are added up. `<start>` stands for [CLS]; [DEC] is one more word. The words are learned from
# nothing, where BLIP-2 begins with those of a trained BERT.
#
# How do we know what it can do? Three questions on 301 layouts it has never met. *Find*: which of the 301
# captions belongs to a picture, and the reverse; chance is 0.003. *Judge*: is this caption right, when in
# half of the pairs a single property of a single thing is wrong? Chance is 0.5. *Write*: is every thing of
# the picture named with all its properties, and nothing else?
#
# **Prediction:** which of the three is learned first, and which one last? And if finding is perfect, must
# judging be good as well?

# %% experiment="stage1"
from course_lib.blip2_training import LEARNING_RATE, TASKS, Parts, train_stage1

parts = Parts(QFormerLayer, qformer_mask, itc_loss, sample_negatives, itm_loss, itg_loss)
steps = 12 if FAST else 200
first = train_stage1(parts, world=world, steps=steps, seed=SEED, progress=False)


def smooth(task):
    """(step, mean loss of the steps since the last point)."""
    losses, width = torch.tensor([step[task] for step in first.losses]), max(1, steps // 12)
    return [(min(steps, width * (n + 1)), part.mean().item()) for n, part in enumerate(losses.split(width))]


plots.learning_curves({task: smooth(task) for task in TASKS}, ylabel="loss, new pairs in each step")

# %% experiment="stage1_scores"
scores = first.scores
rows = [[f"find the caption among {scores.n}", scores.texts_found, 1 / scores.n]]
rows += [[f"find the picture among {scores.n}", scores.pictures_found, 1 / scores.n]]
rows += [[f"judge, {name} may be wrong", share, 0.5] for name, share in scores.matched_by.items()]
rows += [["write: whole captions", scores.written, 0.0], ["write: things", scores.things_written, 0.0]]
if not FAST:
    assert scores.texts_found > 0.9
    assert 0.55 < scores.matched < 0.8
    assert scores.written > 0.25
Table(["on new layouts", "right", "by chance"], rows)

# %% [markdown]
# **What we learnt.** Contrast comes first: after some 50 of the 200 steps it is nearly done, and at the end
# a picture finds its caption among 301 in 0.997, 1.000 and 1.000 of the cases (seeds 0, 1, 2). Writing comes
# last: 0.44, 0.45 and 0.46 of the captions are right in every word. (Figures for three seeds are from our
# reference functions. A correct solution that rounds differently is another run: one of seed 0 came to
# 0.42.)
#
# Judging is the surprise. Its loss in the last step is 0.04, 0.15 and 0.07. And yet, when one property is
# wrong, only 0.65, 0.61 and 0.65 of the verdicts are right: 0.74 to 0.79 for a wrong place, 0.54 to 0.62 for
# a wrong colour. **A hard negative is only as hard as the batch it is drawn from.** Among 48 scenes the
# nearest wrong caption mostly differs in several words, and whoever reads a few of them can judge. The
# paper's batches hold 1,680 or 2,320 pairs.
#
# A trap on the way: one in four of our new scenes repeats a layout, and a caption that happens to be right
# was counted wrong. Finding stood at 0.917 and would not move. The same happens in training, where hard
# drawing *looks for* such pairs. So `train_stage1` draws no layout twice in a step.
#
# Next: is what the queries hold of any use to a language model? We freeze queries and Q-Former, and train
# the projection alone. The control is the same with a Q-Former that was never trained. **Prediction:** the
# language model answers a third of the questions without any picture. How far do the two get?

# %% experiment="stage1_frozen"
from course_lib.blip2_training import FirstStage, Sizes
from course_lib.training import train_bridge


def second_stage(start, steps, name, frozen=False):
    """Your prefix from a stage 1, trained or not, before the frozen language model."""
    torch.manual_seed(SEED)
    bridge = QueryPrefix(start.query_tokens, start.qformer, world.d_text)
    if frozen:
        bridge.qformer.requires_grad_(False)
        bridge.query_tokens.requires_grad_(False)
    rate = 3e-3 if frozen else LEARNING_RATE
    few = max(4, steps // 20) if FAST else steps
    return train_bridge(
        bridge, steps=few, seed=SEED, learning_rate=rate, world=world, name=name, progress=False
    )


torch.manual_seed(SEED + 1000)
untrained = FirstStage(parts, world, Sizes())
frozen = [
    second_stage(start, 100, name, frozen=True)
    for name, start in (("stage 1", first.model), ("never trained", untrained))
]
if not FAST:
    assert frozen[0].accuracy > frozen[1].accuracy + 0.15
rows = [[result.name, result.accuracy, result.shuffled, result.blind] for result in frozen]
Table(["frozen Q-Former from", "right answers", "with another picture", "with none"], rows)

# %% [markdown]
# **What we learnt.** 0.69, 0.68 and 0.67 of the answers are right through stage 1's frozen queries, 0.37,
# 0.35 and 0.35 through untrained ones; without a picture it is 0.33. So stage 1 does what it promises: with
# captions alone, and no language model in sight, the queries have taken in what a language model can use.
