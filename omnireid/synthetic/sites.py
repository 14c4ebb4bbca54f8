"""Where the pictures of each data set are taken: folder, number of cameras, usual size (IRM, table 9)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Site:
    """What is fixed about a data set, whatever its size."""

    name: str
    number: int  # keys every random stream: never reuse, never change
    folder: str  # below the root of the tree
    num_cameras: int
    image_size: tuple[int, int]  # height, width that the published pictures usually have


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
