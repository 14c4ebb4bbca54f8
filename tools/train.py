"""Train IRM from a run sheet: `python -m tools.train CONFIG.yaml [key.path=value ...] --out RUN`."""

from rich.console import Console

from tools._program import Parser, run
from tools._training import print_summary, resolved_sheet, run_folder, sheet_parser

EXAMPLE = """example:
  python -m tools.synthesize --out data/tiny --preset tiny
  python -m tools.train configs/irm/tiny.yaml optimizer.steps=40 --out runs/tiny
  python -m tools.train configs/irm/tiny.yaml optimizer.steps=40 --out runs/tiny --resume
  torchrun --nproc-per-node 8 -m tools.train configs/irm/omnireid.yaml --out runs/omnireid

RUN gets config.yaml (the resolved sheet), metrics.jsonl, tensorboard/, checkpoints/ and, at the end, model/.
Several processes share each batch and give the same result as one. Ctrl-C or SIGTERM finishes the step, saves
and exits; the same command with --resume continues as if it had never stopped."""


def parser() -> Parser:
    """The command line."""
    return sheet_parser("train", "Train IRM from a run sheet.", EXAMPLE, sheet="configs/irm/tiny.yaml")


def main() -> None:
    """Parse, train, print a summary."""
    arguments = parser().parse_intermixed_args()
    # Heavy imports come after parsing, so that --help and mistyped options answer at once.
    from irm.config import read_run

    sheet = resolved_sheet(arguments, read_run)
    if sheet is None:
        return
    out = run_folder(arguments)
    from irm.training.run import train_run

    print_summary(train_run(sheet, out, resume=arguments.resume, console=Console(markup=False)), "the model")


if __name__ == "__main__":
    run(main)
