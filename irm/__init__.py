"""IRM: the models of both papers, their losses, training and retrieval."""

from irm.models import IRM, load_backbone

__all__ = ["IRM", "load_backbone"]
