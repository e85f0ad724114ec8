"""Misconception: Padding is the embedding of word 0.

Tell: At padding your embeddings are those of word 0: the ids were padded, and embedded together with
the rest. Padding is zeros here.
Caught by: keep_tells_padding_from_the_rest, the_placeholder_is_never_looked_up,
gradients_arrive_at_pictures_and_words
"""

from course_lib.image_tokens import merge_image_tokens as reference


def merge_image_tokens(input_ids, labels, features, embedding, image_id):
    merged = reference(input_ids, labels, features, embedding, image_id)
    return {**merged, "embeds": merged["embeds"].where(merged["keep"][..., None], embedding[0])}
