# %% [markdown]
# ### Examples in the prompt: an honest negative result
#
# Flamingo was trained on pages with many pictures, and learned from examples in its prompt. May one do the
# same with BLIP-2? One reads that one may. The paper reports that examples in the prompt did not improve its
# answers, and gives the likely reason: it was trained on **one** picture with **one** text at a time.
#
# Ours was trained on single pictures, too. Before the question we put 1, 2 or 4 examples, each a picture of
# another scene with a question of the same kind and the right answer. Then comes the picture that is asked
# about. The control has the examples' words without their pictures.
#
# **Prediction:** do the examples help, leave it be, or harm? And which part of them does?

# %% experiment="few_shot"
from course_lib.blip2_training import with_examples

seeing, many = alone[1].model, 24 if FAST else 200
rows = [
    [shots, *(with_examples(seeing, shots, pictures=pictures, count=many) for pictures in ("own", "none"))]
    for shots in (0, 1, 2, 4)
]
if not FAST:
    zero, one, _, four = (row[1] for row in rows)
    assert zero - 0.1 > one > four
    assert all(text_alone >= whole for _, whole, text_alone in rows)
Table(["examples", "right answers", "examples without their pictures"], rows)

# %% [markdown]
# **What we learnt.** They harm, and each does more. From 0.985, 0.985 and 0.965 (three seeds of the
# Q-Former) the right answers fall to 0.70, 0.69 and 0.60 with one example and to 0.36, 0.43 and 0.40 with
# four. Without a picture the language model knows a third. The words alone cost less, 0.94, 0.95 and 0.87
# with one example, so it is mostly the **second picture** that confuses: two pictures' tokens stand in one
# row, and nothing has taught anybody which of them a question means. Week 3's mask, by which a word reads
# the latest picture only, was an answer to exactly this.
#
# It is not that this language model could not do it. Through a bridge that was told what each token should
# be, it binds a new word to an example's colour or shape in 0.997 of the cases or more; through gates in
# 0.890 or more, after they had been *trained* on rows of pictures (two and three words, three seeds). Many
# pictures in one prompt are a skill, and single pairs do not teach it.
