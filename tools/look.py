"""Inspect a run: `python -m tools.look RUN --image F [--text T] --out look.png`; or its embeddings."""

import argparse
from pathlib import Path

from instructions.errors import InputError
from tools._program import need_libraries, program_parser, refuse_unwritable, run, waiting

EXAMPLE = """examples:
  python -m tools.look runs/demo/run --image someone.jpg --out look.png
  python -m tools.look runs/demo/run --image someone.jpg --task cc --out look.png
  python -m tools.look runs/demo/run --image someone.jpg --text "a man in a red coat" --out look.png
  python -m tools.look runs/demo/run --image someone.jpg --clothes coat.jpg --out look.png

The figure shows where the class token attends, where and how strongly the instruction acts in each layer and
head, how far each gate is open, and which words are attended to (docs/inside.md explains how to read it).

Where a split lies in the space of features, in TensorBoard's projector:
  python -m tools.look runs/demo/run --projector runs/demo/projector --data data/demo --dataset market1501
  tensorboard --logdir runs/demo/projector

That folder then holds thumbnails of the people of the split: treat it as you treat the data set."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = program_parser(
        "look",
        "Draw a model's attention to image and instruction, or write a split's features for TensorBoard.",
        EXAMPLE,
    )
    add = made.add_argument
    add("run", type=Path, metavar="RUN", help="run folder of tools.train, or a model folder")
    add("--image", type=Path, metavar="F", help="image of a person")
    add("--text", metavar="T", help="instruction in words")
    add("--clothes", type=Path, metavar="F", help="instruction as an image of clothes")
    add(
        "--task",
        metavar="t",
        help="trad, cc, vi, ctcc, li or t2i (default with --text: li; with --clothes: ctcc)",
    )
    add("--out", type=Path, metavar="FILE", help="PNG file to write")
    group = made.add_argument_group("embeddings in TensorBoard's projector")
    add = group.add_argument
    add("--projector", type=Path, metavar="DIR", help="folder to write; it will hold thumbnails of people")
    add("--data", type=Path, metavar="DIR", help="folder that holds the data sets (default: the sheet's)")
    add("--dataset", metavar="NAME", help="data set whose test part is embedded, e.g. market1501")
    add("--variant", metavar="NAME", help="variant of the data set (default: its first)")
    add(
        "--limit",
        type=int,
        default=2000,
        metavar="N",
        help="maximum number of queries and of gallery images (default: 2000)",
    )
    add("--no-thumbnails", action="store_true", help="draw dots instead of thumbnails")
    return made


def main() -> None:
    """Parse, look, write."""
    args = parser().parse_args()
    if (args.image is None) == (args.projector is None):
        raise InputError("name what to inspect: --image F --out FILE, or --projector DIR --dataset NAME")
    if args.image is not None:
        _draw(args)
    else:
        _project(args)


def _draw(args: argparse.Namespace) -> None:
    if args.out is None:
        raise InputError("--out is missing; name the figure to write, e.g. --out look.png")
    if args.out.suffix.lower() != ".png":
        raise InputError(f"--out is {args.out}; the figure is a PNG, so the name must end in .png")
    need_libraries("drawing", ("matplotlib",), extra="report")
    refuse_unwritable(args.out)
    with waiting("loading the model"):
        # Heavy imports come after parsing, so that --help and mistyped options answer at once.
        from irm.inside.drawing import draw
        from irm.inside.inspection import inspect_image
        from irm.retrieval import SearchModel
        from omnireid.files import write_whole
        from omnireid.loading.image import read_image

        image = read_image(args.image)
        clothes = None if args.clothes is None else read_image(args.clothes)
        model = SearchModel.load(args.run)
    inspection = inspect_image(model, image, task=args.task, text=args.text, clothes=clothes)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(args.out, draw(inspection, subtitle=f"{args.run.name} {model.fingerprint[:12]}"))
    print(f"{args.out}: task {inspection.task}, {inspection.instruction or 'no instruction'}")


def _project(args: argparse.Namespace) -> None:
    """Write the features of a split with the labels of each image."""
    if args.dataset is None:
        raise InputError(
            "--dataset is missing; name the data set whose test part to embed, e.g. --dataset market1501"
        )
    if args.limit < 1:
        raise InputError(f"--limit is {args.limit}; give a number above zero")
    from irm.build import instruction_settings_of
    from irm.evaluation import open_run, trained_embedder
    from irm.inside.projector import thin_out, write_projector
    from omnireid.datasets import dataset_named, load_split
    from omnireid.tasks import TASKS

    opened = open_run(args.run)
    trained = [row.task for row in opened.sheet.mixture]
    offered = dataset_named(args.dataset).card.tasks
    task = args.task or next((task for task in offered if task in trained), offered[0])
    if task not in TASKS:
        raise InputError(f"there is no task {task!r}; known: {', '.join(TASKS)}")
    root = args.data or Path(opened.sheet.data)
    instruction_settings = instruction_settings_of(opened.sheet)
    split = load_split(
        root,
        args.dataset,
        task,
        args.variant,
        keep_clothes_image=instruction_settings.keeps_clothes_image(task),
    )
    embedder = trained_embedder(opened)
    count = write_projector(
        args.projector,
        embedder,
        thin_out(split, args.limit),
        instruction_settings.task(task),
        thumbnails=not args.no_thumbnails,
    )
    holds = "no images" if args.no_thumbnails else "images of people"
    print(f"{args.projector}: {count} points and {holds}; look at them with")
    print(f"  tensorboard --logdir {args.projector}")


if __name__ == "__main__":
    run(main)
