"""Write the image path as ``.pt2`` or ONNX, compare it with the model, describe it in a small JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from instructions.banks import BANKS
from instructions.errors import InputError
from instructions.instruction import NEUTRAL_SENTENCE
from irm.deploy.graph import FixedInstructionPath, ImagePath, PlainImagePath, instruction_table
from irm.models import IRM
from irm.models.manifest import sha256_of
from irm.models.staging import staged_folder
from omnireid.files import check_new_folder
from omnireid.tasks import TASKS

Format = Literal["onnx", "pt2"]
TOLERANCE = 1e-4  # of a feature of unit length; float32 kernels of two engines differ by some 1e-6
BATCHES = (1, 2, 5)  # sizes that are compared; exported at 2
DESCRIPTION, TABLE = "export.json", "instructions.npz"
MAX_ONE_FILE = 2**31 - 2**24  # bytes of weights that an ONNX file can hold itself
PREPARATION = (
    "turned upright by the EXIF orientation; transparent parts laid on white; RGB; "
    "resized to height x width, {} with antialiasing; divided by 255; minus mean; over std"
)


@dataclass(frozen=True)
class Difference:
    """How far the file's features are from the model's."""

    max_abs_difference: float
    min_cosine: float
    batches: tuple[int, ...] = BATCHES


@dataclass(frozen=True)
class Graph:
    """A module, what it is given, and what the model says to the same."""

    module: nn.Module
    inputs: tuple[str, ...]
    draw: Callable[[int], tuple[Tensor, ...]]  # noise for a batch of that size
    expected: Callable[..., Float[Tensor, "B J"]]
    table: tuple[str, ...] = ()  # sentences whose tokens are written beside


def export(
    model: IRM,
    folder: Path,
    *,
    view: str,
    instruction: str | None,
    form: Format,
    provenance: Mapping[str, Any],
) -> Difference:
    """Write a folder with the model, its description and, where it takes tokens, a table of sentences.

    Args:
        model: in evaluation mode, on the CPU.
        folder: new or empty.
        view: whose batch-norm statistics, e.g. trad/market1501; t2i: images alone.
        instruction: built in; None takes an instruction's tokens as an input.
        form: of the file.
        provenance: what the description says of where the model comes from.

    Raises:
        InputError: the view is unknown, a library is missing, there is something in the folder, or the file's
            features are not the model's.
    """
    check_new_folder(folder)
    graph = _graph(model, view, instruction)
    with staged_folder(folder) as stage:
        difference = _write(model, graph, stage, form)
        described = {
            **provenance,
            "format": form,
            "view": view,
            "instruction": instruction,
            **_description(model, graph),
            "unit_length": view == "t2i" or model.retrieval.normalise,
            "check": asdict(difference),
            "versions": _versions(form),
            "files": {path.name: sha256_of(path) for path in sorted(stage.iterdir())},
        }
        if graph.table:
            described["table"] = {"file": TABLE, "sentences": graph.table}
        content = json.dumps(described, indent=2, ensure_ascii=False)
        (stage / DESCRIPTION).write_text(content + "\n", encoding="utf-8")
    return difference


def _write(model: IRM, graph: Graph, stage: Path, form: Format) -> Difference:
    """Write the model and the table of sentences.

    Raises:
        InputError: the file's features are not the model's.
    """
    file = stage / f"model.{form}"
    with torch.no_grad():
        (_write_onnx if form == "onnx" else _write_pt2)(graph, file)
        difference = _compare(graph, file, form)
    if not difference.max_abs_difference <= TOLERANCE:
        raise InputError(
            f"the exported features differ from the model's by {difference.max_abs_difference:.1e}, "
            f"more than {TOLERANCE:g}; nothing was written"
        )
    if graph.table:
        table = instruction_table(model, graph.table)
        np.savez(stage / TABLE, tokens=table.tokens.numpy(), mask=table.mask.numpy())
    return difference


def _graph(model: IRM, view: str, sentence: str | None) -> Graph:
    """The module of one of three forms.

    Raises:
        InputError: the view is unknown or has no instruction, or the instruction no words.
    """
    if sentence is not None and not sentence.strip():
        raise InputError("--instruction is empty; write a sentence, or omit --instruction")
    generator = torch.Generator().manual_seed(0)

    def images(count: int) -> Tensor:
        return torch.randn(count, 3, *model.image_size, generator=generator)

    if view == "t2i":
        if sentence is not None:
            raise InputError("the view t2i takes no instruction with an image; omit --instruction")
        return Graph(PlainImagePath(model), ("images",), lambda count: (images(count),), model.embed_image)
    if view not in model.necks.names:
        known = ", ".join((*model.necks.names, "t2i"))
        raise InputError(f"this model has no view {view!r} (known: {known})")
    if sentence is not None:

        def alone(given: Tensor) -> Tensor:
            told = model.encode([sentence] * len(given), torch.arange(len(given)))
            return model.retrieval_features(model(given, told), view=view)

        return Graph(
            FixedInstructionPath(model, view, sentence), ("images",), lambda count: (images(count),), alone
        )
    bank = TASKS[view.partition("/")[0]].bank
    table = (NEUTRAL_SENTENCE, *(BANKS[bank] if bank is not None else ()))

    def draw(count: int) -> tuple[Tensor, ...]:
        told = instruction_table(model, tuple(table[row % len(table)] for row in range(count)))
        told = told.pad_to(told.tokens.shape[1] + 1)  # that padding is passed over is compared, too
        return images(count), told.tokens, told.mask

    def told(given: Tensor, *_: Tensor) -> Tensor:
        said = [table[row % len(table)] for row in range(len(given))]
        return model.retrieval_features(model(given, model.encode(said, torch.arange(len(given)))), view=view)

    return Graph(ImagePath(model, view), ("images", "tokens", "mask"), draw, told, table)


def _program(graph: Graph) -> torch.export.ExportedProgram:
    batch, length = torch.export.Dim("batch", min=1), torch.export.Dim("length", min=1)
    shapes: dict[str, dict[int, Any]] = {"images": {0: batch}}
    shapes |= {name: {0: batch, 1: length} for name in graph.inputs[1:]}
    return torch.export.export(graph.module.eval(), graph.draw(2), dynamic_shapes=shapes)


def _write_pt2(graph: Graph, file: Path) -> None:
    torch.export.save(_program(graph), file)


def _write_onnx(graph: Graph, file: Path) -> None:
    """By torch's own exporter.

    Raises:
        InputError: a library of the extra is missing.
    """
    try:
        import onnxruntime  # noqa: F401 (asked for before the long part, not after it)
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"ONNX needs {error.name}; run pip install -e '.[export]', or use --format pt2"
        ) from None
    size = sum(tensor.nbytes for tensor in graph.module.state_dict().values())
    torch.onnx.export(
        _program(graph),
        f=file,
        input_names=list(graph.inputs),
        output_names=["features"],
        dynamo=True,
        verbose=False,
        external_data=size > MAX_ONE_FILE,
    )


def _compare(graph: Graph, file: Path, form: Format) -> Difference:
    """The file as somebody else would load it, on batches of other sizes than it was exported with."""
    answer: Callable[..., Tensor]
    answer = _with_onnxruntime(file) if form == "onnx" else torch.export.load(file).module()
    largest, cosine = 0.0, 1.0
    for count in BATCHES:
        given = graph.draw(count)
        expected = graph.expected(*given)
        found = answer(*given)
        scale = expected.norm(dim=-1).max().item()  # one, unless features are compared raw
        largest = max(largest, (found - expected).abs().max().item() / scale)
        cosine = min(cosine, torch.cosine_similarity(found, expected, dim=-1).min().item())
    return Difference(largest, cosine)


def _with_onnxruntime(file: Path) -> Callable[..., Tensor]:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def answer(*given: Tensor) -> Tensor:
        fed = dict(zip(names, (tensor.contiguous().numpy() for tensor in given), strict=True))
        return torch.from_numpy(session.run(["features"], fed)[0])

    return answer


def _description(model: IRM, graph: Graph) -> dict[str, Any]:
    """What somebody needs to know about inputs and outputs who serves the file without our code."""
    height, width = model.image_size
    given = dict(zip(graph.inputs, graph.draw(2), strict=True))
    shapes = {name: ["batch", "length", *tensor.shape[2:]] for name, tensor in given.items()}
    shapes["images"] = ["batch", 3, height, width]
    dim = graph.expected(*given.values()).shape[1]
    return {
        "pictures": {
            "height": height,
            "width": width,
            "mean": model.image_spec.mean,
            "std": model.image_spec.std,
            "preparation": PREPARATION.format(model.retrieval.resize),
        },
        "inputs": [
            {"name": name, "shape": shapes[name], "dtype": str(given[name].dtype).removeprefix("torch.")}
            for name in graph.inputs
        ],
        "outputs": [{"name": "features", "shape": ["batch", dim], "dtype": "float32"}],
    }


def _versions(form: Format) -> dict[str, str]:
    from importlib.metadata import version

    names = ("torch", "onnx", "onnxscript", "onnxruntime") if form == "onnx" else ("torch",)
    return {name: version(name) for name in names}
