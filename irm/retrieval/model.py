"""The model of a gallery: which weights, which tasks; images and words in, vectors out."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch.nn import functional as F

from instructions.errors import InputError
from instructions.instruction import Instruction
from irm.build import choose_device, instruction_settings_of
from irm.embedder import IRMEmbedder
from irm.evaluation import open_run
from irm.models import IRM
from irm.retrieval.views import View
from omnireid.files import sha256_of
from omnireid.loading.batch import Batch
from omnireid.loading.collate import Sample, collate
from omnireid.loading.image import read_image
from omnireid.loading.resizing import resize
from omnireid.records import Record
from omnireid.tasks import PAPER_INSTRUCTIONS, InstructionSettings

NOBODY = Record(image="", pid=-1, camid=-2)
PAIRS = 128  # of text and image that are scored at a time, as the benchmark has it


class SearchModel:
    """An embedder with its fingerprint; threads take turns in its forward passes."""

    def __init__(
        self,
        embedder: IRMEmbedder,
        fingerprint: str,
        folder: Path,
        tasks: Sequence[str],
        asking: InstructionSettings = PAPER_INSTRUCTIONS,
    ) -> None:
        """Wrap an embedder.

        Args:
            embedder: The model.
            fingerprint: sha256 of its weights.
            folder: Where it came from: a run, or a model without a run.
            tasks: What it was trained for.
            asking: How its sheet asks the tasks of sentences; unknown for a model without a run.
        """
        self.embedder, self.fingerprint, self.folder = embedder, fingerprint, folder
        self.tasks, self.asking = tuple(dict.fromkeys(tasks)), asking
        self.preprocessing = embedder.preprocessing
        self.lock = threading.RLock()  # also held while attention is recorded

    @classmethod
    def load(cls, folder: Path) -> SearchModel:
        """Load a finished run, or the folder of a model without a run.

        Raises:
            InputError: it is neither, or damaged.
        """
        if (folder / "model.safetensors").is_file():
            if (folder / "state.json").is_file():
                raise InputError(
                    f"{folder} is a checkpoint of training; give its run once that is finished, or the run's "
                    "best/, which is a model"
                )
            model_folder, tasks, device, asking = folder, [], "auto", PAPER_INSTRUCTIONS
        else:
            run = open_run(folder)
            model_folder, device, asking = (
                run.model_folder,
                run.sheet.device,
                instruction_settings_of(run.sheet),
            )
            tasks = [row.task for row in run.sheet.mixture]
        try:
            # The hub's loader prints a line, which would spoil a program's JSON.
            with redirect_stdout(io.StringIO()):
                model = IRM.from_pretrained(model_folder)
        except ValueError as error:
            raise InputError(str(error)) from error
        if not tasks:
            tasks = [name.partition("/")[0] for name in model.necks.names]
            tasks += ["t2i"] if model.match_head is not None else []
        fingerprint = sha256_of(model_folder / "model.safetensors")
        return cls(IRMEmbedder(model.to(choose_device(device))), fingerprint, folder, tasks, asking)

    @property
    def is_raw(self) -> bool:
        """Whether the benchmark compares its features as they are; a gallery compares directions."""
        return self.embedder.metric == "euclidean"

    @property
    def can_match(self) -> bool:
        """Whether it scores texts and images jointly."""
        return self.embedder.model.match_head is not None and "t2i" in self.tasks

    def domain(self, view: View, dataset: str | None = None) -> str:
        """Whose batch-norm statistics a view of a gallery is embedded with."""
        if view.beside == "nothing":
            return view.task
        return self.embedder.view(f"{view.task}/{dataset or ''}")

    def resized(self, images: Sequence[UInt8[np.ndarray, "_H _W 3"]]) -> UInt8[np.ndarray, "B H W 3"]:
        """Decoded images at the size of the model."""
        size, mode = self.preprocessing.image_size, self.preprocessing.resize
        return np.stack([resize(np.ascontiguousarray(image), size, mode) for image in images])

    def embed(
        self,
        pixels: UInt8[np.ndarray, "B H W 3"],
        view: View,
        domain: str,
        instructions: Sequence[Instruction] | None,
        clothes: Sequence[UInt8[np.ndarray, "_H _W 3"] | None] | None = None,
    ) -> Float[np.ndarray, "B D"]:
        """Vectors of images, as the benchmark embeds them, of length one.

        Args:
            pixels: At the model's size (``resized``).
            view: Gives the task.
            domain: Of the space.
            instructions: One per image, or None.
            clothes: Decoded clothes images of the rows that have one; None reads them from their files.

        Raises:
            InputError: A clothes image cannot be read.
        """
        nothing = [None] * len(pixels)
        rows = zip(instructions or nothing, clothes or nothing, strict=True)
        samples = [
            Sample(index=row, record=NOBODY, label=0, instruction=one, clothes=self._clothes(one, given))
            for row, (one, given) in enumerate(rows)
        ]
        raw = collate(samples, pixels, task=view.task, domain=domain)
        with self.lock:
            features = self.embedder.embed(raw.normalised(self.preprocessing), "gallery")
        return F.normalize(features, dim=-1).numpy() if self.is_raw else features.numpy()

    def words_read(self, text: str) -> int:
        """How many of a text's words (split at spaces) the model reads; the rest is cut off."""
        tokenizer = self.embedder.model.tokenizer
        return len(text.split()) if tokenizer is None else tokenizer.words_read(text)

    def embed_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "B D"]:
        """Vectors of descriptions."""
        samples = [Sample(index=row, record=NOBODY, label=0, text=text) for row, text in enumerate(texts)]
        with self.lock:
            return self.embedder.embed(self._batch(samples, None), "query").numpy()

    def match(self, text: str, images: Sequence[UInt8[np.ndarray, "_H _W 3"]]) -> Float[np.ndarray, " K"]:
        """Logit of "matches" over "does not match" of a text with each image (IRM, appendix D.2)."""
        scores = []
        with self.lock:
            words = self.embedder.states(self._batch([Sample(0, NOBODY, 0, text=text)], None), "query")
            for first in range(0, len(images), PAIRS):
                pixels = self.resized(images[first : first + PAIRS])
                rows = [Sample(index=row, record=NOBODY, label=0) for row in range(len(pixels))]
                states = self.embedder.states(self._batch(rows, pixels), "gallery")
                repeated = words.take(torch.zeros(len(pixels), dtype=torch.int64))
                scores.append(self.embedder.score_pairs(repeated, states))
        return torch.cat(scores).double().numpy()

    def _batch(self, samples: Sequence[Sample], pixels: UInt8[np.ndarray, "B H W 3"] | None) -> Batch:
        """A batch of text search, ready for the model."""
        return collate(samples, pixels, task="t2i", domain="t2i").normalised(self.preprocessing)

    def _clothes(
        self, instruction: Instruction | None, given: UInt8[np.ndarray, "_H _W 3"] | None
    ) -> UInt8[np.ndarray, "h w 3"] | None:
        if instruction is None or instruction.clothes is None:
            return None
        image = read_image(instruction.clothes) if given is None else np.ascontiguousarray(given)
        return resize(image, self.preprocessing.clothes_size)
