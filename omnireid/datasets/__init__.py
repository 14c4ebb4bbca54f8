"""A reader and a card for each data set; training and evaluation read them with ``load_split``."""

from omnireid.datasets.card import DatasetCard, Published
from omnireid.datasets.catalog import DATASETS, WITHDRAWN, dataset_named
from omnireid.datasets.datalists import read_datalists
from omnireid.datasets.dataset import Dataset
from omnireid.datasets.load import load_split

__all__ = [
    "DATASETS",
    "WITHDRAWN",
    "Dataset",
    "DatasetCard",
    "Published",
    "dataset_named",
    "load_split",
    "read_datalists",
]
