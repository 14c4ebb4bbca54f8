"""Batches of P identities with K images each (IRM, section 5.1), determined by (seed, step) alone."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from instructions.errors import InputError
from omnireid.loading.keyed_random import Purpose, generator

log = logging.getLogger(__name__)


class PKSampler:
    """Draws P identities and K images of each; any step can be requested, in any order, by any process.

    Identities are drawn without replacement: a pass is one permutation, cut into batches of P; a remainder
    of fewer than P waits for the next pass. A batch therefore never contains an identity twice. The K images
    of an identity are distinct if it has K; otherwise its images are repeated as evenly as possible. A set of
    fewer than P identities contributes all of them to every batch.

    With several ranks, each takes an equal slice of the batch that a single process would draw.
    """

    def __init__(
        self,
        pids: Sequence[int] | Int[np.ndarray, " N"],
        num_identities: int = 32,
        num_instances: int = 4,
        seed: int = 0,
        *,
        stream: int = 0,
    ) -> None:
        """Group the images of each identity.

        Args:
            pids: identity of each image.
            num_identities: P.
            num_instances: K.
            seed: seed of the run.
            stream: distinguishes samplers of one run that share its seed.

        Raises:
            InputError: fewer than two identities, or P or K not positive.
        """
        if num_identities < 1 or num_instances < 1:
            raise InputError(
                f"{num_identities} identities × {num_instances} per batch: both numbers must be at least 1"
            )
        pids = np.asarray(pids, dtype=np.int64)
        # Stable, so that the images of an identity keep their order.
        self._by_identity = np.argsort(pids, kind="stable")
        self.pids, starts = np.unique(pids[self._by_identity], return_index=True)
        self._starts = np.append(starts, len(pids))
        if len(self.pids) < 2:
            raise InputError(
                f"training needs images of at least two identities, but there are only {len(self.pids)}"
            )
        if len(self.pids) < num_identities:
            log.warning(
                "batches have %d identities instead of %d: the data has no more",
                len(self.pids),
                num_identities,
            )
        self.num_identities = min(num_identities, len(self.pids))
        self.num_instances = num_instances
        self.batches_per_pass = len(self.pids) // self.num_identities
        self._seed, self._stream = seed, stream
        self._permutation = (-1, np.empty(0, dtype=np.int64))

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Int[np.ndarray, " B"]:
        """Rows of the images of a step; K consecutive rows share an identity.

        Raises:
            InputError: the ranks cannot share the identities evenly.
        """
        if self.num_identities % world:
            raise InputError(
                f"{self.num_identities} identities per batch cannot be divided among {world} processes; "
                "choose a multiple"
            )
        share = self.num_identities // world
        identities = self._identities(step)[rank * share : (rank + 1) * share].tolist()
        rows = [
            self._instances(step, rank * share + place, identity) for place, identity in enumerate(identities)
        ]
        return np.concatenate(rows)

    def rows(self, identity: int) -> Int[np.ndarray, " n"]:
        """The images of an identity (as row numbers of ``pids``), in their order."""
        return self._by_identity[self._starts[identity] : self._starts[identity + 1]]

    def _identities(self, step: int) -> Int[np.ndarray, " P"]:
        first = step % self.batches_per_pass * self.num_identities
        return self._pass(step // self.batches_per_pass)[first : first + self.num_identities]

    def _pass(self, number: int) -> Int[np.ndarray, " N"]:
        if self._permutation[0] != number:
            rng = generator(self._seed, Purpose.IDENTITIES, stream=self._stream, step=number)
            self._permutation = (number, rng.permutation(len(self.pids)))
        return self._permutation[1]

    def _instances(self, step: int, place: int, identity: int) -> Int[np.ndarray, " K"]:
        images = self.rows(identity)
        rng = generator(self._seed, Purpose.INSTANCES, stream=self._stream, step=step, row=place)
        if len(images) >= self.num_instances:
            return rng.choice(images, self.num_instances, replace=False)
        repeats = -(-self.num_instances // len(images))
        rounds = np.concatenate([rng.permutation(images) for _ in range(repeats)])
        return rounds[: self.num_instances]
