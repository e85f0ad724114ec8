"""BLIP-2's first stage: three tasks for one Q-Former, and no language model anywhere.

    contrast (ITC)   the picture's queries and the text's [CLS], apart: which pairs belong together?
    match (ITM)      queries and text together: is this pair right? Wrong pairs are drawn, hard ones oftener
    write (ITG)      the text behind the queries, word by word: say what is in the picture

Axes in this file:
    b  pairs, pictures      k  texts      q  queries      t  text tokens      v  visual tokens
    d  width of the stack   e  width in which pictures and texts are compared     w  words

Parameter names are those of transformers' `Blip2ForImageTextRetrieval` (5.23), which has no head for writing
and no temperature; tests hold contrast and match within 1e-5. Writing follows LAVIS' BERT head.

Source: Li et al. 2023, BLIP-2, arXiv:2301.12597, section 3.2; LAVIS, blip2_qformer.py.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import einsum, rearrange, reduce, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from course_lib.blip2_masks import qformer_mask
from course_lib.blip2_qformer import QFormer
from course_lib.errors import ShapeError
from course_lib.post_norm import EPSILON

SMOOTHING = 0.1
TEMPERATURE = 0.07
QUERY_SPREAD = 0.02  # standard deviation of the queries at the start
IGNORED = -100


class _Embeddings(nn.Module):
    def __init__(self, n_words: int, n_positions: int, d_model: int) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(n_words, d_model)
        self.position_embeddings = nn.Embedding(n_positions, d_model)
        for table in (self.word_embeddings, self.position_embeddings):
            nn.init.normal_(table.weight, std=QUERY_SPREAD)

    def forward(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t d"]:
        places = self.position_embeddings.num_embeddings
        if ids.shape[1] > places:
            raise ShapeError(
                f"{ids.shape[1]} text tokens and {places} positions; cut the text, "
                f"or build with n_positions={ids.shape[1]}."
            )
        out: Tensor = self.word_embeddings(ids) + self.position_embeddings.weight[: ids.shape[1]]
        return out


class WritingHead(nn.Module):
    """BERT's: dense, GELU, norm, then the word embeddings themselves, and a bias."""

    def __init__(self, d_model: int, n_words: int) -> None:
        super().__init__()
        self.dense = nn.Linear(d_model, d_model)
        self.LayerNorm = nn.LayerNorm(d_model, eps=EPSILON)
        self.bias = nn.Parameter(torch.zeros(n_words))

    def forward(self, text: Float[Tensor, "b t d"], table: Float[Tensor, "w d"]) -> Float[Tensor, "b t w"]:
        return F.linear(self.LayerNorm(F.gelu(self.dense(text))), table, self.bias)


class Stage1(nn.Module):
    """A Q-Former with its queries, words and heads.

    Args:
        qformer: with a text side.
        n_queries: learned queries.
        d_model: the Q-Former's width.
        n_words, n_positions: sizes of the two tables of embeddings.
        d_shared: width in which pictures and texts are compared.
    """

    def __init__(
        self, qformer: QFormer, n_queries: int, d_model: int, n_words: int, n_positions: int, d_shared: int
    ) -> None:
        super().__init__()
        self.query_tokens = nn.Parameter(QUERY_SPREAD * torch.randn(1, n_queries, d_model))
        self.embeddings = _Embeddings(n_words, n_positions, d_model)
        self.qformer = qformer
        self.vision_projection = nn.Linear(d_model, d_shared)
        self.text_projection = nn.Linear(d_model, d_shared)
        self.itm_head = nn.Linear(d_model, 2)
        self.writing_head = WritingHead(d_model, n_words)
        self.temperature = nn.Parameter(torch.tensor(TEMPERATURE))

    def read(
        self,
        task: str,
        visual: Float[Tensor, "b v d_visual"],
        ids: Int[Tensor, "b t"],
        keep: Bool[Tensor, "b t"],
    ) -> tuple[Float[Tensor, "b q d"], Float[Tensor, "b t d"]]:
        """Queries and text through the stack, under the mask of one task."""
        n_queries = self.query_tokens.shape[1]
        queries = repeat(self.query_tokens, "1 q d -> b q d", b=len(visual))
        tokens = torch.cat([queries, self.embeddings(ids)], dim=1)
        out: Tensor = self.qformer(tokens, n_queries, qformer_mask(task, n_queries, keep), visual)
        return out[:, :n_queries], out[:, n_queries:]

    def projections(
        self, visual: Float[Tensor, "b v d_visual"], ids: Int[Tensor, "b t"], keep: Bool[Tensor, "b t"]
    ) -> tuple[Float[Tensor, "b q e"], Float[Tensor, "b e"]]:
        """Where pictures and texts are compared: each query of a picture, and the first token of a text."""
        queries, text = self.read("contrast", visual, ids, keep)
        return self.vision_projection(queries), self.text_projection(text[:, 0])

    def match_logits(
        self, visual: Float[Tensor, "b v d_visual"], ids: Int[Tensor, "b t"], keep: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b 2"]:
        """(does not match, matches), the mean over the queries."""
        queries, _ = self.read("match", visual, ids, keep)
        out: Tensor = reduce(self.itm_head(queries), "b q two -> b two", "mean")
        return out

    def writing_logits(
        self, visual: Float[Tensor, "b v d_visual"], ids: Int[Tensor, "b t"], keep: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b t w"]:
        """Logits of the word after each token. The first token should be the sign to write."""
        _, text = self.read("write", visual, ids, keep)
        out: Tensor = self.writing_head(text, self.embeddings.word_embeddings.weight)
        return out


def similarity(pictures: Float[Tensor, "b q e"], texts: Float[Tensor, "k e"]) -> Float[Tensor, "b k"]:
    """Cosine of every picture to every text: that of the query which comes closest."""
    pictures, texts = F.normalize(pictures, dim=-1), F.normalize(texts, dim=-1)
    return reduce(einsum(pictures, texts, "b q e, k e -> b q k"), "b q k -> b k", "max")


def itc_loss(
    pictures: Float[Tensor, "b q e"],
    texts: Float[Tensor, "k e"],
    temperature: Float[Tensor, ""] | float,
    smoothing: float = SMOOTHING,
) -> Float[Tensor, ""]:
    """Mean of two cross-entropies over cosine / temperature, by rows and by columns; the diagonal is right.

    Raises:
        ShapeError: another number of pictures than of texts.
    """
    if len(pictures) != len(texts):
        raise ShapeError(
            f"{len(pictures)} pictures and {len(texts)} texts are no pairs; give as many of each."
        )
    logits = similarity(pictures, texts) / temperature
    right = torch.arange(len(logits), device=logits.device)
    rows = F.cross_entropy(logits, right, label_smoothing=smoothing)
    columns = F.cross_entropy(logits.T, right, label_smoothing=smoothing)
    return (rows + columns) / 2


def sample_negatives(
    logits: Float[Tensor, "b b"], generator: torch.Generator | None = None
) -> tuple[Int[Tensor, " b"], Int[Tensor, " b"]]:
    """For each picture a wrong text, for each text a wrong picture: drawn, the more alike the likelier.

    Args:
        logits: similarity over temperature, pictures in rows.
        generator: where the chance comes from.

    Returns:
        Numbers of texts, one for each picture; numbers of pictures, one for each text. Never the own one.

    Raises:
        ShapeError: a batch of one has no wrong pair.
    """
    if len(logits) < 2:
        raise ShapeError(f"a batch of {len(logits)} has no wrong pair to draw; give at least 2.")
    own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    with torch.no_grad():
        texts = logits.masked_fill(own, -torch.inf).softmax(dim=1)
        pictures = logits.T.masked_fill(own, -torch.inf).softmax(dim=1)
        return (
            torch.multinomial(texts, 1, generator=generator)[:, 0],
            torch.multinomial(pictures, 1, generator=generator)[:, 0],
        )


def itm_loss(
    match_logits: Callable[[Tensor, Tensor, Tensor], Tensor],
    visual: Float[Tensor, "b v d_visual"],
    ids: Int[Tensor, "b t"],
    keep: Bool[Tensor, "b t"],
    wrong_text: Int[Tensor, " b"],
    wrong_picture: Int[Tensor, " b"],
) -> Float[Tensor, ""]:
    """Three pairs for each: the right one, its picture with a wrong text, its text with a wrong picture.

    Args:
        match_logits: called as match_logits(visual, ids, keep), returns float[3b 2]: (no match, match).
        visual, ids, keep: the right pairs; True in keep means that a token is real.
        wrong_text, wrong_picture: from `sample_negatives`.
    """
    b = len(visual)
    logits = match_logits(
        torch.cat([visual, visual, visual[wrong_picture]]),
        torch.cat([ids, ids[wrong_text], ids]),
        torch.cat([keep, keep[wrong_text], keep]),
    )
    right = torch.cat([torch.ones(b, dtype=torch.long), torch.zeros(2 * b, dtype=torch.long)])
    return F.cross_entropy(logits, right.to(logits.device))


def itg_loss(
    writing_logits: Callable[[Tensor, Tensor, Tensor], Tensor],
    visual: Float[Tensor, "b v d_visual"],
    ids: Int[Tensor, "b t"],
    keep: Bool[Tensor, "b t"],
    write_id: int,
    smoothing: float = SMOOTHING,
) -> Float[Tensor, ""]:
    """Each token says the next one, behind a first token that says: write. Padding is not learned.

    Args:
        writing_logits: called as writing_logits(visual, ids, keep), returns float[b t w].
        visual, ids, keep: the pairs; the first token of a text is [CLS]. True in keep means real.
        write_id: [DEC], which takes the place of [CLS]: one stack, and this is how it knows what to do.
        smoothing: share of the target that is spread over all words.

    Raises:
        ShapeError: no real token behind the first: there is nothing to say.
    """
    if not keep[:, 1:].any():
        raise ShapeError(
            f"{len(ids)} texts of {ids.shape[1]} tokens have 0 real ones behind the first, and nothing to "
            "say; give at least one."
        )
    asked = ids.clone()
    asked[:, 0] = write_id
    logits = writing_logits(visual, asked, keep)
    target = ids[:, 1:].masked_fill(~keep[:, 1:], IGNORED)
    return F.cross_entropy(
        rearrange(logits[:, :-1], "b t w -> (b t) w"),
        rearrange(target, "b t -> (b t)"),
        ignore_index=IGNORED,
        label_smoothing=smoothing,
    )
