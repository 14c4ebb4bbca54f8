"""What the released code adds to equation 8: teacher, queue, hidden and replaced words."""

import json
from pathlib import Path

import pytest
import torch
from rich.console import Console

from instructions.errors import InputError
from irm.build import build_irm
from irm.config import read_run
from irm.models.words import EMPTY_LABEL, FeatureQueue
from irm.training.image_text import ImageTextObjective
from irm.training.lessons import LessonRule, Lessons
from irm.training.run import train_run
from omnireid.loading.batch import Batch

TINY = Path(__file__).parents[3] / "configs" / "irm" / "tiny.yaml"
GOLDEN = Path(__file__).parents[2] / "golden" / "irm_contrastive.json"
WEIGHTS = {"contrastive": 0.5, "matching": 1.0, "hidden_words": 1.0, "replaced_words": 0.5}


def released(**rule):
    torch.manual_seed(0)
    model, _ = build_irm(read_run(TINY, ["model.drop_path=0", "model.instruction.freeze_text=false"]))
    lessons = Lessons(model, LessonRule(**{"queue": 6, **rule}), domains=("t2i/cuhk_pedes",))
    return model.train(), ImageTextObjective(weights=WEIGHTS, lessons=lessons).train()


def described(seed=0):
    labels = torch.tensor([0, 0, 1, 1])
    return Batch(
        task="t2i",
        domain="t2i/cuhk_pedes",
        images=torch.randn(4, 3, 64, 32, generator=torch.Generator().manual_seed(seed)),
        instruction=None,
        texts=("a man in red", "red man", "a woman in blue", "blue woman"),
        pids=labels,
        labels=labels,
        camids=torch.arange(4),
        indices=torch.arange(4),
        worn=torch.full((4,), -1),
    )


def test_its_four_terms_train_every_part_and_never_the_teacher():
    model, objective = released()
    found = objective(model, described())
    assert set(found.terms) == set(WEIGHTS) and found.total.isfinite()
    expected = sum(WEIGHTS[name] * term for name, term in found.terms.items())
    torch.testing.assert_close(found.total, expected)
    found.total.backward()
    lessons = objective.lessons
    for parameter in (
        lessons.words.dense.weight,
        lessons.replaced.weight,
        model.match_head.head.weight,
        model.text_projection.weight,
        model.instruction_encoder.text.embeddings.word_embeddings.weight,
    ):
        assert parameter.grad.abs().sum() > 0
    assert [
        name for name, p in lessons.teacher.named_parameters() if p.requires_grad or p.grad is not None
    ] == []
    assert not lessons.teacher.module.training


def test_the_teacher_is_an_exponential_average_of_the_text_side():
    model, objective = released(momentum=0.9)
    weight = model.text_projection.weight
    first = weight.detach().clone()
    objective.lessons.update_teacher(model)  # the teacher starts as a copy
    weight.data += 1.0
    objective.lessons.update_teacher(model)
    teacher = objective.lessons.teacher.module.projection.weight
    torch.testing.assert_close(teacher, 0.9 * first + 0.1 * (first + 1.0))


def test_the_teacher_takes_one_step_a_step_however_many_batches_have_descriptions(
    tiny_root, tmp_path, monkeypatch
):
    rows = "mixture=[{task: t2i, dataset: cuhk_pedes}, {task: t2i, dataset: icfg_pedes}]"
    overrides = [f"data={tiny_root}", rows, "optimizer.steps=3", "losses.lessons={}", "evaluation=[]"]
    run = read_run(TINY, [*overrides, "losses.weights={hidden_words: 1.0}", "optimizer.lr_multipliers={}"])
    update, steps = Lessons.update_teacher, []
    monkeypatch.setattr(Lessons, "update_teacher", lambda self, model: steps.append(update(self, model)))
    train_run(run, tmp_path / "run", resume=False, console=Console(quiet=True))
    assert len(steps) == 1 + 3  # it begins as the model does


def test_the_queue_keeps_the_newest_pairs_and_knows_whose_they_are():
    queue = FeatureQueue(6, 3)
    assert (queue.labels == EMPTY_LABEL).all()
    torch.testing.assert_close(queue.image.norm(dim=1), torch.ones(6))
    for start in (0, 4):
        rows = torch.arange(start, start + 4)
        features = torch.nn.functional.one_hot(rows % 3, 3).float()
        queue.push(2 * features, 3 * features, rows)
    assert queue.labels.tolist() == [6, 7, 2, 3, 4, 5] and queue.place == 2
    assert queue.image.argmax(dim=1).tolist() == [label % 3 for label in queue.labels.tolist()]


def test_the_queue_moves_as_the_released_one():
    """Eight places of twelve are taken; the next batch of four begins in column 8 and ends the round."""
    file = json.loads(GOLDEN.read_text())
    given, expected = file["inputs"], file["queue_update"]
    queue = FeatureQueue(12, 8)
    queue.place.fill_(8)
    queue.push(torch.tensor(given["image"]), torch.tensor(given["text_m"]), torch.tensor(given["pids"]))
    torch.testing.assert_close(queue.image[8], torch.tensor(expected["instruct_reid_image_queue_col8"]))
    torch.testing.assert_close(queue.text[8], torch.tensor(expected["instruct_reid_text_queue_col8"]))
    assert queue.place == expected["ptr_after"][0]


def test_what_was_pushed_is_compared_with_later():
    model, objective = released(queue=4)
    objective(model, described())
    queue = objective.lessons.queues["t2i/cuhk_pedes"]
    assert queue.labels.tolist() == [0, 0, 1, 1]
    with torch.no_grad():
        first = objective(model, described()).terms["contrastive"]
        queue.labels.fill_(EMPTY_LABEL)
        second = objective(model, described()).terms["contrastive"]
    assert first != second


def test_without_a_queue_the_batch_alone_is_compared():
    model, objective = released(queue=0)
    assert len(objective.lessons.queues) == 0
    assert objective(model, described()).total.isfinite()


def test_the_same_step_gives_the_same_losses():
    totals = []
    for _ in range(2):
        model, objective = released()
        torch.manual_seed(3)
        totals.append(objective(model, described()).total)
    assert torch.equal(*totals)


def test_words_need_lessons_in_a_sheet():
    with pytest.raises(InputError, match="need lessons"):
        read_run(TINY, ["losses.weights.hidden_words=1"])
    sheet = read_run(TINY, ["losses.lessons={}", "losses.weights.hidden_words=1"])
    assert sheet.losses.lessons.queue == 65_536
    _, notes = build_irm(sheet)
    assert "the word-prediction head starts with random weights" in notes
