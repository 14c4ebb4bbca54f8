"""Tables, proposers, boxes and describers by themselves, on what can be said without any data set."""

import json

import numpy as np
import pytest
from PIL import Image

from instructions.attributes import ATTRIBUTES, AttributeSet
from instructions.errors import InputError
from omnireid.annotation.attributes import Proposal, import_table, propose
from omnireid.annotation.crops import BandParser, Parsed, crop_clothes, upper_box
from omnireid.annotation.export import export
from omnireid.annotation.journal import Entry, Journal, Provenance
from omnireid.annotation.templates import ColorDescriber
from omnireid.annotation.work import ListedImage, Work, images_of_list
from omnireid.annotation.zero_shot import PROMPT, ZeroShotProposer

NOW = "2026-01-02T03:04:05+0000"


@pytest.fixture
def work(tmp_path):
    """Two images, one of which cannot be read."""
    (tmp_path / "root").mkdir()
    Image.new("RGB", (20, 40), "red").save(tmp_path / "root/a.png")
    (tmp_path / "root/b.png").write_text("no image")
    images = [ListedImage(name, "1", "-1", None) for name in ("a.png", "b.png")]
    return Work.start(tmp_path / "work", tmp_path / "root", "cocas_real1", "train", images)


def table(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text)
    return path


def test_a_table_may_speak_of_some_attributes_and_some_images(work, tmp_path):
    text = "image,coat_color,age\na.png,red coat,\n,,\n"
    assert import_table(work, table(tmp_path, text), now=NOW) == 1
    assert work.attributes()["a.png"][0] == AttributeSet({"coat_color": "red coat"})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no column 'image'"),
        ("picture,age\n", "no column 'image'"),
        ("image,coat_colour\n", "did you mean 'coat_color'"),
        ("image,coat_color\na.png,red coat\nc.png,red coat\n", "t.csv:3: 'c.png' is not in the list"),
        ("image,coat_color\na.png,red coat\nb.png,blue coat,male\n", "row 3 has 3 cells for 2 columns"),
        ("image,coat_color\na.png,red coat\nb.png,pink coat\n", "t.csv:3: unknown word 'pink coat'"),
    ],
)
def test_a_wrong_table_is_refused_whole(work, tmp_path, text, complaint):
    with pytest.raises(InputError, match=complaint):
        import_table(work, table(tmp_path, text), now=NOW)
    assert work.attributes() == {}


def test_images_of_one_name_get_crops_of_their_own(tmp_path):
    images = ["a/x.png", "b/x.png", "a_x.png", "y.png", "y.jpg"]
    (tmp_path / "list.txt").write_text("".join(f"{image} - 1 1 0\n" for image in images))
    for level, image in enumerate(images):
        (tmp_path / image).parent.mkdir(exist_ok=True)
        Image.new("RGB", (20, 40), (40 * level,) * 3).save(tmp_path / image)
    images = images_of_list(tmp_path / "list.txt")
    work = Work.start(tmp_path / "work", tmp_path, "cocas_real1", "train", images)
    crop_clothes(work, BandParser(), now=NOW)
    export(work, tmp_path, instruct="crops", reviewed_only=False)
    lines = (tmp_path / "datalist/train_ctcc.txt").read_text().splitlines()
    levels = [np.asarray(Image.open(tmp_path / line.split()[1])).mean() for line in lines]
    np.testing.assert_allclose(levels, [0, 40, 80, 120, 160], atol=2)


class Sees:
    """Proposes what it was told."""

    name, version = "seer", "1"

    def __init__(self, **words):
        self.words = words

    def propose(self, _pixels):
        return Proposal(self.words, dict.fromkeys(self.words, 0.75))


def test_a_table_stands_above_a_model_whichever_came_first(work, tmp_path):
    import_table(work, table(tmp_path, "image,age\na.png,old\n"), now=NOW)
    assert propose(work, Sees(age="adult", gender_code="male"), now=NOW) == (1, 1)
    attributes, by = work.attributes()["a.png"]
    assert attributes == AttributeSet({"age": "old", "gender_code": "male"})
    assert [one.kind for one in by] == ["model", "table"]
    assert propose(work, Sees(age="adult"), now=NOW) == (0, 1)  # seen; the unreadable one is tried again
    entry = next(iter(work.journal("attributes").entries()))
    assert entry.by.time == NOW


def test_a_model_that_invents_words_is_refused(work):
    with pytest.raises(InputError, match="unknown word 'pink coat'"):
        propose(work, Sees(coat_color="pink coat"), now=NOW)


class OneHot:
    """An encoder in which red images fit the words with "red" in them and all else fits nothing."""

    def embed_image(self, pixels):
        return np.array([pixels[..., 0].mean() / 255, 0.0])

    def embed_texts(self, texts):
        return np.array([[float("red" in text.split()), 1.0] for text in texts])


def test_a_zero_shot_model_says_only_what_it_is_sure_of(work):
    proposer = ZeroShotProposer(OneHot(), "one-hot", "1")
    red = proposer.propose(np.full((4, 2, 3), (255, 0, 0), dtype=np.uint8))
    assert red.words == {
        name: words
        for name, options in ATTRIBUTES.items()
        for words in options
        if "red" in PROMPT.format(word=words).split()
    }
    assert set(red.words) == {"coat_color", "trousers_color", "shoes_color"}
    assert all(share > 0.99 for share in red.confidence.values())
    assert proposer.propose(np.zeros((4, 2, 3), dtype=np.uint8)).words == {}


def test_the_box_of_a_garment_forgets_stray_pixels_and_has_a_margin():
    upper = np.zeros((100, 50), dtype=bool)
    upper[20:60, 10:40] = True
    upper[95, 2] = True
    left, top, right, bottom = upper_box(Parsed(upper))
    assert (left, top, right, bottom) == (9, 18, 41, 62)
    assert upper_box(Parsed(np.zeros((100, 50), dtype=bool))) is None
    full = upper_box(Parsed(np.ones((100, 50), dtype=bool)))
    assert full == (0, 0, 50, 100)


def test_a_crop_is_nearest_to_the_template_of_its_color_whatever_is_around():
    colors = {"red": (170, 40, 45), "blue": (50, 75, 140), "gray": (125, 125, 125), "green": (60, 120, 65)}
    describer = ColorDescriber()

    def template(color):
        image = np.full((80, 80, 3), 250, dtype=np.uint8)
        image[10:70, 15:65] = color
        return describer.describe(image, is_template=True)

    def crop(color, behind):
        image = np.full((54, 52, 3), behind, dtype=np.uint8)
        image[8:, 10:42] = np.array(color) * 0.8
        return describer.describe(image, is_template=False)

    shop = np.array([template(color) for color in colors.values()])
    shop /= np.linalg.norm(shop, axis=1, keepdims=True)
    for behind in ((90, 140, 70), (200, 200, 210)):
        nearest = [int((shop @ crop(color, behind)).argmax()) for color in colors.values()]
        assert nearest == [0, 1, 2, 3]
    white = np.full((80, 80, 3), 245, dtype=np.uint8)
    assert np.isfinite(describer.describe(white, is_template=True)).all()


def test_a_journal_keeps_whole_lines_only_and_the_weightier_word_stands(tmp_path):
    journal = Journal(tmp_path / "j.jsonl")
    by = {kind: Provenance(kind, kind, "1") for kind in ("rule", "model", "person")}
    for kind in ("person", "rule", "model"):
        journal.add(Entry("a", {"said": kind}, by[kind]))
    journal.add(Entry("b", {"said": "model"}, by["model"]))
    journal.add(Entry("b", {"said": "rule"}, by["rule"]))
    assert {image: entry.value["said"] for image, entry in journal.latest().items()} == {
        "a": "person",
        "b": "model",
    }
    content = journal.path.read_bytes()
    journal.path.write_bytes(content + b'{"image": "c", "va')
    assert len(list(journal.entries())) == 5
    journal.add(Entry("c", {"said": "rule"}, by["rule"]))
    assert journal.path.read_bytes().startswith(content) and len(list(journal.entries())) == 6
    journal.path.write_text("{}\n")
    with pytest.raises(InputError, match=r"j\.jsonl:1 is not a finding"):
        journal.latest()


def test_work_knows_its_images_and_refuses_others(work, tmp_path):
    again = [ListedImage(name, "1", "-1", None) for name in ("a.png", "b.png")]
    assert Work.start(work.folder, tmp_path / "root", "cocas_real1", "train", again) == work
    with pytest.raises(InputError, match="holds work on other images"):
        Work.start(work.folder, tmp_path / "root", "cocas_real1", "train", again[:1])
    with pytest.raises(InputError, match="has spaces"):
        Work.start(tmp_path / "w2", tmp_path, "ltcc", "train", [ListedImage("a b.png", "1", "-1", None)])
    with pytest.raises(InputError, match="the part is 'query'"):
        Work.start(tmp_path / "w2", tmp_path, "ltcc", "query", again)
    with pytest.raises(InputError, match=r"begin with python -m tools\.annotate start"):
        Work.open(tmp_path / "w2")
    (work.folder / "work.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(InputError, match="holds no annotation work"):
        Work.open(work.folder)
