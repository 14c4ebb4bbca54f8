"""The content of each training step: a batch of every task, or of some drawn by weight (IRM, section 4.1)."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial

import numpy as np
import torch

from instructions.errors import InputError
from omnireid.loading.batch import Batch
from omnireid.loading.buffer_pool import BufferPool
from omnireid.loading.cache import ImageCache
from omnireid.loading.collate import RawBatch
from omnireid.loading.graph_sampler import GraphSampler
from omnireid.loading.held_out import HeldOut
from omnireid.loading.keyed_random import Purpose, generator
from omnireid.loading.source_loader import Faults, Source, SourceLoader
from omnireid.loading.transforms import AUGMENTATIONS, Augmentation, Preprocessing, TrainTransform
from omnireid.loading.workers import in_order

log = logging.getLogger(__name__)


class Mixture:
    """Sources that are trained together; every batch is a function of (seed, step).

    Labels are contiguous within each source, in the order of its pids. An unreadable image is replaced by
    the next one of the same person, or if there is none by the next person's; one warning names it. If more
    than 1 % of a source (and more than one image) is unreadable, training stops.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        preprocessing: Preprocessing,
        augmentation: Augmentation = AUGMENTATIONS["paper"],
        seed: int = 0,
        *,
        sources_per_step: int | None = None,
        cache: ImageCache | None = None,
        held_out: Sequence[HeldOut] = (),
    ) -> None:
        """Index the sources.

        Args:
            sources: in the order in which a step lists its batches.
            preprocessing: what the model expects.
            augmentation: how training images are augmented.
            seed: determines every draw.
            sources_per_step: number of sources per step, drawn by weight; all of them by default.
            cache: keeps decoded images.
            held_out: people held out of the sources; see ``hold_out``.

        Raises:
            InputError: no source, a duplicate, one without what its task needs, or more per step than exist.
        """
        if not sources:
            raise InputError("a mixture needs at least one source")
        self.sources, self.held_out = tuple(sources), tuple(held_out)
        self.domains = tuple(source.domain for source in sources)
        for domain in self.domains:
            if self.domains.count(domain) > 1:
                raise InputError(f"the mixture names {domain} twice; give it one source with a larger weight")
        self.sources_per_step = len(sources) if sources_per_step is None else sources_per_step
        if not 1 <= self.sources_per_step <= len(sources):
            raise InputError(
                f"{sources_per_step} sources per step; choose 1 to {len(sources)}, the number of sources"
            )
        self.preprocessing, self.augmentation, self.seed = preprocessing, augmentation, seed
        self.cache = ImageCache() if cache is None else cache
        self.unreadable: dict[str, Faults] = {domain: {} for domain in self.domains}
        transform = TrainTransform(preprocessing, augmentation)
        self._feeds = [
            SourceLoader(source, transform, self.cache, seed=seed, stream=stream)
            for stream, source in enumerate(sources)
        ]

    def seen_by(self, preprocessing: Preprocessing) -> Mixture:
        """The same people in the same batches, preprocessed for another model."""
        seen = copy.copy(self)
        seen.preprocessing = preprocessing
        seen.unreadable = {domain: {} for domain in self.domains}
        transform = TrainTransform(preprocessing, self.augmentation)
        seen._feeds = [feed.with_transform(transform) for feed in self._feeds]
        return seen

    def num_classes(self, domain: str) -> int:
        """Number of identities in one source, for its classifier."""
        return self._feeds[self.domains.index(domain)].num_classes

    def graph_samplers(self) -> dict[str, GraphSampler]:
        """By domain, the samplers that need a graph for each pass."""
        samplers = {feed.source.domain: feed.sampler for feed in self._feeds}
        return {domain: one for domain, one in samplers.items() if isinstance(one, GraphSampler)}

    def step(self, step: int, rank: int = 0, world: int = 1) -> tuple[Batch, ...]:
        """The batches of a step, or one rank's share of them.

        Raises:
            InputError: too many images are unreadable, or the ranks cannot share a batch evenly.
        """
        return tuple(
            raw.normalised(self.preprocessing) for raw in self.checked(self.raw_step(step, rank, world))
        )

    def drawn(self, step: int) -> list[int]:
        """The sources of a step, in their order."""
        if self.sources_per_step == len(self.sources):
            return list(range(len(self.sources)))
        weights = np.array([source.weight for source in self.sources])
        rng = generator(self.seed, Purpose.SOURCES, step=step)
        chosen = rng.choice(len(weights), self.sources_per_step, replace=False, p=weights / weights.sum())
        return sorted(int(place) for place in chosen)

    def raw_step(self, step: int, rank: int = 0, world: int = 1) -> list[tuple[RawBatch, Faults]]:
        """A step as made by a worker: batches before normalisation, and the unreadable images found."""
        return [self._feeds[place].batch(step, rank, world) for place in self.drawn(step)]

    def checked(self, made: Sequence[tuple[RawBatch, Faults]]) -> list[RawBatch]:
        """Record the unreadable images of a step and return its batches.

        Raises:
            InputError: a source has too many of them.
        """
        for raw, faults in made:
            domain = raw.domain
            known = self.unreadable[domain]
            for path, reason in faults.items():
                if path not in known:
                    log.warning("%s; another image is used instead", reason)
            known.update(faults)
            self._feeds[self.domains.index(domain)].refuse_too_many(known)
        return [raw for raw, _ in made]

    def fill_cache(self, threads: int = 1) -> None:
        """Decode images ahead, as many as the cache holds."""
        for source in self.sources:
            images = (record.image for record in source.records)
            self.cache.fill(
                images,
                self.preprocessing.image_size,
                threads=threads,
                mode=self.preprocessing.resize,
            )
            clothes = (record.clothes for record in source.records if record.clothes is not None)
            if source.task.shows_clothes:
                self.cache.fill(clothes, self.preprocessing.clothes_size, threads=threads)

    def step_bytes(self, world: int = 1) -> int:
        """Size of one rank's largest step as sent by a worker."""
        image, clothes = (
            3 * height * width
            for height, width in (self.preprocessing.image_size, self.preprocessing.clothes_size)
        )
        sizes = sorted(
            source.num_identities * source.num_instances * (image + clothes * source.task.shows_clothes)
            for source in self.sources
        )
        return sum(sizes[-self.sources_per_step :]) // world


def mixture_loader(
    mixture: Mixture,
    start: int,
    stop: int,
    workers: int = 0,
    *,
    rank: int = 0,
    world: int = 1,
    device: torch.device | str | None = None,
) -> Iterator[tuple[Batch, ...]]:
    """The batches of steps start..stop-1 in order, prefetched; the same for any number of workers.

    Args:
        mixture: what to train on.
        start: first step, i.e. the number of completed steps.
        stop: one past the last step.
        workers: processes that read ahead; 0 reads on demand.
        rank: rank of this process.
        world: number of ranks.
        device: where images are normalised, and stay; the CPU by default.

    Raises:
        InputError: as ``Mixture.step``.
    """
    if workers and mixture.cache.max_bytes:
        mixture.fill_cache(threads=workers)  # before the workers are forked, so that they share it
    made = in_order(
        partial(mixture.raw_step, rank=rank, world=world),
        range(start, stop),
        workers=workers,
        piece_bytes=mixture.step_bytes(world),
        pin=device is not None and torch.device(device).type == "cuda",
    )
    pool = BufferPool()
    with closing(made):  # closed at once on errors: left to garbage collection, workers linger for seconds
        for step in made:
            yield tuple(raw.normalised(mixture.preprocessing, device, pool) for raw in mixture.checked(step))
