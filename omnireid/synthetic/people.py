"""The people of one data set; every draw has its own random stream, so none depends on another."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal, get_args

import numpy as np

from instructions.attributes import AttributeSet
from omnireid.records import Modality
from omnireid.synthetic.camera import Camera, make_cameras
from omnireid.synthetic.describe import attributes_of
from omnireid.synthetic.identity import Identity
from omnireid.synthetic.outfit import Outfit
from omnireid.synthetic.shot import Shot
from omnireid.synthetic.sites import SITES

MAX_OUTFITS = 3
Stream = Literal[
    "identity",
    "outfit",
    "shot",
    "template",
    "caption",
    "itinerary",
    "split",
    "name",
    "box",
    "cameras",
    "target",
]
_STREAMS: tuple[Stream, ...] = get_args(Stream)  # the order keys the streams: append only


@dataclass(frozen=True, slots=True)
class ShotKey:
    """Identifies one shot: person, outfit, camera and running number."""

    dataset: str
    person: int  # number in the population; the published pid may be another
    outfit: int
    camera: int  # zero-based
    number: int  # counts all images of the person, over outfits, cameras and splits
    modality: Modality = "rgb"


class Population:
    """People, outfits and itineraries of a data set; a pure function of (seed, data set)."""

    def __init__(self, dataset: str, seed: int, difficulty: float = 1.0) -> None:
        self.site = SITES[dataset]
        self.seed = seed
        drawn = make_cameras(self.site.num_cameras, self.rng("cameras"))
        self.cameras: tuple[Camera, ...] = tuple(camera.scaled(difficulty) for camera in drawn)

    def rng(self, stream: Stream, *key: int) -> np.random.Generator:
        """The random generator of one thing, by stream and the numbers of person, image or outfit."""
        return np.random.default_rng([self.seed, self.site.number, _STREAMS.index(stream), *key])

    def identity(self, person: int) -> Identity:
        """Who the person is."""
        return _identity(self, person)

    def outfit(self, person: int, outfit: int) -> Outfit:
        """What the person wears; no two outfits of one person have a coat of the same colour word."""
        return _outfit(self, person, outfit)

    def shot(self, key: ShotKey) -> Shot:
        """The pose, viewpoint and light of an image."""
        rng = self.rng("shot", key.person, key.number)
        return Shot.draw(rng, self.cameras[key.camera], self.identity(key.person))

    def attributes(self, key: ShotKey) -> AttributeSet:
        """The attributes of table 7 of an image."""
        return _attributes(self, key)

    def caption_rng(self, key: ShotKey, caption: int) -> random.Random:
        """The generator of one caption of an image."""
        return random.Random(int(self.rng("caption", key.person, key.number, caption).integers(2**63)))

    def clothes_id(self, person: int, outfit: int) -> int:
        """A number of the outfit that is unique in the data set."""
        assert outfit < MAX_OUTFITS
        return person * MAX_OUTFITS + outfit

    def cameras_of_outfit(
        self, person: int, outfit: int, count: int, cameras: tuple[int, ...] | None = None
    ) -> list[int]:
        """Which cameras see the person in the outfit: ``count`` of ``cameras``, ascending."""
        choice = np.arange(self.site.num_cameras) if cameras is None else np.array(cameras)
        drawn = self.rng("itinerary", person, outfit).permutation(choice)[:count]
        return sorted(int(camera) for camera in drawn)

    def shuffled_groups(self, first: int, *sizes: int) -> list[list[int]]:
        """Numbers from ``first`` on, shuffled into groups of these sizes, as in the published splits."""
        order = self.rng("split").permutation(np.arange(first, first + sum(sizes)))
        bounds = np.cumsum((0, *sizes))
        return [sorted(map(int, order[start:stop])) for start, stop in pairwise(bounds)]


def num_outfits(person: int, most: int) -> int:
    """Number of outfits of a person: the maximum if it is 1 or 2, else 2 and 3 alternately."""
    return most if most < MAX_OUTFITS else 2 + person % 2


@lru_cache(maxsize=512)
def _identity(population: Population, person: int) -> Identity:
    return Identity.draw(population.rng("identity", person))


@lru_cache(maxsize=1024)
def _outfit(population: Population, person: int, outfit: int) -> Outfit:
    num_taken = {population.outfit(person, other).coat_color for other in range(outfit)}
    rng = population.rng("outfit", person, outfit)
    while True:  # eight colours, at most two of them taken: ends soon
        drawn = Outfit.draw(rng, population.identity(person))
        if drawn.coat_color not in num_taken:
            return drawn


@lru_cache(maxsize=16)
def _attributes(population: Population, key: ShotKey) -> AttributeSet:
    identity, outfit = population.identity(key.person), population.outfit(key.person, key.outfit)
    return attributes_of(identity, outfit, population.shot(key))
