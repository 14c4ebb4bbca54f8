"""The on-disk layout of every data set: a function that plans all its files for a given world."""

from collections.abc import Callable

from omnireid.synthetic.layouts import (
    cocas,
    cuhk03,
    cuhk_pedes,
    dukemtmc_reid,
    llcm,
    ltcc,
    market1501,
    msmt17,
    msmt_text,
    prcc,
    synth_pedes,
    vc_clothes,
)
from omnireid.synthetic.plan import Plan, SyntheticSpec

LAYOUTS: dict[str, Callable[[SyntheticSpec], Plan]] = {
    "market1501": market1501.plan,
    "msmt17": msmt17.plan,
    "cuhk03": cuhk03.plan,
    "prcc": prcc.plan,
    "ltcc": ltcc.plan,
    "vc_clothes": vc_clothes.plan,
    "llcm": llcm.plan,
    "cocas_real1": cocas.plan_real1,
    "cocas_real2": cocas.plan_real2,
    "cuhk_pedes": cuhk_pedes.plan,
    "synth_pedes": synth_pedes.plan,
    "rstpreid": msmt_text.plan_rstpreid,
    "icfg_pedes": msmt_text.plan_icfg_pedes,
    "dukemtmc_reid": dukemtmc_reid.plan,
}
