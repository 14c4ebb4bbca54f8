"""Training steps: reproducible, shared evenly among ranks, robust to bad files."""

import dataclasses
import logging
import pickle
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch

from instructions.errors import InputError
from instructions.instruction import NEUTRAL_SENTENCE
from omnireid.loading.batch import Batch, InstructionBatch
from omnireid.loading.cache import ImageCache
from omnireid.loading.mixture import Mixture, mixture_loader
from omnireid.loading.source_loader import Source
from omnireid.loading.transforms import AUGMENTATIONS, Preprocessing
from omnireid.tasks import TASKS

SMALL = Preprocessing(image_size=(32, 16), clothes_size=(16, 16))


def source(records, task="trad", dataset="crowd", **options) -> Source:
    return Source(TASKS[task], dataset, tuple(records), num_identities=4, num_instances=2, **options)


def six_tasks(records, **options) -> Mixture:
    sources = [source(records, task, gallery_instruction="mixed") for task in TASKS]
    return Mixture(sources, SMALL, seed=3, **options)


def flat(value) -> list:
    """Everything in a batch, tensors as bytes, for exact comparison."""
    if isinstance(value, torch.Tensor):
        return [value.dtype, value.shape, value.numpy().tobytes()]
    if isinstance(value, Batch | InstructionBatch):
        return [flat(getattr(value, field.name)) for field in dataclasses.fields(value)]
    return (
        [flat(part) for part in value]
        if isinstance(value, tuple) and value and not isinstance(value[0], str)
        else [value]
    )


def test_a_step_has_a_batch_of_every_task_in_its_own_shape(crowd):
    batches = six_tasks(crowd).step(0)
    assert [batch.domain for batch in batches] == [f"{task}/crowd" for task in TASKS]
    for batch in batches:
        task = TASKS[batch.task]
        assert batch.images.shape == (8, 3, 32, 16)
        assert batch.images.dtype == torch.float32
        assert sorted(Counter(batch.pids.tolist()).values()) == [2, 2, 2, 2]
        assert (batch.pids == (batch.labels + 1) * 10).all()
        assert [crowd[index].camid for index in batch.indices] == batch.camids.tolist()
        assert (batch.texts is None) == (task.objective == "identity")
        assert (batch.instruction is None) == (task.instruction == "none")
        if batch.instruction is not None:
            assert len(batch.instruction) == 8
            rows = torch.cat([batch.instruction.sentence_rows, batch.instruction.clothes_rows])
            assert sorted(rows.tolist()) == list(range(8))


def test_instructions_belong_to_their_rows(crowd):
    li, ctcc, t2i = (six_tasks(crowd).step(1)[list(TASKS).index(name)] for name in ("li", "ctcc", "t2i"))
    for row, sentence in zip(li.instruction.sentence_rows.tolist(), li.instruction.sentences, strict=True):
        assert sentence in (NEUTRAL_SENTENCE, *crowd[li.indices[row]].captions)
    for index, text in zip(t2i.indices, t2i.texts, strict=True):
        assert text in crowd[index].captions
    assert set(ctcc.instruction.sentences) == {NEUTRAL_SENTENCE}
    assert ctcc.instruction.clothes.shape == (len(ctcc.instruction.clothes_rows), 3, 16, 16)
    same = {}
    for row, clothes in zip(ctcc.instruction.clothes_rows.tolist(), ctcc.instruction.clothes, strict=True):
        assert torch.equal(same.setdefault(int(ctcc.pids[row]), clothes), clothes)
    assert len({tuple(clothes.flatten().tolist()) for clothes in same.values()}) == len(same) > 1


def test_a_step_can_be_repeated_at_any_time(crowd):
    forwards = [flat(six_tasks(crowd).step(step)) for step in range(4)]
    mixture = six_tasks(crowd)
    assert [flat(mixture.step(step)) for step in (3, 2, 1, 0)] == forwards[::-1]
    assert forwards[0] != forwards[1]


def test_workers_and_cache_change_nothing(crowd):
    plain = [flat(step) for step in mixture_loader(six_tasks(crowd), 0, 4)]
    working = [flat(step) for step in mixture_loader(six_tasks(crowd), 0, 4, workers=2)]
    cached = six_tasks(crowd, cache=ImageCache(2**24))
    assert plain == working
    assert plain == [flat(step) for step in mixture_loader(cached, 0, 4, workers=2, device="cpu")]
    assert len(cached.cache) == 30 + 6


def test_seen_by_equals_a_mixture_made_for_the_other_model(crowd):
    larger = Preprocessing(image_size=(48, 24), clothes_size=(8, 8), mean=(0.5, 0.5, 0.5))
    sources = [source(crowd), source(crowd, "ctcc", weight=2.0), source(crowd, "t2i")]
    given = {"augmentation": AUGMENTATIONS["released"], "seed": 5, "sources_per_step": 2}
    seen, made = Mixture(sources, SMALL, **given).seen_by(larger), Mixture(sources, larger, **given)
    for step in range(4):
        assert flat(seen.step(step)) == flat(made.step(step))


def test_a_batch_that_the_data_cannot_fill_is_told_once(crowd, caplog):
    Mixture([dataclasses.replace(source(crowd), num_identities=99)], SMALL).seen_by(
        Preprocessing(image_size=(48, 24))
    )
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        f"batches have {len({one.pid for one in crowd})} identities instead of 99"
    ]


def test_a_copy_in_a_spawned_process_makes_the_same_steps(crowd):
    mixture = six_tasks(crowd, cache=ImageCache(2**20))
    copy = pickle.loads(pickle.dumps(mixture))
    assert flat(copy.step(2)) == flat(mixture.step(2))


def test_a_resumed_run_goes_on_where_it_stopped(crowd):
    whole = [flat(step) for step in mixture_loader(six_tasks(crowd), 0, 5)]
    assert [flat(step) for step in mixture_loader(six_tasks(crowd), 3, 5)] == whole[3:]


def test_loading_does_not_use_the_global_generator(crowd):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    list(mixture_loader(six_tasks(crowd), 0, 2, workers=1))
    list(mixture_loader(six_tasks(crowd), 0, 2))
    assert torch.rand(1) == expected


def test_ranks_together_see_what_one_process_sees(crowd):
    mixture = six_tasks(crowd)
    for step in range(2):
        whole = mixture.step(step)
        shares = [mixture.step(step, rank=rank, world=2) for rank in (0, 1)]
        for batch, one, two in zip(whole, *shares, strict=True):
            assert torch.equal(batch.images, torch.cat([one.images, two.images]))
            assert torch.equal(batch.indices, torch.cat([one.indices, two.indices]))
            assert batch.texts is None or batch.texts == one.texts + two.texts
            if batch.task == "li":
                assert batch.instruction.sentences == one.instruction.sentences + two.instruction.sentences


def swapping(crowd, share) -> Mixture:
    sources = [source(crowd, "cc", swap_clothes=share, head=0.25)]
    return Mixture(sources, SMALL, AUGMENTATIONS["none"], 3)


def test_swapped_clothes_are_those_of_another_image_below_the_same_head(crowd):
    (plain,), (swapped,) = swapping(crowd, 0.0).step(0), swapping(crowd, 1.0).step(0)
    read = ImageCache().read
    bodies = [
        SMALL.normalise(torch.from_numpy(read(record.image, (32, 16)).copy())[None])[0, :, 8:]
        for record in crowd
    ]
    assert torch.equal(swapped.labels, plain.labels)
    assert torch.equal(swapped.images[:, :, :8], plain.images[:, :, :8])
    others = [[torch.equal(image[:, 8:], body) for body in bodies].index(True) for image in swapped.images]
    assert len(set(others)) > 4  # of eight


def test_a_share_of_the_images_has_its_clothes_swapped_on_whichever_rank(crowd):
    plain, swapped, num_swapped = swapping(crowd, 0.0), swapping(crowd, 0.75), 0
    for step in range(40):
        (before,), (after,) = plain.step(step), swapped.step(step)
        num_swapped += int((before.images != after.images).flatten(1).any(dim=1).sum())
        shares = [swapped.step(step, rank=rank, world=2)[0].images for rank in (0, 1)]
        assert torch.equal(after.images, torch.cat(shares))
    assert num_swapped / 320 == pytest.approx(0.75 * 29 / 30, abs=0.06)  # one in thirty draws itself


def test_labels_do_not_depend_on_the_order_of_the_records(crowd):
    shuffled = list(crowd)
    random.Random(1).shuffle(shuffled)
    for records in (crowd, shuffled, crowd[::-1]):
        mixture = Mixture([source(records)], SMALL)
        batch = mixture.step(0)[0]
        assert mixture.num_classes("trad/crowd") == 6
        assert (batch.labels == torch.div(batch.pids, 10, rounding_mode="floor") - 1).all()


def test_sources_are_drawn_by_weight(crowd):
    sources = [
        source(crowd, task, weight=weight) for task, weight in (("trad", 6.0), ("cc", 3.0), ("vi", 1.0))
    ]
    mixture = Mixture(sources, SMALL, sources_per_step=1)
    counts = Counter(mixture.drawn(step)[0] for step in range(2000))
    assert [round(counts[place] / 2000, 1) for place in range(3)] == [0.6, 0.3, 0.1]
    assert [batch.task for batch in mixture.step(5)] == [mixture.sources[mixture.drawn(5)[0]].task.name]
    pair = Mixture(sources, SMALL, sources_per_step=2)
    assert all(len(set(pair.drawn(step))) == 2 for step in range(50))


def copied(crowd, folder: Path) -> list:
    """The crowd in files of its own, which may be broken."""
    records = []
    for record in crowd:
        image = shutil.copy(record.image, folder)
        clothes = shutil.copy(record.clothes, folder)
        records.append(dataclasses.replace(record, image=str(image), clothes=str(clothes)))
    return records


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_image_is_replaced_by_the_next_of_the_same_person(crowd, tmp_path, caplog, workers):
    records = copied(crowd, tmp_path)
    whole = [step[0] for step in mixture_loader(Mixture([source(records)], SMALL), 0, 20)]
    Path(records[7].image).write_bytes(b"")
    mixture = Mixture([source(records)], SMALL)
    with caplog.at_level(logging.WARNING):
        broken = [step[0] for step in mixture_loader(mixture, 0, 20, workers=workers)]
    replaced = 0
    for before, after in zip(whole, broken, strict=True):
        assert [8 if index == 7 else index for index in before.indices.tolist()] == after.indices.tolist()
        assert torch.equal(before.labels, after.labels)
        replaced += (before.indices == 7).sum().item()
    assert replaced > 1
    assert [record.message.count("0 bytes") for record in caplog.records] == [1]
    assert list(mixture.unreadable["trad/crowd"]) == [records[7].image]


def test_an_unreadable_clothes_image_is_replaced_too(crowd, tmp_path):
    records = copied(crowd, tmp_path)
    good = shutil.copy(records[1].clothes, tmp_path / "good.png")
    records[1] = dataclasses.replace(records[1], clothes=str(good))
    Path(records[0].clothes).write_text("no image")
    mixture = Mixture([source(records, "ctcc")], SMALL)
    batches = [mixture.step(step)[0] for step in range(6)]
    assert any(10 in batch.pids.tolist() for batch in batches)
    assert all(len(batch.instruction.clothes) == 8 for batch in batches)
    assert list(mixture.unreadable["ctcc/crowd"]) == [records[0].clothes]


@pytest.mark.parametrize("workers", [0, 2])
def test_more_than_one_percent_unreadable_stops_the_training(crowd, tmp_path, workers):
    records = copied(crowd, tmp_path)
    for row in (3, 8):
        Path(records[row].image).unlink()
    with pytest.raises(InputError, match=r"^trad/crowd: more than 1 % of its 30 ") as caught:
        list(mixture_loader(Mixture([source(records)], SMALL), 0, 50, workers=workers))
    assert "Traceback" not in str(caught.value)


def test_a_person_without_a_readable_image_is_replaced_by_the_next_person(crowd, tmp_path):
    records = copied(crowd, tmp_path)[4:]
    Path(records[0].image).write_text("not an image")
    mixture = Mixture([source(records)], SMALL)
    batches = [mixture.step(step)[0] for step in range(10)]
    assert not any(0 in batch.labels.tolist() for batch in batches)
    assert any((batch.labels == 1).sum() > 2 for batch in batches)


def test_a_source_without_a_readable_image_is_refused(crowd):
    records = [dataclasses.replace(crowd[row], image=f"nowhere{row}.jpg") for row in (0, 5)]
    with pytest.raises(InputError, match=r"trad/crowd: .*nowhere\d\.jpg: there is no such file"):
        Mixture([source(records)], SMALL).step(0)


def bare(crowd):
    return [dataclasses.replace(record, captions=(), clothes=None) for record in crowd]


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda _: Mixture([], SMALL), "at least one source"),
        (lambda crowd: Mixture([source(crowd), source(crowd)], SMALL), "names trad/crowd twice"),
        (lambda crowd: Mixture([source(crowd)], SMALL, sources_per_step=2), "2 sources per step"),
        (lambda _: source([]), "trad/crowd has no training images"),
        (lambda crowd: source(crowd, weight=0.0), "weight 0.0"),
        (lambda crowd: source(crowd, "li", swap_clothes=0.5), "li/crowd: swap_clothes is 0.5"),
        (lambda crowd: Mixture([source(crowd[:5])], SMALL), "trad/crowd: training needs .* two identities"),
        (lambda crowd: Mixture([source(bare(crowd), "li")], SMALL), "has no caption, which task li needs"),
        (lambda crowd: Mixture([source(bare(crowd), "ctcc")], SMALL), "has no clothes image"),
        (
            lambda crowd: Mixture([source(bare(crowd), "t2i")], SMALL),
            "has no caption, which task t2i trains on",
        ),
        (lambda crowd: Mixture([source(crowd)], SMALL).step(0, 0, 3), "cannot be divided among 3 processes"),
    ],
)
def test_what_cannot_be_trained_is_refused(crowd, make, complaint):
    with pytest.raises(InputError, match=complaint):
        make(crowd)
