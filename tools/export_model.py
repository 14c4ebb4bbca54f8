"""Export the image encoder of a run for use without this code: `tools.export_model RUN --out FOLDER`."""

import argparse
from pathlib import Path

from tools._program import program_parser, run, waiting

EXAMPLE = """examples:
  python -m tools.export_model runs/demo/run --out served --view cc/ltcc --instruction "ignore clothes"
  python -m tools.export_model runs/demo/run --out served --view li/cocas_real1 --format pt2
  python -m tools.export_model runs/demo/run --out served --view t2i        images, found by descriptions

With --instruction the sentence is built in (its K' and V' are constants) and the input is `images` alone.
Without, `tokens` and `mask` of an instruction are inputs too, and instructions.npz has those of the task's
sentences. FOLDER gets model.onnx or model.pt2, and export.json: how images are prepared, names and
shapes of inputs and outputs, and how far the features are from the model's; docs/inside.md serves one.
ONNX needs `pip install -e '.[export]'`."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = program_parser(
        "export_model",
        "Write a model's image path as ONNX or as a torch.export archive, and compare it.",
        EXAMPLE,
    )
    add = made.add_argument
    add("run", type=Path, metavar="RUN", help="run folder of tools.train, or a model folder")
    add("--out", type=Path, required=True, metavar="FOLDER", help="new or empty; written whole or not at all")
    add(
        "--view",
        metavar="v",
        help="view that gives the batch norm, e.g. cc/ltcc, or t2i (default: the first)",
    )
    add("--instruction", metavar="T", help="instruction sentence to build in")
    add("--format", choices=("onnx", "pt2"), default="onnx", help="file format (default: onnx)")
    return made


def main() -> None:
    """Parse, export, report the numerical difference."""
    args = parser().parse_args()
    with waiting("loading the model"):
        # Heavy imports come after parsing, so that --help and mistyped options answer at once.
        from irm.build import as_input_errors
        from irm.deploy.writing import export
        from irm.retrieval import SearchModel

        loaded = SearchModel.load(args.run)
    model = loaded.embedder.model.cpu()
    view = args.view or (model.necks.names or ("t2i",))[0]
    provenance = {"run": args.run.resolve().name, "model_sha256": loaded.fingerprint}
    with as_input_errors(), waiting("exporting, and comparing the file with the model"):
        difference = export(
            model,
            args.out,
            view=view,
            instruction=args.instruction,
            form=args.format,
            provenance=provenance,
        )
    told = "built in" if args.instruction else "an input" if view != "t2i" else "none"
    print(f"{args.out}/model.{args.format}: view {view}, instruction {told}")
    print(
        f"features against the model's, batches of {', '.join(map(str, difference.batches))}: "
        f"largest difference {difference.max_abs_difference:.1e}, smallest cosine {difference.min_cosine:.7f}"
    )


if __name__ == "__main__":
    run(main)
