"""Train IRM from a run sheet: `python -m tools.train CONFIG.yaml [key.path=value ...] --out RUN`."""

import argparse
from pathlib import Path

from rich.console import Console

from instructions.errors import InputError
from tools._program import Parser, run

EXAMPLE = """example:
  python -m tools.synthesize --out data/tiny --preset tiny
  python -m tools.train configs/irm/tiny.yaml optimizer.steps=40 --out runs/tiny
  python -m tools.train configs/irm/tiny.yaml optimizer.steps=40 --out runs/tiny --resume
  torchrun --nproc-per-node 8 -m tools.train configs/irm/omnireid.yaml --out runs/omnireid

RUN gets config.yaml (the resolved sheet), metrics.jsonl, tensorboard/, checkpoints/ and, at the end, model/.
Several processes share each batch and train as one would. Ctrl-C or SIGTERM ends the step, saves and leaves;
the same command with --resume goes on as if it had never stopped."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    # Not jsonargparse: it has no intermixed parsing, so `CONFIG --out RUN key=value` would be refused.
    made = Parser(
        prog="python -m tools.train",
        description="Train IRM from a run sheet.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "config", type=Path, metavar="CONFIG.yaml", help="run sheet, e.g. configs/irm/tiny.yaml"
    )
    made.add_argument(
        "overrides", nargs="*", metavar="key.path=value", help="settings that replace the sheet's"
    )
    made.add_argument("--out", type=Path, metavar="RUN", help="folder of the run; new or empty")
    made.add_argument("--data", metavar="DIR", help="the folder that holds the data sets; same as data=DIR")
    made.add_argument(
        "--resume", action="store_true", help="go on from RUN's newest checkpoint; an empty RUN is a start"
    )
    made.add_argument(
        "--print-config", "--print_config", action="store_true", help="print the resolved sheet and stop"
    )
    return made


def main() -> None:
    """Parse, train, say how it ended."""
    arguments = parser().parse_intermixed_args()
    # Heavy imports wait until --help and mistyped options have had their say.
    from irm.config import dump, read_run

    sheet = read_run(arguments.config, arguments.overrides)
    if arguments.data is not None:
        sheet = sheet.model_copy(update={"data": arguments.data})
    if arguments.print_config:
        print(dump(sheet), end="")
        return
    if arguments.out is None:
        raise InputError("--out RUN is missing; e.g. --out runs/tiny")
    from irm.training.run import train_run

    summary = train_run(sheet, arguments.out, resume=arguments.resume, console=Console())
    if summary.rank:
        return
    minutes = summary.seconds / 60
    if summary.start == summary.steps:
        print(f"{summary.out}: nothing left to train, all {summary.steps} steps were taken before")
    elif summary.is_finished:
        print(f"{summary.out}: {summary.step} steps in {minutes:.1f} min; the model is in {summary.model}")
    else:
        print(f"{summary.out}: stopped after step {summary.step} of {summary.steps}; go on with --resume")
    for domain, loss in summary.losses.items():
        print(f"  {domain:<20} loss {loss:.4f}")


if __name__ == "__main__":
    run(main)
