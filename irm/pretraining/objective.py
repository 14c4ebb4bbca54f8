"""What the joint stage minimises: answers and people in one forward pass (MLLM, eq. 4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from irm.mllm import VLM, DialogueEncoder, SyncReID, Turn, language_loss, overall_loss
from irm.training.breakdown import LossBreakdown
from irm.training.global_batch import local_rows
from irm.training.loop import to_device
from irm.training.ranks import from_first_rank, gather_rows, mean_over_ranks
from omnireid.loading.batch import Batch

Words = Sequence[Sequence[str]]  # of each record of a domain: its answers, perhaps none


class JointObjective(nn.Module):
    """lambda * L_language + (1 - lambda) * (L_ID + L_tri), with a neck and a classifier for each data set."""

    def __init__(
        self,
        heads: Mapping[str, SyncReID],
        words: Mapping[str, Words],
        encoder: DialogueEncoder,
        ask: Callable[[Sequence[str], torch.Generator], list[Turn]],
        *,
        lambda_value: float = 0.3,
    ) -> None:
        """Put the pieces together.

        Args:
            heads: the ReID losses by domain.
            words: answers by domain and record; a row without any trains the ReID part alone.
            encoder: makes token ids.
            ask: the dialogue of an image with these answers, some of them drawn.
            lambda_value: share of the language loss.
        """
        super().__init__()
        self.heads = nn.ModuleDict(dict(heads))
        self.lambda_value = lambda_value
        self._words, self._encoder, self._ask = dict(words), encoder, ask

    def forward(self, model: nn.Module, batch: Batch) -> LossBreakdown:
        """Loss terms of one batch of images; of several ranks, each with its share of them.

        Images of all ranks meet in the ReID losses. An answer's tokens are counted over all of them, so
        that the mean of the ranks' language losses is that of the whole batch.
        """
        assert isinstance(model, VLM) and batch.images is not None
        dialogue = self._encoder.batch(self._dialogues(batch))
        output = model(batch.images, to_device(dialogue, batch.images.device))
        sync = self.heads[batch.domain](gather_rows(output.latent), gather_rows(batch.labels))
        num_tokens = mean_over_ranks(torch.tensor(float(dialogue.num_answer_tokens)))
        language = language_loss(output.negative_log_likelihood, num_tokens.item())
        total = overall_loss(language, sync.identification, sync.triplet, self.lambda_value)
        terms = {"language": language, "identification": sync.identification, "triplet": sync.triplet}
        return LossBreakdown(terms, total)

    def _dialogues(self, batch: Batch) -> list[list[Turn]]:
        """What is asked of each image; drawn for the rows of all ranks, as one process would."""
        words = self._words[batch.domain]
        draw = torch.Generator().manual_seed(int(from_first_rank(torch.randint(2**62, ()))))
        turns = [self._ask(words[row], draw) for row in gather_rows(batch.indices).tolist()]
        return local_rows(turns)
