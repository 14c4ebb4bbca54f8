"""Annotations of a synthetic person: all 20 attributes of table 7."""

from instructions.attributes import AttributeSet
from omnireid.synthetic.identity import Identity
from omnireid.synthetic.outfit import Outfit
from omnireid.synthetic.shot import Shot


def attributes_of(identity: Identity, outfit: Outfit, shot: Shot) -> AttributeSet:
    """The word of every attribute; the agnostic one where it cannot be seen in this shot."""
    hands_hidden = shot.action == "pockets"
    face_hidden = shot.viewpoint == "back" and outfit.smoking != "smoking"
    return AttributeSet(
        {
            "coat_color": f"{outfit.coat_color} coat",
            "trousers_color": f"{outfit.trousers_color} trousers",
            "coat_length": outfit.coat_length,
            "trousers_length": outfit.trousers_length,
            "gender_code": identity.gender,
            "glass_style": identity.glasses,
            "hair_color": identity.hair_color,
            "hair_style": identity.hair_style,
            "bag_style": outfit.bag_style,
            "cap_style": outfit.cap_style,
            "shoes_color": f"{outfit.shoes_color} shoes",
            "shoes_style": outfit.shoes_style,
            "age": identity.age,
            "person_angle": shot.viewpoint,
            "pose": shot.pose,
            "coat_style": outfit.coat_style,
            "glove": "agnostic glove" if hands_hidden else outfit.glove,
            "smoking": "agnostic smoking" if face_hidden else outfit.smoking,
            "umbrella": outfit.umbrella,
            "uniform": outfit.uniform,
        }
    )
