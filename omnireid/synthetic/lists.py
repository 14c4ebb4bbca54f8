"""The official OmniReID list line and caption file, as the released parsers read them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

# Column two where the released parsers ignore it: a sentence with underscores instead of spaces.
IGNORED = {"trad": "do_not_change_clothes", "vi": "retrieve_cross-modality_images"}
WHITE_SHIRT = "white_shirt.jpg"  # column two of the `cc` lists as distributed
GALLERY_KEY = "001_1_c5_015874.png"  # column two of a `t2i` gallery line: this side is an image


@dataclass(frozen=True, slots=True)
class ListLine:
    """``<image> <instruction> <pid> <clothes id>[ <camera>]``; paths from the task's root, camera from 0."""

    image: str
    instruction: str
    pid: int
    clothes_id: int
    camid: int | None = None

    def __str__(self) -> str:
        fields = [self.image, self.instruction, self.pid, self.clothes_id]
        if self.camid is not None:
            fields.append(self.camid)
        line = " ".join(map(str, fields))
        assert line.count(" ") == len(fields) - 1, f"a blank within a field: {line}"
        return line

    @classmethod
    def parse(cls, line: str) -> Self:
        """Parse a line written by this module."""
        image, instruction, pid, clothes_id, *camid = line.split(" ")
        return cls(image, instruction, int(pid), int(clothes_id), *map(int, camid))


def caption_file(captions: Mapping[str, str]) -> bytes:
    """A flat JSON object from the keys of the lists to captions."""
    return (json.dumps(captions, indent=0, ensure_ascii=True) + "\n").encode("ascii")
