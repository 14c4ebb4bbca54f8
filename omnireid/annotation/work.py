"""The folder of an annotation in progress: the list of images, and a journal for each step."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from instructions.attributes import AttributeSet
from instructions.errors import InputError
from omnireid.annotation.journal import KINDS, Journal, Provenance
from omnireid.datasets.datalists import read_lines
from omnireid.files import make_folder, write_whole
from omnireid.loading.image import read_image
from omnireid.records import UNKNOWN, Record

FORMAT = "instruct-reid annotation work"
VERSION = 1
Step = Literal["attributes", "sentences", "crops", "templates", "decisions"]
PARTS = ("train", "gallery")  # whose images carry an instruction of their own
Progress = Callable[[int, int], None]  # done, of how many


@dataclass(frozen=True)
class ListedImage:
    """One line of the list of images: the official list without its instruction."""

    image: str  # relative to the root, or absolute
    pid: str
    clothes: str
    camera: str | None

    def line(self, instruction: str) -> str:
        """The line of an official list (IRM, appendix D)."""
        parts = (self.image, instruction, self.pid, self.clothes, self.camera)
        return " ".join(part for part in parts if part is not None)


@dataclass(frozen=True)
class Work:
    """An annotation in progress; ``start`` creates one, ``open`` continues it."""

    folder: Path
    root: Path  # what the images' paths are relative to
    dataset: str
    part: str

    @classmethod
    def start(cls, folder: Path, root: Path, dataset: str, part: str, images: Sequence[ListedImage]) -> Work:
        """Create the folder, or continue one with the same images.

        Raises:
            InputError: The folder holds other work, there is nothing to annotate, or no image is below
                the root.
        """
        if part not in PARTS:
            raise InputError(f"the part is {part!r}; images with an instruction of their own are {PARTS}")
        if not images:
            raise InputError("there are no images to annotate")
        for listed in images:
            if len(listed.image.split()) != 1:
                raise InputError(
                    f"the path {listed.image!r} has spaces, which the official lists do not allow; rename it"
                )
        work = cls(folder, root.resolve(), dataset, part)
        if not any(work.path(listed.image).is_file() for listed in images):
            raise InputError(f"{root} does not contain the images: there is no {root / images[0].image}")
        lines = "".join(f"{listed.line('-')}\n" for listed in images).encode()
        work._check_begun()
        path = folder / "pictures.txt"
        if path.is_file() and path.read_bytes() != lines:
            raise InputError(f"{folder} holds work on other images; choose another folder")
        make_folder(folder)
        content = {
            "format": FORMAT,
            "version": VERSION,
            "root": str(work.root),
            "dataset": dataset,
            "part": part,
        }
        write_whole(path, lines)
        write_whole(folder / "work.json", (json.dumps(content, indent=1) + "\n").encode(), durable=True)
        return work

    @classmethod
    def open(cls, folder: Path) -> Work:
        """Continue an annotation that was started.

        Raises:
            InputError: The folder holds none.
        """
        path = folder / "work.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["format"] != FORMAT or content["version"] != VERSION:
                raise ValueError("another format or version")
            return cls(folder, Path(content["root"]), content["dataset"], content["part"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{folder} holds no annotation work ({error}); begin with python -m tools.annotate start in "
                "a new folder"
            ) from None

    def _check_begun(self) -> None:
        """Refuse to take over a folder in which other work was begun."""
        if not (self.folder / "work.json").is_file():
            return
        begun = Work.open(self.folder)
        if (begun.dataset, begun.part) != (self.dataset, self.part):
            raise InputError(
                f"{self.folder} holds work on {begun.dataset} ({begun.part}), not on {self.dataset} "
                f"({self.part}); choose another folder"
            )
        if begun.root != self.root:
            raise InputError(
                f"{self.folder} holds work on images below {begun.root}, not below {self.root}; choose "
                f"another folder or, if they were moved, correct root in {self.folder / 'work.json'}"
            )

    def images(self) -> list[ListedImage]:
        """The images to annotate, in the order of the list."""
        return [
            ListedImage(line.image, line.pid, line.clothes, line.camera)
            for line in read_lines(self.folder / "pictures.txt")
        ]

    def path(self, image: str) -> Path:
        """The path of an image."""
        return self.root / image

    def pixels(
        self, images: Sequence[str], progress: Progress | None = None
    ) -> Iterator[tuple[str, UInt8[np.ndarray, "H W 3"] | None]]:
        """The pixels of these images in order; None for one that cannot be read."""
        for number, image in enumerate(images, start=1):
            try:
                pixels = read_image(self.path(image))
            except InputError:
                pixels = None
            if progress is not None:
                progress(number, len(images))
            yield image, pixels

    def journal(self, step: Step) -> Journal:
        """The findings of a step."""
        return Journal(self.folder / f"{step}.jsonl")

    def attributes(self) -> dict[str, tuple[AttributeSet, tuple[Provenance, ...]]]:
        """Attributes of each image and their sources: tables over models over rules, a person over all."""
        entries = sorted(self.journal("attributes").entries(), key=lambda entry: KINDS.index(entry.by.kind))
        known: dict[str, tuple[AttributeSet, tuple[Provenance, ...]]] = {}
        for entry in entries:
            words = AttributeSet(entry.value["words"])
            before, sources = known.get(entry.image, (AttributeSet({}), ()))
            # A person looked at all of them: what they left out is out.
            known[entry.image] = (
                words if entry.by.kind == "person" else before.merge(words),
                (*sources, entry.by),
            )
        return known


def images_of_list(path: Path) -> list[ListedImage]:
    """The images of an official list; its instructions are ignored, and repeated images are listed once.

    Raises:
        InputError: The file is no such list.
    """
    if not path.is_file():
        raise InputError(f"there is no list {path}")
    first: dict[str, ListedImage] = {}
    for line in read_lines(path):
        first.setdefault(line.image, ListedImage(line.image, line.pid, line.clothes, line.camera))
    return list(first.values())


def images_of_records(records: Iterable[Record], root: Path) -> list[ListedImage]:
    """The images of a data set that a reader read, with paths relative to the root where possible."""
    first: dict[str, ListedImage] = {}
    prefix = f"{root}/"
    for record in records:
        clothes = "-1" if record.clothes_id == UNKNOWN else str(record.clothes_id)
        image = record.image.removeprefix(prefix)
        first.setdefault(image, ListedImage(image, str(record.pid), clothes, str(record.camid)))
    return list(first.values())
