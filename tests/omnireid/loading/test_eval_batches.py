"""One side of a test in batches."""

import dataclasses

import numpy as np
import pytest
import torch

from instructions.errors import InputError
from omnireid.loading.cache import ImageCache
from omnireid.loading.eval_batches import eval_batches
from omnireid.loading.image import read_image
from omnireid.loading.instruct import gallery_instructions, query_texts
from omnireid.loading.resizing import resize
from omnireid.loading.transforms import Preprocessing
from omnireid.records import Split
from omnireid.tasks import TASKS

SMALL = Preprocessing(image_size=(32, 16), clothes_size=(16, 16))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("space", [0, 2**20])
def test_records_come_in_their_order_with_their_instructions(crowd, workers, space):
    instructions = gallery_instructions(Split("crowd", gallery=crowd), TASKS["ctcc"])
    batches = list(
        eval_batches(
            crowd,
            SMALL,
            task=TASKS["ctcc"],
            domain="ctcc/crowd",
            instructions=instructions,
            batch_size=8,
            workers=workers,
            cache=ImageCache(space),
        )
    )
    assert [len(batch) for batch in batches] == [8, 8, 8, 6]
    assert torch.cat([batch.indices for batch in batches]).tolist() == list(range(30))
    assert torch.cat([batch.pids for batch in batches]).tolist() == [record.pid for record in crowd]
    assert all(torch.equal(batch.labels, batch.pids) and batch.domain == "ctcc/crowd" for batch in batches)
    images = np.stack([resize(read_image(record.image), SMALL.image_size) for record in crowd])
    worn = np.stack([resize(read_image(record.clothes), SMALL.clothes_size) for record in crowd])
    images = SMALL.normalise(torch.from_numpy(images))
    clothes = SMALL.normalise_clothes(torch.from_numpy(worn))
    assert torch.equal(torch.cat([batch.images for batch in batches]), images)
    assert torch.equal(torch.cat([batch.instruction.clothes for batch in batches]), clothes)


def test_text_queries_read_no_image(crowd):
    queries = tuple(dataclasses.replace(record, image="nowhere.jpg") for record in crowd[:3])
    texts = query_texts(Split("crowd", query=queries))
    (batch,) = eval_batches(
        queries, SMALL, task=TASKS["t2i"], domain="t2i/crowd", instructions=None, texts=texts, batch_size=8
    )
    assert batch.images is None
    assert batch.instruction is None
    assert batch.texts == tuple(record.captions[0] for record in crowd[:3])


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_test_image_is_refused_and_never_replaced(crowd, tmp_path, workers):
    empty = tmp_path / "0002_c1.jpg"
    empty.touch()
    records = (*crowd[:4], dataclasses.replace(crowd[4], image=str(empty)))
    with pytest.raises(InputError, match=rf"^{empty}: the file is empty"):
        list(
            eval_batches(
                records,
                SMALL,
                task=TASKS["t2i"],
                domain="t2i/crowd",
                instructions=None,
                batch_size=2,
                workers=workers,
            )
        )


def test_an_empty_side_has_no_batches(crowd):
    assert list(eval_batches((), SMALL, task=TASKS["t2i"], domain="t2i/crowd", instructions=None)) == []


def test_instructions_must_match_the_records(crowd):
    with pytest.raises(ValueError, match="1 texts for 30 records"):
        list(eval_batches(crowd, SMALL, task=TASKS["t2i"], domain="d", instructions=None, texts=["one"]))
