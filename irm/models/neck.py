"""BN necks (Luo et al., 2019), one set per domain, so that batch-norm statistics of data sets do not mix."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

FEATURES = ("edited", "fused")  # F and F_out have a neck each; both streams of F_out share theirs


class NeckBank(nn.Module):
    """Batch normalisation before the classifiers, by domain and feature; the shift stays at zero."""

    def __init__(self, names: Sequence[str], dim: int) -> None:
        """Make the necks.

        Args:
            names: domains, e.g. ``trad/market1501``.
            dim: width D of the features.
        """
        super().__init__()
        if len({module_key(name) for name in names}) < len(names):
            raise ValueError(f"the neck names are not unique: {', '.join(names)}")
        self.names = tuple(names)
        self.banks = nn.ModuleDict(
            {module_key(name): nn.ModuleDict({part: _neck(dim) for part in FEATURES}) for name in names}
        )

    def forward(self, features: Float[Tensor, "B D"], *, name: str, feature: str) -> Float[Tensor, "B D"]:
        """Normalised features; in training by the batch's own statistics, which update the running ones.

        Raises:
            ValueError: for a domain that has no neck.
        """
        if name not in self.names:
            raise ValueError(f"there is no neck {name!r} (known: {', '.join(self.names) or 'none'})")
        return self.banks.get_submodule(f"{module_key(name)}.{feature}")(features)


def module_key(name: str) -> str:
    """A domain's name as the key of a submodule, in which torch allows no dot."""
    return name.replace(".", "_")


def _neck(dim: int) -> nn.BatchNorm1d:
    neck = nn.BatchNorm1d(dim)
    neck.bias.requires_grad_(False)
    return neck
