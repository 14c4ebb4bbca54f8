"""The plan of a tree: the files of every image, and every text file, before anything is rendered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from omnireid.synthetic.lists import ListLine
from omnireid.synthetic.people import Population, ShotKey
from omnireid.synthetic.presets import Counts, Preset
from omnireid.synthetic.sites import SITES

# What of a shot a file shows: the whole box, the loose box of a detector, a badly cut box, the own clothes,
# a shop photo of the outfit's upper clothes, or the white shirt that the official lists of `cc` name.
View = Literal["whole", "loose", "cut", "clothes", "template", "white_shirt"]


@dataclass(frozen=True, slots=True)
class File:
    """One image file: its path from the root of the tree, and what it shows."""

    path: str
    view: View = "whole"


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """One shot and all files made of it: rendered once, written several times."""

    key: ShotKey
    files: tuple[File, ...]

    @property
    def shows_person(self) -> bool:
        """Whether it shows a person, not clothes only."""
        return any(file.view in ("whole", "loose", "cut") for file in self.files)


@dataclass(frozen=True)
class Plan:
    """The plan of a data set."""

    dataset: str
    images: tuple[ImagePlan, ...]
    texts: dict[str, bytes]  # path from the root of the tree to content
    summary: dict[str, int]  # what the manifest and the summary table say of it
    # Files that are, byte for byte, test files of another data set.
    overlaps: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SyntheticSpec:
    """A preset with a seed, which together define a synthetic benchmark."""

    preset: Preset
    seed: int

    @cached_property
    def populations(self) -> dict[str, Population]:
        """The people of each data set; different data sets have different people."""
        return {name: Population(name, self.seed, self.preset.difficulty) for name in SITES}

    def counts(self, dataset: str) -> Counts:
        """The row of the preset's table."""
        return self.preset.counts[dataset]

    def image_size(self, dataset: str) -> tuple[int, int]:
        """Height and width of the images of a data set."""
        return self.preset.image_size or SITES[dataset].image_size


@dataclass
class PlanBuilder:
    """Builds the plan of a data set; used by the layouts."""

    spec: SyntheticSpec
    dataset: str
    images: list[ImagePlan] = field(default_factory=list)
    texts: dict[str, bytes] = field(default_factory=dict)
    num_taken: dict[int, int] = field(default_factory=dict)  # images of each person so far

    @property
    def population(self) -> Population:
        """The people of the data set."""
        return self.spec.populations[self.dataset]

    @property
    def counts(self) -> Counts:
        """The data set's row of the preset."""
        return self.spec.counts(self.dataset)

    @property
    def folder(self) -> str:
        """The data set's folder below the root."""
        return SITES[self.dataset].folder

    def next_shot(self, person: int, outfit: int, camera: int, *, infrared: bool = False) -> ShotKey:
        """The key of the person's next shot."""
        number = self.num_taken.get(person, 0)
        self.num_taken[person] = number + 1
        return ShotKey(self.dataset, person, outfit, camera, number, "ir" if infrared else "rgb")

    def shots_of_outfit(
        self, person: int, outfit: int, shots: Mapping[str, int]
    ) -> Iterator[tuple[str, ShotKey]]:
        """The images of a person in an outfit: under each camera so many for every part of the data set."""
        for camera in self.population.cameras_of_outfit(person, outfit, self.counts.cameras):
            for part, count in shots.items():
                for _ in range(count):
                    yield part, self.next_shot(person, outfit, camera)

    def add_image(self, key: ShotKey, *files: str | File) -> None:
        """Plan the files of a shot; a bare path, from the data set's folder, shows the whole image."""
        placed = tuple(File(file) if isinstance(file, str) else file for file in files)
        self.images.append(ImagePlan(key, tuple(File(f"{self.folder}/{f.path}", f.view) for f in placed)))

    def line(self, path: str, instruction: str, key: ShotKey, *, pid: int | None = None) -> str:
        """A shot's line in an official list; ``pid`` where it differs from the person's number."""
        clothes_id = self.population.clothes_id(key.person, key.outfit)
        return str(ListLine(path, instruction, key.person if pid is None else pid, clothes_id, key.camera))

    def write(self, path: str, lines: Iterable[str]) -> None:
        """Plan a text file, a line each, from the data set's folder."""
        self.texts[f"{self.folder}/{path}"] = "".join(f"{line}\n" for line in lines).encode("ascii")

    def finish(self, sizes: dict[str, int], overlaps: dict[str, str] | None = None) -> Plan:
        """The plan; ``sizes`` are the images (for `t2i` queries: captions) of each part."""
        paths = [file.path for image in self.images for file in image.files]
        assert len(set(paths)) == len(paths), f"{self.dataset}: one file name for two images"
        cameras = {image.key.camera for image in self.images if image.shows_person}
        ids = {"train_ids": self.counts.train_ids, "test_ids": self.counts.test_ids}
        summary = {**ids, **sizes, "cameras": len(cameras)}
        return Plan(self.dataset, tuple(self.images), self.texts, summary, overlaps or {})
