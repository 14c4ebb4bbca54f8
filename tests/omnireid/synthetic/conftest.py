"""One person before one camera without faults: no occlusion, no blur, no noise."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from omnireid.synthetic.camera import Camera, make_cameras
from omnireid.synthetic.identity import Identity
from omnireid.synthetic.outfit import Outfit
from omnireid.synthetic.shot import Shot

Scene = tuple[Identity, Outfit, Camera, Shot]


@pytest.fixture
def calm() -> Callable[..., Scene]:
    """Make (identity, outfit, camera, shot) of somebody standing still in the open."""

    def make(*, yaw: float = 0.0, seed: int = 3) -> Scene:
        rng = np.random.default_rng(seed)
        camera = make_cameras(1, rng)[0]
        camera = replace(camera, noise=0.0, ir_noise=0.0, gains=(1.0, 1.0, 1.0), saturation=1.0, gamma=1.0)
        identity = Identity.draw(rng)
        outfit = replace(
            Outfit.draw(rng, identity),
            coat_color="red",
            coat=(0.75, 0.12, 0.14),
            pattern="plain",
            coat_style="t-shirt",
            coat_length="short sleeve coat",
            coat_material="cotton",
            closure="none",
            collar="round",
            bag_style="without bag",
            cap="none",
            umbrella="without umbrella",
            smoking="without smoking",
            uniform="common clothing",
        )
        shot = replace(
            Shot.draw(rng, camera, identity),
            yaw=yaw,
            head_turn=0.0,
            action="stand",
            size=0.9,
            shift=(0.0, 0.0),
            blur=0.0,
            gain=1.0,
            cast=(1.0, 1.0, 1.0),
            occluder="none",
        )
        return identity, outfit, camera, shot

    return make
