"""The joint loss: next tokens of the answers, and ReID on the latent image features (MLLM, eqs. 1-4)."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn

from irm.losses import batch_hard_triplet_loss, identification_loss


def language_loss(negative_log_likelihood: Float[Tensor, ""], num_tokens: float) -> Float[Tensor, ""]:
    """Mean negative log-likelihood of the answer tokens: eq. 1 as a loss.

    Eq. 1 is a product over the tokens of one sample, so its logarithm grows with the answer; the mean
    over all of a batch's answer tokens, as LLaVA has it, does not. A batch without answers has loss zero.

    Args:
        negative_log_likelihood: summed over the answer tokens.
        num_tokens: how many these are; of a batch that is shared out, the mean over its shares.
    """
    return negative_log_likelihood / num_tokens if num_tokens else negative_log_likelihood


def overall_loss(
    language: Float[Tensor, ""],
    identification: Float[Tensor, ""],
    triplet: Float[Tensor, ""],
    lambda_value: float = 0.3,
) -> Float[Tensor, ""]:
    """``lambda * L_language + (1 - lambda) * (L_ID + L_tri)`` (eq. 4).

    The paper prints the likelihood where its negative logarithm is meant. At 0 and 1 the other part is left
    out rather than multiplied by zero, so that nothing of it reaches the gradient.
    """
    if lambda_value == 1.0:
        return language
    reid = identification + triplet
    return reid if lambda_value == 0.0 else lambda_value * language + (1 - lambda_value) * reid


@dataclass(frozen=True)
class SyncTerms:
    """The two classical losses on latent image features."""

    identification: Float[Tensor, ""]
    triplet: Float[Tensor, ""]


class SyncReID(nn.Module):
    """L_ID behind a batch-norm neck (eq. 2) and batch-hard L_tri before it (eq. 3), for one data set.

    Eq. 3 prints a sum over anchors and no margin: the mean, and the soft margin of TransReID's files unless
    one is given.
    """

    def __init__(
        self, dim: int, num_classes: int, *, margin: float | None = None, label_smoothing: float = 0.0
    ) -> None:
        super().__init__()
        self.neck = nn.BatchNorm1d(dim)
        self.neck.bias.requires_grad_(False)
        self.classifier = nn.Linear(dim, num_classes, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)
        self.margin, self.label_smoothing = margin, label_smoothing

    def forward(self, latent: Float[Tensor, "B E"], labels: Int[Tensor, " B"]) -> SyncTerms:
        """Both losses of a batch of P people with K images each."""
        logits = self.classifier(self.neck(latent))
        return SyncTerms(
            identification=identification_loss(logits, labels, label_smoothing=self.label_smoothing),
            triplet=batch_hard_triplet_loss(latent, labels, self.margin),
        )
