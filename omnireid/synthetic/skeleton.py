"""Joints of a person in a pose, first in space, then on the image."""

from dataclasses import dataclass, replace

import numpy as np

from omnireid.synthetic.camera import Camera
from omnireid.synthetic.canvas import Point
from omnireid.synthetic.identity import Identity
from omnireid.synthetic.outfit import Outfit
from omnireid.synthetic.shot import Shot

_CENTERED = ("collar", "crotch", "head", "knee", "ankle")
_FREE = ("walk", "stand", "phone")  # actions that leave the hands to what is carried
_SIDES = {"left": 1.0, "right": -1.0}  # the person's own; left is +x when facing the camera


@dataclass(frozen=True, slots=True)
class Joint:
    """A place on the image, in pixels, and how near to the camera it is."""

    x: float
    y: float
    depth: float

    @property
    def at(self) -> Point:
        """Only the place on the image."""
        return self.x, self.y


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A posed body on the image; `unit` is the person's height in pixels."""

    joints: dict[str, Joint]
    unit: float
    yaw: float
    pitch: float

    def __getitem__(self, name: str) -> Joint:
        return self.joints[name]

    def moved(self, right: float, down: float) -> "Skeleton":
        """The same body elsewhere on the image, by pixels."""
        joints = {
            name: Joint(joint.x + right, joint.y + down, joint.depth) for name, joint in self.joints.items()
        }
        return Skeleton(joints, self.unit, self.yaw, self.pitch)

    def width(self, lateral: float, deep: float) -> float:
        """Half width on the image, in pixels, of a horizontal ellipse with these half axes."""
        return self.unit * float(np.hypot(lateral * np.cos(self.yaw), deep * np.sin(self.yaw)))

    def shift(self, lateral: float, forward: float) -> float:
        """How far right on the image, in pixels, a step to the person's left and forward leads."""
        return self.unit * float(lateral * np.cos(self.yaw) + forward * np.sin(self.yaw))

    def depth(self, lateral: float, forward: float) -> float:
        """How much nearer to the camera such a step leads."""
        return float(-lateral * np.sin(self.yaw) + forward * np.cos(self.yaw))


def pose(
    identity: Identity, outfit: Outfit, camera: Camera, shot: Shot, *, height: int, width: int
) -> Skeleton:
    """Put a person's joints on an image of this size, where a detector would have put its box."""
    space = _joints(identity, outfit, shot.action, shot.phase)
    unit = shot.size * height * identity.stature**0.6
    under_umbrella = outfit.umbrella == "with umbrella" and outfit.umbrella_open
    unit *= 0.9 if under_umbrella else {"sit": 1.2, "stoop": 1.12}.get(shot.action, 1.0)
    cos_yaw, sin_yaw = np.cos(shot.yaw), np.sin(shot.yaw)
    cos_pitch, sin_pitch = np.cos(camera.pitch), np.sin(camera.pitch)
    rights = [
        x * cos_yaw + z * sin_yaw for name, (x, _, z) in space.items() if name.split("_")[-1] in _CENTERED
    ]
    middle = width / 2 + shot.shift[0] * height - unit * (min(rights) + max(rights)) / 2
    ground = height * (0.955 + shot.shift[1])
    flat: dict[str, Joint] = {}
    for name, (x, y, z) in space.items():
        right, near = x * cos_yaw + z * sin_yaw, -x * sin_yaw + z * cos_yaw
        up = y * cos_pitch - near * sin_pitch
        flat[name] = Joint(
            float(middle + unit * (right + up * shot.roll)),
            float(ground - unit * up),
            float(near * cos_pitch),
        )
    return Skeleton(flat, unit, shot.yaw, camera.pitch)


def lay_flat(identity: Identity, outfit: Outfit, *, size: int, turn: float, spread: float) -> Skeleton:
    """Spread the joints of the upper body on a square image, as clothes lie on a table."""
    space = _joints(replace(identity, arm_spread=spread), outfit, "laid", 0.0)
    top, bottom = float(space["collar"][1]), float(space["crotch"][1])
    coat = outfit.coat_style in ("long coat", "dress")
    unit = size * (0.44 if coat else 0.66) / (top - bottom)
    flat: dict[str, Joint] = {}
    for name, (x, y, z) in space.items():
        down = (top - y) * unit + (0.14 if not coat else 0.10) * size
        right = x * unit
        flat[name] = Joint(
            float(size / 2 + right + (down - size / 2) * turn), float(down - right * turn), float(z)
        )
    return Skeleton(flat, unit, 0.0, 0.0)


def _joints(identity: Identity, outfit: Outfit, action: str, phase: float) -> dict[str, np.ndarray]:
    """All joints in own heights: x to the person's left, y up, z forward; the lowest foot on y = 0."""
    hip_height = identity.legs + 0.035
    shoulder_height = 1 - identity.head - identity.neck
    lean = identity.lean + {"stoop": 0.6, "run": 0.15, "sit": 0.05}.get(action, 0.0)
    joints: dict[str, np.ndarray] = {"pelvis": np.array([0, hip_height, 0.0])}
    trunk = shoulder_height - hip_height
    up = np.array([0, np.cos(lean), np.sin(lean)])
    joints["collar"] = joints["pelvis"] + trunk * up
    joints["crotch"] = joints["pelvis"] - 0.05 * np.array([0, 1, 0])
    head_up = np.array([0, np.cos(lean * 0.6), np.sin(lean * 0.6)])
    forward = np.array([0, 0, 0.035 * identity.head_forward])
    joints["head"] = joints["collar"] + (identity.neck + identity.head * 0.52) * head_up + forward
    joints["chin"] = joints["collar"] + identity.neck * head_up + forward
    for side, sign in _SIDES.items():
        _add_leg(joints, identity, action, phase, side, sign)
        _add_arm(joints, identity, _arm_angles(identity, outfit, action, phase, sign), side, sign)
    lowest = min(joints[f"{side}_ankle"][1] for side in _SIDES) - 0.04
    if action == "sit":
        lowest = joints["left_ankle"][1] - 0.04
    for joint in joints.values():
        joint[1] -= lowest
    return joints


def _leg_angles(identity: Identity, action: str, phase: float, sign: float) -> tuple[float, float]:
    """Swing of the thigh forward and bend of the knee."""
    if action == "sit":
        return 1.45, 1.45
    beat = phase if sign > 0 else phase + np.pi
    if action in ("walk", "run"):
        swing = identity.stride * (1.6 if action == "run" else 1.0)
        bend = 0.08 + (2.2 if action == "run" else 1.3) * identity.stride * max(np.cos(beat), 0.0)
        return float(swing * np.sin(beat) + 0.3 * bend), float(bend)
    return float(0.06 * np.sin(beat)), 0.03


def _add_leg(
    joints: dict[str, np.ndarray], identity: Identity, action: str, phase: float, side: str, sign: float
) -> None:
    thigh, shin = 0.5 * (identity.legs + 0.035), 0.5 * (identity.legs + 0.035) - 0.04
    swing, bend = _leg_angles(identity, action, phase, sign)
    spread = sign * (0.012 * identity.stance + (0.04 if action == "stand" else 0.0) * identity.stance)
    hip = joints["pelvis"] + np.array([sign * identity.hips * 0.25, 0, 0])
    knee = hip + thigh * np.array([spread, -np.cos(swing), np.sin(swing)])
    ankle = knee + shin * np.array([spread, -np.cos(swing - bend), np.sin(swing - bend)])
    joints[f"{side}_hip"], joints[f"{side}_knee"], joints[f"{side}_ankle"] = hip, knee, ankle
    lift = min(max(bend - 0.25, 0.0), 0.9)  # the heel leaves the ground
    turn = sign * identity.toe_out
    toe = 0.105 * np.array([np.sin(turn) * np.cos(lift), -np.sin(lift), np.cos(turn) * np.cos(lift)])
    heel = ankle - 0.3 * toe + np.array([0, -0.028, 0])
    joints[f"{side}_heel"], joints[f"{side}_toe"] = heel, heel + 1.35 * toe + np.array([0, -0.004, 0])


def _arm_angles(
    identity: Identity, outfit: Outfit, action: str, phase: float, sign: float
) -> tuple[float, float, float, float]:
    """Swing of the upper arm, spread, bend of the elbow, and turn of the forearm inwards."""
    spread = identity.arm_spread
    beat = phase if sign < 0 else phase + np.pi
    swing = identity.arm_swing * np.sin(beat)
    poses = {
        "walk": (swing, spread, 0.25 + 0.5 * max(swing, 0.0), 0.1),
        "run": (1.6 * swing, spread, 1.5, 0.3),
        "pockets": (-0.25, spread + 0.28, 0.75, 0.55),
        "cross_arms": (0.35, spread, 1.75, 1.15),
        "sit": (0.5, spread, 0.7, 0.3),
        "stoop": (0.9, spread, 0.4, 0.1),
        "laid": (0.0, spread, 0.0, 0.0),  # clothes on a table
    }
    if sign < 0 and action in _FREE:  # the right hand holds umbrella and cigarette
        if outfit.umbrella == "with umbrella":
            return (0.35, spread, 1.75, 0.25) if outfit.umbrella_open else (0.1, spread, 0.5, 0.1)
        if outfit.smoking == "smoking":
            return 0.6, spread + 0.1, 2.1, 0.45
    if sign > 0 and action in _FREE and outfit.bag_style in ("trolley", "hand bag"):
        return (-0.4 if outfit.bag_style == "trolley" else 0.0), spread, 0.12, 0.1
    if action == "phone" and sign > 0:
        return 0.75, spread, 2.2, 0.25
    if action == "wave" and sign < 0:
        return 0.3, 2.2, 0.6, -0.3
    return poses.get(action, (0.05 * np.sin(beat), spread, 0.12, 0.1))


def _add_arm(
    joints: dict[str, np.ndarray],
    identity: Identity,
    angles: tuple[float, float, float, float],
    side: str,
    sign: float,
) -> None:
    swing, spread, bend, inward = angles
    trunk = joints["collar"] - joints["pelvis"]
    shoulder = joints["collar"] + np.array([sign * (identity.shoulders / 2 - 0.030), 0, 0]) - 0.135 * trunk
    fore = _limb(swing + bend, sign * (spread - inward))
    joints[f"{side}_shoulder"] = shoulder
    joints[f"{side}_elbow"] = shoulder + identity.arms * 0.52 * _limb(swing, sign * spread)
    joints[f"{side}_wrist"] = joints[f"{side}_elbow"] + identity.arms * 0.48 * fore
    joints[f"{side}_hand"] = joints[f"{side}_wrist"] + 0.048 * fore


def _limb(swing: float, spread: float) -> np.ndarray:
    """Direction of a limb that hangs down, swung forward and spread sideways."""
    return np.array([np.sin(spread), -np.cos(swing) * np.cos(spread), np.sin(swing) * np.cos(spread)])
