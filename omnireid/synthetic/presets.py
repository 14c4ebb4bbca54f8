"""Sizes of a synthetic OmniReID: a table of counts for each preset, one row per data set."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counts:
    """One row: how many people a data set has and how often each is photographed.

    A person is seen in each outfit by ``cameras`` cameras; each camera takes ``shots`` training images, or
    one query and ``gallery_shots`` gallery images of a test person. ``outfits`` is the maximum per person:
    if it is 3, every other person has two outfits and the rest three.
    """

    train_ids: int
    test_ids: int
    cameras: int
    shots: int
    gallery_shots: int
    outfits: int = 1
    distractors: int = 0  # people who are in no query: Market-1501 (pid 0000, an image each), DukeMTMC-reID
    junk: int = 0  # Market-1501: badly cut boxes of test people (pid -1)
    overlap_ids: int = 0  # training people who are test people of Market-1501 (CUHK-PEDES) or MSMT17
    shared_ids: int = 0  # training people who are training people there: every other image of theirs


@dataclass(frozen=True)
class Preset:
    """A named size of the whole benchmark."""

    name: str
    image_size: tuple[int, int] | None  # height, width of every image; None: as the data set usually has it
    clothes_size: int  # side of a template, pixels
    counts: dict[str, Counts]
    difficulty: float = 1.0  # of the cameras' faults, 0 to 1: see Camera.scaled


_TINY = {
    "market1501": Counts(8, 6, 2, 2, 1, distractors=4, junk=3),
    "msmt17": Counts(6, 4, 2, 1, 1),
    "cuhk03": Counts(6, 4, 2, 1, 1),
    "prcc": Counts(6, 4, 3, 1, 1, outfits=2),
    "ltcc": Counts(8, 4, 2, 1, 1, outfits=3),
    "vc_clothes": Counts(6, 4, 4, 1, 1, outfits=2),
    "llcm": Counts(8, 6, 3, 1, 1),
    "cocas_real1": Counts(8, 1, 2, 1, 1, outfits=3),
    "cocas_real2": Counts(0, 6, 2, 1, 1, outfits=3),
    "cuhk_pedes": Counts(8, 6, 1, 2, 2, overlap_ids=2),
    "synth_pedes": Counts(6, 0, 1, 2, 0),
    "rstpreid": Counts(4, 3, 1, 2, 2, overlap_ids=1),
    "icfg_pedes": Counts(4, 2, 1, 2, 2, overlap_ids=1),
    "dukemtmc_reid": Counts(3, 3, 2, 1, 1, distractors=2),
}

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "tiny",
            image_size=(64, 32),
            clothes_size=32,
            counts=_TINY,
        ),
        Preset(
            "demo",
            image_size=(128, 64),
            clothes_size=64,
            counts={
                "market1501": Counts(80, 40, 4, 2, 2, distractors=40, junk=16),
                "msmt17": Counts(16, 12, 3, 2, 1),
                "cuhk03": Counts(16, 12, 2, 2, 2),
                "prcc": Counts(16, 12, 3, 2, 2, outfits=2),
                "ltcc": Counts(160, 60, 2, 1, 1, outfits=3),
                "vc_clothes": Counts(16, 12, 4, 2, 1, outfits=2),
                "llcm": Counts(120, 60, 3, 1, 1),
                "cocas_real1": Counts(88, 2, 3, 1, 1, outfits=3),
                "cocas_real2": Counts(0, 40, 3, 1, 1, outfits=3),
                "cuhk_pedes": Counts(200, 60, 1, 3, 3, overlap_ids=8),
                "synth_pedes": Counts(24, 0, 1, 2, 0),
                "rstpreid": Counts(8, 6, 1, 2, 2, overlap_ids=2),
                "icfg_pedes": Counts(8, 6, 1, 2, 2, overlap_ids=2),
                "dukemtmc_reid": Counts(6, 6, 2, 1, 1, distractors=4),
            },
            difficulty=0.2,
        ),
        Preset(
            "mllm",
            image_size=(64, 32),
            clothes_size=32,
            counts=_TINY
            | {
                "market1501": Counts(96, 24, 2, 2, 2),
                "msmt17": Counts(32, 8, 2, 2, 1),
                "cuhk_pedes": Counts(112, 6, 1, 2, 2, overlap_ids=8, shared_ids=96),
                "rstpreid": Counts(20, 3, 1, 2, 2, overlap_ids=2, shared_ids=16),
                "icfg_pedes": Counts(28, 2, 1, 2, 2, overlap_ids=2, shared_ids=24),
            },
            difficulty=0.0,
        ),
        Preset(
            "large",
            image_size=None,
            clothes_size=128,
            counts={
                "market1501": Counts(751, 750, 5, 3, 3, distractors=2798, junk=3819),
                "msmt17": Counts(1041, 1000, 5, 3, 3),
                "cuhk03": Counts(767, 700, 2, 5, 4),
                "prcc": Counts(150, 71, 3, 10, 10, outfits=2),
                "ltcc": Counts(77, 75, 5, 4, 4, outfits=3),
                "vc_clothes": Counts(256, 256, 4, 6, 6, outfits=2),
                "llcm": Counts(713, 351, 6, 2, 2),
                "cocas_real1": Counts(1400, 100, 4, 2, 1, outfits=3),
                "cocas_real2": Counts(0, 101, 4, 3, 3, outfits=3),
                "cuhk_pedes": Counts(3000, 1000, 1, 3, 3, overlap_ids=30),
                "synth_pedes": Counts(4000, 0, 1, 4, 0),
                "rstpreid": Counts(1000, 200, 1, 5, 5, overlap_ids=100),
                "icfg_pedes": Counts(1000, 300, 1, 5, 5, overlap_ids=100),
                "dukemtmc_reid": Counts(702, 702, 4, 3, 3, distractors=408),
            },
        ),
    )
}
