"""DATASETS: every data set that can be read, and separately those that their owners withdrew."""

from __future__ import annotations

from instructions.errors import InputError, near_miss
from omnireid.datasets.cocas import COCAS_REAL1, COCAS_REAL2
from omnireid.datasets.cuhk03 import CUHK03
from omnireid.datasets.cuhk_pedes import CUHK_PEDES
from omnireid.datasets.dataset import Dataset
from omnireid.datasets.duke import DUKEMTMC_REID
from omnireid.datasets.icfg_pedes import ICFG_PEDES
from omnireid.datasets.llcm import LLCM
from omnireid.datasets.ltcc import LTCC
from omnireid.datasets.market import MARKET1501
from omnireid.datasets.msmt17 import MSMT17
from omnireid.datasets.own import PREFIX, own_dataset
from omnireid.datasets.prcc import PRCC
from omnireid.datasets.rstpreid import RSTPREID
from omnireid.datasets.synth_pedes import SYNTH_PEDES
from omnireid.datasets.vc_clothes import VC_CLOTHES

DATASETS: dict[str, Dataset] = {
    "market1501": MARKET1501,
    "msmt17": MSMT17,
    "cuhk03": CUHK03,
    "ltcc": LTCC,
    "prcc": PRCC,
    "vc_clothes": VC_CLOTHES,
    "llcm": LLCM,
    "cocas_real1": COCAS_REAL1,
    "cocas_real2": COCAS_REAL2,
    "cuhk_pedes": CUHK_PEDES,
    "synth_pedes": SYNTH_PEDES,
    "rstpreid": RSTPREID,
    "icfg_pedes": ICFG_PEDES,
}

# Read only when requested by name: no loop over all data sets includes them, so none is in a mixture, a check
# or a table by default. Paper 2 trains on DukeMTMC-reID.
WITHDRAWN: dict[str, Dataset] = {"dukemtmc_reid": DUKEMTMC_REID}


def dataset_named(name: str) -> Dataset:
    """The data set of this name: a published one, a withdrawn one, or own data (``own/NAME``).

    Raises:
        InputError: for an unknown name (with the near miss).
    """
    if name.startswith(PREFIX):
        return own_dataset(name)
    known = {**DATASETS, **WITHDRAWN}
    if name not in known:
        raise InputError(
            f"there is no data set {name!r}{near_miss(name, known)}; there are: {', '.join(DATASETS)}, "
            f"and {PREFIX}NAME for your own data (docs/data.md)"
        )
    return known[name]
