"""The order in which a person is painted, far parts first."""

from omnireid.synthetic.arms import draw_arm
from omnireid.synthetic.bags import draw_bag_behind, draw_bag_over, draw_in_hands, draw_umbrella
from omnireid.synthetic.figure import SIDES, Figure
from omnireid.synthetic.hair import draw_hair_behind, draw_hair_over
from omnireid.synthetic.hats import draw_cap
from omnireid.synthetic.head import draw_face, skull_of
from omnireid.synthetic.legs import draw_legs
from omnireid.synthetic.trunk import draw_collar, draw_neck, draw_trunk

Box = tuple[float, float, float, float]


def draw_person(figure: Figure) -> Box:
    """Paint a whole person; returns the box of the upper garment (x0, y0, x1, y1) in pixels."""
    bones = figure.bones
    skull = skull_of(figure)
    middle = (bones["collar"].depth + bones["pelvis"].depth) / 2
    depths = {
        side: (bones[f"{side}_elbow"].depth + bones[f"{side}_wrist"].depth) / 2 - middle for side in SIDES
    }
    far = [side for side in SIDES if depths[side] < -0.045]
    near = sorted((side for side in SIDES if side not in far), key=lambda side: depths[side])
    draw_bag_behind(figure)
    for side in far:
        draw_arm(figure, side, near=False)
        draw_in_hands(figure, side)
    draw_hair_behind(figure, skull)
    draw_legs(figure)
    draw_neck(figure)
    box = draw_trunk(figure)
    draw_bag_over(figure)
    draw_collar(figure)
    draw_face(figure, skull)
    draw_hair_over(figure, skull)
    draw_cap(figure, skull)
    for side in near:
        draw_arm(figure, side)
        draw_in_hands(figure, side)
    draw_umbrella(figure, skull)
    return box
