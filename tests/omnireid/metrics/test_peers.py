"""Figures of public evaluators on generated data, from any order and block size; two of them to the bit.

The figures in peers.json were printed by the evaluators themselves, each sorting stably:

* torchreid, Python and Cython (and its re-ranking): KaiyangZhou/deep-person-reid f8cd150f
* fast-reid, Cython: JDAI-CV/fast-reid c9bc3ceb
* TransReID: damo-cv/TransReID dec55046
* Simple-CCReID: guxinqian/Simple-CCReID f773d013
* LLCM: ZYK100/LLCM 886e27ca (AGW)
* IRRA: anosorae/IRRA cfc23785
* re-ranking: zhunzhong07/person-re-ranking 278f2c70 (Python version)
"""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from omnireid.metrics import rank, ranking, re_rank
from omnireid.protocols import PROTOCOLS

PEERS = Path(__file__).with_name("peers.json")
SAME_FIGURES = {
    "torchreid": "market",
    "torchreid_cython": "market",
    "fast-reid": "market",
    "TransReID": "market",
    "Simple-CCReID CC": "clothes_change",
    "Simple-CCReID SC": "clothes_same",
    "LLCM": "llcm",
    "IRRA": "text_to_image",
}


def drawn_search(*, ties=False):
    """Distances and labels; RandomState's stream is frozen by numpy's policy."""
    rng = np.random.RandomState(7)
    sides = []
    for num in (24, 90):
        pids = rng.randint(1, 8, num)
        camids, clothes = rng.randint(0, 4, num), rng.randint(0, 3, num)
        sides.append(
            SimpleNamespace(pids=pids, camids=camids, clothes_ids=3 * pids + clothes, modalities=None)
        )
    query, gallery = sides
    apart = query.pids[:, None] != gallery.pids
    distmat = rng.permutation(apart.size).reshape(apart.shape) + 100 * apart
    # Distinct: a place in a permutation, moved by whole numbers and told apart by a fraction.
    distmat = distmat + apart / 2
    return (distmat // 200 if ties else distmat) / 4096, query, gallery


def drawn_features():
    rng = np.random.RandomState(8)
    centres = rng.standard_normal((5, 6))
    query, gallery = (
        centres[rng.randint(0, 5, num)] + 0.7 * rng.standard_normal((num, 6)) for num in (9, 31)
    )
    return query, gallery


@pytest.fixture(scope="module")
def figures():
    return json.loads(PEERS.read_text())


def identities(name, gallery):
    return gallery.pids if PROTOCOLS[name].cmc == "identity" else None


@pytest.mark.parametrize("peer", SAME_FIGURES)
@pytest.mark.parametrize("cells", [1, 1000, 1 << 21])
def test_a_protocol_gives_the_figures_of_its_public_evaluator(peer, cells, figures, monkeypatch):
    monkeypatch.setattr(ranking, "CELLS", cells)
    distmat, query, gallery = drawn_search()
    rng = np.random.default_rng(cells)
    rows, columns = rng.permutation(len(distmat)), rng.permutation(distmat.shape[1])
    query, gallery = (
        SimpleNamespace(
            pids=side.pids[order],
            camids=side.camids[order],
            clothes_ids=side.clothes_ids[order],
            modalities=None,
        )
        for side, order in ((query, rows), (gallery, columns))
    )
    protocol = SAME_FIGURES[peer]
    masks = PROTOCOLS[protocol].judge(query, gallery)
    found = rank(distmat[rows][:, columns], *masks, max_rank=20, identities=identities(protocol, gallery))
    expected = figures["tie_free"][peer]
    np.testing.assert_allclose(found.cmc[: len(expected["cmc"])], expected["cmc"], rtol=0, atol=1e-5)
    assert found.mean_ap == pytest.approx(expected["mAP"], abs=1e-5)
    if "mINP" in expected:
        assert found.mean_inp == pytest.approx(expected["mINP"], abs=1e-5)


@pytest.mark.parametrize("compat", ["torchreid", "torchreid_cython"])
@pytest.mark.parametrize("name", ["tie_free", "ties"])
def test_compat_has_the_bits_of_torchreid(compat, name, figures):
    distmat, query, gallery = drawn_search(ties=name == "ties")
    found = rank(distmat, *PROTOCOLS["market"].judge(query, gallery), max_rank=20, compat=compat)
    expected = figures[name][compat]
    assert found.mean_ap == expected["mAP"]
    assert found.cmc.tolist() == expected["cmc"]


def test_re_ranking_gives_the_figures_of_zhong_et_al(figures):
    query, gallery = (torch.from_numpy(side) for side in drawn_features())
    final = re_rank(query, gallery, k1=8, k2=4, lambda_value=0.3)
    np.testing.assert_allclose(final.numpy(), figures["re_ranking"], rtol=0, atol=1e-6)
