"""The annotation program: step by step on drawn people, and what it refuses."""

import json
import sys

import pytest
from PIL import Image

from instructions.errors import InputError
from omnireid.annotation.decisions import FORMAT
from omnireid.datasets import load_split
from tools._program import run
from tools.annotate import STEPS, main, parser


def program(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["tools.annotate", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        run(main)
    return ended.value.code


@pytest.fixture
def root(tmp_path):
    """Two images of one person with a list, a table, and one image of a shop."""
    root = tmp_path / "real1"
    for name, color in (("images/a.png", "red"), ("images/b.png", "blue"), ("../shop/1.png", "red")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 40), color).save(root / name)
    (root / "people.txt").write_text("images/a.png - 7 1 0\nimages/b.png - 7 2 1\n")
    (root / "attributes.csv").write_text("image,coat_color\nimages/a.png,red coat\nimages/b.png,blue coat\n")
    return root


def test_the_steps_lead_from_images_to_lists(monkeypatch, capsys, root, tmp_path):
    work = tmp_path / "work"
    decisions = {
        "format": FORMAT,
        "reviewer": "Ada",
        "decisions": [{"image": "images/a.png", "crop": True, "template": "1.png"}],
    }
    (tmp_path / "d.json").write_text(json.dumps(decisions))
    steps = (
        ("start", work, "--list", root / "people.txt", "--root", root, "--dataset", "cocas_real1"),
        ("attributes", work, "--csv", root / "attributes.csv"),
        ("sentences", work),
        ("crops", work),
        ("templates", work, "--shop", tmp_path / "shop"),
        ("review", work),
        ("decide", work, tmp_path / "d.json"),
        ("export", work),
    )
    assert [step[0] for step in steps] == list(STEPS)
    for step in steps:
        assert program(monkeypatch, *step) == 0, capsys.readouterr().err
    told = capsys.readouterr().out
    assert "1 of 2 images are reviewed" in told and "1 images were left out" in told
    (record,) = load_split(root, "cocas_real1", "ctcc").train
    assert record.clothes == str(root / "templates/1.png")
    (record,) = load_split(root, "cocas_real1", "li").train
    assert "red" in record.captions[0]


def test_the_images_of_a_data_set_are_taken_from_its_own_layout(monkeypatch, capsys, tmp_path):
    for name in ("train/001_1_c1_000001.png", "train/001_2_c11_000002.png", "test/002_1_c1_000001.png"):
        path = tmp_path / "data/LTCC_ReID" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 40), "red").save(path)
    assert (
        program(monkeypatch, "start", tmp_path / "w", "--data", tmp_path / "data", "--dataset", "ltcc") == 0
    )
    assert "2 images of ltcc (train)" in capsys.readouterr().out
    lines = (tmp_path / "w/pictures.txt").read_text().splitlines()
    assert lines[1] == "LTCC_ReID/train/001_2_c11_000002.png - 1 1 10"


@pytest.mark.parametrize("folder", ["LTCC_ReID", "ltcc/LTCC_ReID"])
def test_the_lists_of_a_data_set_go_where_no_other_looks(monkeypatch, capsys, tmp_path, folder):
    data = tmp_path / "data"
    image = data / folder / "train/001_1_c1_000001.png"
    image.parent.mkdir(parents=True)
    Image.new("RGB", (20, 40), "red").save(image)
    work = tmp_path / "w"
    for step in (("start", work, "--data", data, "--dataset", "ltcc"), ("crops", work)):
        assert program(monkeypatch, *step) == 0, capsys.readouterr().err
    assert program(monkeypatch, "export", work, "--unreviewed") == 0
    assert str(data / "ltcc/datalist/train_ctcc.txt") in capsys.readouterr().out
    (record,) = load_split(data, "ltcc", "ctcc", source="lists").train
    assert record.image == str(image)
    with pytest.raises(InputError, match="no OmniReID list of cocas_real1"):
        load_split(data, "cocas_real1", "ctcc", source="lists")


def test_a_shop_image_does_not_write_over_another_one(monkeypatch, capsys, root, tmp_path):
    (root / "templates").mkdir()
    (root / "templates/1.png").write_bytes(b"somebody's")
    row = {"image": "images/a.png", "crop": True, "template": "1.png"}
    told = {"format": FORMAT, "reviewer": "Ada", "decisions": [row]}
    (tmp_path / "d.json").write_text(json.dumps(told))
    work = tmp_path / "work"
    steps = (
        ("start", work, "--list", root / "people.txt", "--root", root, "--dataset", "cocas_real1"),
        ("crops", work),
        ("templates", work, "--shop", tmp_path / "shop"),
        ("decide", work, tmp_path / "d.json"),
    )
    for step in steps:
        assert program(monkeypatch, *step) == 0, capsys.readouterr().err
    assert program(monkeypatch, "export", work) == 2
    assert "is not the same image as" in capsys.readouterr().err
    assert (root / "templates/1.png").read_bytes() == b"somebody's"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("start", "W", "--dataset", "ltc"), "did you mean 'ltcc'"),
        (("start", "W", "--dataset", "ltcc"), "give either --list FILE with --root DIR, or --data DIR"),
        (("start", "W", "--dataset", "market1501", "--data", "."), "market1501 has no train lists with"),
        (("start", "W", "--dataset", "ltcc", "--part", "gallery"), "data sets that have: cocas_real2"),
        (("start", "W", "--dataset", "ltcc", "--list", "L", "--root", "."), "there is no a.jpg"),
        (("sentences", "W"), "begin with python -m tools.annotate start"),
        (("review", "W", "--per-page", "0"), "--per-page is 0"),
        (("export", "W", "--instruct", "crop"), "did you mean 'crops'"),
        (("templates", "W", "--shop", "nowhere", "--count", "0"), "--count is 0"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(monkeypatch, capsys, tmp_path, arguments, complaint):
    (tmp_path / "list.txt").write_text("a.jpg - 1 1 0\n")
    places = {"W": tmp_path / "w", "L": tmp_path / "list.txt"}
    assert program(monkeypatch, *(places.get(word, word) for word in arguments)) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.startswith("error: ") and error.count("\n") == 1


def test_models_that_are_not_there_are_refused(monkeypatch, capsys, root, tmp_path):
    work = tmp_path / "work"
    program(monkeypatch, "start", work, "--list", root / "people.txt", "--root", root, "--dataset", "ltcc")
    capsys.readouterr()
    for step, option in (("attributes", "--model"), ("crops", "--model"), ("sentences", "--llm")):
        assert program(monkeypatch, step, work, option, tmp_path / "no.xml") == 2
        assert "no.xml" in capsys.readouterr().err


def test_a_model_that_lacks_weights_or_writes_nothing_is_one_sentence(monkeypatch, capsys, root, tmp_path):
    from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaModel

    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    LlamaModel(LlamaConfig(vocab_size=10, **sizes)).save_pretrained(tmp_path / "headless")
    CLIPVisionModel(CLIPVisionConfig(**sizes)).save_pretrained(tmp_path / "tower")
    work = tmp_path / "work"
    program(monkeypatch, "start", work, "--list", root / "people.txt", "--root", root, "--dataset", "ltcc")
    for name, complaint in (("headless", "no matching weights for lm_head"), ("tower", "not a causal")):
        assert program(monkeypatch, "sentences", work, "--llm", tmp_path / name) == 2
        assert complaint in capsys.readouterr().err


def test_texts_that_the_templates_wrote_for_a_model_are_counted(monkeypatch, capsys, root, tmp_path):
    from irm.mllm.parts import load_language_model, small_tokenizer

    load_language_model("tiny").save_pretrained(tmp_path / "babbler")
    small_tokenizer(["zzz"]).save_pretrained(tmp_path / "babbler")
    work = tmp_path / "work"
    program(monkeypatch, "start", work, "--list", root / "people.txt", "--root", root, "--dataset", "ltcc")
    program(monkeypatch, "attributes", work, "--csv", root / "attributes.csv")
    assert program(monkeypatch, "sentences", work, "--llm", tmp_path / "babbler") == 0
    assert "2 texts of babbler are the template writer's" in capsys.readouterr().out


def test_help_shows_every_step():
    told = parser().format_help()
    assert all(f"tools.annotate {step}" in told for step in STEPS)


def test_work_is_not_taken_over_by_another_data_set_part_or_root(monkeypatch, capsys, root, tmp_path):
    work, other = tmp_path / "work", tmp_path / "moved"
    asked = ("start", work, "--list", root / "people.txt")
    assert program(monkeypatch, *asked, "--root", root, "--dataset", "cocas_real1") == 0
    begun = (work / "work.json").read_bytes()
    other.symlink_to(tmp_path / "copy")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/images").symlink_to(root / "images")
    capsys.readouterr()
    for more, complaint in (
        (("--root", root, "--dataset", "ltcc"), "work on cocas_real1 (train), not on ltcc (train)"),
        (("--root", root, "--dataset", "cocas_real2", "--part", "gallery"), "not on cocas_real2 (gallery)"),
        (("--root", other, "--dataset", "cocas_real1"), f"below {root}, not below {tmp_path / 'copy'}"),
    ):
        assert program(monkeypatch, *asked, *more) == 2
        error = capsys.readouterr().err
        assert complaint in error and error.count("\n") == 1
        assert (work / "work.json").read_bytes() == begun
    assert program(monkeypatch, *asked, "--root", root, "--dataset", "cocas_real1") == 0


@pytest.mark.parametrize("step", [("sentences", "--llm"), ("attributes", "--zero-shot")])
def test_a_model_goes_to_the_device_that_is_asked_for(monkeypatch, capsys, root, tmp_path, step):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    from irm.mllm.parts import load_language_model

    load_language_model("tiny").save_pretrained(tmp_path / "model")
    work = tmp_path / "work"
    program(monkeypatch, "start", work, "--list", root / "people.txt", "--root", root, "--dataset", "ltcc")
    assert program(monkeypatch, step[0], work, step[1], tmp_path / "model", "--device", "cuda") == 2
    assert "device is cuda, but PyTorch finds no GPU" in capsys.readouterr().err
