# %% [markdown]
# ### Do queries specialise?
#
# "Each query learns to look for something else: one for colour, one for what stands at the top left." One
# reads it often, beside an attention map that has been picked. We measure it.
#
# Take what one query hands over, for 301 pictures, and split the pictures by a fact: is something *there* at
# the top left? How much of the query's variance over pictures does the split explain? That is a number
# between 0 and 1, for each query and each of 22 facts. Two nulls stand beside it. **By permutation:** the
# same with the pictures' facts dealt out anew, 100 times; the largest of the 100 is the bar to clear.
# **Never trained:** the same with a Q-Former as it was drawn.
#
# **Prediction:** what share of the 264 numbers clear the first bar before any training?

# %% experiment="probe"
from course_lib.blip2_training import first_of_each, looks_watched, told, told_by_chance, what_is_there

layouts = first_of_each(world.new.scenes)
facts, there = what_is_there([world.new.scenes[index] for index in layouts])
groups = {"place": slice(0, 9), "colour": slice(9, 15), "shape": slice(15, 20), "size": slice(20, 22)}


@torch.no_grad()
def reads(query_tokens, qformer, visual):
    """What each query hands over for each picture, and where the layers looked."""
    queries = repeat(query_tokens, "1 q d -> b q d", b=len(visual))
    with looks_watched(qformer) as looks:
        return qformer(queries, queries.shape[1], None, visual), looks


with torch.no_grad():
    visual = untrained.eyes(world.new.features[layouts])
    trained = alone[1].model.visual(world.new.features[layouts])
at = {
    "never trained": reads(untrained.query_tokens, untrained.qformer, visual),
    "after stage 1": reads(first.model.query_tokens, first.model.qformer, visual),
    "after stage 2 alone": reads(alone[1].model.bridge.query_tokens, alone[1].model.bridge.qformer, trained),
}

# %% experiment="probe_seen"
rows = []
for name, (read, _) in at.items():
    share, chance = told(read, there), told_by_chance(read, there)
    clears = share > chance.amax(dim=0)
    for group, facts_of in groups.items():
        mine = share[:, facts_of]
        cleared = f"{clears[:, facts_of].float().mean():.0%}"
        spread = mine.std(dim=0).mean().item()
        rows.append([name, group, mine.mean().item(), mine.max().item(), spread, cleared])
    if name == "never trained" and not FAST:
        assert clears.float().mean() > 0.9
header = ["", "facts about", "explained, mean", "largest", "spread over queries", "clear the permutation"]
Table(header, rows)

# %% experiment="probe_alike"
for name, (read, _) in at.items():
    alike = query_similarity(read)
    others = alike[~torch.eye(len(alike), dtype=torch.bool)]
    print(f"{name:20} cosine of two queries: mean {others.mean():.2f}, closest pair {others.max():.3f}")
queries = [f"query {n}" for n in range(len(alike))]
looks = at["after stage 2 alone"][1][0].mean(dim=(0, 1))
title = "where each query looks, mean over pictures"
plots.matrix(looks, queries, facts[:9], title=title, ylabel="who looks")

# %% [markdown]
# **What we learnt.** Before any training, 94 to 100 % of the numbers clear the permutation (three seeds). It
# is the right null for "does this query say anything about the top left?", and everything that has read the
# picture does. For "has it *specialised*?" the null is the untrained Q-Former, and the column to read is the
# spread over queries: if all say the same, it is small.
#
# For places it goes from 0.004–0.006 (never trained) to 0.004–0.009 after stage 1 and to 0.018–0.022 after
# stage 2 alone, where a single place explains up to 0.16, 0.19 and 0.24 of a single query, against 0.04 to
# 0.05 untrained. Shapes spread, too (0.003–0.005 to 0.012–0.024); colours do so less (0.002–0.004 to
# 0.009–0.015). So there is specialisation, by place most of all. It is a lean, not a division of labour:
# even that query owes three quarters of what it says to something else, and 68 to 87 % of all pairs of a
# place and a query still clear the permutation.
#
# And look at the cosines. Two queries are alike by 0.20 to 0.27 untrained and by 0.45 to 0.56 after stage 2
# alone, but by **0.76 to 0.87 after stage 1**, the closest pair by 0.97 or more. Contrast asks only for one
# query that fits, and all twelve may become it. That fits what the last section found.
#
# The map shows where layer 0 looks. It is a nice picture. The numbers above came from what the queries *hand
# over*, and a layer that looks somewhere need not pass on what it saw.
