"""Every protocol equals a plain loop, its draws equal those of its authors, and bad labels are refused."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructions.errors import InputError
from omnireid.datasets import DATASETS
from omnireid.metrics import rank
from omnireid.protocols import PROTOCOLS, suited_protocol
from omnireid.records import Labels
from tests import reference

FIXED_NAMES = {
    "market", "clothes_general", "clothes_change", "clothes_same", "prcc_multi_shot", "prcc_single_shot",
    "llcm", "instructed", "text_to_image", "irm_released",
}  # fmt: skip
CLOTHES = ("clothes_change", "clothes_same", "instructed_outfit")


def side(rows):
    """Labels from (pid, camid, clothes_id) rows."""
    pids, camids, clothes_ids = (np.array(column) for column in zip(*rows, strict=True))
    return Labels(pids=pids, camids=camids, clothes_ids=clothes_ids)


def judged(name, query, gallery):
    """One letter a gallery image for a single query: right, wrong or junk."""
    relevant, keep = PROTOCOLS[name].judge(side([query]), side(gallery))
    return "".join("j" if not k else "r" if r else "w" for r, k in zip(relevant[0], keep[0], strict=True))


def test_the_names_that_others_rely_on_are_there():
    assert set(PROTOCOLS) >= FIXED_NAMES
    assert all(PROTOCOLS[name].name == name for name in PROTOCOLS)
    assert len({protocol.title for protocol in PROTOCOLS.values()}) == len(PROTOCOLS)


@pytest.mark.parametrize("name", PROTOCOLS)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_judging_equals_the_loop(name, seed):
    rng = np.random.default_rng(seed)
    query, gallery = reference.labels(6, rng), reference.labels(15, rng)
    expected = reference.judge(name, query, gallery)
    judgement = PROTOCOLS[name].judge(query, gallery)
    np.testing.assert_array_equal(judgement.relevant & judgement.keep, expected[0] & expected[1])
    np.testing.assert_array_equal(judgement.keep, expected[1])


# One query (person 1, camera 0, outfit 10) and who may be met; the letters are the rule.
QUERY = (1, 0, 10)
MET = {
    "same camera, same clothes": (1, 0, 10),
    "same camera, other clothes": (1, 0, 11),
    "other camera, same clothes": (1, 3, 10),
    "other camera, other clothes": (1, 3, 11),
    "a stranger by the same camera": (2, 0, 20),
    "a distractor": (0, 0, 0),
    "a bad detection": (-1, 3, -1),
}


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("market", "jjrrwwj"),
        ("clothes_general", "jjrrwwj"),
        ("clothes_change", "jjjrwwj"),
        ("clothes_same", "jjrjwwj"),
        ("prcc_multi_shot", "jjrrwwj"),
        ("prcc_single_shot", "jjrrwwj"),
        ("cuhk03_classic", "jjrrwwj"),
        ("vc_clothes_same", "jjrrwwj"),
        ("vc_clothes_change", "jjrrwwj"),
        ("llcm", "jjrrwwj"),
        ("llcm_script", "jjrrwwj"),
        ("instructed", "jjrrwwj"),
        ("instructed_outfit", "jjrwwwj"),
        ("text_to_image", "rrrrwww"),
        ("irm_released", "jjrrwww"),
    ],
)
def test_true_matches_false_matches_and_junk(name, letters):
    assert judged(name, QUERY, list(MET.values())) == letters


def test_the_table_above_names_every_protocol():
    mark = next(
        mark for mark in test_true_matches_false_matches_and_junk.pytestmark if mark.name == "parametrize"
    )
    assert {name for name, _ in mark.args[1]} == set(PROTOCOLS)


def test_two_digit_cameras_stay_apart():
    assert judged("market", (1, 1, 0), [(1, 10, 0), (1, 11, 0), (1, 1, 0)]) == "rrj"


def test_without_cameras_nothing_is_junk():
    assert judged("market", (1, -1, 0), [(1, -2, 0), (2, -2, 0)]) == "rw"


def test_clothes_ids_that_are_unique_within_a_person_suffice():
    assert judged("clothes_change", (1, 0, 1), [(1, 1, 2), (2, 1, 1), (2, 1, 2)]) == "rww"


@pytest.mark.parametrize("name", CLOTHES)
def test_clothes_protocols_refuse_people_without_clothes_ids(name):
    people = side([(1, 0, 10), (2, 1, 20)])
    bare = Labels(pids=people.pids, camids=people.camids)
    with pytest.raises(InputError, match="some query images have no clothes id"):
        PROTOCOLS[name].judge(bare, people)
    with pytest.raises(InputError, match="some gallery images have no clothes id"):
        PROTOCOLS[name].judge(people, bare)
    with pytest.raises(InputError, match="some query"):
        PROTOCOLS[name].judge(side([(1, 0, 10), (2, 1, -1)]), people)


@pytest.mark.parametrize("name", CLOTHES)
def test_other_people_need_no_clothes_id(name):
    assert judged(name, (1, 0, 10), [(0, 1, -1), (1, 0, 10)]) == "wj"


@pytest.mark.parametrize("name", sorted(set(PROTOCOLS) - set(CLOTHES)))
def test_other_protocols_need_no_clothes_ids(name):
    people = SimpleNamespace(pids=[1, 2], camids=[0, 1], clothes_ids=None, modalities=None)
    relevant, keep = PROTOCOLS[name].judge(people, people)
    assert relevant.shape == keep.shape == (2, 2)


DRAWN = {
    "llcm", "llcm_script", "prcc_single_shot", "cuhk03_classic", "vc_clothes_same", "vc_clothes_change",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(PROTOCOLS) - DRAWN))
def test_without_a_draw_everything_is_searched(name):
    rng = np.random.default_rng(0)
    query, gallery = reference.labels(4, rng), reference.labels(9, rng)
    assert PROTOCOLS[name].num_trials == 1
    queries, searched = PROTOCOLS[name].draw(query, gallery, 0)
    assert queries.tolist() == list(range(4))
    assert searched.tolist() == list(range(9))


@pytest.mark.parametrize("trial", range(10))
def test_llcm_draws_as_its_authors_do(trial):
    rng = np.random.default_rng(1)
    gallery = SimpleNamespace(pids=rng.integers(1, 8, 60), camids=rng.integers(0, 4, 60))
    queries, searched = PROTOCOLS["llcm"].draw(reference.labels(5, rng), gallery, trial)
    assert queries.tolist() == list(range(5))
    assert searched.tolist() == reference.llcm_gallery(gallery.pids, gallery.camids, trial)


def test_prcc_single_shot_draws_one_image_a_person():
    gallery = SimpleNamespace(pids=np.repeat([5, 3, 9], 20), camids=np.zeros(60, dtype=int))
    query = SimpleNamespace(pids=np.array([3]))
    draws = [PROTOCOLS["prcc_single_shot"].draw(query, gallery, trial)[1] for trial in range(10)]
    assert all(gallery.pids[draw].tolist() == [3, 5, 9] for draw in draws)
    assert len({tuple(draw) for draw in draws}) > 5
    again = PROTOCOLS["prcc_single_shot"].draw(query, gallery, 4)[1]
    np.testing.assert_array_equal(again, draws[4])


@pytest.mark.parametrize(("name", "trial"), [("llcm", 10), ("market", 1), ("llcm", -1)])
def test_a_trial_that_does_not_exist_is_refused(name, trial):
    people = side([(1, 0, 10)])
    with pytest.raises(InputError, match=f"trial {trial} of {name}"):
        PROTOCOLS[name].draw(people, people, trial)


def test_the_official_llcm_script_searches_everything_with_the_draw_of_the_other_side():
    rng = np.random.default_rng(1)
    infrared = SimpleNamespace(pids=rng.integers(1, 8, 60), camids=rng.integers(0, 4, 60))
    queries, searched = PROTOCOLS["llcm_script"].draw(infrared, reference.labels(5, rng), 3)
    assert queries.tolist() == reference.llcm_gallery(infrared.pids, infrared.camids, 3)
    assert searched.tolist() == list(range(5))


@pytest.mark.parametrize(("name", "camids"), [("vc_clothes_same", {1, 2}), ("vc_clothes_change", {2, 3})])
def test_a_camera_pair_leaves_the_other_cameras_out_of_both_sides(name, camids):
    rng = np.random.default_rng(2)
    query, gallery = (reference.labels(40, rng, num_cameras=4) for _ in range(2))
    queries, searched = PROTOCOLS[name].draw(query, gallery, 0)
    assert set(query.camids[queries]) == set(gallery.camids[searched]) == camids
    assert len(queries) == sum(camid in camids for camid in query.camids)


def test_cuhk03_classic_draws_one_counted_image_a_person_for_every_query_anew():
    rng = np.random.default_rng(3)
    people = reference.labels(200, rng, num_people=12, num_cameras=2)
    protocol, rows = PROTOCOLS["cuhk03_classic"], np.arange(200)
    _, keep = protocol.judge(people, people)
    drawn = [protocol.thin(people, keep, rows, trial) for trial in range(10)]
    for thinned in drawn:
        assert not (thinned & ~keep).any()
        for row in rows:
            assert sorted(people.pids[thinned[row]]) == sorted(set(people.pids[keep[row]]))
        assert len({tuple(np.flatnonzero(line)) for line in thinned}) > 150  # queries do not share a draw
    assert len({thinned.tobytes() for thinned in drawn}) == 10
    block = protocol.thin(people, keep[50:60], rows[50:60], 4)
    np.testing.assert_array_equal(block, drawn[4][50:60])


def test_cuhk03_classic_rank_1_is_what_single_shot_expects():
    rng = np.random.default_rng(4)
    people = reference.labels(400, rng, num_people=15, num_cameras=2)
    protocol, distmat = PROTOCOLS["cuhk03_classic"], rng.random((400, 400))
    relevant, keep = protocol.judge(people, people)
    expected = []
    for row in range(400):
        for right in np.flatnonzero(relevant[row] & keep[row]):
            others = [
                (distmat[row, (people.pids == pid) & keep[row]] > distmat[row, right]).mean()
                for pid in set(people.pids[keep[row]]) - {people.pids[row]}
            ]
            expected.append((row, np.prod(others)))
    analytic = np.mean(
        [np.mean([p for other, p in expected if other == row]) for row in {row for row, _ in expected}]
    )
    scores = [
        rank(distmat, relevant, protocol.thin(people, keep, np.arange(400), trial)).cmc[0]
        for trial in range(10)
    ]
    assert np.mean(scores) == pytest.approx(analytic, abs=3 * np.std(scores) / np.sqrt(10))


def test_every_task_of_every_data_set_has_a_protocol_of_its_own():
    for name, dataset in DATASETS.items():
        for task in dataset.card.tasks:
            for variant in (None, *dataset.card.variants):
                assert suited_protocol(task, name, variant) in PROTOCOLS
    assert suited_protocol("cc", "prcc") == "prcc_multi_shot"
    assert suited_protocol("cc", "vc_clothes", "clothes_change") == "vc_clothes_change"
    assert suited_protocol("trad", "cuhk03", "classic_labeled_3") == "cuhk03_classic"
    with pytest.raises(InputError, match="no task 'trd'"):
        suited_protocol("trd", "market1501")
