"""Write captions of a ReID data set and their continuations: `python -m tools.write_continuations --help`."""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from instructions.errors import InputError
from tools._program import DEVICES, print_line, program_parser, progress_bar, run

if TYPE_CHECKING:
    from irm.pretraining.continuations import Answers
    from omnireid.captioning.attach import Caption, Coverage
    from omnireid.captioning.sources import Described
    from omnireid.records import Split

EXAMPLE = """examples:
  python -m tools.write_continuations --data data/omnireid --dataset market1501 --captions cuhk_pedes \\
    --llm meta-llama/Llama-2-7b-chat-hf --out runs/words/market1501
  python -m tools.write_continuations --data data/omnireid --dataset msmt17 --variant train_val \\
    --captions icfg_pedes,rstpreid --llm smollm2 --out runs/words/msmt17

OUT gets captions.jsonl (one training image per line: its captions, their source and how they were matched)
and continuations.jsonl, to which every batch is appended: the same command resumes an interrupted run and
repeats nothing; other captions or another --reach need another OUT. A sheet of tools.pretrain names OUT as
`words` of its data set."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = program_parser(
        "write_continuations",
        "Attach captions to a ReID data set's training images and let a language model continue them.",
        EXAMPLE,
    )
    made.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder that holds the data sets"
    )
    made.add_argument("--dataset", required=True, metavar="NAME", help="ReID data set, e.g. market1501")
    made.add_argument("--variant", metavar="NAME", help="its variant, e.g. train_val for msmt17")
    made.add_argument(
        "--captions",
        required=True,
        metavar="a,b",
        help="sources of its captions: cuhk_pedes, icfg_pedes, rstpreid; own: those of the data set itself",
    )
    made.add_argument(
        "--reach",
        choices=("own", "same_camera", "same_person"),
        default="same_camera",
        help="to which images without captions they are extended (same_camera: same person and camera)",
    )
    made.add_argument(
        "--llm", metavar="MODEL", help="hub id, folder, .gguf file or smollm2 (default: captions only)"
    )
    made.add_argument(
        "--backend",
        choices=("transformers", "vllm"),
        default="transformers",
        help="library that runs the model; vllm, for many captions, needs a GPU and that package",
    )
    made.add_argument("--out", type=Path, required=True, metavar="OUT", help="output folder")
    made.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        help="captions per batch; each batch is saved (default: 16; vllm: 1024)",
    )
    made.add_argument("--limit", type=int, metavar="N", help="continue only the first N captions")
    made.add_argument("--device", default="auto", choices=DEVICES, help="device of the model")
    return made


def main() -> None:
    """Parse, attach captions, continue them, print a summary."""
    args = parser().parse_args()
    for name in ("batch_size", "limit"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise InputError(f"--{name.replace('_', '-')} is {value}; give a number above zero")
    console = Console(markup=False)
    captions = _captions(args, console)
    if args.llm is not None:
        _continue(args, captions, console)


def _captions(args: argparse.Namespace, console: Console) -> "tuple[Caption, ...]":
    """The captions of the training images: those that OUT already has, or attached now."""
    from omnireid.captioning.attach import FILE_NAME
    from omnireid.captioning.origin import LEDGER, Origin, inputs_digest, keep_captions, known_captions
    from omnireid.captioning.sources import read_source
    from omnireid.datasets import dataset_named, load_split
    from omnireid.files import make_folder

    names = _source_names(args)
    is_own = names == ("own",)
    described = {} if is_own else {name: read_source(args.data, name) for name in names}
    task = dataset_named(args.dataset).card.tasks[0] if is_own else "trad"
    split = load_split(args.data, args.dataset, task, args.variant)
    inputs = inputs_digest(split, described, args.data)
    origin = Origin(args.dataset, args.variant, names, "own" if is_own else args.reach, inputs)
    known = known_captions(args.out, origin)
    path = args.out / FILE_NAME
    if known is not None:
        for sentence in (*known.report, f"captions: {path} (as before)"):
            print_line(console, sentence)
        return known.captions
    make_folder(args.out)
    captions, coverage = _attached(args, split, described, console)
    for sentence in coverage.sentences():
        print_line(console, sentence)
    if not captions:
        raise InputError(f"no training image of {args.dataset} has captions, so there is nothing to continue")
    is_rewritten = path.is_file() and (args.out / LEDGER).is_file()
    keep_captions(args.out, origin, captions, coverage)
    because = " (rewritten, because images or captions changed)" if is_rewritten else ""
    print_line(console, f"captions: {path}{because}")
    return captions


def _source_names(args: argparse.Namespace) -> tuple[str, ...]:
    """The sources of captions; those that describe other data sets are refused."""
    from omnireid.captioning.sources import SOURCES

    names = tuple(name.strip() for name in args.captions.split(","))
    if "own" in names and len(names) > 1:
        raise InputError("--captions own stands alone; other sources describe images of other data sets")
    for name in names:
        if name in SOURCES and args.dataset not in SOURCES[name].describes:
            known = ", ".join(SOURCES[name].describes)
            raise InputError(f"{name} describes no images of {args.dataset} (it describes {known})")
    return names


def _attached(
    args: argparse.Namespace,
    split: "Split",
    described: "Mapping[str, Sequence[Described]]",
    console: Console,
) -> "tuple[tuple[Caption, ...], Coverage]":
    """Captions of the sources, or without sources the data set's own, on the training images."""
    from omnireid.captioning.attach import Coverage, attach_captions, own_captions

    if not described:
        captions = own_captions(split.train, args.data, args.dataset)
        people = len({record.pid for record in split.train})
        return captions, Coverage(len(captions), len(split.train), people, {"own": len(captions)}, {})
    with _bar(console, "comparing images") as show:
        return attach_captions(split, described, args.data, reach=args.reach, progress=show)


def _continue(args: argparse.Namespace, captions: "tuple[Caption, ...]", console: Console) -> None:
    """Let the language model continue every caption that is not yet in the cache."""
    from irm.build import as_input_errors
    from irm.pretraining.continuations import write_continuations
    from omnireid.captioning.continuations import FILE_NAME, ContinuationCache, distinct
    from omnireid.files import sole_writer

    wanted = distinct(text for caption in captions for text in caption.captions)[: args.limit]
    refusal = f"another process is writing continuations in {args.out}; wait for it, or name another --out"
    with sole_writer(args.out, refusal):
        cache = ContinuationCache(args.out / FILE_NAME)
        known = len(cache)
        with as_input_errors():
            writer = _writer(args)
        with _bar(console, "continuing captions") as show:
            made = write_continuations(writer, wanted, cache, progress=show)
    useless = sum(not each.text for each in made)
    print_line(
        console,
        f"continuations: {len(made)} of {len(wanted)} captions, {len(cache) - known} generated now, "
        f"{useless} unusable (empty or a repeated caption); {args.out / FILE_NAME}",
    )
    others = {model: count for model, count in cache.models(set(wanted)).items() if model != args.llm}
    if others:
        told = ", ".join(f"{count} continuations by {model}" for model, count in others.items())
        console.print(
            f"the same captions also have {told}; "
            "training draws from all of them, so move the file away to use one model's only",
            highlight=False,
            soft_wrap=True,
        )
    for each in [each for each in made if each.text][:3]:
        print_line(console, f"  {each.caption}\n    -> {each.text}")


def _writer(args: argparse.Namespace) -> "Answers":
    """The language model of the chosen backend."""
    from irm.build import choose_device
    from irm.mllm.parts import load_tokenizer, load_writing_model
    from irm.pretraining.continuations import Writer
    from irm.pretraining.vllm_writer import VLLMWriter

    if args.backend == "vllm":
        return VLLMWriter.load(args.llm, batch_size=args.batch_size or 1024)
    model = load_writing_model(args.llm, choose_device(args.device))
    return Writer(model, load_tokenizer(args.llm), args.llm, batch_size=args.batch_size or 16)


@contextmanager
def _bar(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar that appears with the first report; without a terminal, a line for every tenth."""
    with progress_bar(console, len(what)) as bar:
        line = bar.add_task(what, total=None)
        shown = 0

        def show(done: int, total: int) -> None:
            nonlocal shown
            bar.update(line, completed=done, total=total)
            if not console.is_terminal and (done == total or done >= shown + total / 10):
                shown = done
                console.print(f"{what}: {done}/{total}", highlight=False)

        yield show


if __name__ == "__main__":
    run(main)
