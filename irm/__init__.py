"""IRM: the models of both papers, their losses, training and retrieval."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from irm.models import IRM, load_backbone

__all__ = ["IRM", "load_backbone"]


def __getattr__(name: str) -> Any:
    """The public names, imported when first asked for: timm and transformers take seconds to import."""
    if name in __all__:
        import irm.models

        return getattr(irm.models, name)
    raise AttributeError(f"module 'irm' has no attribute {name!r}")
