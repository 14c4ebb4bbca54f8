"""A vision-language model asked for attributes without training: which word of table 7 fits best?"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float, UInt8

from instructions.attributes import ATTRIBUTES
from instructions.errors import InputError
from omnireid.annotation.attributes import Proposal

PROMPT = "a photo of a person, {word}"


class ImageTextEncoder(Protocol):
    """Images and texts in one space, where the dot product of unit vectors is their similarity."""

    def embed_image(self, pixels: UInt8[np.ndarray, "H W 3"]) -> Float[np.ndarray, " D"]:
        """A unit vector."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "N D"]:
        """Unit vectors."""
        ...


@dataclass(frozen=True)
class ZeroShotProposer:
    """Names, for each attribute, the word whose prompt fits best, where it fits clearly best."""

    encoder: ImageTextEncoder
    name: str
    version: str
    sharpness: float = 100.0  # what similarities are multiplied by before the softmax; CLIP learnt 100
    sure: float = 0.6  # probability of a word below which nothing is said

    def propose(self, pixels: UInt8[np.ndarray, "H W 3"]) -> Proposal:
        """Attributes whose best word has a probability of at least ``sure`` among the attribute's words."""
        seen = self.encoder.embed_image(pixels)
        words, confidence = {}, {}
        for name, known in ATTRIBUTES.items():
            texts = self.encoder.embed_texts([PROMPT.format(word=word) for word in known])
            scores = self.sharpness * (texts @ seen)
            shares = np.exp(scores - scores.max())
            shares /= shares.sum()
            best = int(shares.argmax())
            if shares[best] >= self.sure:
                words[name], confidence[name] = known[best], float(shares[best])
        return Proposal(words, confidence)


class TransformersEncoder:
    """CLIP, SigLIP or a similar model from a folder or the hub, by transformers."""

    def __init__(self, name: str | Path, device: str = "cpu") -> None:
        """Load the model and its processor.

        Raises:
            InputError: There is no such model, or it does not embed images and texts alike.
        """
        import transformers

        model_of: Any = transformers.AutoModel
        processor_of: Any = transformers.AutoProcessor
        try:
            self.model: Any = model_of.from_pretrained(name).to(device).eval()
            self.processor: Any = processor_of.from_pretrained(name)
        except (OSError, ValueError) as error:
            raise InputError(f"{name} cannot be loaded as a vision-language model: {error!s:.200}") from None
        if not (hasattr(self.model, "get_image_features") and hasattr(self.model, "get_text_features")):
            raise InputError(
                f"{name} is not a dual encoder like CLIP: it does not embed images and texts into one space"
            )
        self._texts: dict[tuple[str, ...], Float[np.ndarray, "N D"]] = {}

    def version(self) -> str:
        """Hash of the weights."""
        digest = hashlib.sha256()
        for name, weights in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(weights.detach().cpu().float().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def embed_image(self, pixels: UInt8[np.ndarray, "H W 3"]) -> Float[np.ndarray, " D"]:
        """A unit vector."""
        return self._embed("get_image_features", self.processor(images=pixels, return_tensors="pt"))[0]

    def embed_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "N D"]:
        """Unit vectors; kept, because the same words are asked of every image."""
        asked = tuple(texts)
        if asked not in self._texts:
            inputs = self.processor(text=list(asked), return_tensors="pt", padding=True)
            self._texts[asked] = self._embed("get_text_features", inputs)
        return self._texts[asked]

    def _embed(self, method: str, inputs: Any) -> Float[np.ndarray, "N D"]:
        import torch

        with torch.inference_mode():
            found = getattr(self.model, method)(**inputs.to(self.model.device))
        features = getattr(found, "pooler_output", found)  # transformers 5 hands out a structure
        vectors = features.float().cpu().numpy()
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
