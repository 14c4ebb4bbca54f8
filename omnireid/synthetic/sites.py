"""The recording setting of each data set: folder, number of cameras, usual size (IRM, table 9)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Site:
    """Properties of a data set that do not depend on the preset."""

    name: str
    number: int  # key of every random stream: never reuse, never change
    folder: str  # below the root of the tree
    num_cameras: int
    image_size: tuple[int, int]  # usual height, width of the published images


SITES: dict[str, Site] = {
    site.name: site
    for site in (
        Site("market1501", 1, "market", 6, (128, 64)),
        Site("msmt17", 2, "msmt", 15, (256, 128)),
        Site("cuhk03", 3, "cuhk", 2, (160, 64)),
        Site("prcc", 4, "prcc", 3, (256, 128)),
        Site("ltcc", 5, "ltcc", 12, (256, 128)),
        Site("vc_clothes", 6, "vc_clothes", 4, (256, 128)),
        Site("llcm", 7, "llcm", 9, (256, 128)),
        Site("cocas_real1", 8, "real1", 30, (256, 128)),
        Site("cocas_real2", 9, "real2", 11, (256, 128)),
        Site("cuhk_pedes", 10, "CUHK-Pedes", 12, (256, 128)),
        Site("synth_pedes", 11, "PLIP", 12, (256, 128)),
        Site("rstpreid", 12, "RSTPReid", 15, (256, 128)),
        Site("icfg_pedes", 13, "ICFG-PEDES", 15, (256, 128)),
        Site("dukemtmc_reid", 14, "DukeMTMC-reID", 8, (256, 128)),
    )
}
