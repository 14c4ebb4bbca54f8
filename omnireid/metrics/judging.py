"""The interfaces of labels and protocols that metrics need; metrics import neither."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from jaxtyping import Bool, Int


class LabelArrays(Protocol):
    """Labels of one side of a search, one row per image; ``omnireid.records.Labels`` is one."""

    @property
    def pids(self) -> Int[np.ndarray, " N"]:
        """Person identities."""
        ...

    @property
    def camids(self) -> Int[np.ndarray, " N"]:
        """Cameras."""
        ...

    @property
    def clothes_ids(self) -> Int[np.ndarray, " N"] | None:
        """Outfits; for a query with an instruction, the outfit that it asks for."""
        ...

    @property
    def modalities(self) -> Int[np.ndarray, " N"] | None:
        """Sensors."""
        ...


class RankingProtocol(Protocol):
    """What ``rank_features`` asks of a protocol; ``omnireid.protocols.Protocol`` is one.

    An image of another person is never right, and counts either for all queries or for none; ``rank`` takes
    masks, for protocols that judge otherwise.
    """

    @property
    def cmc(self) -> Literal["image", "identity"]:
        """What the CMC counts: images or identities."""
        ...

    @property
    def ap_topk(self) -> int | None:
        """Number of ranks that enter the AP; None for all."""
        ...

    def judge(
        self, query: LabelArrays, gallery: LabelArrays, /
    ) -> tuple[Bool[np.ndarray, "Q G"], Bool[np.ndarray, "Q G"]]:
        """Relevant and keep."""
        ...
