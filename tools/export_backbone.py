"""Export the trained vision tower of a joint run as a backbone: `tools.export_backbone RUN --out FOLDER`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools._program import program_parser, run

if TYPE_CHECKING:
    from irm.pretraining.schema import PretrainRun

EXAMPLE = """example:
  python -m tools.export_backbone runs/mllm --out runs/mllm-backbone --judge
  python -m tools.train configs/irm/market1501.yaml model.backbone=runs/mllm-backbone \\
    "model.image_size=[252,126]" --out runs/irm

FOLDER gets spec.json and weights.safetensors; irm.models.load_backbone and every IRM sheet read it."""

TOLERANCE = 1e-4  # between tokens before and after; on a CPU they are equal bit for bit


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = program_parser(
        "export_backbone", "Write the trained vision tower of an MLLMReID run as a plain backbone.", EXAMPLE
    )
    made.add_argument("run", type=Path, metavar="RUN", help="run folder of tools.pretrain")
    made.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="backbone folder to write; new"
    )
    made.add_argument(
        "--image-size",
        type=int,
        nargs=2,
        metavar=("H", "W"),
        help="adapt positions to images of this size (default: the training size)",
    )
    made.add_argument(
        "--judge",
        action="store_true",
        help="also report the tower's mAP on the sheet's evaluation rows, before and after training",
    )
    made.add_argument(
        "--data", type=Path, metavar="DIR", help="for --judge: folder of the data sets (default: the sheet's)"
    )
    return made


def main() -> None:
    """Parse, convert, compare tokens, write."""
    args = parser().parse_args()
    # Heavy imports come after parsing, so that --help and mistyped options answer at once.
    import torch

    from instructions.errors import InputError
    from irm.build import as_input_errors
    from irm.mllm.export import load_exported_tower, plain_vit
    from irm.mllm.llava import whole_patches
    from irm.models import save_backbone

    with as_input_errors():
        sheet = _sheet(args.run)
        tower: Any = load_exported_tower(args.run / "model")
        tower.eval()
        size = whole_patches(args.image_size or sheet.model.image_size, tower.config.patch_size)
        plain = plain_vit(tower, size)
        images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            states = tower(images, interpolate_pos_encoding=True).last_hidden_state
            gap = (plain.vit.forward_features(images) - tower.post_layernorm(states)).abs().max().item()
        if gap > TOLERANCE:
            raise InputError(f"the exported tokens differ from the tower's by {gap:.1e}; nothing was written")
        provenance = {
            "method": "MLLMReID joint stage",
            "run": str(args.run),
            "steps": sheet.optimizer.steps,
            "vision": sheet.model.llava or sheet.model.vision,
            "llm": sheet.model.llava or sheet.model.llm,
            "lambda": sheet.losses.lambda_value,
            "instruction": sheet.words.instruction,
        }
        save_backbone(plain.vit, args.out, name=plain.name, overrides=plain.overrides, provenance=provenance)
    height, width = size
    other = ", ".join(f"{name} {value}" for name, value in plain.overrides.items())
    print(
        f"{args.out}: a {plain.name}{f' with {other},' if other else ''} for {height}x{width} images; "
        f"tokens before and after differ by {gap:g}"
    )
    if args.judge:
        _judge(sheet, tower, size, args.data or Path(sheet.data))


def _sheet(folder: Path) -> "PretrainRun":
    """The sheet of a run of tools.pretrain; anything else is refused."""
    from instructions.errors import InputError
    from irm.pretraining.run import read_pretrain

    path = folder / "config.yaml"
    if not path.is_file():
        raise InputError(f"{folder} is not a run folder (no config.yaml); make one with tools.pretrain")
    try:
        return read_pretrain(path)
    except InputError as error:
        raise InputError(f"{folder} is not a run of tools.pretrain: {error}") from None


def _judge(sheet: "PretrainRun", tower: Any, size: tuple[int, int], data: Path) -> None:
    """Held-out mAP of the tower and of the one that training started from."""
    from irm.build import as_input_errors
    from irm.pretraining.encoder import held_out, start_tower
    from omnireid.benchmark import Row

    with as_input_errors():
        start = start_tower(sheet)
        start.train(False)
        for each in sheet.evaluation:
            row = Row(**each.model_dump())
            before, after = (100 * held_out(one, size, row, data) for one in (start, tower))
            print(f"  {row.task}, {row.dataset}, {row.protocol}: mAP {before:.1f} before, {after:.1f} after")


if __name__ == "__main__":
    run(main)
