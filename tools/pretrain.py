"""MLLMReID's joint stage from a run sheet: `python -m tools.pretrain CONFIG.yaml --out RUN`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from instructions.errors import InputError
from tools._program import Parser, run

if TYPE_CHECKING:
    from irm.pretraining.schema import PretrainRun

EXAMPLE = """examples:
  python -m tools.pretrain configs/mllm/base.yaml --plan
  python -m tools.pretrain configs/mllm/tiny.yaml --data data/tiny --out runs/mllm
  python -m tools.pretrain configs/mllm/tiny.yaml --data data/tiny --out runs/mllm --resume
  python -m tools.export_backbone runs/mllm --out runs/mllm-backbone

RUN gets config.yaml (the resolved sheet), metrics.jsonl, tensorboard/, checkpoints/ and, at the end, model/.
Ctrl-C ends the step, saves and leaves; the same command with --resume goes on as if it had never stopped."""

TEXT_TOKENS = 70  # of the two common instructions with an answer each, for the memory plan


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = Parser(
        prog="python -m tools.pretrain",
        description="Train a vision tower inside a multimodal language model (MLLMReID).",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "config", type=Path, metavar="CONFIG.yaml", help="run sheet, e.g. configs/mllm/tiny.yaml"
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
        "--plan", action="store_true", help="print what trains and the memory of a step, from shapes alone"
    )
    made.add_argument("--print-config", action="store_true", help="print the resolved sheet and stop")
    return made


def main() -> None:
    """Parse, train, say how it ended."""
    arguments = parser().parse_intermixed_args()
    # Heavy imports wait until --help and mistyped options have had their say.
    from irm.config import dump
    from irm.pretraining.run import pretrain_run, read_pretrain

    sheet = read_pretrain(arguments.config, arguments.overrides)
    if arguments.data is not None:
        sheet = sheet.model_copy(update={"data": arguments.data})
    if arguments.print_config:
        print(dump(sheet), end="")
        return
    if arguments.plan:
        _print_plan(sheet)
        return
    if arguments.out is None:
        raise InputError("--out RUN is missing; e.g. --out runs/mllm")
    summary = pretrain_run(sheet, arguments.out, resume=arguments.resume, console=Console())
    minutes = summary.seconds / 60
    if summary.start == summary.steps:
        print(f"{summary.out}: nothing left to train, all {summary.steps} steps were taken before")
    elif summary.is_finished:
        print(f"{summary.out}: {summary.step} steps in {minutes:.1f} min; the tower is in {summary.model}")
        print(f"  next: python -m tools.export_backbone {summary.out} --out FOLDER")
    else:
        print(f"{summary.out}: stopped after step {summary.step} of {summary.steps}; go on with --resume")
    for domain, loss in summary.losses.items():
        print(f"  {domain:<20} loss {loss:.4f}")


def _print_plan(sheet: "PretrainRun") -> None:
    """The model of a sheet on no device: what trains, and what a step takes."""
    import torch

    from irm.mllm import plan_memory
    from irm.mllm.tuning import sizes
    from irm.pretraining.build import build_vlm

    on_paper = sheet.model_copy(update={"model": sheet.model.model_copy(update={"random": True})})
    with torch.device("meta"):
        vlm = build_vlm(on_paper, [], frozen_dtype=torch.bfloat16)
    batch = sheet.batch.num_identities * sheet.batch.num_instances
    plan = plan_memory(
        vlm,
        batch=batch,
        text_tokens=TEXT_TOKENS,
        checkpointing=sheet.activation_checkpointing,
        chunk=sheet.chunk,
    )
    height, width = vlm.image_size
    for line in sizes(vlm):
        print(line)
    print(
        f"a step: {batch} pictures of {height}x{width}, "
        f"{vlm.num_image_tokens} image and {TEXT_TOKENS} text tokens each"
    )
    for sentence in plan.sentences():
        print(f"  {sentence}")


if __name__ == "__main__":
    run(main)
