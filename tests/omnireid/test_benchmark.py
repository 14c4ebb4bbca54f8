"""A row of the benchmark: its searches under each instruction, its tables and its HTML page."""

import html
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from instructions.banks import BANKS
from instructions.errors import InputError
from instructions.instruction import Instruction
from omnireid.benchmark import BY_PERSON_AND_OUTFIT, Row, run_row
from omnireid.columns import labels_of
from omnireid.datasets import load_split
from omnireid.extraction import SideInstructions, embed_side
from omnireid.html_report import Curve, html_page
from omnireid.loading.transforms import Preprocessing
from omnireid.protocols import PROTOCOLS
from omnireid.records import UNKNOWN, Split
from omnireid.report import sentence_spreads
from omnireid.summary import HEADLINE_COLUMNS, STEERING_COLUMNS, headline_rows, headlines, steering_rows
from omnireid.tasks import TASKS, InstructionSettings
from tests import reference

LI = Row("li", "cocas_real2", "instructed")
TRAD = Row("trad", "market1501", "market")


class Pixels:
    """A model without weights: a tiny image and, if obedient, the letters of the sentence."""

    preprocessing = Preprocessing(image_size=(8, 4), clothes_size=(4, 4))

    def __init__(self, obedience=0.0):
        self.obedience = obedience

    def embed(self, batch, side):  # noqa: ARG002
        seen = torch.nn.functional.adaptive_avg_pool2d(batch.images, (4, 2)).flatten(1)
        said = torch.zeros(len(batch), 26)
        for row, sentence in zip(batch.instruction.sentence_rows, batch.instruction.sentences, strict=True):
            for letter in re.sub("[^a-z]", "", sentence.lower()):
                said[row, ord(letter) - ord("a")] += 1
        return torch.cat([seen, self.obedience * said], dim=1)


embed = Pixels.embed


@pytest.fixture(scope="module")
def steered(tiny_root):
    return run_row(Pixels(obedience=10.0), LI, tiny_root)


def test_a_row_with_captions_has_three_instructions_two_galleries_and_two_rules(steered):
    asked = {(e.query_asked, e.gallery_asked, e.protocol) for e in steered.evaluations}
    assert asked == {
        (query, gallery, rule)
        for query in ("right", "wrong", "none")
        for gallery in ("own caption", "neutral")
        for rule in ("instructed", BY_PERSON_AND_OUTFIT)
    }
    first = steered.headline
    assert (first.query_asked, first.gallery_asked, first.protocol) == ("right", "own caption", "instructed")


def test_rows_that_differ_in_their_protocol_alone_are_embedded_once(tiny_root, monkeypatch):
    seen = []
    monkeypatch.setattr(
        Pixels, "embed", lambda model, batch, side: seen.append(side) or embed(model, batch, side)
    )
    memory, whole = {}, Row("cc", "ltcc", "clothes_general")
    run_row(Pixels(), whole, tiny_root, every_sentence=True, memory=memory)
    assert len(memory) == 2, "the twenty sentences are not kept"
    seen.clear()
    again = run_row(Pixels(), replace(whole, protocol="clothes_change"), tiny_root, memory=memory)
    assert seen == []
    alone = run_row(Pixels(), replace(whole, protocol="clothes_change"), tiny_root)
    assert seen
    np.testing.assert_array_equal(again.headline.average_precision, alone.headline.average_precision)


def test_without_outfit_annotations_outfits_are_not_evaluated(tiny_root, monkeypatch):
    def bare(*arguments, **options):
        split = load_split(*arguments, **options)
        sides = ([replace(one, clothes_id=UNKNOWN) for one in side] for side in (split.query, split.gallery))
        return Split(split.name, split.train, *map(tuple, sides), split.notes)

    monkeypatch.setattr("omnireid.benchmark.load_split", bare)
    result = run_row(Pixels(), LI, tiny_root)
    assert {evaluation.protocol for evaluation in result.evaluations} == {"instructed"}


def test_only_a_model_that_reads_the_sentence_is_shown_to_follow_it(steered, tiny_root):
    by_outfit = next(row for row in steering_rows(steered.evaluations) if "outfit" in row[2])
    assert float(by_outfit[STEERING_COLUMNS.index("right − wrong")]) > 10
    deaf = run_row(Pixels(obedience=0.0), LI, tiny_root)
    for row in steering_rows(deaf.evaluations):
        assert row[STEERING_COLUMNS.index("right − wrong")] == "+0.0"


def test_two_data_sets_of_a_task_do_not_share_a_line(steered):
    others = [replace(one, dataset="another", mean_ap=0.5) for one in steered.evaluations]
    alone, both = steering_rows(steered.evaluations), steering_rows([*steered.evaluations, *others])
    assert [row[1:] for row in both[: len(alone)]] == [row[1:] for row in alone]
    assert len(both) == 2 * len(alone)
    assert {row[0] for row in both} == {"li cocas_real2", "li another"}


def test_every_sentence_of_a_bank_can_be_evaluated(tiny_root):
    result = run_row(Pixels(), TRAD, tiny_root, every_sentence=True)
    assert len(result.evaluations) == 1 + 20
    asked = [(evaluation.query_asked, evaluation.gallery_asked) for evaluation in result.evaluations[1:]]
    assert asked == [(sentence, sentence) for sentence in BANKS["trad"]]
    assert headlines(result.evaluations) == [result.evaluations[0]]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (Row("vi", "llcm", "llcm"), "retrieve cross-modality images"),
        (
            Row("vi", "llcm", "llcm", instruction_settings=InstructionSettings(sentences="constant")),
            "cross modiality",
        ),
        (
            Row(
                "trad", "market1501", "market", instruction_settings=InstructionSettings(sentences="constant")
            ),
            "do not change clothes",
        ),
        (Row("cc", "prcc", "prcc_multi_shot"), "ignore clothes"),
        (
            Row(
                "cc",
                "prcc",
                "prcc_multi_shot",
                instruction_settings=InstructionSettings(cc_instruction="image"),
            ),
            None,
        ),
    ],
)
def test_both_sides_of_a_test_are_instructed_as_in_the_sheet(tiny_root, row, said):
    """What the model really gets: one sentence for all, or the one image that the lists name."""
    heard = {"query": [], "gallery": []}

    class Ear(Pixels):
        def embed(self, batch, side):
            heard[side].append(batch.instruction)
            return super().embed(batch, side)

    result = run_row(Ear(), row, tiny_root)
    assert len(result.evaluations) == 1
    for instructions in heard.values():
        sentences = {sentence for given in instructions for sentence in given.sentences}
        assert sentences == (set() if said is None else {said})
        shirts = [given.clothes for given in instructions if given.clothes is not None]
        assert bool(shirts) == (said is None)
        for clothes in shirts:
            assert torch.equal(clothes, clothes[:1].expand_as(clothes))
    label = said or "the image of the lists"
    assert (result.headline.query_asked, result.headline.gallery_asked) == (label, label)


def test_the_spread_over_a_bank_is_that_of_twenty_searches(tiny_root):
    model = Pixels(obedience=0.5)
    (spread,) = sentence_spreads(run_row(model, TRAD, tiny_root, every_sentence=True).evaluations)
    split, task = load_split(tiny_root, "market1501", "trad"), TASKS["trad"]
    seen = []
    for side, records in (("query", split.query), ("gallery", split.gallery)):
        nothing = SideInstructions("", [Instruction(sentence="-", source="bank")] * len(records))
        seen.append(embed_side(model, split, side, task, asked=nothing).vectors[:, :-26].double().numpy())
    masks = reference.judge("market", labels_of(split.query), labels_of(split.gallery))
    scores = []
    for sentence in BANKS["trad"]:
        letters = [0.5 * sentence.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"]
        units = []
        for side in seen:
            features = np.concatenate([side, np.tile(np.float32(letters), (len(side), 1))], axis=1)
            units.append(features / np.linalg.norm(features, axis=1, keepdims=True))
        scores.append(reference.rank(-units[0] @ units[1].T, *masks))
    mean_aps, firsts = [score.mean_ap for score in scores], [score.cmc[0] for score in scores]
    assert len(set(mean_aps)) > 1
    assert spread.num_sentences == 20
    assert (spread.mean_ap, spread.mean_ap_std) == pytest.approx((np.mean(mean_aps), np.std(mean_aps)))
    assert (spread.rank_1, spread.rank_1_std) == pytest.approx((np.mean(firsts), np.std(firsts)))
    assert (spread.lowest_ap, spread.highest_ap) == pytest.approx((min(mean_aps), max(mean_aps)))


def test_ranked_lists_go_from_the_best_query_to_the_worst_and_mark_what_is_right(steered):
    precisions = [shown.average_precision for shown in steered.lists]
    assert len(precisions) == 3
    assert precisions == sorted(precisions, reverse=True)
    best = steered.lists[0]
    assert best.sentence is not None
    assert len(best.results) == 10
    assert best.results[0][1] == (best.average_precision == 1.0) or best.average_precision < 1.0


def test_the_untrained_model_stands_in_the_same_line(steered):
    (row,) = headline_rows(steered.evaluations, steered.evaluations)
    cells = dict(zip(HEADLINE_COLUMNS, row, strict=True))
    assert cells["mAP untrained"] == cells["mAP"]
    (row,) = headline_rows(steered.evaluations)
    assert dict(zip(HEADLINE_COLUMNS, row, strict=True))["mAP untrained"] == "–"


def test_the_page_is_one_self_contained_file(steered):
    page = html_page(
        "a <title>",
        [steered],
        untrained=steered.evaluations,
        curves={"loss": [Curve("li", [1, 2], [2.0, 1.0])]},
        provenance={"commit": "abc"},
    )
    assert "a &lt;title&gt;" in page
    assert not re.findall(r"""(?:src|href)=['"]?(?!data:|#)[a-z/]""", page.replace("xlink:href", ""))
    assert page.count("<img") == sum(len(shown.results) + 1 for shown in steered.lists)
    assert "Does the model follow instructions?" in page
    rule = PROTOCOLS["instructed"]  # no number stands without its protocol
    assert f"<b>{html.escape(rule.title)}</b>: {html.escape(rule.description)}" in page
    assert "<svg" in page
    assert "abc" in page


def test_each_cell_of_a_table_names_its_column_for_narrow_screens(steered):
    for table in re.findall(r"<table class=scores>(.*?)</table>", html_page("t", [steered])):
        heads, *rows = re.findall(r"<tr>(.*?)</tr>", table)
        names = [html.unescape(name).replace("\xa0", " ") for name in re.findall(r">([^<]+)</th>", heads)]
        assert rows
        for row in rows:
            assert [html.unescape(name) for name in re.findall("data-head='([^']*)'", row)] == names


def test_a_missing_data_set_is_one_sentence(tmp_path):
    with pytest.raises(InputError):
        run_row(Pixels(), TRAD, tmp_path)


@pytest.mark.parametrize(
    ("dataset", "variant"), [("msmt17", "train_val"), ("msmt17", "v2_train"), ("cuhk03", "labeled")]
)
def test_a_row_names_the_variant_it_was_evaluated_on(dataset, variant, tiny_root, monkeypatch):
    people = load_split(tiny_root, "market1501", "trad")
    monkeypatch.setattr("omnireid.benchmark.load_split", lambda *_, **__: people)
    result = run_row(Pixels(), Row("trad", dataset, "market", variant), tiny_root)
    assert {scored.dataset for scored in result.evaluations} == {f"{dataset} {variant}"}
