"""The losses of both papers as functions of tensors."""

from irm.losses.adaptive_triplet import adaptive_triplet_loss, relatedness
from irm.losses.contrastive import ContrastiveKeys, contrastive_loss
from irm.losses.identification import identification_loss
from irm.losses.matching import MatchPairs, draw_hard_negatives, match_pairs, matching_loss
from irm.losses.outfit import outfit_loss
from irm.losses.triplet import batch_hard_triplet_loss

__all__ = [
    "ContrastiveKeys",
    "MatchPairs",
    "adaptive_triplet_loss",
    "batch_hard_triplet_loss",
    "contrastive_loss",
    "draw_hard_negatives",
    "identification_loss",
    "match_pairs",
    "matching_loss",
    "outfit_loss",
    "relatedness",
]
