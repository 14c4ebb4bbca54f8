"""Arms, sleeves, hands and gloves."""

from omnireid.synthetic.fabric import Fabric
from omnireid.synthetic.figure import Figure
from omnireid.synthetic.legs import between
from omnireid.synthetic.palette import Paint, paint

# Sleeve length along the arm: 1 is the elbow, 2 the wrist.
_SLEEVES = {
    "long sleeve coat": 2.0,
    "agnostic length coat": 1.5,
    "short sleeve coat": 0.62,
    "bareback coat": 0.0,
}


def draw_arm(figure: Figure, side: str, *, bare: bool = True, near: bool = True) -> None:
    """One arm with its sleeve; without `bare` only the sleeve; a near arm casts a shadow on the trunk."""
    bones, unit, canvas = figure.bones, figure.unit, figure.canvas
    shoulder, elbow, wrist = (bones[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist"))
    heavy = 0.003 * figure.identity.build
    upper, fore = (0.0255 + heavy) * unit, (0.0205 + heavy) * unit
    if near and figure.fine:
        for first, second in ((shoulder, elbow), (elbow, wrist)):
            above, below = ((joint.x, joint.y + 0.006 * unit) for joint in (first, second))
            shadow = canvas.strip(above, below, [(0.1, 0, upper * 1.45), (1, 0, upper * 1.3)])
            canvas.darken(shadow, 0.2, body=True)
    reach = _SLEEVES[figure.outfit.coat_length]
    if bare:
        _draw_bare(figure, side, upper, fore)
    if reach > 0:
        _draw_sleeve(figure, side, reach, upper, fore)


def _draw_bare(figure: Figure, side: str, upper: float, fore: float) -> None:
    bones, canvas, outfit, unit = figure.bones, figure.canvas, figure.outfit, figure.unit
    shoulder, elbow, wrist, hand = (
        bones[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist", "hand")
    )
    if outfit.coat_length in ("short sleeve coat", "bareback coat"):
        start = 0.0 if outfit.coat_length == "bareback coat" else 0.4
        canvas.stroke(shoulder.at, elbow.at, [(start, 0, upper), (0.5, 0, upper), (1, 0, fore)], figure.skin)
    if figure.action != "pockets":
        glove = outfit.glove == "with glove"
        palm = paint(outfit.glove_rgb, "leather") if glove else figure.skin
        half = (0.0175 if glove else 0.0150) * unit
        shape = [(0, 0, half * 0.75), (0.45, 0, half), (1, 0, half * 0.72)]
        if figure.fine:
            thumb = between(wrist, hand, 0.55)
            inward = half * (0.9 if bones["pelvis"].x > hand.x else -0.9)
            canvas.stroke(
                wrist.at, (thumb[0] + inward, thumb[1]), [(0.2, 0, half * 0.35), (1, 0, half * 0.3)], palm
            )
        canvas.stroke(wrist.at, hand.at, shape, palm)
        if glove:
            cuff = [(0.82, 0, fore * 0.95), (1.0, 0, fore * 1.0)]
            canvas.stroke(elbow.at, wrist.at, cuff, palm)
    if outfit.coat_length != "long sleeve coat":
        lower = [(0, 0, fore), (0.3, 0, fore * 1.05), (1, 0, fore * 0.68)]
        canvas.stroke(elbow.at, wrist.at, lower, figure.skin)
        if figure.identity.wristband is not None and side == "left":
            band = canvas.strip(
                elbow.at, wrist.at, [(0.86, 0, fore * 0.8), (0.97, 0, fore * 0.78)], flat="both"
            )
            canvas.cover(band, paint(figure.identity.wristband, "synthetic"))


def _draw_sleeve(figure: Figure, side: str, reach: float, upper: float, fore: float) -> None:
    bones, canvas, outfit = figure.bones, figure.canvas, figure.outfit
    shoulder, elbow, wrist = (bones[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist"))
    thick = {"jacket": 0.008, "long coat": 0.008, "sweater": 0.006, "business suit": 0.005}.get(
        outfit.coat_style, 0.003
    )
    ease = (thick + 0.02 * (outfit.fit - 0.95)) * figure.unit
    fabric = _sleeve_cloth(figure)
    first = min(reach, 1.0)
    wide = ease * (1.6 if reach < 1 else 1.0)
    top = [
        (0, 0, 0.82 * upper + 0.5 * ease),
        (0.25 * first, 0, upper + 0.8 * ease),
        (0.5 * first, 0, upper + ease),
        (first, 0, fore + wide + (upper - fore) * (1 - first)),
    ]
    surface = canvas.strip(shoulder.at, elbow.at, top, flat=None if reach > 1 else "end")
    figure.dress(
        surface,
        fabric,
        seam=0.012 if fabric.pattern == "plain" and fabric.paint == figure.cloth.accent else 0.035,
    )
    if reach > 1:
        end = reach - 1
        cuff = fore * 0.78 + ease
        lower = [(0, 0, fore + ease), (0.5 * end, 0, fore + ease), (end, 0, cuff)]
        figure.dress(canvas.strip(elbow.at, wrist.at, lower, flat="end"), fabric)
        if outfit.uniform in ("firefighter uniform", "worker uniform"):
            band = canvas.strip(
                elbow.at, wrist.at, [(0.55, 0, fore + ease), (0.68, 0, fore + ease)], flat="both"
            )
            canvas.cover(band, Paint((0.88, 0.89, 0.86), 1.0))


def _sleeve_cloth(figure: Figure) -> Fabric:
    cloth, outfit = figure.cloth, figure.outfit
    if outfit.pattern == "two_tone" and outfit.seed % 3:
        return Fabric(cloth.accent, cloth.accent, "plain", 1.0, cloth.folds, cloth.seed)
    return cloth
