"""Step 1 by vLLM instead of transformers, for many captions on a GPU; an optional package (MLLM 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from instructions.continuation import CONTINUE_TEXT
from irm.mllm.parts import PACKAGED
from irm.pretraining.continuations import COURTESY_TOKENS, VERSION, question


@dataclass(frozen=True)
class VLLMWriter:
    """A chat model behind vLLM's engine, which makes batches of its own from what it is given."""

    engine: Any
    name: str
    batch_size: int = 1024
    max_new_tokens: int = 48

    @classmethod
    def load(cls, name: str, *, batch_size: int = 1024) -> VLLMWriter:
        """The engine for a hub id or a folder.

        Raises:
            ValueError: when vLLM is not installed, or the model has no chat template.
        """
        try:
            from vllm import LLM
        except ImportError:
            raise ValueError("--backend vllm needs vLLM: run pip install vllm, or omit --backend") from None
        if name in PACKAGED or name.endswith(".gguf"):
            raise ValueError(f"--backend vllm takes a hub id or a folder, not {name}; omit --backend")
        engine = LLM(model=name, enable_prefix_caching=True)  # all questions begin alike
        if not getattr(engine.get_tokenizer(), "chat_template", None):
            raise ValueError(f"{name} has no chat template, which vLLM needs for prompting; omit --backend")
        return cls(engine, name, batch_size)

    @property
    def asked(self) -> dict[str, Any]:
        """All that shapes an answer beside the caption; vLLM's arithmetic may break other ties."""
        return {
            "backend": "vllm",
            "model": self.name,
            "instruction": CONTINUE_TEXT,
            "template": self.engine.get_tokenizer().chat_template,
            "max_new_tokens": self.max_new_tokens,
            "version": VERSION,
        }

    def answers(self, captions: Sequence[str], *, temperature: float = 0.0, seed: int = 0) -> list[str]:
        """What the model says to each caption; greedy at temperature zero."""
        from vllm import SamplingParams

        length = self.max_new_tokens + COURTESY_TOKENS
        sampling = SamplingParams(temperature=temperature, max_tokens=length, seed=seed)
        asked = [[{"role": "user", "content": question(caption)}] for caption in captions]
        found = self.engine.chat(asked, sampling_params=sampling, use_tqdm=False)
        return [each.outputs[0].text for each in found]
