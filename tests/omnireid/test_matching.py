"""Images compared by a matcher: all pairs in blocks, the nearest only, and the same row by cosine."""

import numpy as np
import pytest
import torch

from instructions.errors import InputError
from omnireid.benchmark import Row, run_row
from omnireid.columns import labels_of
from omnireid.evaluation import evaluate, judge
from omnireid.extraction import Settings, SideInstructions, embed_side, pair_scorer
from omnireid.interfaces import GridScorer, ImageMatching, PairStates
from omnireid.loading.instruct import gallery_instructions, query_instructions
from omnireid.loading.transforms import Preprocessing
from omnireid.matching import score_all
from omnireid.metrics import rank
from omnireid.per_query import per_query
from omnireid.protocols import PROTOCOLS
from omnireid.records import Record, Split
from omnireid.summary import headline_rows
from omnireid.tasks import TASKS

TRAD = TASKS["trad"]


def places(index, side):
    """Two places of three channels, another for every image."""
    rng = np.random.default_rng([index, len(side)])
    return torch.from_numpy(rng.standard_normal((2, 3))).float()


class Matcher:
    """Scores by the best pair of places; remembers how large its blocks were."""

    def __init__(self):
        self.blocks = []

    def states(self, batch, side):
        tokens = torch.stack([places(index, side) for index in batch.indices.tolist()])
        return PairStates(tokens.sum(dim=1), tokens, torch.ones(tokens.shape[:2], dtype=torch.bool))

    def score_pairs(self, text, image):
        return torch.einsum("b p c, b r c -> b p r", text.tokens, image.tokens).amax(dim=(1, 2))

    def score_grid(self, query, gallery):
        self.blocks.append((len(query), len(gallery)))
        return torch.einsum("q p c, g r c -> q g p r", query.tokens, gallery.tokens).amax(dim=(2, 3))


class Model:
    """An embedder with a matcher of images."""

    preprocessing = Preprocessing(image_size=(8, 4), clothes_size=(4, 4))

    def __init__(self):
        self.matcher = Matcher()

    def embed(self, batch, side):
        return self.matcher.states(batch, side).features

    def image_scorer(self):
        return self.matcher


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    from PIL import Image

    path = str(tmp_path_factory.mktemp("people") / "person.png")
    Image.new("RGB", (4, 8)).save(path)
    query = tuple(Record(path, pid, 0) for pid in range(5))
    gallery = tuple(Record(path, pid, 1 + shot) for pid in range(5) for shot in range(3))
    return Split("tiny_set", query=query, gallery=gallery)


def asked(split):
    return {
        "query": SideInstructions("right", query_instructions(split, TRAD)),
        "gallery": SideInstructions("own", gallery_instructions(split, TRAD)),
    }


def all_scores(split):
    """Every pair by itself."""
    return np.array(
        [
            [float((places(q, "query") @ places(g, "gallery").T).max()) for g in range(len(split.gallery))]
            for q in range(len(split.query))
        ]
    )


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_a_matchers_ranking_is_that_of_all_scores_in_blocks_of_any_size(split, batch_size):
    model = Model()
    found = evaluate(model, split, TRAD, "market", **asked(split), settings=Settings(batch_size=batch_size))
    judged = PROTOCOLS["market"].judge(labels_of(split.query), labels_of(split.gallery))
    expected = rank(-all_scores(split).astype(np.float32), *judged)
    assert found.mean_ap == pytest.approx(expected.mean_ap)
    np.testing.assert_allclose(found.average_precision, expected.average_precision)
    assert found.is_matched
    assert found.num_re_scored == len(split.gallery)
    assert max(map(max, model.matcher.blocks)) <= batch_size


def test_only_the_nearest_are_scored_on_request(split):
    settings = Settings(match=3)
    found = evaluate(Model(), split, TRAD, "market", **asked(split), settings=settings)
    assert (found.num_re_scored, found.is_matched) == (3, True)
    features = [
        torch.nn.functional.normalize(
            torch.stack([places(row, side).sum(dim=0) for row in range(len(records))]), dim=1
        )
        for side, records in (("query", split.query), ("gallery", split.gallery))
    ]
    nearest = np.argsort(-(features[0] @ features[1].T).numpy(), axis=1, kind="stable")
    for query, row in enumerate(all_scores(split)):
        head = sorted(nearest[query, :3], key=lambda image: -row[image])
        assert found.shown[query, :10].tolist() == [*head, *nearest[query, 3:10]]


def test_without_the_matcher_the_ranking_is_by_cosine(split):
    sides = {side: embed_side(Model(), split, side, TRAD, asked=one) for side, one in asked(split).items()}
    cosine = judge(sides["query"], sides["gallery"], "market")
    none = evaluate(Model(), split, TRAD, "market", **asked(split), settings=Settings(match=0))
    assert not cosine.is_matched and not none.is_matched
    assert cosine.mean_ap == none.mean_ap


def test_a_row_is_reported_by_the_matcher_and_by_cosine(split, monkeypatch):
    monkeypatch.setattr("omnireid.benchmark.load_split", lambda *_, **__: split)
    result = run_row(Model(), Row("trad", "market1501", "market"), data=None)
    assert [one.is_matched for one in result.evaluations] == [True, False]
    rows = headline_rows(result.evaluations)
    assert [row[2] for row in rows] == ["Market-1501 rule, matcher", "Market-1501 rule"]
    assert rows[0][3] != rows[1][3]
    searches = {line.search for one in result.evaluations for line in per_query(one, split.query)}
    assert {search.protocol for search in searches} == {"market matcher", "market"}


def test_text_tasks_do_not_use_the_image_matcher():
    assert isinstance(Model(), ImageMatching)
    assert isinstance(Matcher(), GridScorer)
    assert pair_scorer(Model(), TASKS["t2i"]) is None
    assert pair_scorer(Model(), TRAD) is not None


def test_nan_scores_are_refused(split):
    model = Model()
    model.matcher.score_grid = lambda query, gallery: torch.full((len(query), len(gallery)), float("nan"))
    with pytest.raises(InputError, match="matching scores hold NaN"):
        evaluate(model, split, TRAD, "market", **asked(split))


def test_all_scores_keep_their_places():
    matcher = Matcher()
    rows = [
        torch.stack([places(index, side) for index in range(count)]) for side, count in (("q", 5), ("ga", 7))
    ]
    query, gallery = (PairStates(one.sum(dim=1), one, torch.ones(one.shape[:2]).bool()) for one in rows)
    found = score_all(matcher, query, gallery, 3)
    torch.testing.assert_close(found, matcher.score_grid(query, gallery))
