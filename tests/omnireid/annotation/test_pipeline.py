"""The whole pipeline on drawn people: what is known of them comes out as lists that the readers read."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from instructions.attributes import AttributeSet
from instructions.errors import InputError
from instructions.evidence import missing_words
from instructions.sentences import TemplateWriter
from omnireid.annotation.attributes import import_table
from omnireid.annotation.crops import BandParser, crop_clothes
from omnireid.annotation.decisions import FORMAT, Applied, apply_decisions
from omnireid.annotation.export import export
from omnireid.annotation.journal import Entry, Provenance
from omnireid.annotation.review import write_review
from omnireid.annotation.sentences import standing_sentences, write_sentences
from omnireid.annotation.templates import ColorDescriber, propose_templates, proposed_templates
from omnireid.annotation.work import Work
from omnireid.datasets import load_split
from omnireid.loading.image import read_image
from tests.omnireid.annotation.conftest import NOW, template_of

WRITER = {"name": "template writer", "version": "1", "seed": 0, "now": NOW}


@pytest.fixture
def proposed(work, table, root):
    """Work with everything proposed and nothing decided."""
    import_table(work, table, now=NOW)
    write_sentences(work, TemplateWriter(), **WRITER)
    crop_clothes(work, BandParser(), now=NOW)
    propose_templates(work, root / "COCAS/templates", ColorDescriber(), now=NOW, count=8)
    return work


def decide(work, tmp_path, rows, reviewer="Ada", name="decisions.json"):
    path = tmp_path / name
    path.write_text(json.dumps({"format": FORMAT, "reviewer": reviewer, "decisions": rows}))
    return apply_decisions(work, path, now=NOW)


def accepted(image, **changes):
    return {"image": image, "words": None, "sentence": None, "crop": True, "template": None, **changes}


def rejected(image):
    return {"image": image, "words": None, "sentence": "", "crop": False, "template": ""}


def test_what_is_known_of_drawn_people_comes_out_as_lists_that_the_readers_read(
    proposed, truth, root, tmp_path, tiny_root
):
    images = [listed.image for listed in proposed.images()]
    offered = proposed_templates(proposed)
    picked = {image: template_of(image) for image in images if template_of(image) in offered[image][1]}
    rows = [accepted(image, template=picked.get(image)) for image in images[:-1]] + [rejected(images[-1])]
    assert decide(proposed, tmp_path, rows) == Applied(len(images), num_lacking=0, num_void=0)
    found = export(proposed, root)
    assert found.lists == {
        "datalist/train_attr.txt": len(images) - 1,
        "datalist/train_ctcc.txt": len(images) - 1,
    }
    assert (found.num_unreviewed, found.num_without) == (0, 1)

    official = {task: load_split(tiny_root, "cocas_real1", task).train for task in ("li", "ctcc")}
    ours = {task: load_split(root, "cocas_real1", task).train for task in ("li", "ctcc")}
    for task, records in ours.items():
        expected = [
            (record.image.removeprefix(f"{tiny_root}/real1/"), record.pid, record.camid, record.clothes_id)
            for record in official[task][:-1]
        ]
        assert [
            (record.image.removeprefix(f"{root}/"), record.pid, record.camid, record.clothes_id)
            for record in records
        ] == expected
    for record in ours["li"]:
        attributes = truth[record.image.removeprefix(f"{root}/")]
        assert len(attributes) == 20
        assert missing_words(attributes, record.captions[0]) == []
    for record in ours["ctcc"]:
        assert read_image(record.clothes).size > 0
        if "/templates/" in record.clothes:
            assert record.clothes.endswith(template_of(record.image))
    kinds = {record.clothes.split("/")[-2] for record in ours["ctcc"]}
    assert kinds == {"croped_clothes", "templates"}


def test_every_line_of_a_list_says_where_it_comes_from(proposed, root, tmp_path):
    image = proposed.images()[0].image
    decide(proposed, tmp_path, [accepted(image, sentence="A man.")])
    export(proposed, root)
    (spoken,) = map(json.loads, (root / "datalist/train_attr.provenance.jsonl").read_text().splitlines())
    assert spoken["attributes_by"][0] | {"version": ""} == {
        "kind": "table", "name": "attributes.csv", "version": "", "seed": None, "time": NOW,
    }  # fmt: skip
    assert (spoken["sentence_by"]["kind"], spoken["sentence_by"]["name"]) == ("person", "Ada")
    assert spoken["writer"] == "person"
    assert "red coat" not in spoken["missing"] and spoken["missing"]
    (worn,) = map(json.loads, (root / "datalist/train_ctcc.provenance.jsonl").read_text().splitlines())
    assert (worn["image"], worn["clothes_by"]["name"], len(worn["box"])) == (image, "Ada", 4)


def test_a_crop_is_the_part_of_the_image_that_its_box_names(proposed, root):
    export(proposed, root, instruct="crops", reviewed_only=False)
    worn = json.loads((root / "datalist/train_ctcc.provenance.jsonl").read_text().splitlines()[0])
    left, top, right, bottom = worn["box"]
    crop = read_image(root / worn["clothes"]).astype(int)
    part = read_image(root / worn["image"])[top:bottom, left:right].astype(int)
    assert crop.shape == part.shape
    assert np.abs(crop - part).mean() < 4


def test_the_template_of_an_outfit_is_among_the_nearest_more_often_than_by_chance(proposed):
    hits = [template_of(image) in names for image, (_, names) in proposed_templates(proposed).items()]
    num_templates = len(list((proposed.root / "COCAS/templates").iterdir()))
    assert np.mean(hits) > 1.5 * 8 / num_templates


def test_an_interrupted_step_goes_on_where_it_was(work, table, tmp_path):
    import_table(work, table, now=NOW)
    whole = write_sentences(work, TemplateWriter(), **WRITER)
    journal = work.journal("sentences").path
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:5]) + lines[5][:40])  # killed within a line
    assert write_sentences(work, TemplateWriter(), **WRITER) == (whole[0] - 5, 0)
    assert journal.read_bytes() == b"".join(lines)
    assert write_sentences(work, TemplateWriter(), **WRITER) == (0, 0)
    assert import_table(work, table, now=NOW) == 0
    assert crop_clothes(work, BandParser(), now=NOW)[0] == whole[0]
    assert crop_clothes(work, BandParser(), now=NOW) == (0, 0, 0)
    reopened = Work.open(work.folder)
    assert reopened == work


def test_a_person_overrules_a_table_and_a_changed_attribute_calls_for_a_new_text(proposed, tmp_path):
    image = proposed.images()[0].image
    before = standing_sentences(proposed)[image].value["text"]
    words = proposed.attributes()[image][0].to_dict()
    color = "yellow coat" if words["coat_color"] != "yellow coat" else "green coat"
    decide(proposed, tmp_path, [accepted(image, words={**words, "coat_color": color})])
    assert proposed.attributes()[image][0].get("coat_color") == color
    assert image not in standing_sentences(proposed)  # the text speaks of the old colour
    assert write_sentences(proposed, TemplateWriter(), **WRITER) == (1, 0)
    after = standing_sentences(proposed)[image].value["text"]
    assert color.split(maxsplit=1)[0] in after and after != before
    again = {"coat_color": "black coat", "gender_code": "male"}
    decide(proposed, tmp_path, [accepted(image, words=again, sentence="He wears black.")], name="later.json")
    assert proposed.attributes()[image][0] == AttributeSet(again)
    assert standing_sentences(proposed)[image].value["text"] == "He wears black."
    assert write_sentences(proposed, TemplateWriter(), **WRITER)[0] == 1  # kept for reference,
    assert standing_sentences(proposed)[image].by.kind == "person"  # but the person's text stands


def test_a_text_left_as_it_was_beside_a_changed_attribute_is_not_exported(proposed, root, tmp_path):
    changed, kept = (listed.image for listed in proposed.images()[:2])
    texts = {image: entry.value["text"] for image, entry in standing_sentences(proposed).items()}
    words = {image: proposed.attributes()[image][0].to_dict() for image in (changed, kept)}
    color = "yellow coat" if words[changed]["coat_color"] != "yellow coat" else "green coat"
    words[changed]["coat_color"] = color
    rows = [accepted(image, words=words[image], sentence=texts[image]) for image in (changed, kept)]
    assert decide(proposed, tmp_path, rows) == Applied(2, num_lacking=0, num_void=1)
    assert export(proposed, root).lists["datalist/train_attr.txt"] == 1
    write_sentences(proposed, TemplateWriter(), **WRITER)
    assert export(proposed, root).lists["datalist/train_attr.txt"] == 2
    said = [record.captions[0] for record in load_split(root, "cocas_real1", "li").train]
    assert color.split(maxsplit=1)[0] in said[0] and said[1] == texts[kept]


def test_the_same_decisions_twice_are_decisions_once(proposed, tmp_path):
    rows = [accepted(proposed.images()[0].image, sentence="A woman in red.")]
    assert decide(proposed, tmp_path, rows).num_new == 1
    size = proposed.journal("sentences").path.stat().st_size
    assert decide(proposed, tmp_path, rows).num_new == 0
    assert proposed.journal("sentences").path.stat().st_size == size


def test_undecided_images_are_exported_on_request_only(proposed, root):
    with pytest.raises(InputError, match="--unreviewed"):
        export(proposed, root)
    assert not (root / "datalist").exists()
    found = export(proposed, root, reviewed_only=False)
    assert set(found.lists.values()) == {len(proposed.images())}


def test_lists_of_somebody_else_are_not_overwritten(proposed, root):
    (root / "datalist").mkdir()
    (root / "datalist/train_ctcc.txt").write_text("theirs\n")
    with pytest.raises(InputError, match="was not written by this pipeline"):
        export(proposed, root, reviewed_only=False)
    assert [path.name for path in (root / "datalist").iterdir()] == ["train_ctcc.txt"]


def test_lists_in_another_folder_name_the_images_where_they_lie(proposed, root, tmp_path):
    export(proposed, tmp_path / "real1_out", reviewed_only=False)
    split = load_split(tmp_path / "real1_out", "cocas_real1", "li")
    assert split.train[0].image == str((root / proposed.images()[0].image).resolve())


def test_the_sheet_holds_everything_and_asks_nothing_of_the_network(proposed, tmp_path):
    pages, num_unreadable = write_review(proposed, per_page=15)
    assert num_unreadable == 0
    assert [page.name for page in pages] == ["page-0001.html", "page-0002.html", "page-0003.html"]
    text = pages[0].read_text()
    assert "@@" not in text and not re.search(r"(src|href)=.?https?:", text)
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1].replace("<\\/", "</"))
    image = proposed.images()[0].image
    card = data["cards"][0]
    assert (card["image"], len(data["cards"]), len(card["templates"])) == (image, 15, 8)
    assert card["words"] == proposed.attributes()[image][0].to_dict()
    assert {card["shop"] + name for name in card["templates"]} <= set(data["shop"])
    assert card["thumbnail"].startswith("data:image/jpeg;base64,")
    decide(proposed, tmp_path, [accepted(listed.image) for listed in proposed.images()[:30]])
    assert len(write_review(proposed, per_page=15)[0]) == 1
    assert len(list(pages[0].parent.iterdir())) == 1
    decide(proposed, tmp_path, [rejected(p.image) for p in proposed.images()], name="all.json")
    with pytest.raises(InputError, match="--all"):
        write_review(proposed)


def test_a_sheet_that_says_something_new_is_another_sheet_to_the_browser(proposed, tmp_path):
    def digest():
        text = write_review(proposed, everything=True)[0][0].read_text()
        return re.search(r'"digest": "(\w+)"', text)[1]

    before = digest()
    assert digest() == before
    decide(proposed, tmp_path, [accepted(proposed.images()[0].image, sentence="A woman in red.")])
    assert digest() != before


def test_a_image_that_cannot_be_read_holds_nothing_up(work, table, root):
    broken = work.path(work.images()[0].image)
    broken.write_text("no image")
    import_table(work, table, now=NOW)
    assert crop_clothes(work, BandParser(), now=NOW) == (len(work.images()) - 1, 0, 1)
    propose_templates(work, root / "COCAS/templates", ColorDescriber(), now=NOW, count=1)
    pages, num_unreadable = write_review(work, per_page=500)
    assert num_unreadable == 1
    assert work.images()[0].image not in pages[0].read_text()
    assert work.images()[1].image in pages[0].read_text()


def test_a_picked_template_stays_the_one_that_was_seen_when_another_shop_is_searched(
    proposed, root, tmp_path
):
    images = [listed.image for listed in proposed.images()[:2]]
    name = proposed_templates(proposed)[images[0]][1][0]
    decide(proposed, tmp_path, [accepted(images[0], template=name)])
    other = tmp_path / "other"
    other.mkdir()
    Image.new("RGB", (40, 40), "red").save(other / name)  # of the same name
    propose_templates(proposed, other, ColorDescriber(), now=NOW, count=8)
    decide(proposed, tmp_path, [accepted(images[1], template=name)], name="later.json")
    export(proposed, root, instruct="templates")
    first, second = load_split(tmp_path, "cocas_real1", "ctcc").train
    assert Path(first.clothes).read_bytes() == (root / "COCAS/templates" / name).read_bytes()
    assert Path(second.clothes).read_bytes() == (other / name).read_bytes()


def test_a_decision_of_an_older_version_without_its_shop_is_one_sentence(proposed, root):
    image = proposed.images()[0].image
    value = {"crop": True, "template": proposed_templates(proposed)[image][1][0]}
    proposed.journal("decisions").add(Entry(image, value, Provenance("person", "somebody", "1", time=NOW)))
    with pytest.raises(InputError, match="does not record which shop its template is from"):
        export(proposed, root, instruct="templates")


def test_what_is_written_on_the_sheet_cannot_end_its_script(proposed, tmp_path):
    image = proposed.images()[0].image
    decide(proposed, tmp_path, [accepted(image, sentence="</script><b>@@TITLE@@")])
    text = write_review(proposed, everything=True)[0][0].read_text()
    assert "</script><b>" not in text and text.count("</script>") == 2
    assert "@@TITLE@@" in text


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"image": "nobody.jpg"}, "'nobody.jpg' is not in the list"),
        ({"words": {"coat_color": "pink coat"}}, "unknown word 'pink coat'"),
        ({"template": "nowhere.jpg"}, "'nowhere.jpg' was not proposed"),
        ({"crop": "yes"}, "crop should be true, false or null"),
        ({"sentence": 3}, "expected a text or null"),
    ],
)
def test_a_wrong_decision_is_refused_and_nothing_is_written(proposed, tmp_path, row, complaint):
    images = [listed.image for listed in proposed.images()]
    with pytest.raises(InputError, match=complaint):
        decide(proposed, tmp_path, [accepted(images[0]), accepted(images[1]) | row])
    assert list(proposed.journal("decisions").entries()) == []


def test_a_file_that_is_no_decisions_and_a_nameless_reviewer_are_refused(proposed, tmp_path):
    with pytest.raises(InputError, match="does not name the reviewer"):
        decide(proposed, tmp_path, [], reviewer=" ")
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(InputError, match="holds no decisions"):
        apply_decisions(proposed, tmp_path / "x.json", now=NOW)
