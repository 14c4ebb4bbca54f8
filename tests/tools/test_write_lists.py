"""tools.write_lists: files, how many lines, what could not be written; tools.extract_cuhk03 at its edges."""

import pytest

from omnireid.datasets import load_split
from tools import extract_cuhk03, write_lists
from tools._program import run


@pytest.fixture
def program(monkeypatch, capsys):
    def call(module, *arguments):
        monkeypatch.setattr("sys.argv", ["program", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            run(module.main)
        captured = capsys.readouterr()
        return stopped.value.code, captured.out, captured.err

    return call


@pytest.fixture
def market(tmp_path):
    for name in (
        "bounding_box_train/0002_c1s1_1_03",
        "query/0001_c1s1_1_00",
        "bounding_box_test/0001_c2s1_3_00",
    ):
        path = tmp_path / "data/Market-1501" / f"{name}.jpg"
        path.parent.mkdir(parents=True)
        path.touch()
    return tmp_path / "data"


def test_the_lists_of_what_is_there_are_written_and_named(program, market):
    code, out, _ = program(write_lists, "--root", market)
    assert code == 0 and "3 files written" in out and "1 lines  " in out
    written = (market / "market/datalist/train.txt").read_text()
    assert written == "../Market-1501/bounding_box_train/0002_c1s1_1_03.jpg do_not_change_clothes 2 -1 0\n"
    assert len(load_split(market, "market1501", "trad", source="lists").gallery) == 1


def test_a_second_run_leaves_them_alone_unless_told_otherwise(program, market):
    program(write_lists, "--root", market)
    code, _, err = program(write_lists, "--root", market)
    assert code == 2 and "use --replace to overwrite it" in err
    assert program(write_lists, "--root", market, "--replace")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--root", "{root}/nowhere"), "is not a folder"),
        (("--root", "{root}"), "nothing under"),
        (("--root", "{root}", "--dataset", "rstpreid"), "OmniReID has no lists of rstpreid"),
        (("--root", "{root}", "--dataset", "marke1501"), "did you mean 'market1501'?"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(program, tmp_path, arguments, sentence):
    code, _, err = program(write_lists, *(argument.format(root=tmp_path) for argument in arguments))
    assert code == 2 and sentence in err and err.count("\n") == 1


def test_extracting_without_the_release_says_what_is_missing(program, tmp_path):
    code, _, err = program(extract_cuhk03, "--root", tmp_path)
    assert code == 2 and "cuhk-03.mat does not exist" in err
