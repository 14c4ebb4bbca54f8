"""Which instruction accompanies which image, in training and on both sides of a test (IRM, section 4.1)."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

import numpy as np

from instructions import banks
from instructions.errors import InputError
from instructions.instruction import NEUTRAL, Instruction
from omnireid.loading.keyed_random import Purpose, generator
from omnireid.records import UNKNOWN, Record, Split
from omnireid.tasks import TaskSpec

GalleryInstruction = Literal["own", "neutral", "mixed"]
Mode = Literal["right", "wrong", "none", "canonical"]


def own_instruction(record: Record, task: TaskSpec, rng: np.random.Generator | None = None) -> Instruction:
    """An image's own instruction: one of its captions, or its clothes image.

    Args:
        record: an image of a ``li`` or ``ctcc`` set.
        task: determines which of the two is needed.
        rng: chooses among several captions; without one, the first is taken.

    Raises:
        InputError: the image has no such instruction.
    """
    outfit = None if record.clothes_id == UNKNOWN else record.clothes_id
    if task.instruction == "caption" and record.captions:
        place = 0 if rng is None else int(rng.integers(len(record.captions)))
        return Instruction(sentence=record.captions[place], source="caption", outfit=outfit)
    if task.instruction == "clothes" and record.clothes is not None:
        return Instruction(clothes=record.clothes, source="clothes", outfit=outfit)
    if task.instruction == "listed_image" and record.clothes is not None:
        return Instruction(clothes=record.clothes, source="clothes")  # constant, so it describes no outfit
    own = {"caption": "caption", "clothes": "clothes image", "listed_image": "image in column two of a list"}
    missing = own.get(task.instruction, "instruction of its own")
    raise InputError(f"{record.image} has no {missing}, which task {task.name} needs")


def train_instructions(
    records: Sequence[Record],
    task: TaskSpec,
    rngs: Sequence[np.random.Generator],
    *,
    batch_rng: np.random.Generator,
    gallery_instruction: GalleryInstruction = "own",
    neutral_share: float = 0.5,
    target_share: float = 0.0,
) -> list[Instruction] | None:
    """The instruction of every row of a training batch; None for a task without instructions.

    A bank gives one sentence to the whole batch ("We randomly choose one from these instructions when
    training each mini-batch"). Captions and clothes images belong to a row, with two exceptions of ours. A
    row may get the neutral sentence, so that the model learns galleries without annotations. A row may also
    get the instruction of another image of the same person in the batch, like a query at test time:
    preferably of an uninstructed one, because ``composition_loss`` looks for it there.

    Args:
        records: the rows' records.
        task: the task trained by the batch.
        rngs: one generator per row.
        batch_rng: the batch's generator; equal on all ranks.
        gallery_instruction: "own" never gives the neutral sentence, "neutral" always, "mixed" to some rows.
        neutral_share: with "mixed", the probability of the neutral sentence.
        target_share: probability of another row's instruction.
    """
    if task.instruction == "none":
        return None
    if task.instruction == "listed_image":
        return [own_instruction(record, task) for record in records]
    if task.sentence is not None:
        return [Instruction(sentence=task.sentence, source="bank")] * len(records)
    if task.bank is not None:
        sentence = banks.draw(task.bank, random.Random(int(batch_rng.integers(2**63))))
        return [sentence] * len(records)
    neutral_share = {"own": 0.0, "neutral": 1.0, "mixed": neutral_share}[gallery_instruction]
    rows_of = defaultdict(list)
    for row, record in enumerate(records):
        rows_of[record.pid].append(row)
    draws = [(rng.random() < neutral_share, rng.random() < target_share) for rng in rngs]
    is_bare = [bare for bare, _ in draws]
    chosen = []
    for row, (record, rng) in enumerate(zip(records, rngs, strict=True)):
        others = [other for other in rows_of[record.pid] if other != row]
        others = [other for other in others if is_bare[other]] or others
        if draws[row][1] and others:
            record = records[others[int(rng.integers(len(others)))]]
        chosen.append(NEUTRAL if is_bare[row] else own_instruction(record, task, rng))
    return chosen


def query_instructions(
    split: Split, task: TaskSpec, mode: Mode | int = "right", seed: int = 0
) -> list[Instruction] | None:
    """The instruction of every query of a test; None for a task without instructions.

    Args:
        split: the test.
        task: the task.
        mode: "right" is the query's own instruction, which the official lists wrote for the target; "wrong"
            is another person's; "none" is the neutral sentence. If the task has a bank, "right" and
            "canonical" are the sentence from which it was generated, a number is any of the twenty, and
            "wrong" does not exist.
        seed: determines whose instruction "wrong" takes.

    Raises:
        InputError: the mode does not apply to the task, or a query has no instruction of its own.
    """
    if mode == "none" and task.instruction != "none":
        return [NEUTRAL] * len(split.query)
    if task.bank is not None or task.instruction == "none":
        return _same_for_all(len(split.query), task, "canonical" if mode == "right" else mode)
    right = [own_instruction(record, task) for record in split.query]
    if mode == "right":
        return right
    if mode == "wrong":
        return [
            right[donor] for donor in _strangers(split.query, right, seed, f"{split.name}, task {task.name}")
        ]
    raise InputError(
        f"task {task.name} has no bank of sentences, so its queries have no instruction {mode!r}"
    )


def gallery_instructions(
    split: Split, task: TaskSpec, mode: Literal["own", "neutral"] | int = "own"
) -> list[Instruction] | None:
    """The instruction of every gallery image of a test; None for a task without instructions.

    Args:
        split: the test.
        task: the task.
        mode: "own" is the image's own caption or clothes image, or the sentence from which the bank was
            generated; "neutral" is the neutral sentence; a number is any sentence of the bank.

    Raises:
        InputError: an image has no instruction of its own.
    """
    if mode == "neutral" and task.instruction != "none":
        return [NEUTRAL] * len(split.gallery)
    if task.bank is not None or task.instruction == "none":
        return _same_for_all(len(split.gallery), task, "canonical" if mode == "own" else mode)
    if mode == "own":
        return [own_instruction(record, task) for record in split.gallery]
    raise InputError(f"task {task.name} has no bank of sentences, so its gallery has no instruction {mode!r}")


def query_texts(split: Split) -> list[str]:
    """The descriptions that are the queries of ``t2i``.

    Raises:
        InputError: a query has no caption.
    """
    for record in split.query:
        if not record.captions:
            raise InputError(
                f"the query {record.image} of {split.name} has no caption to search by; add one or remove it"
            )
    return [record.captions[0] for record in split.query]


def _same_for_all(count: int, task: TaskSpec, mode: str | int) -> list[Instruction] | None:
    if task.bank is None:
        if mode == "wrong" or isinstance(mode, int):
            raise InputError(f"task {task.name} has no instructions, so the mode {mode!r} does not apply")
        return None
    if mode == "canonical":
        return [Instruction(sentence=task.canonical, source="bank")] * count
    sentences = banks.BANKS[task.bank]
    if isinstance(mode, int) and 0 <= mode < len(sentences):
        return [Instruction(sentence=sentences[mode], source="bank")] * count
    numbers = f"a number from 0 to {len(sentences) - 1}"
    raise InputError(f"task {task.name} has no instruction {mode!r}; choose canonical or {numbers}")


def _strangers(queries: Sequence[Record], right: Sequence[Instruction], seed: int, where: str) -> list[int]:
    """For each query, another query of a different person in other clothes whose instruction differs.

    Identities are shuffled and their queries placed in a row; each query takes the instruction of the one
    that is the size of the largest identity further on, or of the next that qualifies. So nearly every
    instruction is used exactly once.
    """
    rng = generator(seed, Purpose.WRONG_INSTRUCTION)
    by_identity = defaultdict(list)
    for row, record in enumerate(queries):
        by_identity[record.pid].append(row)
    pids = sorted(by_identity)
    ring = [row for place in rng.permutation(len(pids)) for row in rng.permutation(by_identity[pids[place]])]
    shift = max((len(rows) for rows in by_identity.values()), default=0)
    donors = [-1] * len(queries)
    for place, row in enumerate(ring):
        for further in range(shift, shift + len(ring)):
            donor = int(ring[(place + further) % len(ring)])
            if _is_strange(queries[row], queries[donor]) and right[row] != right[donor]:
                donors[row] = donor
                break
        else:
            raise InputError(
                f"{where}: no other person's instruction differs from that of {queries[row].image}"
            )
    return donors


def _is_strange(one: Record, other: Record) -> bool:
    same_clothes = one.clothes_id == other.clothes_id != UNKNOWN
    return one.pid != other.pid and not same_clothes
