"""MLLMReID's joint stage from a run sheet: `python -m tools.pretrain CONFIG.yaml --out RUN`."""

from typing import TYPE_CHECKING

from rich.console import Console

from instructions.errors import InputError
from tools._program import Parser, run
from tools._training import print_summary, resolved_sheet, run_folder, sheet_parser

if TYPE_CHECKING:
    from irm.pretraining.schema import PretrainRun

EXAMPLE = """examples:
  python -m tools.pretrain configs/mllm/base.yaml --plan
  python -m tools.pretrain configs/mllm/tiny.yaml --data data/tiny --out runs/mllm
  python -m tools.pretrain configs/mllm/tiny.yaml --data data/tiny --out runs/mllm --resume
  python -m tools.export_backbone runs/mllm --out runs/mllm-backbone
  torchrun --nproc-per-node 8 -m tools.pretrain configs/mllm/base.yaml --out runs/mllm
  torchrun --nproc-per-node 8 -m tools.pretrain configs/mllm/base.yaml shard=true --out runs/mllm
  python -m tools.pretrain configs/mllm/base.yaml tune.llm=full shard=true --plan --processes 8

RUN gets config.yaml (the resolved sheet), metrics.jsonl, tensorboard/, checkpoints/ and, at the end, model/.
Several processes share each batch and give the result of one; each holds the whole model, or with shard=true
its part of every layer (FSDP). Ctrl-C or SIGTERM finishes the step, saves and exits; the same command with
--resume continues as if it had never stopped."""

TEXT_TOKENS = 70  # length of the two common instructions with an answer each, for the memory plan


def parser() -> Parser:
    """The command line."""
    made = sheet_parser(
        "pretrain",
        "Train a vision tower inside a multimodal language model (MLLMReID).",
        EXAMPLE,
        sheet="configs/mllm/tiny.yaml",
    )
    made.add_argument(
        "--plan",
        action="store_true",
        help="print what is trained and the memory of a step, computed from shapes only",
    )
    made.add_argument(
        "--processes", type=int, default=1, metavar="N", help="with --plan: of each of N processes"
    )
    return made


def main() -> None:
    """Parse, train, print a summary."""
    arguments = parser().parse_intermixed_args()
    # Heavy imports come after parsing, so that --help and mistyped options answer at once.
    from irm.pretraining.run import pretrain_run, read_pretrain

    sheet = resolved_sheet(arguments, read_pretrain)
    if sheet is None:
        return
    if arguments.processes < 1:
        raise InputError(f"--processes is {arguments.processes}; at least one must train")
    if arguments.plan:
        _print_plan(sheet, arguments.processes)
        return
    out = run_folder(arguments)
    summary = pretrain_run(sheet, out, resume=arguments.resume, console=Console(markup=False))
    print_summary(summary, "the tower", then=f"python -m tools.export_backbone {out} --out FOLDER")


def _print_plan(sheet: "PretrainRun", processes: int) -> None:
    """Print what a sheet would train and the memory of a step per process, without loading the model."""
    import torch

    from irm.mllm import plan_memory
    from irm.mllm.tuning import sizes
    from irm.pretraining.build import build_vlm

    on_paper = sheet.model_copy(update={"model": sheet.model.model_copy(update={"random": True})})
    with torch.device("meta"):
        vlm = build_vlm(on_paper, [], frozen_dtype=torch.bfloat16)
    batch = -(-sheet.batch.num_identities * sheet.batch.num_instances // processes)
    plan = plan_memory(
        vlm,
        batch=batch,
        text_tokens=TEXT_TOKENS,
        checkpointing=sheet.activation_checkpointing,
        chunk=sheet.chunk,
        sharers=processes if sheet.shard else 1,
    )
    height, width = vlm.image_size
    for line in sizes(vlm):
        print(line)
    print(
        f"a step{' of each process' if processes > 1 else ''}: {batch} images of {height}x{width}, "
        f"{vlm.num_image_tokens} image and {TEXT_TOKENS} text tokens each"
    )
    for sentence in plan.sentences():
        print(f"  {sentence}")


if __name__ == "__main__":
    run(main)
