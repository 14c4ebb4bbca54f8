"""The annotation pipeline of OmniReID (IRM, 3 and C): attributes, sentences, crops, templates, review."""

from omnireid.annotation.attributes import AttributeProposer, Proposal
from omnireid.annotation.crops import BandParser, HumanParser, Parsed, upper_box
from omnireid.annotation.journal import Entry, Journal, Provenance
from omnireid.annotation.templates import ColorDescriber, Describer
from omnireid.annotation.work import ListedImage, Work

__all__ = [
    "AttributeProposer",
    "BandParser",
    "ColorDescriber",
    "Describer",
    "Entry",
    "HumanParser",
    "Journal",
    "ListedImage",
    "Parsed",
    "Proposal",
    "Provenance",
    "Work",
    "upper_box",
]
