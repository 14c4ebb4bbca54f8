"""Exports annotations as official lists and captions, with the provenance of each."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from instructions.attributes import AttributeSet
from instructions.errors import InputError
from omnireid.annotation.crops import cut, standing_boxes
from omnireid.annotation.journal import Entry, Provenance
from omnireid.annotation.sentences import standing_sentences
from omnireid.annotation.work import ListedImage, Work
from omnireid.datasets.list_table import LISTS
from omnireid.datasets.load import lists_root
from omnireid.files import make_folder, write_whole
from omnireid.loading.image import read_image

CROPS, TEMPLATES = "croped_clothes", "templates"  # folders, as the released lists spell them
Instruct = Literal["crops", "templates", "both"]


@dataclass(frozen=True)
class Exported:
    """What was written: list and how many lines it has, and what was left out."""

    root: Path  # what the names of the lists are relative to
    lists: Mapping[str, int]
    num_unreviewed: int
    num_without: int  # reviewed or not, but with no instruction


@dataclass(frozen=True)
class _Clothes:
    path: str  # relative to the root of the lists
    source: Path
    box: tuple[int, int, int, int] | None  # None: the whole image is the template
    by: Provenance


def export(work: Work, out: Path, *, instruct: Instruct = "both", reviewed_only: bool = True) -> Exported:
    """Write the lists of the work's part, the captions, the clothes images, and the provenance.

    Args:
        work: What was annotated.
        out: The root of the lists, or a data root: the lists then go into the data set's own folder in it.
            They name images below it by their paths there, others by their absolute paths.
        instruct: Which clothes images ``ctcc`` lists name. "both" takes a picked template and the own
            crop by turns, so that a model learns from either.
        reviewed_only: Leave out what no person has decided on.

    Raises:
        InputError: The data set has no such lists, or nothing is left to write.
    """
    names = list_names(work.dataset, work.part)
    out = lists_root(out, work.dataset)
    _refuse_foreign(out, names)
    images = work.images()
    decided = work.journal("decisions").latest()
    kept = [listed for listed in images if listed.image in decided or not reviewed_only]
    if not kept:
        raise InputError(
            f"none of {len(images)} images has been reviewed; review them, or export with --unreviewed"
        )
    make_folder(out)
    lists: dict[str, int] = {}
    num_without = len(kept)
    has_line: set[str] = set()
    if "li" in names:
        sentences = standing_sentences(work)
        spoken = [
            listed for listed in kept if listed.image in sentences and sentences[listed.image].value["text"]
        ]
        lists |= _write_captions(work, out, names["li"], spoken, sentences)
        has_line |= {listed.image for listed in spoken}
    if "ctcc" in names:
        clothes = _clothes(work, kept, decided, instruct)
        lists |= _write_clothes(work, out, names["ctcc"][0], kept, clothes)
        has_line |= set(clothes)
    num_without -= len(has_line)
    if not any(lists.values()):
        raise InputError(f"none of {len(kept)} images has a text or clothes to export")
    return Exported(out, lists, len(images) - len(kept), num_without)


def list_names(dataset: str, part: str) -> dict[str, tuple[str, ...]]:
    """For each task with its own instructions: the name of its list, and of its caption file if it has one.

    Raises:
        InputError: The data set has no such lists.
    """
    found = _instructed_lists(dataset, part)
    if not found:
        offered = [each for each in dict.fromkeys(name for name, _ in LISTS) if _instructed_lists(each, part)]
        raise InputError(
            f"{dataset} has no {part} lists with instructions; data sets that have: {', '.join(offered)}"
        )
    return found


def _instructed_lists(dataset: str, part: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for task in ("li", "ctcc"):
        names = LISTS.get((dataset, task))
        if names is None:
            continue
        lists = (
            names.train if part == "train" else [pair[1] for pairs in names.test.values() for pair in pairs]
        )
        if lists:
            found[task] = (lists[0], *names.captions[:1])
    return found


def _write_captions(
    work: Work, out: Path, names: Sequence[str], images: Sequence[ListedImage], sentences: Mapping[str, Entry]
) -> dict[str, int]:
    keys = _unique_names(work)
    lines = [_placed(work, out, listed).line(keys[listed.image]) for listed in images]
    captions = {keys[listed.image]: sentences[listed.image].value["text"] for listed in images}
    attributes = work.attributes()
    sources = []
    for listed in images:
        words, by = attributes.get(listed.image, (AttributeSet({}), ()))
        written = sentences[listed.image]
        sources.append(
            {
                "image": listed.image,
                "key": keys[listed.image],
                "attributes": words.to_dict(),
                "attributes_by": [asdict(one) for one in by],
                "missing": written.value["missing"],
                "sentence_by": asdict(written.by),
                "writer": written.value["writer"],  # a model's text may be the template writer's in whole
            }
        )
    _write_list(out, names[0], lines, sources)
    write_whole(
        out / "datalist" / names[1],
        (json.dumps(captions, ensure_ascii=False, indent=0) + "\n").encode(),
        durable=True,
    )
    return {f"datalist/{names[0]}": len(lines)}


def _clothes(
    work: Work, images: Sequence[ListedImage], decided: Mapping[str, Entry], instruct: Instruct
) -> dict[str, _Clothes]:
    """The clothes image that instructs each image; images without any are left out."""
    boxes, crops = standing_boxes(work), work.journal("crops").latest()
    own, names = _Names(), _Names()
    crop_names = {image: own.of(image, f"{Path(key).stem}.jpg") for image, key in _unique_names(work).items()}
    found: dict[str, _Clothes] = {}
    for number, listed in enumerate(images):
        image = listed.image
        entry = decided.get(image)
        offers = []
        if entry is not None and entry.value["template"]:
            if entry.value.get("shop") is None:  # written by an older version
                raise InputError(
                    f"the decision on {image} does not record which shop its template is from; apply the "
                    f"file of decisions again with tools.annotate decide in a new work folder"
                )
            template = Path(entry.value["shop"], entry.value["template"])
            name = "_".join(entry.value["template"].replace("/", "_").split())
            path = f"{TEMPLATES}/{names.of(str(template), name)}"
            offers.append(("templates", _Clothes(path, template, None, entry.by)))
        if image in boxes and (entry is None or entry.value["crop"] is not False):
            path = f"{CROPS}/{crop_names[image]}"
            by = crops[image].by if entry is None else entry.by
            offers.append(("crops", _Clothes(path, work.path(image), boxes[image], by)))
        if instruct != "both":
            offers = [offer for offer in offers if offer[0] == instruct]
        if offers:
            found[image] = offers[number % len(offers)][1]
    return found


def _write_clothes(
    work: Work, out: Path, name: str, images: Sequence[ListedImage], clothes: Mapping[str, _Clothes]
) -> dict[str, int]:
    dressed = [listed for listed in images if listed.image in clothes]
    lines = [_placed(work, out, listed).line(clothes[listed.image].path) for listed in dressed]
    sources: list[dict[str, Any]] = []
    written: set[str] = set()
    for listed in dressed:
        wears = clothes[listed.image]
        path = out / wears.path
        if wears.path not in written:
            path.parent.mkdir(parents=True, exist_ok=True)
            content = _image(wears)
            if wears.box is None and path.exists() and path.read_bytes() != content:
                raise InputError(
                    f"{path} is not the same image as {wears.source}; export into another folder with --out"
                )
            write_whole(path, content)
            written.add(wears.path)
        sources.append(
            {
                "image": listed.image,
                "clothes": wears.path,
                "box": wears.box,
                "source": str(wears.source) if wears.box is None else None,
                "clothes_by": asdict(wears.by),
            }
        )
    _write_list(out, name, lines, sources)
    return {f"datalist/{name}": len(lines)}


def _image(wears: _Clothes) -> bytes:
    """The template's own bytes, or the crop as a JPEG."""
    if wears.box is None:
        return wears.source.read_bytes()
    buffer = io.BytesIO()
    Image.fromarray(cut(read_image(wears.source), wears.box)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def _refuse_foreign(out: Path, names: Mapping[str, Sequence[str]]) -> None:
    """Refuse to overwrite lists that this pipeline did not write."""
    for name, *_ in names.values():
        path = out / "datalist" / name
        if path.exists() and not path.with_name(f"{path.stem}.provenance.jsonl").exists():
            raise InputError(
                f"{path} was not written by this pipeline; export into another folder with --out"
            )


def _write_list(out: Path, name: str, lines: Sequence[str], sources: Sequence[Mapping[str, Any]]) -> None:
    """A list, and line for line beside it where each comes from."""
    folder = out / "datalist"
    folder.mkdir(parents=True, exist_ok=True)
    told = "".join(f"{json.dumps(source, ensure_ascii=False)}\n" for source in sources)
    write_whole(folder / f"{Path(name).stem}.provenance.jsonl", told.encode())
    write_whole(folder / name, "".join(f"{line}\n" for line in lines).encode(), durable=True)


def _placed(work: Work, out: Path, listed: ListedImage) -> ListedImage:
    if out.resolve() == work.root:
        return listed
    path = str(work.path(listed.image)).removeprefix(f"{out.resolve()}/")
    if len(path.split()) != 1:
        raise InputError(f"the path {path!r} has spaces; export into {work.root} itself")
    return ListedImage(path, listed.pid, listed.clothes, listed.camera)


def _unique_names(work: Work) -> dict[str, str]:
    """A key for each image: its file name, with its folders where that is not unique."""
    images = [listed.image for listed in work.images()]
    times: dict[str, int] = {}
    for image in images:
        name = image.rpartition("/")[2]
        times[name] = times.get(name, 0) + 1
    names = _Names()
    return {
        image: names.of(
            image,
            image.rpartition("/")[2]
            if times[image.rpartition("/")[2]] == 1
            else image.strip("/").replace("/", "_"),
        )
        for image in images
    }


class _Names:
    """Unique file names for images."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}
        self._owner: dict[str, str] = {}

    def of(self, image: str, wish: str) -> str:
        """The requested name, with a number added where another image has it."""
        if image not in self._given:
            name, number = Path(wish), 1
            while (found := wish if number == 1 else f"{name.stem}-{number}{name.suffix}") in self._owner:
                number += 1
            self._given[image] = found
            self._owner[found] = image
        return self._given[image]
