"""A gallery answers as the benchmark ranks: the same images in the same order, task by task."""

import numpy as np
import pytest

from irm.retrieval import Gallery, Picture, Question, SearchModel, items_of_records
from omnireid.benchmark import Row, run_row
from omnireid.columns import labels_of
from omnireid.datasets import load_split
from omnireid.extraction import Settings
from omnireid.loading.instruct import query_instructions
from omnireid.metrics import rank
from omnireid.protocols import PROTOCOLS
from omnireid.tasks import PAPER_INSTRUCTIONS, InstructionSettings

ROWS = [
    ("trad", "market1501", "market", PAPER_INSTRUCTIONS),
    ("cc", "ltcc", "clothes_general", PAPER_INSTRUCTIONS),
    ("vi", "llcm", "instructed", PAPER_INSTRUCTIONS),
    ("vi", "llcm", "instructed", InstructionSettings(sentences="constant")),
    ("ctcc", "cocas_real2", "instructed", PAPER_INSTRUCTIONS),
    ("li", "cocas_real2", "instructed", PAPER_INSTRUCTIONS),
    ("t2i", "cuhk_pedes", "text_to_image", PAPER_INSTRUCTIONS),
]
RE_SCORED = 5


def question_of(record, instruction, task, top):
    if task.query == "text":
        return Question(text=record.captions[0], task=task.name, top=top, re_score=RE_SCORED)
    return Question(
        images=(Picture.read(record.image),),
        text=instruction.sentence if task.bank is None else None,
        clothes=None if instruction.clothes is None else Picture.read(instruction.clothes),
        task=task.name,
        top=top,
    )


@pytest.mark.parametrize(("name", "dataset", "protocol", "asking"), ROWS)
def test_every_ranked_list_is_the_benchmarks(
    tmp_path, tiny_root, search_model, name, dataset, protocol, asking
):
    task, split = asking.task(name), load_split(tiny_root, dataset, name)
    search_model = SearchModel(
        search_model.embedder, search_model.fingerprint, search_model.folder, search_model.tasks, asking
    )
    gallery_size = len(split.gallery)
    view = {"li": "caption", "ctcc": "clothes", "t2i": "plain"}.get(name, name)
    with Gallery.create(tmp_path / "store", search_model, dataset=dataset, views=[view]) as gallery:
        added = gallery.add(items_of_records(split.gallery, dataset, tiny_root))
        assert added.added == gallery_size
        instructions = query_instructions(split, task) or [None] * len(split.query)
        questions = [
            question_of(record, one, task, gallery_size)
            for record, one in zip(split.query, instructions, strict=True)
        ]
        answers = gallery.search_many(questions)
        alone = gallery.search(questions[0])
    assert {answer.view for answer in answers} == {view}
    assert [hit.image for hit in alone.hits] == [hit.image for hit in answers[0].hits]
    evaluation = run_row(
        search_model.embedder,
        Row(name, dataset, protocol, instruction_settings=asking),
        tiny_root,
        settings=Settings(re_score=RE_SCORED),
    ).headline
    # Images are numbered from 1 in the order of the split.
    orders = np.array([[hit.image - 1 for hit in answer.hits] for answer in answers])
    relevant, keep = PROTOCOLS[protocol].judge(labels_of(split.query), labels_of(split.gallery))
    places = np.empty(orders.shape)
    np.put_along_axis(places, orders, np.arange(gallery_size)[None, :].astype(float), axis=1)
    ranking = rank(places, relevant, keep)
    np.testing.assert_array_equal(ranking.average_precision, evaluation.average_precision)
    for order, kept, shown in zip(orders, keep, evaluation.shown, strict=True):
        head = order[kept[order]][: len(shown)]
        assert head.tolist() == shown[shown >= 0].tolist()
