"""The two figures beside a score: right against counting all pairs, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from irm.retrieval import calibration
from irm.retrieval.calibration import Calibrations, logistic, measure
from irm.retrieval.catalog import Catalog
from irm.retrieval.views import Space
from omnireid.loading.transforms import Preprocessing

DIM, PEOPLE, EACH = 48, 60, 5


@pytest.fixture
def gallery(tmp_path):
    """People of five images each, about as alike as a mediocre model finds them; the vectors beside it."""
    rng = np.random.default_rng(0)
    centres = np.repeat(rng.normal(size=(PEOPLE, DIM)), EACH, axis=0)
    vectors = centres + 1.3 * rng.normal(size=centres.shape)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    catalog = Catalog(tmp_path, create=True)
    space = catalog.add_space(Space("weights", "trad", "trad/x", "", Preprocessing()), DIM)
    write(catalog, space, vectors, first=1, pids=[place // EACH + 1 for place in range(len(vectors))])
    yield catalog, space, vectors
    catalog.close()


def write(catalog, space, vectors, *, first, pids):
    with catalog.writing() as connection:
        for id_, (vector, pid) in enumerate(zip(vectors, pids, strict=True), start=first):
            connection.execute(
                "INSERT INTO images (id, key, path, size, changed, content, pid, modality, captions, width, "
                "height, added, revision) VALUES (?, ?, '', 0, 0, '', ?, 'rgb', '[]', 1, 1, 0, 1)",
                (id_, str(id_), pid),
            )
            connection.execute(f"INSERT INTO {space.table} VALUES (?, ?)", (id_, vector.tobytes()))


def pairs_of(vectors):
    """Every pair's score, and whether it shows one person."""
    first, second = np.triu_indices(len(vectors), 1)
    people = np.arange(len(vectors)) // EACH
    return (vectors @ vectors.T)[first, second], people[first] == people[second]


def test_percent_is_how_many_pairs_of_such_a_score_show_one_person(gallery):
    catalog, space, vectors = gallery
    known = measure(catalog, space, len(vectors))
    scores, same = pairs_of(vectors)
    for low in (0.2, 0.3, 0.4, 0.5):
        near = (scores >= low) & (scores < low + 0.05)
        assert near.sum() > 15
        assert known.percent(low + 0.025) == pytest.approx(100 * same[near].mean(), abs=12)
    assert known.percent(0.0) == 0
    assert known.percent(0.9) >= 95


def test_people_who_were_only_sampled_give_nearly_the_same_percent(gallery, monkeypatch):
    catalog, space, vectors = gallery
    whole = measure(catalog, space, len(vectors))
    monkeypatch.setattr(calibration, "NUM_PEOPLE", 30)
    part = measure(catalog, space, len(vectors))
    assert part.slope != whole.slope
    for score in (0.2, 0.3, 0.4, 0.5):
        assert part.percent(score) == pytest.approx(whole.percent(score), abs=15)


def test_chance_is_the_share_of_the_gallery_that_scores_as_high(gallery):
    catalog, space, vectors = gallery
    known = measure(catalog, space, len(vectors))
    query = vectors[7] * 3  # of any length
    for score in (0.0, 0.1, 0.2, 0.3):
        found = known.chance(query, np.array([score]))[0]
        assert found == pytest.approx((vectors @ vectors[7] >= score).mean(), abs=0.04)
    assert known.chance(query, np.array([0.9]))[0] < 1e-6


def test_without_labels_there_is_no_percent(tmp_path):
    catalog = Catalog(tmp_path, create=True)
    space = catalog.add_space(Space("weights", "trad", "trad/x", "", Preprocessing()), DIM)
    vectors = np.eye(DIM, dtype=np.float32)[:30]
    write(catalog, space, vectors, first=1, pids=[None] * 30)
    assert measure(catalog, space, 30).percent(0.9) is None
    catalog.close()


def test_a_sample_of_a_large_gallery_is_drawn_from_all_of_it_and_is_the_same_each_time(gallery, monkeypatch):
    catalog, space, vectors = gallery
    monkeypatch.setattr(calibration, "NUM_STRANGERS", 40)
    one, two = (measure(catalog, space, len(vectors)).sample for _ in range(2))
    assert one.tobytes() == two.tobytes()
    places = (one @ vectors.T).argmax(axis=1)
    np.testing.assert_allclose(one, vectors[np.sort(places)][places.argsort().argsort()], atol=1e-6)
    assert places.min() < 60
    assert places.max() > 240


def test_it_is_measured_again_when_the_gallery_has_grown_by_a_tenth(gallery):
    catalog, space, vectors = gallery
    known = Calibrations(catalog)
    first = known.of(space)
    write(catalog, space, vectors[:20], first=1001, pids=[None] * 20)
    assert known.of(space) is first
    write(catalog, space, vectors[:20], first=2001, pids=[None] * 20)
    assert known.of(space) is not first


@pytest.mark.parametrize("gap", [0.5, 2.0])
def test_the_curve_is_scikit_learns(gap):
    rng = np.random.default_rng(2)
    same = rng.random(3000) < 0.3
    scores = rng.normal(size=3000) * 0.4 + gap * same
    weights = np.where(same, 0.02, 1.3)
    expected = LogisticRegression(C=1e6, tol=1e-10, max_iter=1000).fit(scores[:, None], same, weights)
    slope, offset = logistic(scores, same, weights)
    assert slope == pytest.approx(expected.coef_[0, 0], rel=1e-3)
    assert offset == pytest.approx(expected.intercept_[0], rel=1e-3)


def test_scores_that_part_perfectly_still_give_a_curve():
    scores = np.array([0.1, 0.2, 0.8, 0.9])
    slope, offset = logistic(scores, scores > 0.5, np.ones(4))
    assert np.isfinite([slope, offset]).all()
    assert 1 / (1 + np.exp(-(slope * 0.9 + offset))) > 0.99
    assert 1 / (1 + np.exp(-(slope * 0.1 + offset))) < 0.01
