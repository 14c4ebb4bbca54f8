"""Another model's features, judged by the program in one command: a table, files, and what it refuses."""

import json
import sys

import numpy as np
import pytest

from omnireid.columns import labels_of
from omnireid.datasets import load_split
from omnireid.loading.image import read_image
from omnireid.metrics import cosine_distances, rank
from omnireid.protocols import PROTOCOLS
from tools._program import run
from tools.evaluate import main


def program(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["tools.evaluate", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        run(main)
    return ended.value.code


def described(records):
    """A model that knows the mean color of eight stripes."""
    stripes = [np.array_split(read_image(record.image).astype(np.float32), 8) for record in records]
    return np.array([[part.mean(axis=(0, 1)) - 100 for part in parts] for parts in stripes]).reshape(-1, 24)


@pytest.fixture(scope="module")
def market(tiny_root, tmp_path_factory):
    """The tiny Market-1501 with a foreign model's feature file, rows named and shuffled."""
    split = load_split(tiny_root, "market1501", "trad")
    features = [described(side) for side in (split.query, split.gallery)]
    path = tmp_path_factory.mktemp("features") / "F.npz"
    order = np.random.default_rng(0).permutation(len(split.gallery))
    np.savez(
        path,
        query=features[0],
        gallery=features[1][order],
        gallery_images=["there/" + split.gallery[row].image.rpartition("/")[2] for row in order],
    )
    return split, features, path, ("--data", tiny_root, "--dataset", "market1501", "--task", "trad")


def test_a_feature_file_is_judged_as_the_metrics_judge_it(monkeypatch, capsys, tmp_path, market):
    split, features, path, options = market
    files = {name: tmp_path / "out" / f"{name}.{name}" for name in ("json", "html", "csv")}
    outputs = ("--json", files["json"], "--html", files["html"], "--per-query", files["csv"])
    protocols = ("--protocol", "market,irm_released")
    assert program(monkeypatch, "--features", path, *options, *protocols, *outputs) == 0
    assert PROTOCOLS["market"].title in capsys.readouterr().out
    judgement = PROTOCOLS["market"].judge(labels_of(split.query), labels_of(split.gallery))
    expected = rank(cosine_distances(*features), *judgement)
    first, second = json.loads(files["json"].read_text())["evaluations"]
    assert first["mean_ap"] == pytest.approx(expected.mean_ap, abs=1e-5)
    assert first["rank_1"] == pytest.approx(expected.cmc[0])
    assert (first["protocol"], second["protocol"]) == ("market", "irm_released")
    assert "data:image/jpeg" in files["html"].read_text()
    table = files["csv"].read_text().splitlines()
    assert len(table) == 1 + 2 * len(split.query)
    assert program(monkeypatch, "--compare", files["csv"], files["csv"]) == 0
    told = capsys.readouterr().out
    assert "+0.0" in told and "1.0000" in told


def test_the_order_is_written_on_request(monkeypatch, tmp_path, market):
    split, *_, options = market
    assert program(monkeypatch, "--order", tmp_path / "order.tsv", *options) == 0
    written = [line.split("\t")[2] for line in (tmp_path / "order.tsv").read_text().splitlines()[1:]]
    assert written == [record.image for record in (*split.query, *split.gallery)]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "nothing to evaluate"),
        (["--features", "F.npz"], "--data is missing"),
        (["--features", "nowhere.npz", "OPTIONS"], "there is no feature file nowhere.npz"),
        (["--features", "FILE", "OPTIONS", "--protocol", "markt"], "did you mean 'market'?"),
        (["--features", "FILE", "OPTIONS", "--metric", "cosin"], "did you mean 'cosine'?"),
        (
            ["--features", "FILE", "OPTIONS", "--dataset", "msmt17"],
            "query has 12 rows, but msmt17 has 8 query images",
        ),
        (["--features", "FILE", "OPTIONS", "--precision", "bf16"], "--precision needs a RUN"),
        (["--features", "FILE", "runs/mine"], "cannot be combined with the run runs/mine"),
        (["--compare", "a.csv", "b.csv"], "a.csv cannot be read as a per-query table"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(monkeypatch, capsys, market, arguments, complaint):
    _, _, path, options = market
    given = [
        part
        for word in arguments
        for part in ([path] if word == "FILE" else options if word == "OPTIONS" else [word])
    ]
    assert program(monkeypatch, *given) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.startswith("error: ") and error.count("\n") == 1


def test_the_variant_stands_beside_the_data_set_and_the_suited_protocol_judges(
    monkeypatch, tmp_path, tiny_root
):
    people = load_split(tiny_root, "llcm", "vi", "ir_to_vis")
    rng = np.random.default_rng(0)
    sides = {"query": people.query, "gallery": people.gallery}
    np.savez(
        tmp_path / "F.npz", **{name: rng.standard_normal((len(side), 8)) for name, side in sides.items()}
    )
    options = ("--data", tiny_root, "--dataset", "llcm", "--task", "vi", "--variant", "ir_to_vis")
    assert (
        program(monkeypatch, "--features", tmp_path / "F.npz", *options, "--json", tmp_path / "r.json") == 0
    )
    (scored,) = json.loads((tmp_path / "r.json").read_text())["evaluations"]
    assert (scored["dataset"], scored["protocol"]) == ("llcm ir_to_vis", "llcm")
