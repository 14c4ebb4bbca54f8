"""Which families of multimodal models can train a plain ViT, and why others cannot (transformers 5.23)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """One family by transformers' ``model_type``: taken where ``obstacle`` is None."""

    model_type: str
    obstacle: str | None = None


FAMILIES: dict[str, Family] = {
    family.model_type: family
    for family in (
        Family("llava"),
        Family("llava_next", "it cuts an image into tiles; specify its language model and tower separately"),
        Family(
            "llava_onevision", "it cuts an image into tiles; specify its language model and tower separately"
        ),
        Family(
            "qwen2_5_vl",
            "its tower has window attention and no class token, so it cannot be exported as a plain ViT",
        ),
        Family(
            "qwen3_vl",
            "its tower feeds several layers of the language model, so it cannot be exported as a plain ViT",
        ),
        Family("smolvlm", "its connector reads square images only, and a person is 256x128"),
        Family("idefics3", "its connector reads square images only, and a person is 256x128"),
        Family("internvl", "it reads a rectangular grid of patches as a square, in the wrong order"),
        Family("gemma3", "its tower pools to a fixed square of tokens, but a person is 256x128"),
        Family("paligemma", "its tower reads square images only, but a person is 256x128"),
        Family("mllama", "images are not tokens of its language model"),
        Family("florence2", "images are not tokens of its language model"),
    )
}


def check_family(model_type: str, source: str) -> None:
    """Refuse what cannot be trained here.

    Raises:
        ValueError: with the reason.
    """
    family = FAMILIES.get(model_type)
    known = ", ".join(name for name, each in FAMILIES.items() if each.obstacle is None)
    if family is None:
        raise ValueError(
            f"{source} is a {model_type!r}, which is not a supported multimodal model (supported: {known})"
        )
    if family.obstacle is not None:
        raise ValueError(f"{source} is a {model_type!r}: {family.obstacle}; use a {known} checkpoint")
