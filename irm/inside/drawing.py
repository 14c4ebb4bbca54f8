"""One page of what a model saw: image, attention, words, gates, layer by layer."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, UInt8

from irm.inside.inspection import Inspection, InstructionEffect
from omnireid.tasks import TASKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

PAPER, INK, QUIET, ACCENT = "#faf9f6", "#1e2024", "#70747c", "#186e48"
ATTENTION_COLOURS, INFLUENCE_COLOURS = "inferno", "viridis"  # colours of attention, and of the instruction
MAX_LAYERS, MAX_WORDS = 6, 14  # shown


def draw(inspection: Inspection, *, subtitle: str) -> bytes:
    """A PNG.

    Args:
        inspection: what was seen.
        subtitle: of which model, for the second line.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style: Any = {"font.family": "DejaVu Sans", "font.size": 9, "text.color": INK, "axes.labelcolor": QUIET}
    with rc_context({**style, "xtick.color": QUIET, "ytick.color": QUIET}):
        width = 7.2 if inspection.effect is None else 12.8  # inches
        figure = Figure(figsize=(width, 8.6), facecolor=PAPER, layout="constrained")
        layout: Any = figure.get_layout_engine()
        layout.set(w_pad=0.08, h_pad=0.08)
        parts: Any = figure.subfigures(3, 1, height_ratios=(0.9, 4.7, 2.6))
        head, body, film = parts
        _heading(head, inspection, subtitle)
        if inspection.effect is None:
            _images(body, inspection)
        else:
            left, right = body.subfigures(1, 2, width_ratios=(1.25, 1.0))
            _images(left, inspection)
            _instruction(right, inspection, inspection.effect)
        _layers(film, inspection)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _heading(part: SubFigure, inspection: Inspection, subtitle: str) -> None:
    part.set_facecolor(PAPER)
    is_sentence = inspection.instruction and inspection.clothes is None
    said = f"“{inspection.instruction}”" if is_sentence else inspection.instruction or "no instruction"
    part.text(0.012, 0.62, textwrap.shorten(said, 90), fontsize=19, weight="bold", va="center")
    angle = ""
    if inspection.effect is not None:
        angle = f"   ·   the instruction turns the feature by {inspection.effect.angle:.1f}°"
    necks = f"   ·   batch-norm statistics of {inspection.domain}"
    stands_alone = TASKS[inspection.task].instruction == "none"  # and passes no neck
    facts = f"task {inspection.task}{'' if stands_alone else necks}   ·   {subtitle}{angle}"
    part.text(0.012, 0.16, facts, fontsize=10, color=QUIET, va="center")


def _images(part: Figure | SubFigure, inspection: Inspection) -> None:
    """The image, the attention of the class token, the influence of the instruction."""
    part.set_facecolor(PAPER)
    maps: list[tuple[str, str, Float[np.ndarray, "h w"] | None, str]] = [
        ("the image", "model input", None, ATTENTION_COLOURS),
        ("where the model looks", "attention rollout over all layers", inspection.rollout, ATTENTION_COLOURS),
    ]
    if inspection.effect is not None:
        maps.append(
            (
                "instruction influence",
                "per patch, gated over self-attention",
                inspection.effect.influence_map,
                INFLUENCE_COLOURS,
            )
        )
    row = part.subplots(1, len(maps), squeeze=False)[0]
    for axes, (title, remark, heat, colours) in zip(row, maps, strict=True):
        _over(axes, inspection.image, heat, colours)
        axes.set_title(title, loc="left", fontsize=12, weight="bold", pad=20)
        axes.text(0, 1.02, remark, transform=axes.transAxes, color=QUIET, fontsize=8.5)


def _over(
    axes: Axes, image: UInt8[np.ndarray, "H W 3"], heat: Float[np.ndarray, "h w"] | None, colours: str
) -> None:
    """An image in grey under a heat map, or the image alone."""
    height, width = image.shape[:2]
    axes.set_axis_off()
    if heat is None:
        axes.imshow(image)
        return
    axes.imshow(0.6 * image.mean(axis=-1) + 0.4 * 255, cmap="gray", vmin=0, vmax=255)
    place = (-0.5, width - 0.5, height - 0.5, -0.5)
    axes.imshow(heat, cmap=colours, alpha=0.12 + 0.7 * heat, extent=place, interpolation="bicubic")


def _instruction(part: SubFigure, inspection: Inspection, effect: InstructionEffect) -> None:
    """The attention to the instruction, and the gates."""
    part.set_facecolor(PAPER)
    upper, lower = part.subplots(2, 1, height_ratios=(1.15, 1.0))
    upper.set_title("which parts of the instruction it reads", loc="left", fontsize=12, weight="bold", pad=20)
    if effect.clothes is not None and inspection.clothes is not None:
        upper.text(
            0,
            1.03,
            "the class token's attention over the clothes image",
            transform=upper.transAxes,
            color=QUIET,
        )
        _over(upper, inspection.clothes, effect.clothes, INFLUENCE_COLOURS)
    else:
        upper.text(
            0,
            1.03,
            "share of the class token's attention, word by word",
            transform=upper.transAxes,
            color=QUIET,
        )
        _words(upper, effect)
    _gates(lower, effect)


def _words(axes: Axes, effect: InstructionEffect) -> None:
    words = effect.words[:MAX_WORDS]
    shares = [share for _, share in words]
    places = np.arange(len(words))
    bars = axes.barh(places, shares, color=ACCENT, height=0.72)
    for bar, share in zip(bars, shares, strict=True):
        bar.set_alpha(0.3 + 0.7 * share / max(shares, default=1.0))
        axes.text(
            share, bar.get_y() + bar.get_height() / 2, f" {share:.0%}", va="center", color=QUIET, fontsize=8.5
        )
    axes.set_yticks(places, [word for word, _ in words], fontsize=10, color=INK)
    axes.set_ylim(len(words) - 0.5, -0.5)
    axes.set_xlim(0, 1.18 * max(shares, default=1.0))
    axes.set_xticks([])
    axes.tick_params(length=0)
    _bare(axes)


def _gates(axes: Axes, effect: InstructionEffect) -> None:
    """Influence by layer and head as a map, with the gate beside each layer."""
    loud = effect.influence
    axes.set_title("how strongly each layer uses it", loc="left", fontsize=12, weight="bold", pad=20)
    axes.text(
        0,
        1.06,
        "ratio of gated attention to self-attention, class token; on the right the gate",
        transform=axes.transAxes,
        color=QUIET,
    )
    image = axes.imshow(
        loud, cmap=INFLUENCE_COLOURS, aspect="auto", vmin=0, vmax=max(float(loud.max()), 1e-9)
    )
    axes.set_yticks(range(len(loud)), [f"layer {place + 1}" for place in range(len(loud))], fontsize=8)
    axes.set_xticks(range(loud.shape[1]), [str(head + 1) for head in range(loud.shape[1])], fontsize=8)
    axes.set_xlabel("head", fontsize=8.5)
    axes.tick_params(length=0)
    for layer, gates in enumerate(effect.gates):
        said = f"{gates[0]:+.3f}" if np.ptp(gates) == 0 else f"{gates.min():+.2f} … {gates.max():+.2f}"
        axes.text(loud.shape[1] - 0.3, layer, said, va="center", fontsize=8, color=INK)
    _bare(axes)
    figure: Any = axes.figure
    bar: Any = figure.colorbar(image, ax=axes, pad=0.16, fraction=0.04)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=0)


def _layers(part: SubFigure, inspection: Inspection) -> None:
    """Attention of each of the last layers, and beside it the influence of the instruction."""
    part.set_facecolor(PAPER)
    first = max(0, len(inspection.layers) - MAX_LAYERS)
    influence_map = () if inspection.effect is None else inspection.effect.layers
    pairs = [
        [
            (one, ATTENTION_COLOURS),
            *((other, INFLUENCE_COLOURS) for other in influence_map[place : place + 1]),
        ]
        for place, one in enumerate(inspection.layers)
    ]
    row = iter(part.subplots(1, sum(map(len, pairs[first:])), squeeze=False)[0])
    for place, maps in enumerate(pairs[first:], first):
        for heat, colours in maps:
            axes = next(row)
            _over(axes, inspection.image, heat, colours)
            said = "attention" if colours == ATTENTION_COLOURS else "instruction"
            axes.set_title(f"layer {place + 1} {said}", fontsize=8.5, color=QUIET, loc="left")


def _bare(axes: Any) -> None:
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_facecolor(PAPER)
