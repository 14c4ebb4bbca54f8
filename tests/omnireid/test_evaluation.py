"""Evaluation with a model that is only labels and noise: batches in, table rows out."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from instructions.errors import InputError
from instructions.instruction import NEUTRAL
from omnireid.columns import labels_of
from omnireid.evaluation import evaluate, judge, pair_scorer
from omnireid.extraction import Settings, SideInstructions, embed_side
from omnireid.interfaces import Embedder, PairScorer, PairStates
from omnireid.loading.instruct import gallery_instructions, query_instructions
from omnireid.loading.transforms import Preprocessing
from omnireid.metrics import rank
from omnireid.protocols import PROTOCOLS
from omnireid.protocols.draws import everything
from omnireid.records import Record, Split
from omnireid.report import COLUMNS, Report, machine, percent
from omnireid.summary import headline_rows
from omnireid.tasks import TASKS
from omnireid.trial import Trial, query_means, run_trial
from tests import reference

NUM_PEOPLE, NUM_CAMERAS, NUM_OUTFITS = 6, 3, 2
SMALL = Settings(batch_size=7, re_score=4)


def table(seed, width=16):
    """A fixed random vector for every number or string."""

    def vector(key):
        numbers = [ord(letter) for letter in str(key)]
        return torch.from_numpy(np.random.default_rng([seed, *numbers]).standard_normal(width)).float()

    return vector


class Fake:
    """Knows the person, sees them with noise, and adds what the instruction says."""

    preprocessing = Preprocessing(image_size=(8, 4), clothes_size=(4, 4))

    def __init__(self, noise=1.0, obedience=0.0):
        self.noise, self.obedience = noise, obedience
        self.batches = []

    def embed(self, batch, side):
        self.batches.append(batch)
        person, words, speck = table(0), table(1), table(2)
        rows = []
        for row, (pid, index) in enumerate(zip(batch.pids.tolist(), batch.indices.tolist(), strict=True)):
            feature = person(pid) + self.noise * speck(f"{side}{index}")
            if batch.instruction is not None and row in batch.instruction.sentence_rows.tolist():
                place = batch.instruction.sentence_rows.tolist().index(row)
                feature = feature + self.obedience * words(batch.instruction.sentences[place])
            rows.append(feature)
        return torch.stack(rows)


class FakePairs(Fake):
    """Also scores pairs: knows whether text and image are of one person, with its own noise."""

    def states(self, batch, side):
        features = self.embed(batch, side)
        length = 2 + int(batch.indices[0]) % 3  # batches of texts have lengths of their own
        tokens = torch.zeros(len(batch), length, 2)
        tokens[:, 0, 0] = batch.pids
        tokens[:, 0, 1] = batch.indices
        return PairStates(features, tokens, torch.ones(len(batch), length, dtype=torch.bool))

    def score_pairs(self, text, image):
        assert len(text) == len(image) <= SMALL.batch_size
        assert text.tokens.shape[1] == text.mask.shape[1]
        same = text.tokens[:, 0, 0] == image.tokens[:, 0, 0]
        return same.float() - 0.01 * image.tokens[:, 0, 1]


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """Six people, three cameras, two outfits; a query asks for the other outfit by its caption."""
    path = str(tmp_path_factory.mktemp("people") / "person.png")
    Image.new("RGB", (4, 8), (90, 80, 70)).save(path)

    def record(pid, camid, outfit):
        clothes_id = pid * NUM_OUTFITS + outfit
        return Record(path, pid, camid, clothes_id, captions=(f"wears outfit {clothes_id}",))

    shots = [
        (pid, camid, outfit)
        for pid in range(1, NUM_PEOPLE + 1)
        for camid in range(NUM_CAMERAS)
        for outfit in range(NUM_OUTFITS)
    ]
    query = tuple(record(*shot) for shot in shots if shot[1] == 0)
    gallery = tuple(record(*shot) for shot in shots if shot[1] != 0 for _ in range(2))
    return Split("tiny_set", query=query, gallery=gallery)


def sides(split, task, mode="right", gallery_mode="own"):
    return {
        "query": SideInstructions(mode, query_instructions(split, task, mode)),
        "gallery": SideInstructions(gallery_mode, gallery_instructions(split, task, gallery_mode)),
    }


def test_the_fakes_implement_the_interfaces():
    assert isinstance(Fake(), Embedder)
    assert pair_scorer(Fake(), TASKS["t2i"]) is None
    assert isinstance(FakePairs(), Embedder)
    assert isinstance(FakePairs(), PairScorer)


def test_an_evaluation_equals_the_loop_over_float64_cosines(split):
    task, fake = TASKS["trad"], Fake()
    asked = sides(split, task)
    result = evaluate(fake, split, task, "market", **asked, settings=SMALL)
    query, gallery = (embed_side(fake, split, side, task, asked=asked[side]) for side in ("query", "gallery"))
    units = [
        side.vectors.double() / side.vectors.double().norm(dim=1, keepdim=True) for side in (query, gallery)
    ]
    masks = reference.judge("market", labels_of(split.query), labels_of(split.gallery))
    expected = reference.rank((-units[0] @ units[1].T).numpy(), *masks)
    assert result.mean_ap == pytest.approx(expected.mean_ap, abs=1e-12)
    assert result.mean_inp == pytest.approx(expected.mean_inp, abs=1e-12)
    assert (result.rank_1, result.rank_5, result.rank_10) == tuple(expected.cmc[k] for k in (0, 4, 9))
    assert (result.num_query, result.num_gallery, result.num_valid_queries) == (12, 48, 12)
    assert (result.task, result.dataset, result.title) == ("trad", "tiny_set", PROTOCOLS["market"].title)
    assert (result.mean_ap_std, result.num_trials) == (0, 1)
    assert result.seconds > 0
    np.testing.assert_allclose(result.average_precision, expected.average_precision, atol=1e-12)


def test_the_batch_size_changes_nothing(split):
    task = TASKS["trad"]
    one, other = (
        evaluate(Fake(), split, task, "market", **sides(split, task), settings=Settings(batch_size=size))
        for size in (1, 100)
    )
    np.testing.assert_array_equal(one.average_precision, other.average_precision)


def test_batches_carry_the_task_the_domain_and_the_instruction(split):
    fake, task = Fake(), TASKS["li"]
    evaluate(fake, split, task, "instructed", **sides(split, task), settings=SMALL)
    assert {batch.domain for batch in fake.batches} == {"li/tiny_set"}
    assert fake.batches[0].instruction.sentences[0] == "wears outfit 2"


def test_chance_is_what_noise_scores(split):
    task = TASKS["trad"]
    blind = evaluate(Fake(), split, task, "market", **sides(split, task))
    assert blind.chance_rank_1 == pytest.approx(8 / 48)
    masks = PROTOCOLS["market"].judge(labels_of(split.query), labels_of(split.gallery))
    rng = np.random.default_rng(0)
    shuffled = [rank(rng.random(masks.relevant.shape), *masks).mean_ap for _ in range(300)]
    assert blind.chance_ap == pytest.approx(np.mean(shuffled), abs=3 * np.std(shuffled) / np.sqrt(300))
    cut = judge(*features(split, Fake(), task), "irm_released")
    assert np.isnan(cut.chance_ap)


def features(split, fake, task, mode="right", gallery_mode="own"):
    asked = sides(split, task, mode, gallery_mode)
    return tuple(
        embed_side(fake, split, side, task, asked=asked[side], settings=SMALL)
        for side in ("query", "gallery")
    )


def test_one_extraction_serves_several_protocols_and_shows_that_a_model_follows_instructions(split):
    task, fake = TASKS["li"], Fake(noise=0.2, obedience=1.0)
    query, gallery = features(split, fake, task)
    wrong, _ = features(split, fake, task, mode="wrong")
    count = len(fake.batches)
    by_outfit = judge(query, gallery, "instructed_outfit")
    by_person = judge(query, gallery, "instructed")
    misled = judge(wrong, gallery, "instructed_outfit")
    assert len(fake.batches) == count
    assert by_outfit.mean_ap == 1.0
    assert by_person.mean_ap > misled.mean_ap
    assert by_outfit.mean_ap > misled.mean_ap + 0.2
    assert (by_outfit.query_asked, misled.query_asked, misled.gallery_asked) == ("right", "wrong", "own")
    assert by_outfit.chance_ap < by_person.chance_ap


def test_a_model_that_ignores_instructions_scores_by_person_only(split):
    task, fake = TASKS["li"], Fake(noise=0.2)
    right, gallery = features(split, fake, task)
    wrong, neutral = features(split, fake, task, mode="wrong", gallery_mode="neutral")
    scores = {
        judge(query, side, "instructed").mean_ap for query in (right, wrong) for side in (gallery, neutral)
    }
    assert len(scores) == 1


def test_the_shown_lists_are_the_heads_of_the_ranking_without_junk(split):
    task = TASKS["trad"]
    together = replace(split, gallery=split.gallery + split.query)  # now every query meets itself: junk
    result = evaluate(Fake(), together, task, "market", **sides(together, task))
    query, gallery = labels_of(together.query), labels_of(together.gallery)
    assert result.shown.shape == result.shown_right.shape == (12, 10)
    for row, (head, right) in enumerate(zip(result.shown, result.shown_right, strict=True)):
        assert len(set(head)) == 10
        np.testing.assert_array_equal(gallery.pids[head] == query.pids[row], right)
        assert not (
            (gallery.pids[head] == query.pids[row]) & (gallery.camids[head] == query.camids[row])
        ).any()
    assert result.shown_right[:, 0].mean() == result.rank_1


@pytest.mark.parametrize("name", PROTOCOLS)
def test_counting_gives_the_bits_of_ranking_one_list_after_the_other(split, name):
    query, gallery = features(split, Fake(noise=1.5), TASKS["trad"])
    protocol = replace(PROTOCOLS[name], drawn=everything, thinned=None)
    # One that thins nothing out is ranked list by list.
    listed = replace(protocol, thinned=lambda _gallery, keep, _rows, _trial: keep)
    one, other = (run_trial(query, gallery, rules, 0) for rules in (protocol, listed))
    for field in ("cmc", "average_precision", "inverse_negative_penalty", "first_match", "num_kept"):
        np.testing.assert_array_equal(getattr(one.ranking, field), getattr(other.ranking, field))
    np.testing.assert_array_equal(one.shown, other.shown)
    np.testing.assert_array_equal(one.shown_right, other.shown_right)


def test_a_short_list_is_padded(split):
    task = TASKS["trad"]
    short = replace(split, gallery=split.gallery[:3])
    result = evaluate(Fake(), short, task, "market", **sides(short, task))
    assert (result.shown[:, :3] >= 0).all()
    assert (result.shown[:, 3:] == -1).all()
    assert result.num_valid_queries == 2
    assert np.isnan(result.average_precision).sum() == 10


def test_draws_are_averaged_with_their_deviation(split):
    task = TASKS["vi"]
    query, gallery = features(split, Fake(noise=1.5), task)
    result = judge(query, gallery, "llcm")
    singles, curves = [], []
    for trial in range(10):
        rows = reference.llcm_gallery(gallery.labels.pids, gallery.labels.camids, trial)
        part = replace(gallery, vectors=gallery.vectors[rows], labels=gallery.labels.take(np.array(rows)))
        singles.append(judge(query, part, "market"))
        cosines = torch.nn.functional.normalize(query.vectors) @ torch.nn.functional.normalize(part.vectors).T
        masks = reference.judge("llcm", query.labels, part.labels)
        curves.append(reference.rank(-cosines, *masks, identities=part.labels.pids).cmc)
    assert result.num_trials == 10
    assert result.num_gallery == NUM_PEOPLE * (NUM_CAMERAS - 1)
    assert result.mean_ap == pytest.approx(np.mean([one.mean_ap for one in singles]))
    assert result.mean_ap_std == pytest.approx(np.std([one.mean_ap for one in singles]))
    assert result.mean_ap_std > 0
    assert result.rank_1 == pytest.approx(np.mean([one.rank_1 for one in singles]))
    np.testing.assert_allclose(result.cmc, np.mean(curves, axis=0))  # of identities, not images
    assert result.rank_5 > np.mean([one.rank_5 for one in singles])
    np.testing.assert_allclose(
        result.average_precision, np.mean([one.average_precision for one in singles], axis=0)
    )
    assert set(result.shown[0]) <= set(
        reference.llcm_gallery(gallery.labels.pids, gallery.labels.camids, 0)
    ) | {-1}


def test_texts_search_images_and_the_nearest_are_re_scored(split):
    task = TASKS["t2i"]
    fake = FakePairs(noise=2.0)
    first = evaluate(Fake(noise=2.0), split, task, "text_to_image", settings=SMALL)
    second = evaluate(fake, split, task, "text_to_image", settings=SMALL)
    assert (first.num_re_scored, second.num_re_scored) == (0, 4)
    assert all(batch.texts is not None and batch.images is None for batch in fake.batches[:2])
    # The head holds the same four images in a new order: right ones first, each by falling score.
    for before, after, right in zip(first.shown, second.shown, second.shown_right, strict=True):
        assert set(before[:4]) == set(after[:4])
        np.testing.assert_array_equal(before[4:], after[4:])
        expected = sorted(zip(~right[:4], after[:4], strict=True))
        np.testing.assert_array_equal(after[:4], [row for _, row in expected])
    assert second.rank_1 > first.rank_1


def test_the_tail_keeps_its_order_without_ties(split):
    fake, task = FakePairs(noise=2.0), TASKS["t2i"]
    query, gallery = (embed_side(fake, split, side, task, settings=SMALL) for side in ("query", "gallery"))
    plain = judge(query, gallery, "text_to_image", settings=SMALL)
    # A scorer that agrees with the cosines changes nothing at all, far down the lists too.
    cosines = torch.nn.functional.normalize(query.vectors) @ torch.nn.functional.normalize(gallery.vectors).T

    class Agrees:
        def states(self, batch, side):
            raise NotImplementedError

        def score_pairs(self, text, image):
            return cosines[text.tokens[:, 0, 1].long(), image.tokens[:, 0, 1].long()]

    agreed = judge(query, gallery, "text_to_image", scorer=Agrees(), settings=SMALL)
    assert agreed.num_re_scored == 4
    np.testing.assert_array_equal(plain.average_precision, agreed.average_precision)


def test_more_re_scoring_than_gallery_scores_every_image(split):
    result = evaluate(
        FakePairs(noise=9.0), split, TASKS["t2i"], "text_to_image", settings=replace(SMALL, re_score=999)
    )
    assert result.num_re_scored == 48
    assert result.mean_ap == 1.0


def test_re_scoring_can_be_turned_off(split):
    off = replace(SMALL, re_score=0)
    result = evaluate(FakePairs(), split, TASKS["t2i"], "text_to_image", settings=off)
    plain = evaluate(Fake(), split, TASKS["t2i"], "text_to_image", settings=off)
    np.testing.assert_array_equal(result.average_precision, plain.average_precision)


def test_a_nan_score_is_refused(split):
    fake = FakePairs()
    fake.score_pairs = lambda text, image: torch.full((min(len(text), len(image)),), float("nan"))
    with pytest.raises(InputError, match="matching scores"):
        evaluate(fake, split, TASKS["t2i"], "text_to_image", settings=SMALL)


def test_progress_is_reported(split):
    told = []
    task = TASKS["trad"]
    evaluate(
        Fake(),
        split,
        task,
        "market",
        **sides(split, task),
        settings=SMALL,
        progress=lambda *step: told.append(step),
    )
    assert told[:2] == [("trad/tiny_set query", 7, 12), ("trad/tiny_set query", 12, 12)]
    assert told[-1] == ("trad/tiny_set gallery", 48, 48)


def test_what_cannot_be_evaluated_is_refused_in_one_sentence(split):
    task = TASKS["trad"]
    asked = sides(split, task)
    with pytest.raises(InputError, match="did you mean 'market'"):
        evaluate(Fake(), split, task, "markets", **asked)
    with pytest.raises(InputError, match="no gallery images"):
        evaluate(Fake(), replace(split, gallery=()), task, "market", **asked)
    with pytest.raises(InputError, match="needs one instruction per image"):
        evaluate(Fake(), split, task, "market")
    with pytest.raises(InputError, match="takes no instructions"):
        evaluate(Fake(), split, TASKS["t2i"], "text_to_image", **asked)
    strangers = replace(split, gallery=tuple(replace(record, pid=99) for record in split.gallery))
    with pytest.raises(InputError, match="no query of tiny_set has a true match"):
        evaluate(Fake(), strangers, task, "market", **asked)
    with pytest.raises(InputError, match="query features of row 0"):
        evaluate(Fake(noise=float("nan")), split, task, "market", **asked)


def report_of(split):
    task = TASKS["vi"]
    query, gallery = features(replace(split, gallery=split.gallery[:4]), Fake(), task)
    drawn = judge(query, gallery, "llcm")
    cut = judge(query, gallery, "irm_released")
    return Report((drawn, cut), {"seed": 0, "commit": "abc", "note": "Größe", **machine()})


def test_a_report_is_read_back_unchanged(split, tmp_path):
    report = report_of(split)
    path = tmp_path / "report.json"
    report.write(path)
    again = Report.read(path)
    assert again.provenance == report.provenance
    for one, other in zip(report.evaluations, again.evaluations, strict=True):
        assert vars(one).keys() == vars(other).keys()
        for name, value in vars(one).items():
            np.testing.assert_array_equal(value, getattr(other, name))
            assert type(value) is type(getattr(other, name)), name
    assert "NaN" not in path.read_text()
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.json"]


def test_a_file_that_is_no_report_is_refused(split, tmp_path):
    path = tmp_path / "report.json"
    with pytest.raises(InputError, match="is not a report"):
        Report.read(path)
    for content in ("{", "[]", '{"format": "another"}'):
        path.write_text(content)
        with pytest.raises(InputError, match="is not a report"):
            Report.read(path)
    report_of(split).write(path)
    whole = json.loads(path.read_text())
    for damage in ({"evaluations": None}, {"evaluations": [{}]}, {"provenance": 3}, {"provenance": ["abc"]}):
        path.write_text(json.dumps({**whole, **damage}))
        with pytest.raises(InputError, match="is a damaged report"):
            Report.read(path)
    path.write_text(json.dumps(whole))
    path.write_text(path.read_text().replace('"version": 3', '"version": 2'))
    with pytest.raises(InputError, match="version 2"):
        Report.read(path)


def test_every_number_has_its_protocol(split):
    report = report_of(split)
    assert all(len(row) == len(COLUMNS) for row in report.rows())
    assert all(
        row[2] == evaluation.title for row, evaluation in zip(report.rows(), report.evaluations, strict=True)
    )
    assert COLUMNS[:3] == ("task", "data set", "protocol")
    assert "±" in report.rows()[0][5]
    assert "±" not in report.rows()[1][5]
    assert report.rows()[1][COLUMNS.index("chance mAP")] == "–"
    assert percent(0.12345) == "12.3"


def test_the_neutral_instruction_is_an_instruction_like_others(split):
    task = TASKS["li"]
    asked = SideInstructions("none", [NEUTRAL] * len(split.query))
    result = embed_side(Fake(), split, "query", task, asked=asked)
    assert result.asked == "none"
    assert len(result) == 12


def test_two_protocols_on_one_data_set_are_two_lines_with_two_names(split):
    scored = [replace(one, query_asked="a sentence for all") for one in report_of(split).evaluations]
    rows = headline_rows(scored)
    assert [row[2] for row in rows] == [PROTOCOLS[name].title for name in ("llcm", "irm_released")]


def test_a_query_counts_in_the_draws_in_which_it_has_an_answer_and_in_no_other():
    distmat, everything_kept = np.arange(6.0).reshape(3, 2), np.ones((3, 2), dtype=bool)
    draws = [[[1, 0], [0, 0], [0, 0]], [[0, 1], [0, 1], [0, 0]]]
    shown, trials = np.zeros((3, 0), dtype=np.int64), []
    for draw in draws:
        ranking = rank(distmat, np.array(draw, dtype=bool), everything_kept)
        trials.append(Trial(ranking, np.arange(3), 2, shown, shown.astype(bool)))
    found = query_means(3, trials, lambda ranking: ranking.average_precision)
    np.testing.assert_array_equal(found, [0.75, 0.5, np.nan])  # once right first, once second; never
