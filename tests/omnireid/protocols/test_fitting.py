"""A protocol that does not suit a data set is refused from its labels, before anything is trained."""

from dataclasses import replace

import pytest

from instructions.errors import InputError
from omnireid.columns import Records
from omnireid.datasets import DATASETS, load_split
from omnireid.protocols import PROTOCOLS, refuse_unfit, shortcoming, suited_protocol
from omnireid.records import Record, Split

# Two people before two cameras, in two outfits each.
QUERY = (Record("q1", 1, 0, 10), Record("q2", 2, 0, 20))
GALLERY = (Record("g1", 1, 1, 11), Record("g2", 2, 1, 20), Record("stranger", 3, 1))
SPLIT = Split("own/shop", (), QUERY, GALLERY)


def refused(name, **changes):
    with pytest.raises(InputError) as error:
        refuse_unfit(name, replace(SPLIT, **changes))
    assert str(error.value).startswith(
        f"protocol {name} ({PROTOCOLS[name].title}) cannot evaluate own/shop: "
    )
    return str(error.value)


def bare(records):
    return tuple(replace(record, clothes_id=-1) for record in records)


@pytest.mark.parametrize(
    "name", ["market", "clothes_change", "clothes_same", "instructed_outfit", "irm_released"]
)
@pytest.mark.parametrize("kind", [tuple, Records.of])
def test_a_suitable_protocol_passes(name, kind):
    refuse_unfit(name, replace(SPLIT, query=kind(QUERY), gallery=kind(GALLERY)))


@pytest.mark.parametrize("name", ["clothes_change", "clothes_same", "instructed_outfit"])
def test_missing_clothes_ids_are_counted_over_all_images(name):
    assert "2 of 2 query images have no clothes id" in refused(name, query=bare(QUERY))
    assert "1 of 2 query images" in refused(name, query=(QUERY[0], *bare(QUERY[1:])))
    asked = "of 2 gallery images of people who are queried have no clothes id"
    assert f"2 {asked}" in refused(name, gallery=bare(GALLERY))
    assert "use a protocol that ignores clothes" in refused(name, gallery=bare(GALLERY))


@pytest.mark.parametrize("name", ["llcm", "llcm_script"])
def test_a_search_between_modalities_needs_one_on_either_side(name):
    infrared = tuple(replace(record, modality="ir") for record in GALLERY)
    refuse_unfit(name, replace(SPLIT, gallery=infrared))
    assert "the query images are rgb and the gallery rgb" in refused(name)
    assert "and the gallery ir and rgb" in refused(name, gallery=(*infrared, *GALLERY))


def test_a_search_by_text_needs_texts():
    spoken = tuple(replace(record, captions=("A man.",)) for record in QUERY)
    refuse_unfit("text_to_image", replace(SPLIT, query=spoken))
    assert "2 of its 2 queries have no caption" in refused("text_to_image")
    assert "1 of its 2 queries" in refused("text_to_image", query=(spoken[0], QUERY[1]))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_no_protocol_judges_a_set_without_a_test(name):
    assert "it has no query and no gallery images;" in refused(name, query=(), gallery=())


def test_queries_without_an_answer_are_seen_whatever_hides_it():
    nobody = "no query has a true match"
    assert nobody in refused("market", query=(Record("q", 9, 0),))
    assert nobody in refused("market", gallery=(Record("g", 1, 0),))  # by the query's own camera only
    assert nobody in refused(
        "clothes_change", gallery=(Record("g", 1, 1, 10),)
    )  # in the query's clothes only
    assert nobody in refused("clothes_same", gallery=(Record("g", 1, 1, 11),))
    assert nobody in refused("vc_clothes_same")  # nothing by cameras 2 and 3


def test_one_answer_among_very_many_labels_is_found():
    query = [Record(f"q{pid}", pid, 0) for pid in range(1, 1000)]
    gallery = [Record("g", 999, 1), Record("h", 1, 0)]
    assert shortcoming(PROTOCOLS["market"], replace(SPLIT, query=query, gallery=gallery)) is None
    assert shortcoming(PROTOCOLS["market"], replace(SPLIT, query=query, gallery=gallery[1:])) is not None


def test_an_unknown_protocol_is_refused_with_the_near_miss():
    with pytest.raises(InputError, match="did you mean 'market'"):
        refuse_unfit("markt", SPLIT)


def test_every_data_set_can_be_judged_by_its_own_protocol(tiny_root):
    judged = set()
    for name, dataset in DATASETS.items():
        for task in dataset.card.tasks:
            split = load_split(tiny_root, name, task)
            if split.query:
                refuse_unfit(suited_protocol(task, name), split)
                judged.add(task)
    assert judged == {"trad", "cc", "vi", "ctcc", "li", "t2i"}


@pytest.mark.parametrize(
    ("name", "dataset", "task"),
    [
        ("clothes_change", "market1501", "trad"),
        ("instructed_outfit", "msmt17", "trad"),
        ("llcm", "ltcc", "cc"),
        ("text_to_image", "market1501", "trad"),
        ("market", "cocas_real1", "li"),
        ("clothes_change", "cuhk_pedes", "t2i"),
    ],
)
def test_another_set_s_protocol_is_refused_by_both_names(tiny_root, name, dataset, task):
    with pytest.raises(InputError, match=rf"^protocol {name} \(.*\) cannot evaluate {dataset}: "):
        refuse_unfit(name, load_split(tiny_root, dataset, task))
