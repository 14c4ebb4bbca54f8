"""What the joint stage minimises: answers and people in one forward pass (MLLM, eq. 4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import nn

from irm.mllm import VLM, DialogueEncoder, SyncReID, Turn, language_loss, overall_loss
from irm.training.breakdown import LossBreakdown
from irm.training.loop import moved
from omnireid.loading.batch import Batch

Words = Sequence[Sequence[str]]  # of each record of a domain: its answers, perhaps none


class JointObjective(nn.Module):
    """lambda * L_language + (1 - lambda) * (L_ID + L_tri), with a neck and a classifier for each data set."""

    def __init__(
        self,
        heads: Mapping[str, SyncReID],
        words: Mapping[str, Words],
        encoder: DialogueEncoder,
        ask: Callable[[Sequence[str]], list[Turn]],
        *,
        lambda_value: float = 0.3,
    ) -> None:
        """Put the pieces together.

        Args:
            heads: the ReID losses by domain.
            words: answers by domain and record; a row without any trains the ReID part alone.
            encoder: makes token ids.
            ask: the dialogue of a picture with these answers; draws from PyTorch's generator.
            lambda_value: share of the language loss.
        """
        super().__init__()
        self.heads = nn.ModuleDict(dict(heads))
        self.lambda_value = lambda_value
        self._words, self._encoder, self._ask = dict(words), encoder, ask

    def forward(self, model: nn.Module, batch: Batch) -> LossBreakdown:
        """Loss terms of one batch of pictures."""
        assert isinstance(model, VLM) and batch.images is not None
        words = self._words[batch.domain]
        dialogue = self._encoder.batch([self._ask(words[row]) for row in batch.indices.tolist()])
        output = model(batch.images, moved(dialogue, batch.images.device))
        sync = self.heads[batch.domain](output.latent, batch.labels)
        language = language_loss(output.negative_log_likelihood, dialogue.num_answer_tokens)
        total = overall_loss(language, sync.identification, sync.triplet, self.lambda_value)
        terms = {"language": language, "identification": sync.identification, "triplet": sync.triplet}
        return LossBreakdown(terms, total)
