"""Draws a person in front of a camera: place, shadow, body, clothes, occluders, and the sensor's faults."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from omnireid.synthetic.camera import Camera
from omnireid.synthetic.canvas import Canvas
from omnireid.synthetic.figure import SIDES, Figure
from omnireid.synthetic.identity import Identity
from omnireid.synthetic.occluders import draw_occluder
from omnireid.synthetic.outfit import Outfit
from omnireid.synthetic.person import draw_person
from omnireid.synthetic.scene import backdrop
from omnireid.synthetic.sensor import expose
from omnireid.synthetic.shot import Shot
from omnireid.synthetic.skeleton import Skeleton, pose


@dataclass(frozen=True, slots=True)
class Rendering:
    """A finished image and the box (x0, y0, x1, y1) of the upper clothes in it."""

    image: UInt8[ndarray, "H W 3"]
    clothes_box: tuple[int, int, int, int]


def render_person(
    identity: Identity,
    outfit: Outfit,
    camera: Camera,
    shot: Shot,
    *,
    height: int = 256,
    width: int = 128,
    modality: str = "rgb",
) -> Rendering:
    """Draw one image; the same arguments give the same pixels.

    Args:
        identity: The person.
        outfit: Their clothes.
        camera: The camera.
        shot: The moment.
        height: Height of the image in pixels; smaller images are drawn at that size, and faster.
        width: Width of the image in pixels.
        modality: "rgb", or "ir" for near infrared.
    """
    if modality not in ("rgb", "ir"):
        raise ValueError(f"modality is 'rgb' or 'ir', not {modality!r}")
    canvas = Canvas(
        height,
        width,
        light=_light(camera, modality),
        ambient=camera.ambient,
        modality=modality,
        leak=camera.ir_leak,
    )
    rise = 0.5 + 4 * shot.shift[1]
    canvas.planes[...] = backdrop(camera, shot.place, rise, height=height, width=width, modality=modality)
    bones = pose(identity, outfit, camera, shot, height=height, width=width)
    _draw_shadow(canvas, bones, camera)
    box = draw_person(Figure(canvas, bones, identity, outfit, shot.action, shot.head_turn))
    if shot.occluder == "person":
        _draw_passer(canvas, camera, shot)
    else:
        draw_occluder(canvas, shot)
    return Rendering(expose(canvas, camera, shot), _inside(box, height, width))


def _light(camera: Camera, modality: str) -> tuple[float, float, float]:
    """Infrared lamps sit at the camera itself."""
    return camera.light if modality == "rgb" else (0.1 * camera.light[0], 0.2, 1.0)


def _draw_shadow(canvas: Canvas, bones: Skeleton, camera: Camera) -> None:
    """On the ground: dark where the shoes stand, longer away from the light."""
    unit = bones.unit
    feet = [bones[f"{side}_ankle"] for side in SIDES]
    x, y = (feet[0].x + feet[1].x) / 2, max(foot.y for foot in feet) + 0.035 * unit
    reach = -camera.light[0] * 0.28 * unit
    canvas.darken(
        canvas.strip((x, y), (x + reach, y - 0.02 * unit), [(0, 0, 0.03 * unit), (1, 0, 0.018 * unit)]),
        camera.shadow * 0.7,
    )
    half = abs(feet[0].x - feet[1].x) / 2 + 0.06 * unit
    canvas.darken(
        canvas.strip(
            (x - half, y), (x + half, y), [(0, 0, 0.006 * unit), (0.5, 0, 0.022 * unit), (1, 0, 0.006 * unit)]
        ),
        camera.shadow,
    )


def _draw_passer(canvas: Canvas, camera: Camera, shot: Shot) -> None:
    """Somebody else walks through the image, nearer to the camera and half outside."""
    rng = np.random.default_rng(shot.seed)
    identity = Identity.draw(rng)
    outfit = replace(Outfit.draw(rng, identity), umbrella="without umbrella")
    passing = replace(
        Shot.draw(rng, camera, identity), action="walk", size=shot.size * rng.uniform(1.02, 1.2)
    )
    bones = pose(identity, outfit, camera, passing, height=canvas.height, width=canvas.width)
    side = -1 if shot.occluder_at[0] < 0.5 else 1
    aside = side * rng.uniform(0.18, 0.27) * canvas.height
    bones = bones.moved(aside, rng.uniform(0.03, 0.1) * canvas.height)
    draw_person(Figure(canvas, bones, identity, outfit, passing.action, passing.head_turn))


def _inside(box: tuple[float, float, float, float], height: int, width: int) -> tuple[int, int, int, int]:
    """The part of a box that lies in the image, at least four pixels wide and high."""
    left = int(np.clip(np.floor(box[0]), 0, width - 4))
    top = int(np.clip(np.floor(box[1]), 0, height - 4))
    right = int(np.clip(np.ceil(box[2]), left + 4, width))
    bottom = int(np.clip(np.ceil(box[3]), top + 4, height))
    return left, top, right, bottom
