"""The programs of MLLMReID: what they say, and that bad input is one sentence."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from tools import export_backbone, pretrain, write_continuations
from tools._program import run

SHEETS = Path(__file__).parents[2] / "configs" / "mllm"
TINY = SHEETS / "tiny.yaml"


@pytest.fixture
def program(monkeypatch, capsys):
    def call(module, *arguments):
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run(module.main)
        return ended.value.code, capsys.readouterr()

    return call


@pytest.mark.parametrize("module", [pretrain, export_backbone, write_continuations])
def test_help_has_an_example(program, module):
    code, told = program(module, "--help")
    assert code == 0
    assert f"python -m {module.__name__} " in told.out


def test_the_plan_of_the_papers_model_is_printed(program):
    code, told = program(pretrain, SHEETS / "base.yaml", "--plan")
    assert code == 0
    assert "language model: 0 of 6,738,415,616 parameters are trainable (bfloat16)" in told.out
    assert "a step: 64 images of 252x126, 162 image and 70 text tokens each" in told.out
    assert "in all" in told.out


def test_a_plan_of_several_processes_tells_of_each(program):
    rows = {}
    for shard in ("false", "true"):
        given = (SHEETS / "base.yaml", "tune.llm=full", f"shard={shard}", "--plan", "--processes", "8")
        code, told = program(pretrain, *given)
        assert code == 0
        assert "a step of each process: 8 images" in told.out
        rows[shard] = {
            name: float(gib) for name, gib in re.findall(r"^  (.+?) +([\d.]+) GiB$", told.out, re.M)
        }
    for name in ("weights", "gradients", "AdamW's two moments"):
        assert rows["true"][name] == pytest.approx(rows["false"][name] / 8, abs=0.01)
    assert rows["true"]["activations"] == rows["false"]["activations"]
    code, told = program(pretrain, SHEETS / "base.yaml", "--plan", "--processes", "0")
    assert code == 2
    assert "--processes is 0; at least one must train" in told.err


def test_the_plan_of_models_in_folders_needs_no_weights(program, tmp_path):
    from irm.mllm.shapes import language_config, tower_config

    for name, config in (("llm", language_config("tiny")), ("tower", tower_config("tiny"))):
        config.architectures = ["any"]
        config.save_pretrained(tmp_path / name)
    given = (f"model.llm={tmp_path / 'llm'}", f"model.vision={tmp_path / 'tower'}")
    code, told = program(pretrain, TINY, *given, "--plan")
    assert (code, told.out) == (0, program(pretrain, TINY, "--plan")[1].out), told.err


def test_a_run_is_trained_and_exported(program, tmp_path, tiny_root):
    out, backbone = tmp_path / "run", tmp_path / "backbone"
    code, told = program(pretrain, TINY, "optimizer.steps=1", "--out", out, "--data", tiny_root)
    assert code == 0, told.err
    assert f"saved the tower in {out / 'model'}" in told.out
    code, told = program(export_backbone, out, "--out", backbone, "--judge")
    assert code == 0, told.err
    assert "tokens before and after differ by 0\n" in told.out
    assert "clip_vit_large with embed_dim 64, depth 4, num_heads 4, patch_size 8, for 64x32" in told.out
    judged = re.search(r"trad, market1501, market: mAP ([\d.]+) before, ([\d.]+) after\n", told.out)
    assert judged and all(0 < float(score) < 100 for score in judged.groups())
    assert (backbone / "spec.json").is_file()
    code, told = program(export_backbone, out, "--out", backbone)
    assert code == 2
    assert "already exists" in told.err
    shutil.rmtree(out / "model")  # as before its last step
    code, told = program(export_backbone, out, "--out", tmp_path / "other")
    assert code == 2
    assert "writes one after its last step: continue it with --resume" in told.err


@pytest.mark.parametrize(
    ("module", "arguments", "complaint"),
    [
        (pretrain, [TINY], "--out is missing"),
        (pretrain, [TINY, "model.vison=tiny", "--out", "r"], "did you mean 'vision'?"),
        (pretrain, [TINY, "model.vision=nobody/x", "--out", "r"], "nor a reachable hub id"),
        (export_backbone, ["none", "--out", "b"], "none is not a run folder (no config.yaml)"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    program, tmp_path, monkeypatch, tiny_root, module, arguments, complaint
):
    monkeypatch.chdir(tmp_path)
    data = ["--data", tiny_root] if module is pretrain else []
    code, told = program(module, *arguments, *data)
    assert code == 2
    assert complaint in told.err
    assert told.err.count("error: ") == 1


def test_captions_of_a_set_itself_are_written_and_continued(program, tmp_path, tiny_root):
    import torch

    from irm.mllm.parts import load_language_model, small_tokenizer

    torch.manual_seed(0)
    load_language_model("tiny").save_pretrained(tmp_path / "llm")
    small_tokenizer(["a man in a coat"]).save_pretrained(tmp_path / "llm")
    asked = ["--data", tiny_root, "--dataset", "cuhk_pedes", "--captions", "own", "--out", tmp_path / "words"]
    code, told = program(write_continuations, *asked, "--llm", tmp_path / "llm", "--limit", 3)
    assert code == 0, told.err
    assert "continuations: 3 of 3 captions, 3 generated now" in told.out
    code, told = program(write_continuations, *asked, "--llm", tmp_path / "llm", "--limit", 3)
    assert "3 of 3 captions, 0 generated now" in told.out and "also have" not in told.out
    shutil.copytree(tmp_path / "llm", tmp_path / "other")
    code, told = program(write_continuations, *asked, "--llm", tmp_path / "other", "--limit", 3)
    assert f"the same captions also have 3 continuations by {tmp_path / 'llm'}" in told.out


def test_no_words_of_msmt17s_test_people_come_through_rstpreid(program, tmp_path, tiny_root):
    """RSTPReid's training set holds such people, renumbered and renamed."""
    import json

    from omnireid.captioning.attach import read_captions
    from omnireid.datasets import load_split

    split = load_split(tiny_root, "msmt17", "trad")
    shutil.copytree(tiny_root / "msmt", tmp_path / "msmt")
    (tmp_path / "RSTPReid" / "imgs").mkdir(parents=True)
    copied = {  # person 1 is in no test of MSMT17; person 2 is, though one image is a training image
        (1, "own words"): split.train[0],
        (2, "words of a training image of a test person"): split.train[-1],
        (2, "words of a test image"): split.gallery[0],
        (2, "words of a query"): split.query[0],
    }
    entries = []
    for number, ((pid, words), record) in enumerate(copied.items()):
        name = f"{number:04d}_renamed.jpg"
        shutil.copy(record.image, tmp_path / "RSTPReid" / "imgs" / name)
        entries.append({"id": pid, "img_path": name, "captions": [words], "split": "train"})
    (tmp_path / "RSTPReid" / "data_captions.json").write_text(json.dumps(entries))
    asked = ["--dataset", "msmt17", "--captions", "rstpreid", "--reach", "own", "--out", tmp_path / "words"]
    code, told = program(write_continuations, "--data", tmp_path, *asked)
    assert code == 0, told.err
    assert "2 of 4 described images left out: rstpreid: it is a test image" in told.out
    assert "1 of 4 described images left out: rstpreid: another image of its person" in told.out
    (row,) = read_captions(tmp_path / "words" / "captions.jsonl").values()
    assert row.captions == ("own words",)
    assert (tmp_path / row.image).read_bytes() == Path(split.train[0].image).read_bytes()


def test_a_source_that_describes_another_set_is_refused(program, tmp_path, tiny_root):
    asked = ["--data", tiny_root, "--dataset", "market1501", "--captions", "rstpreid", "--out", tmp_path]
    code, told = program(write_continuations, *asked)
    assert code == 2
    assert "rstpreid describes no images of market1501 (it describes msmt17)" in told.err
