"""A run is judged and goes on without the published weights that its sheet names: checkpoints hold them."""

import shutil
from pathlib import Path

import pytest
import torch
from rich.console import Console

from instructions.errors import InputError
from irm import IRM
from irm.build import build_irm
from irm.candidates import open_candidate, trained_embedder
from irm.config import read_run
from irm.models import SentenceTokenizer
from irm.models.weights.convert import Options, convert_weights
from irm.retrieval import SearchModel
from irm.training.run import train_run
from tests import checkpoints
from tests.processes import trace

TINY = Path(__file__).parents[3] / "configs" / "irm" / "tiny.yaml"


def albef(folder):
    """A small ALBEF, converted; its words are characters."""
    folder.mkdir()
    words = SentenceTokenizer.characters()
    words.save(folder)
    sizes = {"dim": 64, "depth": 3, "queue": 8, "vocab": words.vocab_size, "positions": 17}
    tensors = checkpoints.filled(checkpoints.albef(**sizes, crossing=range(1, 3)))
    torch.save({"model": tensors}, folder / "ALBEF.pth")
    options = Options(tokenizer=folder)
    convert_weights("albef", folder / "ALBEF.pth", folder / "converted", options=options)
    return folder / "converted"


def sheet(root, weights, steps):
    return read_run(
        TINY,
        [
            f"data={root}",
            "mixture=[{task: trad, dataset: market1501}, {task: t2i, dataset: cuhk_pedes}]",
            "evaluation=[]",
            "model.instruction.text=albef_base",
            *(
                f"model.{name}={weights}"
                for name in ("backbone", "instruction.text_weights", "instruction.image")
            ),
            "model.match_layers=2",
            "losses.lessons={queue: 8}",
            f"optimizer={{schedule: constant, warmup_steps: 1, steps: {steps}, average: 0.5}}",
        ],
    )


@pytest.fixture(scope="module")
def runs(tiny_root, tmp_path_factory):
    """A run of three steps; one of two that is to go on; and the sheet of three, whose weights are gone."""
    place = tmp_path_factory.mktemp("runs")
    weights = albef(place / "albef")
    for name, steps in (("whole", 3), ("short", 2)):
        train_run(sheet(tiny_root, weights, steps), place / name, resume=False, console=Console(quiet=True))
    shutil.rmtree(weights.parent)
    return place / "whole", place / "short", sheet(tiny_root, weights, 3)


def test_a_moved_run_goes_on_bit_for_bit(runs, tmp_path):
    whole, short, longer = runs
    shutil.copytree(short, tmp_path / "moved")
    train_run(longer, tmp_path / "moved", resume=True, console=Console(quiet=True))
    assert trace(tmp_path / "moved") == trace(whole)
    ours, theirs = (out / "model" / "model.safetensors" for out in (tmp_path / "moved", whole))
    assert ours.read_bytes() == theirs.read_bytes()


def test_a_checkpoint_on_its_own_is_the_model_that_the_run_left(runs, tmp_path):
    whole = runs[0]
    shutil.copytree(whole / "checkpoints" / "step-00000003", tmp_path / "alone")
    found = trained_embedder(open_candidate(tmp_path / "alone")).model
    expected = IRM.from_pretrained(whole / "model").eval()
    state = expected.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in found.state_dict().items())
    sentence = ["A man in a blue-grey coat."]
    assert torch.equal(found.eval().embed_text(sentence), expected.embed_text(sentence))


def test_a_finished_run_is_searched_with_and_begun_with(runs):
    whole, _, named = runs
    assert SearchModel.load(whole).tasks == ("trad", "t2i")
    start = named.model.model_copy(update={"start": str(whole)})
    model, notes = build_irm(named.model_copy(update={"model": start}))
    theirs = IRM.from_pretrained(whole / "model").state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in model.state_dict().items())
    assert notes == ("the word-prediction head starts with random weights",)


def test_no_weights_are_kept_beside_the_description(runs):
    kept = runs[1] / "checkpoints" / "step-00000002" / "network"
    assert {path.suffix for path in kept.iterdir()} == {".json"}


def test_an_older_checkpoint_still_asks_for_the_weights(runs, tmp_path):
    shutil.copytree(runs[0] / "checkpoints" / "step-00000003", tmp_path / "older")
    shutil.rmtree(tmp_path / "older" / "network")
    with pytest.raises(InputError, match="there is no weights folder"):
        trained_embedder(open_candidate(tmp_path / "older"))
