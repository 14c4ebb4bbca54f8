"""The fourteen hazards that silently change a number in this field, one test or more for each."""

import ast
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from omnireid.columns import labels_of
from omnireid.datasets import DATASETS, load_split
from omnireid.extraction import Features
from omnireid.leakage import People, drop_test_people
from omnireid.loading.held_out import hold_out
from omnireid.loading.source_loader import Source
from omnireid.metrics import ExactDistances, rank, rank_features
from omnireid.protocols import PROTOCOLS, suited_protocol
from omnireid.protocols.draws import everything
from omnireid.re_scoring import ReScorer
from omnireid.records import Labels
from omnireid.synthetic.layouts import LAYOUTS
from omnireid.synthetic.plan import SyntheticSpec
from omnireid.synthetic.presets import PRESETS
from omnireid.tasks import TASKS
from omnireid.trial import run_trial

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The drawn trees on paper: text files as they are, images as empty files."""
    out = tmp_path_factory.mktemp("hazards")
    for name in (
        "market1501",
        "msmt17",
        "cuhk03",
        "prcc",
        "ltcc",
        "vc_clothes",
        "llcm",
        "cuhk_pedes",
        "icfg_pedes",
    ):
        plan = LAYOUTS[name](SyntheticSpec(PRESETS["tiny"], 0))
        contents = {file.path: b"" for image in plan.images for file in image.files} | plan.texts
        for path, content in contents.items():
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).write_bytes(content)
    return out


def ranked(right, *, protocol="market", **options):
    """The ranking of one query whose gallery comes in this order: right answers at these places, from 1."""
    relevant = np.zeros((1, 700), dtype=bool)
    relevant[0, np.array(right) - 1] = True
    distmat = np.arange(700, dtype=np.float32)[None]
    return rank(distmat, relevant, np.ones_like(relevant), ap_topk=PROTOCOLS[protocol].ap_topk, **options)


def test_h1_average_precision_is_not_cut_at_rank_500():
    full = (1 / 1 + 2 / 600) / 2
    for name, protocol in PROTOCOLS.items():
        cut = protocol.ap_topk is not None
        assert cut == (name == "irm_released")
        assert ranked([1, 600], protocol=name).mean_ap == pytest.approx(1.0 if cut else full)
    assert "AP@500" in PROTOCOLS["irm_released"].title


def test_h2_visible_to_infrared_queries_every_visible_image_and_draws_the_infrared_gallery(root):
    split = load_split(root, "llcm", "vi", "vis_to_ir")
    assert {r.modality for r in split.query} == {"rgb"} and {r.modality for r in split.gallery} == {"ir"}
    query, gallery = labels_of(split.query), labels_of(split.gallery)
    asked, searched = PROTOCOLS["llcm"].draw(query, gallery, 0)
    assert len(asked) == len(query)
    places = list(zip(gallery.pids[searched], gallery.camids[searched], strict=True))
    assert len(places) == len(set(places)) == len({*zip(gallery.pids, gallery.camids, strict=True)})


def test_h3_single_shot_and_multi_shot_are_two_protocols_with_two_names(root):
    split = load_split(root, "prcc", "cc")
    gallery = labels_of([*split.gallery, *split.gallery])  # two images a person
    _, all_of_a = PROTOCOLS["prcc_multi_shot"].draw(labels_of(split.query), gallery, 0)
    _, one_each = PROTOCOLS["prcc_single_shot"].draw(labels_of(split.query), gallery, 0)
    assert len(all_of_a) == len(gallery)
    assert sorted(gallery.pids[one_each]) == sorted(set(gallery.pids))
    titles = [PROTOCOLS[name].title for name in ("prcc_multi_shot", "prcc_single_shot")]
    assert ["single-shot" in title for title in titles] == [False, True]


def test_h4_msmt17_trains_on_list_train_alone_unless_asked_and_says_which(root):
    alone, both = (load_split(root, "msmt17", "trad", variant, "raw") for variant in (None, "train_val"))
    card = DATASETS["msmt17"].card
    assert (card.published("train").images, card.published("train", "train_val").images) == (30_248, 32_621)
    assert set(alone.train) < set(both.train)
    assert alone.notes[0].endswith("version 1, train") and both.notes[0].endswith("version 1, train_val")


def test_h5_masked_and_unmasked_msmt17_are_never_confused(root, tmp_path):
    own = tmp_path / "MSMT17_V2"
    for part in ("train", "query", "gallery"):
        text = (root / f"msmt/MSMT17_V1/list_{part}.txt").read_text()
        own.mkdir(exist_ok=True)
        (own / f"list_{part}.txt").write_text(text)
    (own / "mask_train_v2").mkdir()
    with pytest.raises(ValueError, match="what is there is variant v2_train"):
        load_split(tmp_path, "msmt17", "trad")
    split = load_split(tmp_path, "msmt17", "trad", "v2_train")
    assert "version 2" in split.notes[0] and "/mask_train_v2/" in split.train[0].image


def test_h6_average_precision_is_riemann_and_not_trapezoidal():
    right = [2, 3, 7, 40]
    scores = -np.arange(700.0)
    truth = np.isin(np.arange(1, 701), right)
    riemann = average_precision_score(truth, scores)
    precision = np.cumsum(truth) / np.arange(1, 701)
    before = np.concatenate([[1.0], precision[:-1]])
    trapezoid = ((precision + before) / 2)[truth].mean()
    assert ranked(right).mean_ap == pytest.approx(riemann)
    assert abs(riemann - trapezoid) > 0.01


def test_h7_the_cmc_counts_the_first_right_answer_not_every_one():
    assert ranked([1, 300, 600]).cmc[0] == 1.0


def test_h8_cuhk03_means_detected_boxes_unless_labeled_is_requested(root):
    entry = DATASETS["cuhk03"]
    assert entry.card.default_variant == "detected"
    default, labeled = entry.read(root), entry.read(root, "labeled")
    assert "/labeled/" not in default.train[0].image and "/labeled/" in labeled.train[0].image
    assert "detected" in default.notes[0] and "labeled" in labeled.notes[0]


def test_h9_ltcc_has_twelve_cameras_not_nine(root):
    records = DATASETS["ltcc"].read(root)
    for record in (*records.train, *records.query, *records.gallery):
        person, outfit, camera, _ = Path(record.image).stem.split("_")
        assert (record.pid, record.camid) == (int(person), int(camera[1:]) - 1)
        assert int(outfit) in (1, 2, 3)
    assert max(record.camid for record in records.train) > 8


def test_h10_images_that_are_not_re_scored_keep_their_order():
    distances = ExactDistances(-np.linspace(0.9, 0.1, 50)[None])  # minus cosines, the nearest first

    class LastFirst:
        """Scores the later of the nearest images higher."""

        def score_pairs(self, _, image):
            return image.take_rows.float()

    class States:
        """Stands for every image by its row."""

        def take(self, rows):
            self.take_rows = rows
            return self

    states = States()
    again = ReScorer(LastFirst(), States(), states, top=5, batch_size=64)
    order = np.argsort(again.apply(distances, np.arange(1), np.arange(50)).values[0], kind="stable")
    assert order.tolist() == [4, 3, 2, 1, 0, *range(5, 50)]


def test_h11_test_people_of_another_data_set_are_taken_out_of_training(root):
    for name, task, owner in (("cuhk_pedes", "t2i", "market1501"), ("icfg_pedes", "t2i", "msmt17")):
        source, test = (
            load_split(root, name, task, source="raw"),
            load_split(root, owner, "trad", source="raw"),
        )
        names = {Path(record.image).name for record in (*test.query, *test.gallery)}
        leaked = {record.pid for record in source.train if Path(record.image).name in names}
        tests = [People(owner, (*test.query, *test.gallery))]
        (kept,), report = drop_test_people([People(name, source.train)], tests)
        assert leaked and not leaked & {record.pid for record in kept.records}
        assert report.num_dropped == len(source.train) - len(kept.records) > 0


def test_h12_a_query_without_a_right_answer_leaves_the_denominator():
    relevant = np.zeros((2, 700), dtype=bool)
    relevant[0, 1] = True
    distmat = np.tile(np.arange(700, dtype=np.float32), (2, 1))
    ranking = rank(distmat, relevant, np.ones_like(relevant))
    assert (ranking.mean_ap, ranking.num_valid_queries) == (0.5, 1)
    assert np.isnan(ranking.average_precision[1]) and ranking.cmc[1] == 1.0


def printed(code):
    """All that a program prints, whatever strings hash to."""
    return {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }


_LABELS = """
from omnireid.datasets import load_split
split = load_split({root!r}, "market1501", "trad", source={source!r})
print([(record.image, record.pid, record.clothes_id) for record in split.train])
"""


@pytest.mark.parametrize("source", ["raw", "lists"])
def test_h13_labels_and_order_do_not_depend_on_hash_seeds(root, source):
    assert len(printed(_LABELS.format(root=str(root), source=source))) == 1


def test_h14_models_are_selected_on_training_people_and_never_on_the_test(root):
    looks = ("omnireid.datasets", "omnireid.benchmark")  # by which training could come to a test
    for path in [*(ROOT / "irm/training").rglob("*.py"), ROOT / "tools/train.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in names if name.startswith(looks)], path
    split = load_split(root, "market1501", "trad")
    (still,), (held_out,) = hold_out([Source(TASKS["trad"], "market1501", split.train)], 0.3, seed=0)
    chosen_by = {*held_out.split.query, *held_out.split.gallery}
    assert chosen_by and chosen_by | {*still.records} == {*split.train}
    assert not {r.pid for r in chosen_by} & {r.pid for r in still.records}
    for name in ("cuhk_pedes", "rstpreid"):  # where the owners hold people out, they can be searched
        assert DATASETS[name].card.default_variant == "test" and "val" in DATASETS[name].card.variants


@pytest.mark.parametrize("name", ["market", "prcc_multi_shot", "llcm", "text_to_image", "irm_released"])
def test_h1_no_ranking_function_truncates_ap_unless_its_protocol_does(name):
    """Right answers stand first and 600th of 700, far enough apart to see a cut at 500."""
    pids = np.where(np.isin(np.arange(1, 701), [1, 600]), 1, 2)
    angles = torch.linspace(0, 1.5, 700)
    vectors = torch.tensor([[1.0, 0.0]]), torch.stack([angles.cos(), angles.sin()], dim=1)
    labels = Labels(np.array([1]), np.array([0])), Labels(pids, np.ones(700, dtype=np.int64))
    query, gallery = (
        Features(TASKS["trad"], "nobody", "", *side, None, 0.0) for side in zip(vectors, labels, strict=True)
    )
    whole = replace(PROTOCOLS[name], drawn=everything, thinned=None)
    listed = replace(whole, thinned=lambda _gallery, keep, _rows, _trial: keep)
    expected = 1.0 if name == "irm_released" else (1 / 1 + 2 / 600) / 2
    for protocol in (whole, listed):  # counted in one pass, and ranked list by list
        assert run_trial(query, gallery, protocol, 0).ranking.mean_ap == pytest.approx(expected)
    assert rank_features(*vectors, *labels, whole).mean_ap == pytest.approx(expected)


def test_h2_the_default_of_llcm_queries_every_image_in_both_directions(root):
    for variant in (None, *DATASETS["llcm"].card.variants):
        name = suited_protocol("vi", "llcm", variant)
        assert name == "llcm"  # and never what the official script computes
        split = load_split(root, "llcm", "vi", variant)
        query, gallery = (labels_of([*side, *side]) for side in (split.query, split.gallery))
        asked, searched = PROTOCOLS[name].draw(query, gallery, 0)
        assert len(asked) == len(query) and len(searched) < len(gallery)


def test_h8_the_note_names_the_boxes(root):
    for boxes in ("detected", "labeled"):
        note = DATASETS["cuhk03"].read(root, boxes).notes[0]
        assert note.endswith((f": {boxes}", f"taken as {boxes}"))


def test_h10_the_tail_is_ordered_by_distance_and_ties_by_index():
    values = np.random.default_rng(0).permutation(300)[None] / -300.0  # in no order of their index
    nearest = np.argsort(values[0], kind="stable")

    class Rows:
        """States that know which images they are of."""

        def __init__(self, rows=None):
            self.rows = rows

        def take(self, rows):
            return Rows(rows)

    class OddFirst:
        """Knows two scores only: images of equal score stay in the order of their distances."""

        def score_pairs(self, _, images):
            return images.rows.float() % 2

    again = ReScorer(OddFirst(), Rows(), Rows(), top=128, batch_size=64)
    order = np.argsort(
        again.apply(ExactDistances(values), np.arange(1), np.arange(300)).values[0], kind="stable"
    )
    head = nearest[:128]
    assert order.tolist() == [*head[head % 2 == 1], *head[head % 2 == 0], *nearest[128:]]


_ORDER = """
from omnireid.datasets import load_split
from omnireid.loading.held_out import hold_out
from omnireid.loading.source_loader import Source
from omnireid.tasks import TASKS
for name, task in (("ltcc", "cc"), ("vc_clothes", "cc"), ("llcm", "vi"), ("own/shop", "trad")):
    split = load_split({root!r}, name, task, source="raw")
    print([(r.image, r.pid, r.camid, r.clothes_id) for r in (*split.train, *split.query, *split.gallery)])
people = load_split({root!r}, "market1501", "trad").train
print(hold_out([Source(TASKS["trad"], "market1501", people)], 0.3, seed=0))
"""


def test_h13_outfits_own_tables_and_held_out_people_do_not_depend_on_hash_seeds(root):
    rows = [f"train,{n}.jpg,person {n},camera {n},outfit {n}\n" for n in range(12)]
    (root / "own").mkdir(exist_ok=True)
    (root / "own/shop.csv").write_text("split,image,pid,camera,clothes_id\n" + "".join(rows))
    assert len(printed(_ORDER.format(root=str(root)))) == 1


class _Backwards:
    """What a directory read gives where the file system keeps no order."""

    def __init__(self, entries):
        self.entries = entries

    def __enter__(self):
        return iter(self.entries)

    def __exit__(self, *_):
        return None


def test_h13_readers_do_not_depend_on_the_order_of_the_file_system(root, monkeypatch):
    names = ("market1501", "cuhk03", "prcc", "ltcc", "vc_clothes", "llcm")
    expected = [DATASETS[name].read(root) for name in names]
    plain = os.scandir

    def backwards(folder="."):
        with plain(folder) as entries:
            return _Backwards(sorted(entries, key=lambda entry: entry.name, reverse=True))

    monkeypatch.setattr("omnireid.datasets.scan.os.scandir", backwards)
    assert [DATASETS[name].read(root) for name in names] == expected
