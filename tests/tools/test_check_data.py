"""tools.check_data: a table, a sentence a fault, and an exit code that a script can use."""

import pytest
from PIL import Image

from tools import check_data
from tools._program import run


@pytest.fixture
def market(tmp_path):
    """A readable Market-1501 of four images below a data root."""
    names = ("bounding_box_train/0002_c1s1_000451_03", "query/0001_c1s1_001051_00")
    names += ("bounding_box_test/0001_c2s1_000301_00", "bounding_box_test/0000_c2s1_000151_01")
    for number, name in enumerate(names):
        path = tmp_path / "data/Market-1501" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 8), (40 * number, 60, 30)).save(path, "JPEG")
    return tmp_path / "data"


@pytest.fixture
def check(monkeypatch, capsys):
    def program(*arguments):
        monkeypatch.setattr("sys.argv", ["check_data", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            run(check_data.main)
        captured = capsys.readouterr()
        return stopped.value.code, captured.out, captured.err

    return program


def test_warnings_alone_end_with_code_0(check, market):
    code, out, _ = check("--root", market)
    assert code == 0
    assert "market1501" in out and "published are 12936" in out
    assert "1 data sets: 0 problems" in out


def test_a_drawn_tree_with_its_own_counts_is_clean(check, market):
    (market / "synthetic.json").write_text(
        '{"datasets": {"market1501": {"train": 1, "query": 1, "gallery": 2}}}'
    )
    code, out, _ = check("--root", market, "--dataset", "market1501", "--workers", "1")
    assert code == 0
    assert "0 problems, 0 warnings" in out


def test_a_damaged_image_ends_with_code_1_and_says_how_to_fix_it(check, market):
    (market / "Market-1501/query/0001_c1s1_001051_00.jpg").write_bytes(b"")
    code, out, _ = check("--root", market)
    assert code == 1
    assert "1 of 4 images cannot be read" in out and "0001_c1s1_001051_00.jpg" in out
    assert "how to fix:" in out


def test_a_limit_opens_fewer_images(check, market):
    (market / "Market-1501/query/0001_c1s1_001051_00.jpg").write_bytes(b"")
    assert check("--root", market, "--limit", "0")[0] == 0


def test_a_missing_image_of_a_list_is_a_problem(check, tmp_path):
    (tmp_path / "prcc/datalist").mkdir(parents=True)
    (tmp_path / "prcc/datalist/train.txt").write_text("rgb/train/001/A_1.jpg white_shirt.jpg 1 1 0\n")
    code, out, _ = check("--root", tmp_path)
    assert code == 1 and "there is no such file" in out


def test_a_broken_list_is_a_problem_with_its_line(check, tmp_path):
    (tmp_path / "prcc/datalist").mkdir(parents=True)
    (tmp_path / "prcc/datalist/train.txt").write_text("three columns only\n")
    code, out, _ = check("--root", tmp_path)
    assert code == 1 and "train.txt:1" in out and "not readable" in out


def test_a_test_person_in_the_training_folder_is_a_problem(check, market):
    folder = market / "Market-1501"
    Image.new("RGB", (4, 8), (0, 200, 0)).save(folder / "bounding_box_train/0001_c3s1_001051_00.jpg", "JPEG")
    code, out, _ = check("--root", market)
    assert code == 1 and "1 people are in both the training and the test part" in out


def test_a_test_image_that_trains_under_another_name_is_a_problem(check, market):
    folder = market / "Market-1501"
    image = (folder / "bounding_box_test/0001_c2s1_000301_00.jpg").read_bytes()
    (folder / "bounding_box_train/0005_c3s1_001051_00.jpg").write_bytes(image)
    code, out, _ = check("--root", market)
    assert code == 1 and "1 train images are in the gallery too under another name" in out
    assert "0005_c3s1_001051_00.jpg and " in out


def test_a_closed_folder_is_a_problem_and_the_rest_is_checked(check, market, shut):
    (market / "prcc").mkdir()
    (market / "own").mkdir()
    shut(market / "prcc")
    shut(market / "own")
    code, out, _ = check("--root", market)
    assert code == 1 and "3 data sets: 2 problems" in out and "published are 12936" in out
    for folder in ("prcc", "own"):
        assert f"problem {folder}, not read: 1 files or folders cannot be opened" in out
    assert "how to fix: grant read permission" in out


def test_a_root_that_is_a_data_set_itself_is_told(check, market):
    code, _, err = check("--root", market / "Market-1501")
    assert code == 2 and "this folder itself looks like that of market1501" in err


def test_a_closed_root_is_one_sentence(check, market, shut):
    code, out, err = check("--root", shut(market))
    assert code == 2 and out == "" and err.startswith(f"error: {market} cannot be read (Permission denied)")


def test_one_way_out_of_several_findings_is_printed_once(check, market):
    _, out, _ = check("--root", market)
    assert out.count("published are") == 3 and out.count("how to fix") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--root", "{root}/nowhere"), "is not a folder"),
        (("--root", "{root}"), "no data set was found under"),
        (("--root", "{root}", "--dataset", "marke1501"), "did you mean 'market1501'?"),
        (("--root", "{root}", "--dataset", "ltcc"), "LTCC (ltcc) was not found under"),
        (("--root", "{root}", "--dataset", "dukemtmc_reid"), "withdrawn"),
        (("--root", "{root}", "--limit", "-1"), "--limit is -1; it must be at least 0"),
        (("--root", "{root}", "--workers", "0"), "--workers is 0; it must be at least 1"),
        ((), "--root"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(check, tmp_path, arguments, sentence):
    code, out, err = check(*(argument.format(root=tmp_path) for argument in arguments))
    assert code == 2 and out == ""
    assert err.startswith("error: ") and sentence in err and err.count("\n") == 1
