"""Convert a published checkpoint: `python -m tools.convert_weights --kind KIND SRC --out FOLDER`."""

import argparse
from pathlib import Path

from instructions.errors import InputError, near_miss
from tools._program import program_parser, run

EXAMPLE = """examples:
  python -m tools.convert_weights --kind pass pass_vit_base_full.pth --out weights/pass
  python -m tools.convert_weights --kind albef ALBEF.pth --out weights/albef
  python -m tools.convert_weights --kind blip Salesforce/blip-itm-base-coco@COMMIT --out weights/blip
  python -m tools.convert_weights --kind irm_released checkpoint_market.pth.tar --domain trad/market1501 \\
      --out weights/irm_market

Then in a run sheet: model.backbone: weights/pass, model.instruction.text_weights: weights/albef,
model.instruction.image: weights/albef. A released IRM loads with IRM.from_pretrained.
Sources and licences of the files: docs/weights.md. A checkpoint is read without executing anything in it;
every tensor is used, dropped for a printed reason, or refused by name."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = program_parser(
        "convert_weights", "Convert a published checkpoint into a folder that IRM loads.", EXAMPLE
    )
    made.add_argument("source", metavar="SRC", help="file, folder, or owner/name@COMMIT[:FILE] on the hub")
    made.add_argument(
        "--kind",
        required=True,
        help="albef, blip, pass, hap, solider, deit, clip, timm or irm_released (docs/weights.md)",
    )
    made.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="a new folder")
    made.add_argument("--sha256", metavar="HEX", help="refuse SRC unless it has this digest")
    made.add_argument("--backbone", metavar="NAME", help="entry of BACKBONES for the converted ViT; for timm")
    made.add_argument(
        "--image-size",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="training size of a ViT, if its positions are ambiguous",
    )
    made.add_argument(
        "--tower",
        choices=("momentum", "live"),
        help="ALBEF's image encoder: its momentum copy (default if there is one, as in the released IRM) "
        "or the trained one (as a backbone, table 6)",
    )
    made.add_argument(
        "--tokenizer", type=Path, metavar="FOLDER", help="tokenizer.json or vocab.txt of the text encoder"
    )
    made.add_argument(
        "--domain",
        default="released",
        help="irm_released: domain of its batch-norm statistics, e.g. trad/market1501",
    )
    return made


def main() -> None:
    """Parse, convert, report what became of every tensor."""
    arguments = parser().parse_args()
    # Heavy imports come after parsing, so that --help and mistyped options answer at once.
    from irm.models.weights.convert import KINDS, Options, convert_weights
    from irm.models.weights.ledger import UnrecordedError

    if arguments.kind not in KINDS:
        known = ", ".join(KINDS)
        raise InputError(
            f"--kind {arguments.kind!r} is unknown{near_miss(arguments.kind, KINDS)}; known: {known}"
        )
    options = Options(
        backbone=arguments.backbone,
        image_size=tuple(arguments.image_size) if arguments.image_size else None,
        tower=arguments.tower,
        tokenizer=arguments.tokenizer,
        domain=arguments.domain,
    )
    try:
        made = convert_weights(
            arguments.kind, arguments.source, arguments.out, options=options, sha256=arguments.sha256
        )
    except UnrecordedError as error:
        raise InputError(f"{error} (--{error.option.replace('_', '-')})") from error
    except ValueError as error:
        raise InputError(str(error)) from error
    print(f"{made.source} (sha256 {made.sha256}) is now {made.folder}")
    print(f"  {len(made.account.used)} tensors used")
    for reason, keys in made.account.dropped.items():
        print(f"  {len(keys)} dropped: {reason} ({keys[0]}{', ...' if len(keys) > 1 else ''})")


if __name__ == "__main__":
    run(main)
