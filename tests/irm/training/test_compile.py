"""``compile: true``: one graph, no break, few compilations, and the losses of the eager run."""

import json
import shutil

import pytest
import torch
from rich.console import Console

from irm.config import read_run
from irm.models import InstructionTokens
from irm.training.run import train_run
from tests.irm.training.test_objectives import TINY, build


def told(rows, length, width=32):
    rng = torch.Generator().manual_seed(length)
    mask = torch.arange(length).expand(rows, -1) < torch.arange(rows)[:, None] + length - rows + 1
    tokens = torch.randn(rows, length, width, generator=rng)
    return InstructionTokens(tokens, mask, tokens[:, 0])


@pytest.mark.filterwarnings("ignore::UserWarning")  # dynamo looks at .grad of what is no leaf
def test_the_image_side_is_one_graph_for_instructions_of_all_lengths():
    """Captured whole (``fullgraph``), a break being an error; seven lengths compile at most three times."""
    compiled = []

    def backend(graph, _):
        compiled.append(graph)
        return graph.forward

    torch._dynamo.reset()
    model = build()
    encode = torch.compile(model.editing_transformer, fullgraph=True, backend=backend)
    fuse = torch.compile(model.fusion, fullgraph=True, backend=backend)
    images = torch.randn(4, 3, 64, 32)
    for length in (5, 6, 9, 12, 17, 23, 40):
        instruction = told(4, length)
        tokens = encode(images, instruction)
        expected = model.editing_transformer(images, instruction)
        torch.testing.assert_close(tokens, expected)
        torch.testing.assert_close(fuse(tokens, instruction), model.fusion(expected, instruction))
    assert len(compiled) <= 2 * 3
    encode(images, None)  # text-to-image: images alone
    assert len(compiled) <= 2 * 3 + 1


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler (g++) on a CPU")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_compiled_run_has_the_losses_of_an_eager_one(tiny_root, tmp_path):
    """Two steps of two tasks, one with an instruction and one without, forward and backward by inductor."""
    traces = []
    for compiles in (False, True):
        torch._dynamo.reset()
        changes = [f"data={tiny_root}", f"compile={compiles}", "optimizer.steps=2", "model.drop_path=0"]
        sheet = read_run(TINY, changes)
        sheet = sheet.model_copy(update={"mixture": (sheet.mixture[0], sheet.mixture[-1]), "evaluation": ()})
        out = tmp_path / str(compiles)
        train_run(sheet, out, resume=False, console=Console(quiet=True))
        rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        traces.append([[*row["losses"].values(), row["gradient_norm"]] for row in rows])
    torch.testing.assert_close(torch.tensor(traces[1]), torch.tensor(traces[0]), rtol=1e-4, atol=1e-4)
