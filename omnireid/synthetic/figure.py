"""A person to be drawn: canvas, pose, clothes, and the measures that all parts share."""

from dataclasses import dataclass

import numpy as np

from omnireid.synthetic.canvas import Canvas, Point, Surface
from omnireid.synthetic.fabric import Fabric, weave
from omnireid.synthetic.identity import Identity
from omnireid.synthetic.outfit import Outfit
from omnireid.synthetic.palette import Paint, paint
from omnireid.synthetic.skeleton import Skeleton

SIDES = ("left", "right")
# Infrared grey of hair: it keeps its order from black to white, unlike dyed cloth.
_HAIR_IR = {"black hair": 0.2, "agnostic color hair": 0.36, "yellow hair": 0.58, "white hair": 0.78}


@dataclass(frozen=True, slots=True)
class Figure:
    """What the painters of trunk, limbs, head and bags work on."""

    canvas: Canvas
    bones: Skeleton
    identity: Identity
    outfit: Outfit
    action: str
    head_turn: float

    def place(self, joint: str, lateral: float = 0.0, up: float = 0.0, forward: float = 0.0) -> Point:
        """A place near a joint: steps to the wearer's left, up and forward, in own heights."""
        base = self.bones[joint]
        down = self.bones.depth(lateral, forward) * float(np.sin(self.bones.pitch)) - up
        return base.x + self.bones.shift(lateral, forward), base.y + down * self.unit

    @property
    def unit(self) -> float:
        """The person's height in pixels."""
        return self.bones.unit

    @property
    def fine(self) -> bool:
        """Whether the person is drawn large enough for thumbs, laces and eyelids."""
        return self.bones.unit > 150

    @property
    def skin(self) -> Paint:
        """The paint of all bare parts."""
        return paint(self.identity.skin, "skin")

    @property
    def hair(self) -> Paint:
        """The paint of hair and beard."""
        return Paint(self.identity.hair, _HAIR_IR[self.identity.hair_color])

    @property
    def cloth(self) -> Fabric:
        """The upper garment's fabric."""
        outfit = self.outfit
        return Fabric(
            paint=paint(outfit.coat, outfit.coat_material),
            accent=paint(outfit.accent, outfit.coat_material),
            pattern=outfit.pattern,
            scale=outfit.pattern_scale,
            folds={"leather": 0.08, "wool": 0.04}.get(outfit.coat_material, 0.055),
            seed=outfit.seed,
        )

    @property
    def trouser_cloth(self) -> Fabric:
        """The lower garment's fabric; a dress goes on in the fabric of the upper one."""
        outfit = self.outfit
        if outfit.coat_style == "dress":
            return self.cloth
        base = paint(outfit.trousers, outfit.trousers_material)
        return Fabric(paint=base, accent=base, pattern="plain", scale=1.0, folds=0.06, seed=outfit.seed + 7)

    def dress(
        self, surface: Surface | None, fabric: Fabric, *, roundness: float = 0.85, seam: float = 0.0
    ) -> None:
        """Paint a surface with a fabric; over the length `seam` it blends into what is below."""
        if surface is not None:
            if seam:
                clear = np.clip(0.5 - surface.along / np.float32(seam * self.unit), 0, 1)
                surface.coverage[...] *= 1 - clear * self.canvas.body[surface.rows, surface.columns]
            colors, relief = weave(self.canvas, surface, fabric, self.unit)
            self.canvas.cover(surface, colors, relief=relief, roundness=roundness, rim=0.35)
