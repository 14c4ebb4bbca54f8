"""One source of a training mixture: the records of one data set, trained under one task."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int, UInt8

from instructions.errors import InputError
from instructions.instruction import Instruction
from omnireid.columns import column_of
from omnireid.loading.buffer_pool import BufferPool
from omnireid.loading.cache import ImageCache
from omnireid.loading.collate import RawBatch, Sample, collate
from omnireid.loading.graph_sampler import GraphSampler
from omnireid.loading.instruct import GalleryInstruction, own_instruction, train_instructions
from omnireid.loading.keyed_random import Purpose, generator, uniforms
from omnireid.loading.samplers import PKSampler
from omnireid.loading.transforms import TrainTransform, empty_pixels
from omnireid.records import Record
from omnireid.tasks import TaskSpec

MAX_UNREADABLE = 0.01  # of a source's images; with more, the data set is damaged or not the expected one

Faults = dict[str, str]  # path of an unreadable image → its error


@dataclass(frozen=True)
class Source:
    """Training records of one data set under one task.

    ``weight`` is its share of the loss, and of the draw if a step holds only some sources. A batch has
    ``num_identities`` × ``num_instances`` images over all ranks; ``sampling`` selects people at random or
    people who look alike (``GraphSampler``). The three fields before it are explained in
    ``train_instructions`` and apply to ``li`` and ``ctcc`` only. In ``trad`` and ``cc``, a share
    ``swap_clothes`` of the images shows another image below the ``head`` (a share of the height).
    """

    task: TaskSpec
    dataset: str
    records: Sequence[Record]
    weight: float = 1.0
    num_identities: int = 32
    num_instances: int = 4
    gallery_instruction: GalleryInstruction = "own"
    neutral_share: float = 0.5
    target_share: float = 0.0
    sampling: Literal["random", "graph"] = "random"
    swap_clothes: float = 0.0
    head: float = 0.25

    def __post_init__(self) -> None:
        if not self.records:
            raise InputError(f"{self.domain} has no training images")
        if self.weight <= 0:
            raise InputError(f"{self.domain} has weight {self.weight}; weights are positive")
        if self.swap_clothes and self.task.name not in ("trad", "cc"):
            raise InputError(
                f"{self.domain}: swap_clothes is {self.swap_clothes}, but clothes or modality matter in this "
                "task; set it for trad and cc only"
            )

    @property
    def domain(self) -> str:
        """Key of its classifier and batch-norm statistics, e.g. "trad/market1501"."""
        return f"{self.task.name}/{self.dataset}"


_SAMPLERS = {"random": PKSampler, "graph": GraphSampler}


class SourceLoader:
    """Makes a source's batch for any step, from (seed, step) alone."""

    def __init__(
        self, source: Source, transform: TrainTransform, cache: ImageCache, *, seed: int, stream: int
    ) -> None:
        self.source = source
        self._transform, self._cache, self._pool = transform, cache, BufferPool()
        self._seed, self._stream = seed, stream
        pids = column_of(source.records, "pid")
        try:
            self.sampler = _SAMPLERS[source.sampling](
                pids, source.num_identities, source.num_instances, seed=seed, stream=stream
            )
        except InputError as error:
            raise InputError(f"{source.domain}: {error}") from None
        self._labels: Int[np.ndarray, " N"] = np.searchsorted(self.sampler.pids, pids)
        self._check_instructions()

    def with_transform(self, transform: TrainTransform) -> SourceLoader:
        """A loader of the same people in the same order, with images for another model."""
        other = copy.copy(self)
        other._transform, other._pool = transform, BufferPool()
        return other

    @property
    def num_classes(self) -> int:
        """Number of identities in the source."""
        return len(self.sampler.pids)

    def _check_instructions(self) -> None:
        source, task = self.source, self.source.task
        if task.objective == "image_text":
            lacking = np.flatnonzero(column_of(source.records, "num_captions") == 0)
            if len(lacking):
                image = source.records[int(lacking[0])].image
                raise InputError(f"{image} has no caption, which task {task.name} trains on")
        may_be_bare = task.instruction in ("caption", "clothes") and source.gallery_instruction == "neutral"
        if task.instruction in ("caption", "clothes", "listed_image") and not may_be_bare:
            for record in source.records:
                own_instruction(record, task)

    def batch(self, step: int, rank: int = 0, world: int = 1) -> tuple[RawBatch, Faults]:
        """A rank's share of the batch of a step, and the unreadable images found in the process."""
        source, faults = self.source, Faults()
        drawn = self.sampler.batch(step, rank, world).tolist()
        # Draws are keyed by the row's place in the global batch, so the result does not depend on ranks.
        places = range(rank * len(drawn), (rank + 1) * len(drawn))
        given = self._transform.preprocessing
        pixels = empty_pixels(len(drawn), given.image_size, self._pool)
        variations = self._transform.draw_rows(self._seed, stream=self._stream, step=step, rows=places)
        rows, records = list(drawn), [source.records[row] for row in drawn]
        paths = [record.image for record in records]
        images = self._cache.read_each(paths, given.image_size, given.resize)
        readable = []
        for place, image in enumerate(images):
            if isinstance(image, InputError):
                rows[place], image = self._readable(drawn[place], "image", faults)
                records[place] = source.records[rows[place]]
            readable.append(image)
        if source.swap_clothes:
            self._swap_clothes(readable, step, places, faults)
        self._transform.place(readable, variations, pixels)
        rngs = [self._generator(Purpose.INSTRUCTION, step, place) for place in places]
        instructions = train_instructions(
            records,
            source.task,
            rngs,
            batch_rng=generator(self._seed, Purpose.SENTENCE, stream=self._stream, step=step),
            gallery_instruction=source.gallery_instruction,
            neutral_share=source.neutral_share,
            target_share=source.target_share,
        )
        samples = []
        for i, row in enumerate(rows):
            instruction, clothes = None, None
            if instructions is not None:
                instruction, clothes = self._with_clothes(row, instructions[i], faults)
            sample = Sample(
                index=row,
                record=records[i],
                label=int(self._labels[row]),
                instruction=instruction,
                clothes=clothes,
                text=self._text(records[i], rngs[i]),
            )
            samples.append(sample)
        name, domain = source.task.name, source.domain
        return collate(samples, pixels, task=name, domain=domain, flipped=variations.flips), faults

    def _swap_clothes(
        self, images: list[UInt8[np.ndarray, "H W 3"]], step: int, places: Sequence[int], faults: Faults
    ) -> None:
        """Replace what is below the head by that of any other image, in a share of the images."""
        drawn = uniforms(
            self._seed, Purpose.CLOTHES, stream=self._stream, step=step, rows=places, count=2
        ).tolist()
        for i, (chance, which) in enumerate(drawn):
            if chance < self.source.swap_clothes:
                _, other = self._readable(int(which * len(self._labels)), "image", faults)
                neck = round(self.source.head * len(other))
                images[i] = np.concatenate([images[i][:neck], other[neck:]])

    def _generator(self, purpose: Purpose, step: int, place: int) -> np.random.Generator:
        return generator(self._seed, purpose, stream=self._stream, step=step, row=place)

    def _text(self, record: Record, rng: np.random.Generator) -> str | None:
        if self.source.task.objective != "image_text":
            return None
        return record.captions[int(rng.integers(len(record.captions)))]

    def _with_clothes(
        self, row: int, instruction: Instruction, faults: Faults
    ) -> tuple[Instruction, UInt8[np.ndarray, "h w 3"] | None]:
        if instruction.clothes is None:
            return instruction, None
        size = self._transform.preprocessing.clothes_size
        try:
            return instruction, self._cache.read(instruction.clothes, size)
        except InputError as error:
            faults[instruction.clothes] = str(error)
        other, clothes = self._readable(row, "clothes", faults)
        return own_instruction(self.source.records[other], self.source.task), clothes

    def _readable(
        self, row: int, field: Literal["image", "clothes"], faults: Faults
    ) -> tuple[int, UInt8[np.ndarray, "H W 3"]]:
        """The first readable image from this row on: of this person (wrapping around), then of the next."""
        preprocessing = self._transform.preprocessing
        is_person = field == "image"
        size = preprocessing.image_size if is_person else preprocessing.clothes_size
        mode = preprocessing.resize if is_person else "bilinear"
        for other in self._from(row):
            path = getattr(self.source.records[other], field)
            if path is None:
                continue
            try:
                return other, self._cache.read(path, size, mode)
            except InputError as error:
                faults[path] = str(error)
                self.refuse_too_many(faults)
        raise InputError(f"{self.source.domain}: not one {field} can be read; {next(iter(faults.values()))}")

    def _from(self, row: int) -> Iterator[int]:
        label = int(self._labels[row])
        rows = self.sampler.rows(label).tolist()
        here = rows.index(row)
        yield from rows[here:] + rows[:here]
        for further in range(1, self.num_classes):
            yield from self.sampler.rows((label + further) % self.num_classes).tolist()

    def refuse_too_many(self, faults: Faults) -> None:
        """Stop if more than 1 % of the source's images, and more than one, are unreadable.

        Raises:
            InputError: naming one of them as an example.
        """
        total = len(self.source.records)
        if len(faults) > max(1, MAX_UNREADABLE * total):
            raise InputError(
                f"{self.source.domain}: more than 1 % of its {total} training images cannot be read; "
                f"{next(iter(faults.values()))}"
            )
