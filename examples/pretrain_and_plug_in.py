"""Both papers in one small pipeline: captions, continuations, joint training, export, IRM, evaluation.

    python -m examples.pretrain_and_plug_in --out runs/plug_in

All people are synthetic, and the language model learns its English from the captions, so nothing is
downloaded. Each stage runs the code of the program that it names; full-size sheets: configs/mllm.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from transformers import LlamaConfig, LlamaForCausalLM

from instructions.continuation import CONTINUE_IMAGE_TURN, CONTINUE_TEXT
from irm.config import read_run
from irm.evaluation import evaluate_rows, open_run, rows_of, trained_embedder
from irm.mllm.export import load_exported_tower, plain_vit
from irm.mllm.parts import load_language_model, load_tokenizer, small_tokenizer
from irm.models import save_backbone
from irm.pretraining.continuations import Writer, write_continuations
from irm.pretraining.encoder import held_out, start_tower
from irm.pretraining.run import pretrain_run, read_pretrain
from irm.pretraining.schema import PretrainRun
from irm.training.run import train_run
from omnireid.benchmark import Row
from omnireid.captioning.attach import FILE_NAME as CAPTIONS
from omnireid.captioning.attach import attach_captions, write_captions
from omnireid.captioning.continuations import FILE_NAME as CONTINUATIONS
from omnireid.captioning.continuations import ContinuationCache, distinct
from omnireid.captioning.sources import read_source
from omnireid.datasets import load_split
from omnireid.synthetic.presets import PRESETS
from omnireid.synthetic.write import write_omnireid

SHEETS = Path(__file__).parents[1] / "configs"
TESTED = Row("trad", "market1501", "market")


def draw_people(root: Path, seed: int) -> None:
    """Synthetic Market-1501 and LLCM data, and CUHK-PEDES captions for half of the first."""
    write_omnireid(root, PRESETS["mllm"], seed, workers=1, datasets=["market1501", "llcm", "cuhk_pedes"])


def teach_language(captions: Sequence[str], folder: Path, *, steps: int = 120) -> None:
    """A small LLaMA trained to write like the captions, in place of LLaMA 2."""
    torch.manual_seed(0)
    tokenizer = small_tokenizer([*captions, CONTINUE_TEXT, CONTINUE_IMAGE_TURN], vocab_size=640)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=160,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=1024,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    texts = [f"<s>{one}\n{other}</s>" for one, other in zip(captions[::2], captions[1::2], strict=False)]
    for _ in range(steps):
        rows = torch.randint(len(texts), (8,)).tolist()
        said = tokenizer(
            [texts[row] for row in rows], return_tensors="pt", padding=True, add_special_tokens=False
        )
        ids, mask = said["input_ids"], said["attention_mask"]
        model(input_ids=ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def write_words(root: Path, out: Path, console: Console) -> None:
    """tools.write_continuations: captions on half of the images, propagated, continued, cached."""
    split = load_split(root, "market1501", "trad")
    captions, coverage = attach_captions(split, {"cuhk_pedes": read_source(root, "cuhk_pedes")}, root)
    for sentence in coverage.sentences():
        console.print(sentence)
    (out / "words").mkdir(exist_ok=True)
    write_captions(out / "words" / CAPTIONS, captions)
    texts = distinct(text for caption in captions for text in caption.captions)
    llm = out / "llm"
    if not (llm / "tokenizer.json").is_file():
        teach_language(texts, llm)
    writer = Writer(load_language_model(str(llm)).eval(), load_tokenizer(str(llm)), "llm", batch_size=32)
    made = write_continuations(writer, texts, ContinuationCache(out / "words" / CONTINUATIONS))
    console.print(f"{sum(bool(each.text) for each in made)} of {len(made)} captions are continued")
    console.print(f"  {made[0].caption}\n  -> {made[0].text}", highlight=False)


@dataclass(frozen=True)
class Outcome:
    """Held-out mAP on people that no stage has seen, in [0, 1]."""

    untrained: float  # the vision tower before the joint stage
    exported: float  # after it, as a plain backbone
    irm: dict[str, float]  # of the IRM initialised with it, by task


def joint_sheet(out: Path, overrides: Sequence[str] = ()) -> PretrainRun:
    """The sheet of the joint stage, with the paths of this pipeline."""
    rows = f"mixture=[{{task: trad, dataset: market1501, words: {out / 'words'}}}]"
    places = [f"data={out / 'data'}", f"model.llm={out / 'llm'}", rows]
    return read_pretrain(SHEETS / "mllm" / "plug_in.yaml", [*places, *overrides])


def run_chain(out: Path, *, seed: int = 0, overrides: Sequence[str] = (), console: Console) -> Outcome:
    """Run the whole pipeline, or what is missing of it in ``out``."""
    root, backbone = out / "data", out / "backbone"
    draw_people(root, seed)
    write_words(root, out, console)
    sheet = joint_sheet(out, overrides)
    size = sheet.model.image_size
    pretrain_run(sheet, out / "joint", resume=True, console=console)
    tower = load_exported_tower(out / "joint" / "model")
    plain = plain_vit(tower, size)
    shutil.rmtree(backbone, ignore_errors=True)
    save_backbone(plain.vit, backbone, name=plain.name, overrides=plain.overrides)
    plugged = read_run(
        SHEETS / "irm" / "tiny.yaml",
        [
            f"data={root}",
            f"model.backbone={backbone}",
            "mixture=[{task: trad, dataset: market1501}, {task: vi, dataset: llcm}]",
            "evaluation=[{task: trad, dataset: market1501, protocol: market}, "
            "{task: vi, dataset: llcm, protocol: llcm}]",
        ],
    )
    train_run(plugged, out / "irm", resume=True, console=console)
    finished = open_run(out / "irm")
    results = evaluate_rows(trained_embedder(finished), rows_of(finished), root)
    return Outcome(
        untrained=held_out(start_tower(sheet), size, TESTED, root),
        exported=held_out(tower, size, TESTED, root),
        irm={result.row.task: result.headline.mean_ap for result in results},
    )


def main() -> None:
    """Run the pipeline and print its results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/plug_in"), metavar="DIR", help="folder of all files"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the people (0)")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    outcome = run_chain(asked.out, seed=asked.seed, console=Console(markup=False))
    print(
        f"held-out mAP of the tower: {100 * outcome.untrained:.1f} before, {100 * outcome.exported:.1f} after"
    )
    for task, score in outcome.irm.items():
        print(f"IRM on the exported tower, {task}: mAP {100 * score:.1f}")


if __name__ == "__main__":
    main()
