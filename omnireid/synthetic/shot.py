"""One moment in front of a camera: position and pose of a person, occluders, and light."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from omnireid.synthetic.camera import Camera
from omnireid.synthetic.chance import around, pick
from omnireid.synthetic.identity import Identity
from omnireid.synthetic.palette import RGB

VIEWPOINTS = ("front", "back", "side")  # the words of "person angle"

# Action → (weight, word of "pose").
ACTIONS: dict[str, tuple[float, str]] = {
    "walk": (46, "stand"),
    "stand": (20, "stand"),
    "pockets": (8, "stand"),
    "phone": (8, "stand"),
    "cross_arms": (4, "stand"),
    "run": (4, "pose agnostic"),
    "wave": (3, "pose agnostic"),
    "stoop": (4, "stoop"),
    "sit": (3, "sit"),
}


@dataclass(frozen=True, slots=True)
class Shot:
    """Everything that varies between images of one person in one outfit by one camera."""

    viewpoint: str  # one of VIEWPOINTS
    yaw: float  # radians; 0 faces the camera, positive turns to the right of the image
    head_turn: float  # of the head against the trunk, radians
    action: str  # a key of ACTIONS
    phase: float  # of the gait, radians
    size: float  # height of an average adult over the height of the image
    shift: tuple[float, float]  # of the person, right and down, over the image's height
    roll: float  # radians
    gain: float
    cast: RGB
    blur: float  # pixels of a 256-pixel image
    place: float  # where on the camera's panorama, 0 to 1
    occluder: str  # "none" or what stands in front
    occluder_at: tuple[float, float]  # its middle and its top over the image's width and height
    seed: int  # of the noise and of an occluding person

    @property
    def pose(self) -> str:
        """The word of table 7 for the action."""
        return ACTIONS[self.action][1]

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        camera: Camera,
        identity: Identity | None = None,
        *,
        viewpoint: str | None = None,
    ) -> Self:
        """Draw a moment with the habits of the camera and, if given, of the person.

        Args:
            rng: Source of all chance.
            camera: Whose viewpoint, scale, blur and occlusion habits hold.
            identity: Who is seen; old people do not run.
            viewpoint: Fixes the viewpoint instead of drawing it.
        """
        view = viewpoint or pick(dict(zip(VIEWPOINTS, camera.views, strict=True)), rng)
        side = 1.0 if rng.uniform() < 0.5 else -1.0
        middle = {"front": 0.0, "back": np.pi, "side": np.pi / 2}[view]
        weights = {action: weight for action, (weight, _) in ACTIONS.items()}
        if identity is not None and identity.age == "old":
            weights["run"] = 0
        hidden = rng.uniform() < camera.occlusion
        occluder = camera.occluders[int(rng.integers(len(camera.occluders)))] if hidden else "none"
        aside = rng.uniform(-0.05, 0.3) if rng.uniform() < 0.5 else rng.uniform(0.7, 1.05)
        return cls(
            viewpoint=view,
            yaw=side * (middle + around(0.0, 0.27, rng)),
            head_turn=around(0.0, 0.16, rng),
            action=pick(weights, rng),
            phase=rng.uniform(0, 2 * np.pi),
            size=around(camera.scale, camera.scale_jitter, rng),
            shift=(rng.normal(0, camera.crop_jitter), rng.normal(0, camera.crop_jitter)),
            roll=rng.normal(0, 0.02),
            gain=around(1.0, camera.drift, rng),
            cast=_cast(rng, camera.drift),
            blur=rng.uniform(*camera.blur),
            place=rng.uniform(),
            occluder=occluder,
            occluder_at=(aside, rng.uniform(0.45, 0.8)),
            seed=int(rng.integers(2**31)),
        )


def _cast(rng: np.random.Generator, drift: float) -> RGB:
    warmth = rng.normal(0, drift * 0.25)
    return 1 + warmth, 1.0, 1 - warmth
