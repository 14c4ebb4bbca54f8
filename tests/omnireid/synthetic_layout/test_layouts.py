"""Every file of every data set has a published name, and every query has a true match."""

import io
import re
from collections import Counter, defaultdict

import pytest
import scipy.io

from omnireid.synthetic.layouts import LAYOUTS
from omnireid.synthetic.lists import ListLine
from omnireid.synthetic.sites import SITES

# Alternatives of the published grammars, as public loaders read them; COCAS+ has none, so that is ours.
BOX_FOLDERS = "(bounding_box_train|bounding_box_test|query)"
MARKET_NAME = r"(-1|\d{4})_c[1-6]s\d_\d{6}_\d{2}\.jpg"
PRCC_NAME = r"((train|val)/\d{3}/[ABC]_cropped_rgb\d{3}|test/[ABC]/\d{3}/cropped_rgb\d{3})\.jpg"
LTCC_NAME = r"(train|query|test)/\d{3}_\d_c\d{1,2}_\d{6}\.png"
VC_NAME = r"(train|query|gallery)/\d+-0[1-4]-\d+-\d+\.jpg"
COCAS_NAME = r"\d{4}_[123]_c\d{2}_\d{6}\.jpg"
IMAGE_PATHS = {
    "market1501": [rf"market/Market-1501/{BOX_FOLDERS}/{MARKET_NAME}"],
    "msmt17": [
        r"msmt/MSMT17_V1/(train|test)/(\d{4})/\2_\d{3}_(0[1-9]|1[0-5])"
        r"_\d{4}(morning|noon|afternoon)_\d{4}_\d\.jpg"
    ],
    "cuhk03": [
        rf"cuhk/(cuhk03_1|cuhk03-np/(detected|labeled))/{BOX_FOLDERS}/\d{{4}}_c[12]_\d+\.png",
        r"cuhk/cuhk03/images_(detected|labeled)/[1-5]_\d{3}_[12]_\d{2}\.png",
    ],
    "prcc": [
        rf"prcc/(rgb|croped_clothes)/{PRCC_NAME}",
        r"prcc/prcc_A_templates/\d{3}\.jpg",
        r"prcc/white_shirt\.jpg",
    ],
    "ltcc": [
        rf"ltcc/(LTCC_ReID|croped_clothes)/{LTCC_NAME}",
        r"ltcc/templates/\d{3}_\d\.jpg",
        r"ltcc/white_shirt\.jpg",
    ],
    "vc_clothes": [rf"vc_clothes/(croped_image/)?{VC_NAME}", r"vc_clothes/white_shirt\.jpg"],
    "llcm": [
        r"llcm/LLCM/(test_)?(?P<m>vis|nir)/cam(?P<c>[1-9])/(?P<p>\d{4})/"
        r"(?P=p)_c0(?P=c)_s\d{6}_f\d+_(?P=m)\.jpg"
    ],
    "cocas_real1": [
        rf"real1/(COCAS/images/[123]|croped_clothes)/{COCAS_NAME}",
        r"real1/COCAS/templates/\d{4}_[123]\.jpg",
    ],
    "cocas_real2": [
        rf"real2/(real_reid_image_face_blur/images/[123]|croped_clothes)/{COCAS_NAME}",
        r"real2/real_reid_image_face_blur/templates/\d{4}_[123]\.jpg",
    ],
    "cuhk_pedes": [
        rf"CUHK-Pedes/imgs/{source}"
        for source in (
            r"CUHK01/\d{7}\.png",
            r"CUHK03/[1-5]_\d{3}_[12]_\d{2}\.png",
            r"cam_[ab]/\d{3}_(0|45|90|135|180)\.bmp",
            r"(test|train)_query/p\d+_s\d+\.jpg",
            rf"Market/{MARKET_NAME}",
        )
    ],
    "synth_pedes": [r"PLIP/Part[1-6]/\d+/\d+\.jpg"],
    "rstpreid": [r"RSTPReid/imgs/\d{4}_c(1[0-5]|[1-9])_\d{4}\.jpg"],
    "icfg_pedes": [
        r"ICFG-PEDES/imgs/(train|test)/(\d{4})/\2_\d{3}_(0[1-9]|1[0-5])"
        r"_\d{4}(morning|noon|afternoon)_\d{4}_\d\.jpg"
    ],
    "dukemtmc_reid": [rf"DukeMTMC-reID/{BOX_FOLDERS}/\d{{4}}_c[1-8]_f\d{{7}}\.jpg"],
}
TEXTS = {
    "market1501": "market/datalist/{train,query,gallery}.txt",
    "msmt17": "msmt/MSMT17_V1/list_{train,val,query,gallery}.txt msmt/datalist/{train,query,gallery}.txt",
    "cuhk03": "cuhk/cuhk03/cuhk03_new_protocol_config_{detected,labeled}.mat "
    "cuhk/datalist/{train,query,gallery}.txt",
    "prcc": "prcc/datalist/{train,query,gallery,query_sc}.txt",
    "ltcc": "ltcc/LTCC_ReID/info/{cloth-change,cloth-unchange}_id_{train,test}.txt "
    "ltcc/datalist/{query,gallery}_{general,cc,sc}.txt ltcc/datalist/{train,train_ctcc}.txt",
    "vc_clothes": "vc_clothes/datalist/{train,query,gallery}.txt",
    "llcm": "llcm/LLCM/idx/{train_vis,train_nir,test_id}.txt llcm/{train,query,gallery}.txt",
    "cocas_real1": "real1/COCAS/{train,query,gallery}.txt real1/datalist/{train_ctcc,train_attr}.txt "
    "real1/datalist/runner_real1_v1_gpt.json",
    "cocas_real2": "real2/real_reid_image_face_blur/{query,gallery}.txt "
    "real2/datalist/{query,gallery,query_attr,gallery_attr}.txt real2/datalist/runner_real2_v1_gpt.json",
    "cuhk_pedes": "CUHK-Pedes/{train,query,gallery}_t2i_v2.txt CUHK-Pedes/{reid_raw,caption_t2i_v2}.json",
    "synth_pedes": "PLIP/synthpedes_dataset.json PLIP/caption_t2i.json PLIP/train_t2i.txt",
    "rstpreid": "RSTPReid/data_captions.json",
    "icfg_pedes": "ICFG-PEDES/ICFG-PEDES.json",
    "dukemtmc_reid": "",
}


def expanded(pattern):
    """``a_{b,c}`` to ``a_b`` and ``a_c``, as a shell would."""
    match = re.search(r"{([^}]*)}", pattern)
    if match is None:
        return {pattern}
    head, tail = pattern[: match.start()], pattern[match.end() :]
    return set.union(*(expanded(head + choice + tail) for choice in match[1].split(",")))


@pytest.mark.parametrize("dataset", LAYOUTS)
def test_image_names_follow_the_published_grammar(plans, dataset, files):
    paths = files(plans[dataset])
    assert [path for path in paths if not re.fullmatch("|".join(IMAGE_PATHS[dataset]), path)] == []
    assert max(Counter(paths).values()) == 1, "one name for two images"


@pytest.mark.parametrize("dataset", LAYOUTS)
def test_lists_and_annotations_have_their_published_names(plans, dataset):
    assert set(plans[dataset].texts) == set().union(*map(expanded, TEXTS[dataset].split()))


@pytest.mark.parametrize("dataset", LAYOUTS)
def test_list_lines_have_four_or_five_columns_and_name_files_that_exist(plans, dataset, files, lists):
    there, folder = set(files(plans[dataset])), SITES[dataset].folder
    for name, lines in lists(plans[dataset]).items():
        assert lines, name
        for line in lines:
            assert re.fullmatch(r"\S+ \S+ \d+ \d+( \d+)?", line), line
            image, instruction, *_ = line.split(" ")
            assert f"{folder}/{image}" in there
            if instruction.endswith(".jpg") and ("/" in instruction or instruction == "white_shirt.jpg"):
                assert f"{folder}/{instruction}" in there, line


@pytest.mark.parametrize("dataset", LAYOUTS)
def test_clothes_ids_are_of_one_person_only(plans, dataset, lists):
    for side in ("train", "test"):
        owners = defaultdict(set)
        for name, lines in lists(plans[dataset]).items():
            if name.removeprefix("datalist/").startswith("train") == (side == "train"):
                for line in map(ListLine.parse, lines):
                    owners[line.clothes_id].add(line.pid)
        assert all(len(pids) == 1 for pids in owners.values())


@pytest.mark.parametrize(
    ("dataset", "query", "gallery", "clothes"),
    [
        ("market1501", "datalist/query.txt", "datalist/gallery.txt", None),
        ("msmt17", "datalist/query.txt", "datalist/gallery.txt", None),
        ("cuhk03", "datalist/query.txt", "datalist/gallery.txt", None),
        ("ltcc", "datalist/query_general.txt", "datalist/gallery_general.txt", None),
        ("ltcc", "datalist/query_cc.txt", "datalist/gallery_cc.txt", "other"),
        ("ltcc", "datalist/query_sc.txt", "datalist/gallery_sc.txt", "same"),
        ("prcc", "datalist/query.txt", "datalist/gallery.txt", "other"),
        ("prcc", "datalist/query_sc.txt", "datalist/gallery.txt", "same"),
        ("vc_clothes", "datalist/query.txt", "datalist/gallery.txt", "other"),
        ("vc_clothes", "datalist/query.txt", "datalist/gallery.txt", "same"),
        ("llcm", "query.txt", "gallery.txt", None),
        ("llcm", "gallery.txt", "query.txt", None),
        ("cocas_real2", "datalist/query.txt", "datalist/gallery.txt", "same"),
        ("cocas_real2", "datalist/query_attr.txt", "datalist/gallery_attr.txt", "same"),
    ],
)
def test_every_query_has_an_answer(plans, dataset, query, gallery, clothes, parsed):
    targets = parsed(plans[dataset], gallery)
    for line in parsed(plans[dataset], query):
        right = [t for t in targets if t.pid == line.pid and t.camid != line.camid]
        if clothes is not None:
            right = [t for t in right if (t.clothes_id == line.clothes_id) == (clothes == "same")]
        assert right, line


def test_ltcc_queries_everybody_in_every_setting(plans, lists):
    sizes = {
        len(lists(plans["ltcc"])[f"datalist/query_{setting}.txt"]) for setting in ("general", "cc", "sc")
    }
    assert sizes == {plans["ltcc"].summary["query"]}


def test_ltcc_files_list_who_changes_clothes(plans, files):
    texts = plans["ltcc"].texts
    for part in ("train", "test"):
        changing = texts[f"ltcc/LTCC_ReID/info/cloth-change_id_{part}.txt"].decode().split()
        settled = texts[f"ltcc/LTCC_ReID/info/cloth-unchange_id_{part}.txt"].decode().split()
        outfits = defaultdict(set)
        folders = ("train",) if part == "train" else ("query", "test")
        for path in files(plans["ltcc"]):
            if path.startswith(tuple(f"ltcc/LTCC_ReID/{folder}/" for folder in folders)):
                pid, outfit, *_ = path.rsplit("/", 1)[1].split("_")
                outfits[int(pid)].add(outfit)
        assert {int(pid) for pid in changing} == {pid for pid, worn in outfits.items() if len(worn) > 1}
        assert {int(pid) for pid in settled} == {pid for pid, worn in outfits.items() if len(worn) == 1}


def test_ltcc_uses_cameras_of_two_digits(plans, files):
    cameras = {
        int(re.search(r"_c(\d+)_", path)[1])
        for path in files(plans["ltcc"])
        if "_c" in path.rsplit("/", 1)[1]
    }
    assert max(cameras) > 9


def test_market_gallery_lists_distractors_but_no_junk(plans, files, parsed):
    on_disk = Counter(
        path.rsplit("/", 1)[1][:2] for path in files(plans["market1501"]) if "bounding_box_test" in path
    )
    assert on_disk["-1"] == 3
    gallery = parsed(plans["market1501"], "datalist/gallery.txt")
    assert sum(line.pid == 0 for line in gallery) == 4
    assert not any("/-1_" in line.image for line in gallery)


def test_msmt17_people_count_from_zero_in_each_split(plans):
    for part in ("train", "val", "query", "gallery"):
        lines = plans["msmt17"].texts[f"msmt/MSMT17_V1/list_{part}.txt"].decode().splitlines()
        pids = [int(line.split(" ")[1]) for line in lines]
        ids = "train_ids" if part in ("train", "val") else "test_ids"
        assert sorted(set(pids)) == list(range(plans["msmt17"].summary[ids]))
        assert all(int(line.split("/")[0]) == pid for line, pid in zip(lines, pids, strict=True))


def test_cuhk03_protocol_file_reads_like_the_published_one(plans, files):
    for boxes in ("detected", "labeled"):
        content = plans["cuhk03"].texts[f"cuhk/cuhk03/cuhk03_new_protocol_config_{boxes}.mat"]
        config = scipy.io.loadmat(io.BytesIO(content))
        names = [cell[0] for cell in config["filelist"].ravel()]
        assert {f"cuhk/cuhk03/images_{boxes}/{name}" for name in names} <= set(files(plans["cuhk03"]))
        assert config["filelist"].shape == config["labels"].shape == config["camId"].shape == (len(names), 1)
        indices = [set(config[f"{part}_idx"].ravel()) for part in ("train", "query", "gallery")]
        assert set.union(*indices) == set(range(1, len(names) + 1))
        assert sum(map(len, indices)) == len(names)
        people = [set(config["labels"].ravel()[[i - 1 for i in rows]]) for rows in indices]
        assert people[1] == people[2]
        assert not people[0] & people[1]
        asked = [(config["labels"][i - 1, 0], config["camId"][i - 1, 0]) for i in indices[1]]
        assert max(Counter(asked).values()) == 1


def test_cuhk03_images_of_one_person_share_pair_and_number(plans):
    people = defaultdict(set)
    for image in plans["cuhk03"].images:
        by_folder = {file.path.split("/")[1]: file.path.rsplit("/", 1)[1] for file in image.files}
        people[by_folder["cuhk03_1"][:4]].add(by_folder["cuhk03"][:5])
    assert all(len(stems) == 1 for stems in people.values())
    assert len(set.union(*people.values())) == len(people)


def test_prcc_people_change_before_camera_c_only(plans):
    worn = defaultdict(set)
    for image in plans["prcc"].images:
        if image.shows_person:
            worn[image.key.person, image.key.camera].add(image.key.outfit)
    assert all(outfits == ({1} if camera == 2 else {0}) for (_, camera), outfits in worn.items())


def test_vc_clothes_change_between_cameras_3_and_4_and_not_between_2_and_3(plans, files):
    clothes = {}
    for path in files(plans["vc_clothes"]):
        if "-" in path:
            pid, camera, outfit, _ = path.rsplit("/", 1)[1].split("-")
            assert clothes.setdefault((pid, camera), outfit) == outfit
    for pid in {pid for pid, _ in clothes}:
        assert clothes[pid, "02"] == clothes[pid, "03"] != clothes[pid, "04"]


def test_llcm_camera_3_has_no_infrared(plans, files):
    paths = files(plans["llcm"])
    assert any("/vis/cam3/" in path or "/test_vis/cam3/" in path for path in paths)
    assert not any("nir/cam3/" in path for path in paths)


def test_llcm_index_files_name_labels_and_test_people(plans, files):
    texts, there = plans["llcm"].texts, set(files(plans["llcm"]))
    labels = {}
    for modality in ("vis", "nir"):
        for line in texts[f"llcm/LLCM/idx/train_{modality}.txt"].decode().splitlines():
            path, label = line.split(" ")
            assert f"llcm/LLCM/{path}" in there
            assert labels.setdefault(path.split("/")[2], int(label)) == int(label)
    assert sorted(labels.values()) == list(range(plans["llcm"].summary["train_ids"]))
    (line,) = texts["llcm/LLCM/idx/test_id.txt"].decode().splitlines()
    on_disk = {int(path.split("/")[4]) for path in there if "/test_" in path}
    assert {int(pid) for pid in line.split(",")} == on_disk
