"""From a run sheet to the training mixture: read splits, drop test people, hold out validation people."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from instructions.errors import InputError
from irm.build import domain_of, instruction_settings_of
from irm.schema import EvaluationSheet, IRMRun, RowSheet
from omnireid.datasets import load_split
from omnireid.leakage import FINGERPRINTS, People, drop_test_people
from omnireid.loading.cache import ImageCache
from omnireid.loading.held_out import HeldOut, hold_out
from omnireid.loading.mixture import Mixture
from omnireid.loading.source_loader import Source
from omnireid.loading.transforms import Augmentation, Preprocessing
from omnireid.protocols import refuse_unfit
from omnireid.records import Split

MIB = 1024 * 1024


def build_mixture(run: IRMRun, preprocessing: Preprocessing) -> tuple[Mixture, tuple[str, ...]]:
    """The training data of a sheet, without the people of any test set, and notes to print.

    Raises:
        InputError: for data that are missing or cannot be trained on.
    """
    notes: list[str] = []
    people = []
    for row in run.mixture:
        split = _split(run, row)
        notes += [f"{domain_of(row)}: {note}" for note in split.notes]
        people.append(People(row.dataset, split.train))
    tests, missing = _tests(run)
    kept, report = drop_test_people(people, tests, cache=Path(run.data) / FINGERPRINTS)
    notes += [*missing, *report.sentences()]
    sources = [
        Source(
            task=instruction_settings_of(run).task(row.task),
            dataset=row.dataset,
            records=source.records,
            weight=row.weight,
            num_identities=row.num_identities or run.batch.num_identities,
            num_instances=row.num_instances or run.batch.num_instances,
            gallery_instruction=run.gallery_instruction,
            neutral_share=run.neutral_share,
            target_share=run.target_share,
            sampling=run.batch.sampling,
            swap_clothes=row.swap_clothes,
            head=row.head,
        )
        for row, source in zip(run.mixture, kept, strict=True)
    ]
    chosen, held_out = hold_out(sources, run.validation.share, run.seed)
    training = _without_held_out(chosen, held_out, notes)
    mixture = Mixture(
        training,
        preprocessing,
        Augmentation(**run.augmentation.model_dump()),
        run.seed,
        sources_per_step=run.sources_per_step,
        cache=ImageCache(run.loader.cache_mib * MIB),
        held_out=held_out,
    )
    return mixture, tuple(notes)


def _without_held_out(
    sources: Sequence[Source], held_out: Sequence[HeldOut], notes: list[str]
) -> list[Source]:
    """The sources without anybody held out of another one, which may show the same person by another number.

    The raw layout and the lists of one data set number its people differently, and CUHK-PEDES holds images
    of other sets. Recognised by file and by file name; what looks alike is compared with the test only.
    """
    if not held_out:
        return list(sources)
    hidden = [People(one.split.name, (*one.split.query, *one.split.gallery)) for one in held_out]
    people = [People(source.dataset, source.records) for source in sources]
    kept, report = drop_test_people(people, hidden, by_appearance=False)
    if report.num_dropped:
        notes.append(
            f"{report.num_dropped} training images dropped, whose people are held out of another source "
            "for validation"
        )
    return [replace(source, records=one.records) for source, one in zip(sources, kept, strict=True)]


def refuse_single_images(mixture: Mixture) -> None:
    """Refuse batches with one image per person, which leave triplets without positives.

    Raises:
        InputError: a source has such batches.
    """
    for source in mixture.sources:
        if source.num_instances == 1 and source.task.objective == "identity":
            raise InputError(
                f"{source.domain}: num_instances is 1, and one image per person leaves the triplet loss "
                "without positives; set it to at least 2"
            )


def _tests(run: IRMRun) -> tuple[list[People], list[str]]:
    """The test people of all data sets trained or evaluated on, and a note for each test set not on disk.

    Raises:
        InputError: a test set cannot be judged by the protocol of its row.
    """
    tests, missing = [], []
    used: dict[tuple[str | None, ...], list[RowSheet]] = {}
    for row in (*run.mixture, *run.evaluation):
        used.setdefault((row.dataset, row.task, row.variant, row.source), []).append(row)
    for row, *others in used.values():
        try:
            split = _split(run, row)
        except InputError as error:
            missing.append(
                f"the test people of {row.dataset} are unknown, so they cannot be excluded from training: "
                f"{error}"
            )
            continue
        tests.append(People(row.dataset, (*split.query, *split.gallery)))
        if len(split.query) and len(split.gallery):
            judged = [one.protocol for one in (row, *others) if isinstance(one, EvaluationSheet)]
            for protocol in dict.fromkeys(judged):
                refuse_unfit(protocol, split)
    return tests, missing


def _split(run: IRMRun, row: RowSheet) -> Split:
    keep = instruction_settings_of(run).keeps_clothes_image(row.task)
    return load_split(run.data, row.dataset, row.task, row.variant, row.source, keep_clothes_image=keep)


def fingerprint(mixture: Mixture, root: Path) -> str:
    """A hash of the training records and their order; independent of where the data root is."""
    whole = hashlib.sha256()
    for source in mixture.sources:
        whole.update(f"{source.domain} {len(source.records)}\n".encode())
        for record in source.records:
            image = os.path.relpath(record.image, root)
            facts = (image, record.pid, record.camid, record.clothes_id, record.modality, *record.captions)
            whole.update(("\t".join(map(str, facts)) + "\n").encode())
    return whole.hexdigest()


def shares(run: IRMRun) -> dict[str, float]:
    """Loss weights by domain; all 1 if each step draws its sources, since the draw is weighted already."""
    is_drawn = run.sources_per_step is not None and run.sources_per_step < len(run.mixture)
    return {domain_of(row): 1.0 if is_drawn else row.weight for row in run.mixture}
