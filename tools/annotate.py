"""Annotate images as in OmniReID: `python -m tools.annotate STEP WORK`, attributes to lists."""

import argparse
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from tools._program import DEVICES, print_line, program_parser, progress_bar, run

if TYPE_CHECKING:
    from instructions.sentences import SentenceWriter
    from omnireid.annotation import AttributeProposer, HumanParser, Work

EXAMPLE = """the steps, in order; an interrupted step resumes when run again:
  python -m tools.annotate start WORK --list train.txt --root data/real1 --dataset cocas_real1
  python -m tools.annotate attributes WORK --csv attributes.csv
  python -m tools.annotate attributes WORK --model person-attributes-recognition-crossroad-0230.xml
  python -m tools.annotate sentences WORK            from templates, or by a language model: --llm FOLDER
  python -m tools.annotate crops WORK --model u2net_cloth.onnx    without --model: a fixed band of the image
  python -m tools.annotate templates WORK --shop shop_pictures/
  python -m tools.annotate review WORK               WORK/review/page-0001.html, for any browser
  python -m tools.annotate decide WORK decisions.json
  python -m tools.annotate export WORK               lists and captions that omnireid.datasets reads

docs/annotation.md says where to get the models and what each file holds."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = program_parser(
        "annotate", "Annotate images of people: attributes, sentences, clothes crops and templates.", EXAMPLE
    )
    steps = made.add_subparsers(dest="step", metavar="STEP", required=True)

    def step(name: str, text: str) -> Callable[..., argparse.Action]:
        sub = steps.add_parser(name, help=text, description=text)
        sub.add_argument("work", type=Path, metavar="WORK", help="folder of the work in progress")
        return sub.add_argument

    add = step("start", "choose the images: those of a list, or of a data set")
    add("--dataset", required=True, metavar="NAME", help="data set to write lists for, e.g. cocas_real1")
    add("--part", default="train", metavar="PART", help="train or gallery (default: train)")
    add("--list", type=Path, metavar="FILE", help="lines of image, anything, person, clothes and camera")
    add("--root", type=Path, metavar="DIR", help="base folder of the list's paths, e.g. data/real1")
    add("--data", type=Path, metavar="DIR", help="instead of a list: the folder that holds the data sets")
    add = step("attributes", "import attributes from a table, or predict them with a model")
    add("--csv", type=Path, metavar="FILE", help="columns: image, and any of the 20 attributes")
    add("--model", type=Path, metavar="FILE", help="Intel's crossroad-0230 for OpenVINO (.xml)")
    add("--zero-shot", metavar="NAME", help="folder or hub id of CLIP, SigLIP or the like")
    add("--device", default="auto", choices=DEVICES, help="device of --zero-shot (--model runs on the CPU)")
    add = step("sentences", "describe each image from its attributes")
    add("--llm", type=Path, metavar="DIR", help="folder of a causal language model (default: templates)")
    add("--seed", type=int, default=0, metavar="N", help="random seed of the wording (default: 0)")
    add("--device", default="auto", choices=DEVICES, help="device of the language model (default: auto)")
    add = step("crops", "cut out upper clothes")
    add("--model", type=Path, metavar="FILE", help="u2net_cloth_seg (.onnx); default: a fixed image band")
    add = step("templates", "propose shop images for each crop")
    add("--shop", type=Path, required=True, metavar="DIR", help="folder of images of clothes")
    add("--count", type=int, default=40, metavar="N", help="templates proposed per crop (default: 40)")
    add = step("review", "write the HTML sheet on which a person reviews the proposals")
    add("--all", action="store_true", help="also show images that are already reviewed")
    add("--per-page", type=int, default=50, metavar="N", help="images per page (default: 50)")
    add = step("decide", "apply the decisions exported from a sheet")
    add("files", type=Path, nargs="+", metavar="FILE", help="files of decisions, oldest first")
    add = step("export", "write the official lists, captions and clothes images")
    add("--out", type=Path, metavar="DIR", help="root of the lists, or a data root (the images' root)")
    add("--instruct", default="both", metavar="WHAT", help="ctcc: crops, templates or both (default: both)")
    add("--unreviewed", action="store_true", help="also export images that no one has reviewed")
    return made


def main() -> None:
    """Run one step."""
    args = parser().parse_args()
    console = Console(markup=False)
    now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    for line in STEPS[args.step](args, now, console):
        print_line(console, line)


def _start(args: argparse.Namespace, now: str, console: Console) -> Iterator[str]:  # noqa: ARG001
    from instructions.errors import InputError
    from omnireid.annotation.export import list_names
    from omnireid.annotation.work import PARTS, Work, images_of_list, images_of_records
    from omnireid.datasets import load_split
    from omnireid.datasets.catalog import dataset_named

    entry = dataset_named(args.dataset)
    if args.part in PARTS:  # now, not after weeks of work
        list_names(entry.card.name, args.part)
    if (args.list is None) == (args.data is None):
        raise InputError("give either --list FILE with --root DIR, or --data DIR")
    if args.list is not None:
        if args.root is None or not args.root.is_dir():
            raise InputError(
                f"--root is {args.root}; give the folder that the paths of {args.list} are relative to"
            )
        root, images = args.root, images_of_list(args.list)
    else:
        if not entry.raw_tasks:
            raise InputError(
                f"the raw layout of {args.dataset} is not supported; give --list FILE and --root DIR"
            )
        split = load_split(args.data, args.dataset, entry.raw_tasks[0], source="raw")
        root = args.data
        images = images_of_records(split.train if args.part == "train" else split.gallery, root)
    work = Work.start(args.work, root, args.dataset, args.part, images)
    yield f"{len(images)} images of {work.dataset} ({work.part}) to annotate in {args.work}"


def _attributes(args: argparse.Namespace, now: str, console: Console) -> Iterator[str]:
    from instructions.errors import InputError
    from omnireid.annotation.attributes import import_table, propose

    work = _open(args)
    given = [name for name in ("csv", "model", "zero_shot") if getattr(args, name) is not None]
    if len(given) != 1:
        raise InputError("give one of --csv FILE, --model FILE and --zero-shot NAME")
    if args.csv is not None:
        yield f"{import_table(work, args.csv, now=now)} images have attributes from {args.csv}"
        return
    with _bar(console, "attributes") as show:
        num_new, num_unreadable = propose(work, _proposer(args), now=now, progress=show)
    yield f"the model predicted attributes of {num_new} more images"
    yield from _unreadable(num_unreadable)


def _unreadable(count: int) -> Iterator[str]:
    if count:
        yield f"{count} images could not be read; python -m tools.check_data names them"


def _proposer(args: argparse.Namespace) -> "AttributeProposer":
    if args.model is not None:
        from omnireid.annotation.openvino_models import CrossroadAttributes

        return CrossroadAttributes(args.model)
    from irm.build import choose_device
    from omnireid.annotation.zero_shot import TransformersEncoder, ZeroShotProposer

    encoder = TransformersEncoder(args.zero_shot, str(choose_device(args.device)))
    return ZeroShotProposer(encoder, Path(args.zero_shot).name, encoder.version())


def _sentences(args: argparse.Namespace, now: str, console: Console) -> Iterator[str]:
    from omnireid.annotation.sentences import write_sentences

    work = _open(args)
    writer, name, version = _writer(args)
    with _bar(console, "sentences") as show:
        num_new, num_lacking = write_sentences(
            work, writer, name=name, version=version, seed=args.seed, now=now, progress=show
        )
    yield f"{num_new} more images are described by {name}"
    if args.llm is not None:
        entries = work.journal("sentences").entries()
        source = (name, version, args.seed)
        num_fallen = sum(
            entry.value["writer"] == "template" for entry in entries if entry.by.source == source
        )
        yield f"{num_fallen} texts of {name} are the template writer's, because the model named no attribute"
    if num_lacking:
        yield f"{num_lacking} of the texts lack an attribute; the review sheet marks them"


def _writer(args: argparse.Namespace) -> "tuple[SentenceWriter, str, str]":
    from instructions.errors import InputError
    from instructions.sentences import LLMWriter, TemplateWriter
    from irm.build import as_input_errors, choose_device
    from irm.mllm.parts import load_tokenizer, load_writing_model
    from omnireid.files import sha256_of

    if args.llm is None:
        return TemplateWriter(), "template writer", "1"
    weights = sorted(args.llm.glob("*.safetensors")) if args.llm.is_dir() else []
    if not weights:
        raise InputError(f"{args.llm} is not the folder of a language model (it has no .safetensors)")
    digest = hashlib.sha256()
    for path in weights:
        digest.update(bytes.fromhex(sha256_of(path)))
    device = choose_device(args.device)
    with as_input_errors():
        writer = LLMWriter(load_writing_model(str(args.llm), device), load_tokenizer(str(args.llm)))
    return writer, args.llm.name, digest.hexdigest()[:16]


def _crops(args: argparse.Namespace, now: str, console: Console) -> Iterator[str]:
    from omnireid.annotation.crops import BandParser, crop_clothes
    from omnireid.annotation.openvino_models import ClothParser

    work = _open(args)
    human_parser: HumanParser = BandParser() if args.model is None else ClothParser(args.model)
    with _bar(console, "crops") as show:
        num_new, num_empty, num_unreadable = crop_clothes(work, human_parser, now=now, progress=show)
    yield f"{num_new} more images were parsed by {human_parser.name}; {num_empty} show no upper clothes"
    yield from _unreadable(num_unreadable)


def _templates(args: argparse.Namespace, now: str, console: Console) -> Iterator[str]:
    from instructions.errors import InputError
    from omnireid.annotation.templates import ColorDescriber, propose_templates

    if args.count < 1:
        raise InputError(f"--count is {args.count}; give a number above zero")
    work = _open(args)
    with _bar(console, "templates") as show:
        num_new = propose_templates(
            work, args.shop, ColorDescriber(), now=now, count=args.count, progress=show
        )
    yield f"{num_new} more crops have templates proposed from {args.shop}"


def _review(args: argparse.Namespace, now: str, console: Console) -> Iterator[str]:  # noqa: ARG001
    from instructions.errors import InputError
    from omnireid.annotation.review import write_review

    if args.per_page < 1:
        raise InputError(f"--per-page is {args.per_page}; give a number above zero")
    work = _open(args)
    with _bar(console, "review") as show:
        pages, num_unreadable = write_review(work, everything=args.all, per_page=args.per_page, progress=show)
    yield f"{len(pages)} pages to review; start with {pages[0]}"
    yield from _unreadable(num_unreadable)


def _decide(args: argparse.Namespace, now: str, console: Console) -> Iterator[str]:  # noqa: ARG001
    from omnireid.annotation.decisions import apply_decisions

    work = _open(args)
    for path in args.files:
        found = apply_decisions(work, path, now=now)
        told = f"{found.num_new} more decisions of {path}"
        lacking = f"; {found.num_lacking} of their texts do not name every attribute"
        yield told + (lacking if found.num_lacking else "")
        if found.num_void:
            yield (
                f"{found.num_void} texts are outdated because an attribute changed; "
                f"regenerate them with python -m tools.annotate sentences {args.work}"
            )
    num_decided = len(work.journal("decisions").latest())
    yield f"{num_decided} of {len(work.images())} images are reviewed"


def _export(args: argparse.Namespace, now: str, console: Console) -> Iterator[str]:  # noqa: ARG001
    from instructions.errors import InputError, near_miss
    from omnireid.annotation.export import export

    known = ("crops", "templates", "both")
    if args.instruct not in known:
        hint = near_miss(args.instruct, known)
        raise InputError(f"--instruct is {args.instruct!r}{hint}; known are {', '.join(known)}")
    work = _open(args)
    out = args.out or work.root
    found = export(work, out, instruct=args.instruct, reviewed_only=not args.unreviewed)
    for name, count in found.lists.items():
        yield f"{found.root / name}: {count} lines, with a provenance file next to them"
    if found.num_unreviewed:
        yield f"{found.num_unreviewed} images were left out because no one has reviewed them"
    if found.num_without:
        yield f"{found.num_without} images were left out because they were rejected or have no instruction"


STEPS = {
    "start": _start,
    "attributes": _attributes,
    "sentences": _sentences,
    "crops": _crops,
    "templates": _templates,
    "review": _review,
    "decide": _decide,
    "export": _export,
}


def _open(args: argparse.Namespace) -> "Work":
    from omnireid.annotation.work import Work

    return Work.open(args.work)


@contextmanager
def _bar(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    with progress_bar(console, 12) as bar:
        line = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(line, completed=done, total=total)


if __name__ == "__main__":
    run(main)
