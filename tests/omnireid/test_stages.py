"""The stage that ordered a ranking is part of its title: features, re-scored, re-ranked."""

import numpy as np
import pytest
import torch

from omnireid.benchmark import Row, run_row
from omnireid.columns import labels_of
from omnireid.datasets import load_split
from omnireid.extraction import Settings, SideInstructions, embed_side
from omnireid.interfaces import PairStates
from omnireid.loading.instruct import gallery_instructions, query_instructions
from omnireid.loading.transforms import Preprocessing
from omnireid.metrics import ReRanking, re_rank
from omnireid.per_query import per_query
from omnireid.summary import HEADLINE_COLUMNS, headline_rows, headlines, sentence_rows, steering_rows
from omnireid.tasks import TASKS
from tests import reference

TRAD, T2I = Row("trad", "market1501", "market"), Row("t2i", "cuhk_pedes", "text_to_image")


class Stripes:
    """A model without weights: mean colors of images, of any norm; a text is its length."""

    preprocessing = Preprocessing(image_size=(8, 4), clothes_size=(4, 4))

    def __init__(self):
        self.num_seen = 0

    def embed(self, batch, side):  # noqa: ARG002
        self.num_seen += len(batch)
        if batch.images is None:
            return torch.tensor([[len(text) % 7 - 3.0, len(text) % 5 - 2.0, 1.0] for text in batch.texts])
        return batch.images.mean(dim=(2, 3)) + 0.5


class Raw(Stripes):
    """Compares its features as they are."""

    metric = "euclidean"


class Second(Stripes):
    """Has a second look at pairs: it knows who is meant."""

    def states(self, batch, side):
        return PairStates(
            self.embed(batch, side), batch.pids[:, None, None].float(), torch.ones(len(batch), 1).bool()
        )

    def score_pairs(self, text, image):
        return (text.tokens[:, 0, 0] == image.tokens[:, 0, 0]).float()


def features_of(root):
    """Both sides of TRAD by the raw stripes, as numpy arrays, and how each pair is judged."""
    split, task = load_split(root, "market1501", "trad"), TASKS["trad"]
    asked = (
        SideInstructions("", query_instructions(split, task)),
        SideInstructions("", gallery_instructions(split, task)),
    )
    sides = [
        embed_side(Raw(), split, side, task, asked=one).vectors.double().numpy()
        for side, one in zip(("query", "gallery"), asked, strict=True)
    ]
    return sides, reference.judge("market", labels_of(split.query), labels_of(split.gallery))


def test_raw_features_are_compared_by_euclidean_distance_and_the_title_says_so(tiny_root):
    (query, gallery), masks = features_of(tiny_root)
    distmat = np.linalg.norm(query[:, None] - gallery[None], axis=2)
    expected = reference.rank(distmat, *masks)
    (found,) = run_row(Raw(), TRAD, tiny_root).evaluations
    assert found.mean_ap == pytest.approx(expected.mean_ap)
    assert (found.metric, found.title) == ("euclidean", "Market-1501 rule, Euclidean")
    (cosine,) = run_row(Stripes(), TRAD, tiny_root).evaluations
    assert (cosine.metric, cosine.title) == ("cosine", "Market-1501 rule")
    assert cosine.mean_ap != pytest.approx(found.mean_ap)


def test_a_re_scored_row_names_the_number_and_stands_beside_the_cosine_row(tiny_root):
    model = Second()
    result = run_row(model, T2I, tiny_root, settings=Settings(re_score=3))
    split = load_split(tiny_root, "cuhk_pedes", "t2i")
    assert model.num_seen == result.headline.num_query + len(split.gallery)
    again, cosine = result.evaluations
    assert (again.stage, again.title) == ("re-scored", "text to image, top 3 re-scored")
    (plain,) = run_row(Stripes(), T2I, tiny_root).evaluations
    assert (cosine.stage, cosine.title, cosine.num_re_scored) == ("features", "text to image", 0)
    np.testing.assert_array_equal(cosine.average_precision, plain.average_precision)
    assert again.mean_ap > cosine.mean_ap
    assert [row[2] for row in headline_rows(result.evaluations)] == [again.title, cosine.title]
    searches = [per_query(one, split.query)[0].search.protocol for one in result.evaluations]
    assert searches == ["text_to_image re-scored", "text_to_image"]


def test_a_re_ranked_row_follows_the_headline_and_is_the_published_re_ranking(tiny_root):
    (query, gallery), masks = features_of(tiny_root)
    units = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in (query, gallery)]
    expected = reference.rank(re_rank(*units, 5, 2, 0.1).double().numpy(), *masks)
    how = Settings(re_rank=ReRanking(5, 2, 0.1))
    plain, ranked = run_row(Stripes(), TRAD, tiny_root, settings=how).evaluations
    assert (plain.title, ranked.title) == ("Market-1501 rule", "Market-1501 rule, re-ranked")
    assert ranked.mean_ap == pytest.approx(expected.mean_ap, abs=1e-6)
    assert ranked.mean_ap != pytest.approx(plain.mean_ap)
    raw = run_row(Raw(), TRAD, tiny_root, settings=how).evaluations[1]
    of_raw = reference.rank(re_rank(query, gallery, 5, 2, 0.1).double().numpy(), *masks)
    assert raw.mean_ap == pytest.approx(of_raw.mean_ap, abs=1e-6)
    assert raw.title == "Market-1501 rule, re-ranked, Euclidean"


def test_draws_and_steered_rows_are_re_ranked_once_and_texts_never(tiny_root):
    how = Settings(re_rank=ReRanking())
    for row in (Row("vi", "llcm", "llcm"), Row("li", "cocas_real2", "instructed")):
        result = run_row(Stripes(), row, tiny_root, settings=how)
        (ranked,) = [one for one in result.evaluations if one.stage == "re-ranked"]
        assert result.headline.stage == "features"
        assert headlines(result.evaluations) == [result.headline, ranked]
        assert ranked.num_trials == result.headline.num_trials
        assert len(steering_rows(result.evaluations)) == (4 if row.task == "li" else 0)
    texts = run_row(Second(), T2I, tiny_root, settings=how).evaluations
    assert [one.stage for one in texts] == ["re-scored", "features"]


def test_the_spread_of_a_bank_is_of_one_order_and_says_which(tiny_root):
    how = Settings(re_rank=ReRanking())
    result = run_row(Raw(), TRAD, tiny_root, settings=how, every_sentence=True)
    ((_, _, title, num_sentences, *_),) = sentence_rows(result.evaluations)
    assert (title, num_sentences) == ("Market-1501 rule, Euclidean", "20")


def test_the_table_shows_minp(tiny_root):
    result = run_row(Stripes(), TRAD, tiny_root)
    cells = dict(zip(HEADLINE_COLUMNS, headline_rows(result.evaluations)[0], strict=True))
    assert cells["mINP"] == f"{100 * result.headline.mean_inp:.1f}"
    assert cells["R5"] == f"{100 * result.headline.rank_5:.1f}"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda rows: rows * 0, "trad/market1501 query: all 12 features are equal"),
        (
            lambda rows: rows * torch.arange(len(rows)).clamp(max=1)[:, None],
            "query: 1 of 12 features are all zero",
        ),
    ],
)
def test_features_that_distinguish_nobody_are_reported(tiny_root, given, said):
    class Broken(Stripes):
        def embed(self, batch, side):
            return given(super().embed(batch, side))

    result = run_row(Broken(), TRAD, tiny_root)
    assert said in result.warnings[0]
    assert run_row(Stripes(), TRAD, tiny_root).warnings == ()
