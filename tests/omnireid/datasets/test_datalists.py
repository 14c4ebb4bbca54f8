"""The official OmniReID lists: their grammar, what column two means to each task, their many file names."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instructions.errors import InputError
from omnireid.datasets.datalists import FIRST_LIST_PID, Line, read_datalists, read_lines
from omnireid.datasets.list_table import IMAGE_PATHS, LISTS
from omnireid.records import UNKNOWN

MARKET = "market/datalist"
LINE = "Market-1501/query/0001_c1s1_001051_00.jpg do_not_change_clothes 1 5 0"
QUERY, GALLERY = "q.jpg x 1 1\n", "g.jpg x 1 1\n"


def classes(records):
    return [record.pid - FIRST_LIST_PID for record in records]


def write_book(root, folder, name="runner_real1_v1_gpt.json", **captions):
    (root / folder / name).write_text(json.dumps(captions), encoding="utf-8")


def test_a_line_is_image_instruction_person_clothes_and_camera(write_lists):
    root = write_lists(MARKET, query=f"{LINE}\n", gallery="g.jpg x 0 7 5\n")
    split = read_datalists(root, "market1501", "trad")
    (query,), (gallery,) = split.query, split.gallery
    assert query.image == f"{root}/market/Market-1501/query/0001_c1s1_001051_00.jpg"
    assert (query.pid, query.camid, gallery.pid, gallery.camid) == (1, 0, 0, 5)
    assert query.clothes is None and query.captions == ()


@pytest.mark.parametrize(
    "text",
    [
        LINE,
        f"\ufeff{LINE}\r\n",
        LINE.replace(" ", "\t") + "  \n\n",
        f"\n   {LINE} and more columns that nobody reads\n",
    ],
    ids=["bare", "byte order mark and CRLF", "tabs and trailing blanks", "empty lines and extra columns"],
)
def test_blanks_of_any_kind_are_tolerated(tmp_path, text):
    path = tmp_path / "query.txt"
    path.write_bytes(text.encode())
    (line,) = read_lines(path)
    assert line[1:] == tuple(LINE.split())


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    fields=st.lists(st.from_regex(r"[a-zA-Z0-9_/.\-]{1,8}", fullmatch=True), min_size=4, max_size=7),
    blank=st.sampled_from([" ", "\t", "  ", " \t "]),
    end=st.sampled_from(["\n", "\r\n", " \n", ""]),
)
def test_what_is_written_is_read_back(tmp_path, fields, blank, end):
    path = tmp_path / "train.txt"
    path.write_bytes((blank.join(fields) + end).encode())
    assert list(read_lines(path)) == [Line(1, *fields[:4], fields[4] if len(fields) > 4 else None)]


def test_three_columns_are_refused_with_file_and_line(write_lists):
    root = write_lists(MARKET, train=f"{LINE}\na.jpg 1 1\n")
    with pytest.raises(InputError, match=r"train\.txt:2: expected 4 or 5 columns .* got 3: 'a\.jpg 1 1'"):
        read_datalists(root, "market1501", "trad")


def test_a_list_that_is_not_text_is_refused(write_lists):
    with pytest.raises(InputError, match="is not UTF-8 text"):
        read_datalists(write_lists(MARKET, train=b"\xff\xfe\x00a"), "market1501", "trad")


@pytest.mark.parametrize("text", ["", "\n \r\n"])
def test_an_empty_list_is_refused(write_lists, text):
    with pytest.raises(InputError, match=r"gallery\.txt is empty"):
        read_datalists(write_lists(MARKET, query=QUERY, gallery=text), "market1501", "trad")


def test_a_missing_list_is_refused_with_the_folder_and_the_accepted_names(write_lists):
    root = write_lists(MARKET)
    with pytest.raises(InputError) as error:
        read_datalists(root, "market1501", "trad")
    assert f"{root}/market" in str(error.value) and "query.txt with gallery.txt" in str(error.value)


def test_a_query_list_alone_is_refused(write_lists):
    with pytest.raises(InputError, match=r"query\.txt has no counterpart"):
        read_datalists(write_lists(MARKET, query=QUERY), "market1501", "trad")


def test_a_training_list_alone_is_read_with_a_note(write_lists):
    split = read_datalists(write_lists(MARKET, train="a.jpg x p 1\n"), "market1501", "trad")
    assert len(split.train) == 1 and not split.query
    assert any(note.startswith("no query list") for note in split.notes)


def test_the_folder_of_the_data_set_itself_is_accepted(write_lists):
    root = write_lists(MARKET, train="a.jpg x p 1\n")
    split = read_datalists(root / "market", "market1501", "trad")
    assert split.train[0].image == f"{root}/market/a.jpg"


def test_training_people_are_classes_by_first_appearance_whatever_their_names(write_lists):
    text = "a.jpg x 0731 1\nb.jpg x person_b 1\nc.jpg x 0731 2\nd.jpg x 5 1\n"
    split = read_datalists(write_lists(MARKET, train=text), "market1501", "trad")
    assert classes(split.train) == [0, 1, 0, 2]


def test_a_class_number_is_never_a_test_persons_number(write_lists):
    root = write_lists(MARKET, train="a.jpg x 0 1\nb.jpg x 1 1\n", query=QUERY, gallery="g.jpg x 0 1\n")
    split = read_datalists(root, "market1501", "trad")
    assert not {r.pid for r in split.train} & {r.pid for r in (*split.query, *split.gallery)}


@pytest.mark.parametrize(("line", "what"), [("g.jpg x Anna 1", "person"), ("g.jpg x 1 1 left", "camera")])
def test_a_test_person_and_a_camera_are_integers(write_lists, line, what):
    root = write_lists(MARKET, query=QUERY, gallery=f"{line}\n")
    with pytest.raises(InputError, match=rf"gallery\.txt:1: the {what} should be an integer"):
        read_datalists(root, "market1501", "trad")


def test_without_a_camera_column_query_and_gallery_share_no_camera(write_lists):
    root = write_lists(MARKET, train="a.jpg x 1 1\n", query=QUERY, gallery=GALLERY)
    split = read_datalists(root, "market1501", "trad")
    assert (split.train[0].camid, split.query[0].camid, split.gallery[0].camid) == (0, -1, -2)


def test_junk_is_left_out_and_counted_and_distractors_stay(write_lists):
    root = write_lists(MARKET, query=QUERY, gallery="a.jpg x -1 1\nb.jpg x 0 1\nc.jpg x 1 1\n")
    split = read_datalists(root, "market1501", "trad")
    assert [r.pid for r in split.gallery] == [0, 1]
    assert any("1 junk images" in note for note in split.notes)


def test_clothes_numbered_within_a_person_become_outfits_of_the_whole_set(write_lists):
    root = write_lists(
        MARKET, query="q.jpg x 1 1\n", gallery="a.jpg x 1 1\nb.jpg x 2 1\nc.jpg x 1 2\nd.jpg x 2 -1\n"
    )
    split = read_datalists(root, "market1501", "trad")
    worn = [r.clothes_id for r in split.gallery]
    assert split.query[0].clothes_id == worn[0]
    assert len(set(worn)) == 4 and worn[3] == UNKNOWN


def test_an_absolute_path_stays_as_it_is(write_lists):
    split = read_datalists(write_lists(MARKET, train="/elsewhere/a.jpg x 1 1\n"), "market1501", "trad")
    assert split.train[0].image == "/elsewhere/a.jpg"


def test_cc_ignores_the_clothes_image_unless_it_is_asked_for(write_lists):
    root = write_lists("ltcc/datalist", train="a.png white_shirt.jpg 1 1\n")
    assert read_datalists(root, "ltcc", "cc").train[0].clothes is None
    kept = read_datalists(root, "ltcc", "cc", keep_clothes_image=True)
    assert kept.train[0].clothes == f"{root}/ltcc/white_shirt.jpg"


def test_ctcc_has_a_template_for_the_query_and_an_own_crop_for_the_gallery(write_lists):
    root = write_lists(
        "real2/datalist", query="a.jpg t/1.jpg 1 1\n", gallery="b.jpg crops/b.jpg 1 1\nc.jpg - 2 1\n"
    )
    split = read_datalists(root, "cocas_real2", "ctcc")
    assert split.query[0].clothes == f"{root}/real2/t/1.jpg"
    assert [r.clothes for r in split.gallery] == [f"{root}/real2/crops/b.jpg", None]


def test_li_takes_captions_by_key_as_text_or_list(write_lists):
    root = write_lists("real1/datalist", train_attr="a.jpg a 1 1\nb.jpg b.jpg 1 1\nc.jpg - 1 1\n")
    write_book(root, "real1/datalist", **{"a": "A man.", "b.jpg": ["One.", "Two."]})
    split = read_datalists(root, "cocas_real1", "li")
    assert [r.captions for r in split.train] == [("A man.",), ("One.", "Two."), ()]


def test_li_takes_a_literal_sentence_with_underscores(write_lists):
    root = write_lists("real1/datalist", train_attr="a.jpg a_man_in_a_red_coat 1 1\n")
    assert read_datalists(root, "cocas_real1", "li").train[0].captions == ("a man in a red coat",)


@pytest.mark.parametrize("key", ["001_1_c5_015874.png", "nothing", "empty_one"])
def test_a_missing_caption_names_the_key_and_the_line(write_lists, key):
    root = write_lists("real1/datalist", train_attr=f"b.jpg there 1 1\na.jpg {key} 1 1\n")
    write_book(root, "real1/datalist", there="A man.", empty_one="")
    with pytest.raises(InputError, match=rf"train_attr\.txt:2: no caption for the key '{key}'"):
        read_datalists(root, "cocas_real1", "li")


def test_without_a_caption_file_the_accepted_names_are_listed(write_lists):
    root = write_lists("real1/datalist", train_attr="a.jpg a.jpg 1 1\n")
    with pytest.raises(InputError, match=r"any caption file \(runner_real1_v1_gpt\.json"):
        read_datalists(root, "cocas_real1", "li")


@pytest.fixture
def pedes(write_lists):
    """Text-to-image lists: two captions of a training image, two queries, the magic key in the gallery."""
    root = write_lists(
        "CUHK-Pedes",
        train_t2i_v2="imgs/a.png a0 5 1\nimgs/b.png b0 6 1\nimgs/a.png a1 5 1\n",
        query_t2i_v2="imgs/q.png q0 7 1\nimgs/q.png q1 7 1\n",
        gallery_t2i_v2="imgs/q.png 001_1_c5_015874.png 7 1\nimgs/q.png - 7 1\nimgs/r.png - 8 1\n",
    )
    captions = {"a0": "A.", "a1": "AA.", "b0": ["B.", "BB."], "q0": "Q.", "q1": ["QQ.", "QQQ."]}
    write_book(root, "CUHK-Pedes", "caption_t2i_v2.json", **captions)
    return root


def test_t2i_trains_an_image_with_all_captions_and_queries_each_caption(pedes):
    split = read_datalists(pedes, "cuhk_pedes", "t2i")
    assert [r.captions for r in split.train] == [("A.", "AA."), ("B.", "BB.")]
    assert [r.captions for r in split.query] == [("Q.",), ("QQ.",), ("QQQ.",)]


def test_a_t2i_gallery_image_is_read_once_and_without_caption(pedes):
    split = read_datalists(pedes, "cuhk_pedes", "t2i")
    assert [(r.pid, r.captions, r.camid) for r in split.gallery] == [(7, (), -2), (8, (), -2)]


def test_t2i_has_no_caption_for_the_no_instruction_sign_on_the_query_side(pedes):
    (pedes / "CUHK-Pedes/query_t2i_v2.txt").write_text("imgs/q.png - 7 1\n")
    with pytest.raises(InputError, match="no caption for the key '-'"):
        read_datalists(pedes, "cuhk_pedes", "t2i")


VIS = "LLCM/test_vis/cam1/0003/0003_c01_s1_f1_vis.jpg"
NIR = "LLCM/test_nir/cam1/0003/0003_c01_s1_f1_nir.jpg"


@pytest.mark.parametrize("folder", ["llcm", "llcm/datalist"])
@pytest.mark.parametrize("suffix", ["", "_v2"])
def test_llcm_recognises_infrared_by_the_path_and_swaps_lists(write_lists, folder, suffix):
    root = write_lists(folder, **{f"query{suffix}": f"{VIS} x 3 1\n", f"gallery{suffix}": f"{NIR} x 3 1\n"})
    forth = read_datalists(root, "llcm", "vi")
    back = read_datalists(root, "llcm", "vi", "ir_to_vis")
    assert [r.modality for r in (*forth.query, *forth.gallery)] == ["rgb", "ir"]
    assert [r.modality for r in (*back.query, *back.gallery)] == ["ir", "rgb"]
    assert (back.query[0].camid, back.gallery[0].camid) == (-1, -2)
    assert any("swapped" in note for note in back.notes)


def test_llcm_lists_that_mix_modalities_on_a_side_are_refused(write_lists):
    root = write_lists("llcm", query=f"{VIS} x 3 1\n{NIR} x 3 1\n", gallery=f"{NIR} x 3 1\n")
    with pytest.raises(InputError, match="infrared on the other"):
        read_datalists(root, "llcm", "vi")


def test_ltcc_has_three_pairs_of_lists_and_the_plain_one_stands_for_general(write_lists):
    root = write_lists(
        "ltcc/datalist", query_cc=QUERY, gallery_cc=GALLERY, query="p.png x 1 1\n", gallery=GALLERY
    )
    assert read_datalists(root, "ltcc", "cc").query[0].image.endswith("/p.png")
    assert read_datalists(root, "ltcc", "cc", "cc").query[0].image.endswith("/q.jpg")
    with pytest.raises(InputError, match="query_sc"):
        read_datalists(root, "ltcc", "cc", "sc")


@pytest.mark.parametrize(
    ("dataset", "task", "folder", "name"),
    [
        ("vc_clothes", "cc", "vc_clothes/datalist", "train"),
        ("vc_clothes", "cc", "vc_clothes/datalist", "train_cc_clo"),
        ("cuhk_pedes", "t2i", "cuhk_pedes", "train_t2i_v2"),
        ("cuhk_pedes", "t2i", "CUHK-PEDES/datalist", "train_t2i"),
        ("synth_pedes", "t2i", "PLIP", "train_t2i"),
        ("ltcc", "ctcc", "ltcc/datalist", "train_ctcc"),
        ("prcc", "cc", "prcc/datalist", "train"),
        ("msmt17", "trad", "msmt/datalist", "train"),
        ("cuhk03", "trad", "cuhk/datalist", "train"),
    ],
)
def test_every_known_spelling_is_found(write_lists, dataset, task, folder, name):
    root = write_lists(folder, **{name: "a.jpg a_man_in_black 1 1\n"})
    assert len(read_datalists(root, dataset, task).train) == 1


def test_a_list_with_an_upper_case_suffix_is_read_and_checked(write_lists):
    foreign = "train/0000/0000_000_01_0303morning_0008_0.jpg x 1 1\n"
    root = write_lists("market/datalist", train="a.jpg x 1 1\n", query=QUERY, gallery=GALLERY)
    for path in (root / "market/datalist").iterdir():
        path.rename(path.with_suffix(".TXT"))
    split = read_datalists(root, "market1501", "trad")
    assert [len(part) for part in (split.train, split.query, split.gallery)] == [1, 1, 1]
    (root / "market/datalist/train.TXT").write_text(foreign)
    with pytest.raises(InputError, match="lists images of msmt17"):
        read_datalists(root, "market1501", "trad")


@pytest.mark.parametrize("name", ["runner_real2_v1_gpt.json", "real2_v1.json"])
def test_both_names_of_the_caption_file_are_found(write_lists, name):
    root = write_lists("real2/datalist", query_attr="a.jpg a 1 1\n", gallery_attr="b.jpg b 1 1\n")
    write_book(root, "real2/datalist", name, a="A.", b="B.")
    assert read_datalists(root, "cocas_real2", "li").gallery[0].captions == ("B.",)


def test_a_variant_that_the_lists_do_not_hold_is_refused(write_lists):
    root = write_lists("cuhk/datalist", train="a.png x 1 1\n")
    assert read_datalists(root, "cuhk03", "trad", "detected").train
    with pytest.raises(InputError, match="do not hold variant 'labeled'; they hold: detected"):
        read_datalists(root, "cuhk03", "trad", "labeled")


def test_a_task_without_lists_is_refused(tmp_path):
    with pytest.raises(InputError, match="no OmniReID lists of 'market1501' for task 'vi'"):
        read_datalists(tmp_path, "market1501", "vi")


OTHERS = [  # whose lists, and an image of another set that has a list of that name
    ("cocas_real1", "ctcc", "real1", "train_ctcc", "ltcc/LTCC_ReID/train/094_1_c9_015923.png", "ltcc"),
    ("cocas_real1", "ctcc", "real1", "train_ctcc", "train/094_1_c9_015923.png", "ltcc"),
    ("ltcc", "ctcc", "ltcc", "train_ctcc", "COCAS/images/1/0001_1_c01_000001.jpg", "cocas_real1"),
    ("msmt17", "trad", "msmt", "train", "bounding_box_train/0002_c1s1_000451_03.jpg", "market1501"),
    ("market1501", "trad", "market", "train", "train/0000/0000_000_01_0303morning_0008_0.jpg", "msmt17"),
    ("ltcc", "cc", "ltcc", "train", "rgb/train/001/A_cropped_rgb001.jpg", "prcc"),
    ("prcc", "cc", "prcc", "train", "train/0001-01-01-01.jpg", "vc_clothes"),
    ("market1501", "trad", "market", "train", "vis/cam1/0001/0001_c01_s190019_f0001_vis.jpg", "llcm"),
    ("vc_clothes", "cc", "vc_clothes", "train", "cuhk03_1/bounding_box_train/0003_c1_21.png", "cuhk03"),
    ("synth_pedes", "t2i", "PLIP", "train_t2i", "imgs/CUHK01/0363004.png", "cuhk_pedes"),
    ("cuhk_pedes", "t2i", "CUHK-Pedes", "train_t2i", "Part1/7/1.jpg", "synth_pedes"),
]  # fmt: skip


@pytest.mark.parametrize(("dataset", "task", "folder", "name", "image", "owner"), OTHERS)
def test_a_list_of_another_set_s_images_is_refused(write_lists, dataset, task, folder, name, image, owner):
    for place in (f"{folder}/datalist", "."):
        root = write_lists(place, **{name: f"{image} - 1 1\n"})
        with pytest.raises(InputError, match=f"lists images of {owner}"):
            read_datalists(root, dataset, task)


def test_image_names_of_no_known_data_set_are_accepted(write_lists):
    root = write_lists("market/datalist", train="images/anything.jpg x 1 1\n")
    assert len(read_datalists(root, "market1501", "trad").train) == 1


def test_an_image_belongs_to_a_set_by_its_folder_or_its_name(write_lists):
    write_lists("CUHK-Pedes", train_t2i="imgs/Market/0001_c1s1_001051_00.jpg k 1 1\n")
    (write_lists("CUHK-Pedes") / "CUHK-Pedes/caption_t2i.json").write_text('{"k": "A man."}')
    root = write_lists("market/datalist", train="/elsewhere/0002_c1s1_000451_03.jpg x 2 -1\n")
    assert len(read_datalists(root, "cuhk_pedes", "t2i").train) == 1
    assert len(read_datalists(root, "market1501", "trad").train) == 1


def test_every_set_with_lists_has_a_pattern_of_image_paths():
    assert {dataset for dataset, _ in LISTS} == set(IMAGE_PATHS)
