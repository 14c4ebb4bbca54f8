"""Distances, CMC, mAP, mINP: exact measurements of a ranking."""

from omnireid.metrics.chance import chance_average_precision, chance_mean_ap, chance_rank_1
from omnireid.metrics.comparison import Metric
from omnireid.metrics.distances import cosine_distances, euclidean_distances
from omnireid.metrics.features import search
from omnireid.metrics.nearest import nearest, nearest_exactly
from omnireid.metrics.query_ranks import Distances, ExactDistances
from omnireid.metrics.ranking import Ranking, RankingBuilder, rank
from omnireid.metrics.re_ranking import ReRanking, re_rank, re_rank_blocks
from omnireid.metrics.streaming import RankedLists, rank_features, rank_protocols, ranked_lists

__all__ = [
    "Distances",
    "ExactDistances",
    "Metric",
    "RankedLists",
    "Ranking",
    "RankingBuilder",
    "ReRanking",
    "chance_average_precision",
    "chance_mean_ap",
    "chance_rank_1",
    "cosine_distances",
    "euclidean_distances",
    "nearest",
    "nearest_exactly",
    "rank",
    "rank_features",
    "rank_protocols",
    "ranked_lists",
    "re_rank",
    "re_rank_blocks",
    "search",
]
