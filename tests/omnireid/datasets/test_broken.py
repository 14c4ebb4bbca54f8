"""Broken copies: check_data names each fault, training skips or refuses, evaluation refuses; no crash."""

import json
from pathlib import Path

import pytest
from PIL import Image

from instructions.errors import InputError
from omnireid.datasets import load_split
from omnireid.loading.eval_batches import eval_batches
from omnireid.loading.mixture import Mixture
from omnireid.loading.source_loader import Source
from omnireid.loading.transforms import Preprocessing
from omnireid.tasks import TASKS
from tools import check_data
from tools._program import run

PREPROCESSING = Preprocessing(image_size=(8, 4))
TRAIN, TEST = range(1, 6), range(6, 9)


def draw(path, level):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 8), (level, 99, 250 - level)).save(path)


@pytest.fixture
def pedes(tmp_path):
    """A readable CUHK-PEDES of five training and three test people, two images each; gives its folder."""
    own, entries = tmp_path / "data/CUHK-PEDES", []
    for pid in (*TRAIN, *TEST):
        for shot in range(2):
            file = f"CUHK01/{pid:04d}{shot:03d}.png"
            draw(own / "imgs" / file, 10 * pid + shot)
            split = "train" if pid in TRAIN else "test"
            entries.append({"split": split, "id": pid, "file_path": file, "captions": [f"Number {pid}."]})
    (own / "reid_raw.json").write_text(json.dumps(entries))
    return own


@pytest.fixture
def doctor(monkeypatch, capsys):
    """What check_data says of a root, and its exit code."""

    def look(root, *arguments):
        monkeypatch.setattr("sys.argv", ["check_data", "--root", str(root), *arguments])
        with pytest.raises(SystemExit) as stopped:
            run(check_data.main)
        captured = capsys.readouterr()
        return stopped.value.code, captured.out + captured.err

    return look


def train(split, task="t2i"):
    source = Source(TASKS[task], split.name, split.train, num_identities=5, num_instances=2)
    mixture = Mixture([source], PREPROCESSING)
    (batch,) = mixture.step(0)
    return batch, mixture


def sweep(records, task="t2i"):
    return list(eval_batches(records, PREPROCESSING, task=TASKS[task], domain="x", instructions=None))


def spoil(path, how):
    match how:
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "not images":
            path.write_text("this is text")
        case "too large":
            Image.new("1", (8000, 5000)).save(path)


@pytest.mark.parametrize("how", ["missing", "empty", "not images", "too large"])
def test_an_unreadable_image_is_replaced_in_training_and_refused_in_evaluation(pedes, doctor, how):
    for pid in (2, 7):
        spoil(pedes / f"imgs/CUHK01/{pid:04d}001.png", how)
    split = load_split(pedes.parent, "cuhk_pedes", "t2i")
    batch, mixture = train(split)
    assert batch.images.shape[0] == 10
    assert [Path(path).name for path in mixture.unreadable["t2i/cuhk_pedes"]] == ["0002001.png"]
    with pytest.raises(InputError, match=r"0007001\.png"):
        sweep(split.gallery)
    code, said = doctor(pedes.parent)
    assert code == 1
    assert (
        f"2 of 16 images cannot be read ({how})" in said and "0002001.png" in said and "0007001.png" in said
    )


def test_training_stops_when_too_many_images_are_unreadable(pedes):
    for pid in TRAIN:
        spoil(pedes / f"imgs/CUHK01/{pid:04d}001.png", "missing")
    with pytest.raises(InputError, match="more than 1 % of its 10 training images cannot be read"):
        train(load_split(pedes.parent, "cuhk_pedes", "t2i"))


def test_a_image_without_a_caption_cannot_train_and_is_named(pedes, doctor):
    entries = json.loads((pedes / "reid_raw.json").read_text())
    entries[3]["captions"] = []
    (pedes / "reid_raw.json").write_text(json.dumps(entries))
    with pytest.raises(InputError, match=r"0002001\.png has no caption, which task t2i trains on"):
        train(load_split(pedes.parent, "cuhk_pedes", "t2i"))
    code, said = doctor(pedes.parent)
    assert code == 1 and "1 train images have no caption" in said


def test_wrong_counts_are_a_warning_and_stop_nothing(pedes, doctor):
    code, said = doctor(pedes.parent)
    assert code == 0 and "10 train records of 5 people, but published are 34054 of 11003 people" in said
    assert train(load_split(pedes.parent, "cuhk_pedes", "t2i"))


@pytest.mark.parametrize(
    "text",
    ['[{"id": 1, ', "not json", '[{"id": 1, "split": "train"}]', '{"a": 1}'],
    ids=["cut off", "text", "no image", "no array"],
)
def test_an_annotation_file_that_is_broken_is_refused_and_named(pedes, doctor, text):
    (pedes / "reid_raw.json").write_text(text)
    with pytest.raises(InputError, match=r"reid_raw\.json"):
        load_split(pedes.parent, "cuhk_pedes", "t2i")
    code, said = doctor(pedes.parent)
    assert code == 1 and "reid_raw.json" in said and "not readable" in said


@pytest.fixture
def listed(tmp_path):
    """Market lists whose names need Unicode, images with it; gives the data root."""
    folder = tmp_path / "lists/market"
    for part, pids in (("train", TRAIN), ("query", TEST), ("gallery", TEST)):
        lines = []
        for pid in pids:
            for shot in range(2):
                name = f"Märkte/行人_{part}_{pid}_{shot}.png"
                draw(folder / name, 20 * pid + 7 * shot + len(part))
                lines.append(f"{name} x {pid} {pid} {1 if part == 'query' else shot + 2}\n")
        path = folder / f"datalist/{part}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(lines), encoding="utf-8")
    return folder.parent


DISGUISES = {
    "as it is": lambda text: text,
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "byte order mark": lambda text: "\ufeff" + text,
    "trailing blanks": lambda text: text.replace("\n", " \t \n"),
    "tabs and empty lines": lambda text: text.replace(" ", "\t").replace("\n", "\n\n"),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_line_ends_marks_blanks_and_unicode_names_change_nothing(listed, doctor, disguise):
    plain = load_split(listed, "market1501", "trad")
    for path in (listed / "market/datalist").iterdir():
        path.write_bytes(DISGUISES[disguise](path.read_text(encoding="utf-8")).encode())
    split = load_split(listed, "market1501", "trad")
    assert (split.train, split.query, split.gallery) == (plain.train, plain.query, plain.gallery)
    assert len(sweep(split.gallery, "trad")[0].pids) == 6
    code, said = doctor(listed)
    assert code == 0 and "0 problems" in said


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.png x 1", "expected 4 or 5 columns"),
        ("a.png x one 1", "the person should be an integer"),
        ("a.png x 1 1 left", "the camera should be an integer"),
    ],
)
def test_a_line_that_is_not_understood_stops_everything_and_is_named(listed, doctor, line, message):
    path = listed / "market/datalist/gallery.txt"
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"gallery\.txt:7: {message}"):
        load_split(listed, "market1501", "trad")
    code, said = doctor(listed)
    assert code == 1 and "gallery.txt:7" in said


def test_check_data_resumes_and_detects_changes(listed, doctor):
    assert "earlier check" not in doctor(listed)[1]
    assert "22 images were opened by an earlier check" in doctor(listed)[1]
    spoil(listed / "market/Märkte/行人_train_1_0.png", "not images")
    code, said = doctor(listed)
    assert code == 1 and "21 images were opened by an earlier check" in said
    assert "earlier check" not in doctor(listed, "--afresh")[1]


def test_a_misspelt_folder_is_reported(listed, doctor):
    (listed / "msmt17_v1").mkdir()
    assert "the folder msmt17_v1 is ignored: did you mean 'MSMT17_V1'?" in doctor(listed)[1]
    code, said = doctor(listed / "market")
    assert code == 2 and "no data set was found" in said


def test_an_own_table_is_checked_trained_on_and_searched(tmp_path, doctor):
    rows = ["split,image,pid"]
    for part, pids in (("train", TRAIN), ("query", TEST), ("gallery", TEST)):
        for pid in pids:
            for shot in range(2):
                draw(tmp_path / f"data/own/shop/{part}{pid}{shot}.png", 20 * pid + 3 * shot + len(part))
                rows.append(f"{part},{part}{pid}{shot}.png,{pid}")
    (tmp_path / "data/own/shop/records.csv").write_text("\n".join(rows))
    code, said = doctor(tmp_path / "data")
    assert code == 0 and "own/shop" in said and "0 problems, 0 warnings" in said
    split = load_split(tmp_path / "data", "own/shop", "cc")
    assert train(split, "cc")[0].images.shape[0] == 10
    assert len(sweep(split.query, "cc")[0].pids) == 6
    spoil(tmp_path / "data/own/shop/train10.png", "missing")
    assert "1 of 22 images cannot be read (missing)" in doctor(tmp_path / "data", "--dataset", "own/shop")[1]


HUGE = "9" * 20


@pytest.mark.parametrize(
    ("name", "task", "file"),
    [
        ("msmt17", "trad", "MSMT17_V1/list_query.txt"),
        ("llcm", "vi", "idx/train_vis.txt"),
        ("llcm", "vi", "idx/test_id.txt"),
        ("cocas_real2", "ctcc", "query.txt"),
    ],
)
def test_a_list_that_is_not_utf_8_is_refused(make, name, task, file):
    root = make(name)
    path = next(path for path in root.rglob(Path(file).name) if str(path).endswith(Path(file).name))
    path.write_bytes(b"\xff" + path.read_bytes())
    with pytest.raises(InputError, match=rf"{path.name} is not UTF-8 text"):
        load_split(root, name, task, source="raw")


@pytest.mark.parametrize(
    ("name", "task", "file", "old", "new"),
    [
        ("msmt17", "trad", "list_query.txt", ".jpg 0", f".jpg {HUGE}"),
        ("llcm", "vi", "test_id.txt", ",", f",{HUGE},"),
        ("cocas_real2", "ctcc", "query.txt", " 1 2 3", f" {HUGE} 2 3"),
        ("cuhk_pedes", "t2i", "reid_raw.json", '"id": ', f'"id": {HUGE}'),
    ],
)
def test_a_number_too_large_for_an_array_is_refused(make, name, task, file, old, new):
    root = make(name)
    path = next(root.rglob(file))
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=HUGE):
        load_split(root, name, task, source="raw")


def test_a_list_with_a_number_too_large_for_an_array_is_refused(write_lists):
    root = write_lists("market/datalist", query=f"a.jpg x {HUGE} 1 0\n", gallery="b.jpg x 1 1 1\n")
    with pytest.raises(InputError, match=HUGE):
        load_split(root, "market1501", "trad", source="lists")


def test_words_take_the_place_of_numbers_too_large_for_an_array(tmp_path):
    table = tmp_path / "own/t.csv"
    table.parent.mkdir()
    table.write_text(f"split,image,pid,camera\nquery,a.jpg,{HUGE},1\ngallery,b.jpg,7,{HUGE}\n")
    split = load_split(tmp_path, "own/t", "trad")
    assert [(record.pid, record.camid) for record in (*split.query, *split.gallery)] == [(1, 0), (0, 1)]
