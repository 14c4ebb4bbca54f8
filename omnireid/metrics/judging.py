"""What metrics ask of labels and protocols, so that they need to know neither."""

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
        """Outfits; of a query with an instruction, the outfit that it asks for."""
        ...

    @property
    def modalities(self) -> Int[np.ndarray, " N"] | None:
        """Sensors."""
        ...


class Judge(Protocol):
    """What ``rank_features`` asks of a protocol; ``omnireid.protocols.Protocol`` is one.

    A picture of another person is never right, and counts for all queries or for none; ``rank`` takes the
    masks of protocols that judge otherwise.
    """

    @property
    def cmc(self) -> Literal["image", "identity"]:
        """What a rank of the CMC counts."""
        ...

    @property
    def ap_topk(self) -> int | None:
        """How many ranks the AP looks at; None is all."""
        ...

    def judge(
        self, query: LabelArrays, gallery: LabelArrays, /
    ) -> tuple[Bool[np.ndarray, "Q G"], Bool[np.ndarray, "Q G"]]:
        """Relevant and keep."""
        ...
