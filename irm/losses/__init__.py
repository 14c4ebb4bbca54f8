"""The losses of both papers as functions of tensors."""

from irm.losses.adaptive_triplet import adaptive_triplet_loss, relatedness
from irm.losses.composition import composition_loss
from irm.losses.contrastive import ContrastiveKeys, contrastive_loss
from irm.losses.identification import identification_loss
from irm.losses.matching import MatchPairs, draw_hard_negatives, match_pairs, matching_loss
from irm.losses.outfit import outfit_loss
from irm.losses.score_triplet import score_triplet_loss
from irm.losses.triplet import batch_hard_triplet_loss
from irm.losses.words import HiddenWords, hide_words, replace_words, replaced_words_loss, word_prediction_loss

__all__ = [
    "ContrastiveKeys",
    "HiddenWords",
    "MatchPairs",
    "adaptive_triplet_loss",
    "batch_hard_triplet_loss",
    "composition_loss",
    "contrastive_loss",
    "draw_hard_negatives",
    "hide_words",
    "identification_loss",
    "match_pairs",
    "matching_loss",
    "outfit_loss",
    "relatedness",
    "replace_words",
    "replaced_words_loss",
    "score_triplet_loss",
    "word_prediction_loss",
]
