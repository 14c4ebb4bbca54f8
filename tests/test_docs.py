"""The documents say what is: names in the paper map exist, equations have their rows, code blocks run."""

import ast
import builtins
import re
import shutil
import symtable
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest

from omnireid.columns import labels_of
from omnireid.datasets import load_split
from omnireid.loading.transforms import Preprocessing
from omnireid.tasks import TASKS

ROOT = Path(__file__).parents[1]
MAP = ROOT / "docs/paper_map.md"
REFERENCE = re.compile(r"`([\w./]+\.py)::(\w+)`")


def rows() -> list[list[str]]:
    """Cells of every row of the map's tables, without headings."""
    lines = [
        line
        for line in MAP.read_text().splitlines()
        if line.startswith("| ") and "| source |" not in line[:10]
    ]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def references() -> list[tuple[str, str]]:
    return sorted(set(REFERENCE.findall(MAP.read_text())))


def defined_names(path: Path) -> set[str]:
    """Functions, classes and constants of a module, at any depth."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def python_blocks(document: str) -> list[str]:
    path = ROOT / document
    return (
        re.findall(r"^```python\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)
        if path.exists()
        else []
    )


@pytest.mark.parametrize(("path", "name"), references())
def test_every_name_in_the_paper_map_exists(path, name):
    assert (ROOT / path).is_file(), f"there is no {path}"
    assert name in defined_names(ROOT / path), f"{path} defines no {name}"


@pytest.mark.parametrize("number", range(1, 9))
def test_every_equation_of_paper_1_has_a_row_with_code_and_test(number):
    found = [row for row in rows() if re.fullmatch(rf"IRM eq\. {number}", row[0])]
    assert found, f"equation {number} has no row"
    for _, _, code, test, choice in found:
        assert REFERENCE.search(code)
        assert REFERENCE.search(test)
        assert choice


def test_every_row_says_where_it_is_or_that_it_is_not_built():
    for row in rows():
        assert len(row) == 5, row
        cells = f"{row[2]} {row[3]}"
        assert REFERENCE.search(row[2]) or re.fullmatch(r"—|not built yet \(issue \d\)", row[2]), row
        assert REFERENCE.search(row[3]) or row[3] == "—", row
        assert "?" not in cells, row


def test_the_map_sees_a_name_that_is_not_there():
    assert "no_such_function" not in defined_names(ROOT / "instructions/banks.py")
    assert {"BANKS", "draw"} <= defined_names(ROOT / "instructions/banks.py")


def test_the_snippets_of_the_house_style_run():
    names: dict[str, object] = {}
    blocks = python_blocks("CONTRIBUTING.md")
    assert len(blocks) >= 8
    for block in blocks:
        exec(compile(block, "CONTRIBUTING.md", "exec"), names)
    for name, value in names.items():
        if name.startswith("test_"):
            value()  # type: ignore[operator]


DOCUMENTS = sorted(str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
SUPPOSED = {  # names that the text before a block speaks of
    "docs/data.md": {"training_splits", "test_splits"},
    "docs/protocols.md": {"query_features", "gallery_features", "query_labels", "gallery_labels", "distmat"}
    | {"model", "split", "task"},
}


def unknown_names(blocks: list[str], supposed: Collection[str] = ()) -> set[str]:
    """Names that are looked up and that no block, and nothing supposed, has defined."""
    every = [symtable.symtable(block, "block", "exec") for block in blocks]
    tops = [name for table in every for name in table.get_symbols()]
    for table in every:  # grows: functions, classes and comprehensions, too
        every += table.get_children()
    looked_up = [name for table in every for name in table.get_symbols() if name.is_global()]
    defined = {n.get_name() for n in tops if n.is_assigned() or n.is_imported() or n.is_namespace()}
    used = {name.get_name() for name in looked_up if name.is_referenced()}
    return used - defined - {*supposed} - {*dir(builtins)}


def test_a_name_that_is_defined_nowhere_is_seen():
    assert unknown_names(["import os\n", "def f(x):\n    return Path(x, os.sep)\n"]) == {"Path"}
    assert unknown_names(["for row in rows: print(row)"], {"rows"}) == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_python_in_the_documents_compiles_and_knows_its_names(document):
    blocks = python_blocks(document)
    for block in blocks:
        compile(block, document, "exec")
    assert unknown_names(blocks, SUPPOSED.get(document, ())) == set()


class Colours:
    """A model that sees the mean colour and hears nothing."""

    preprocessing = Preprocessing(image_size=(8, 4), clothes_size=(4, 4))

    def embed(self, batch, side):  # noqa: ARG002
        return batch.images.mean((2, 3))


def supposed(document: str, root: Path) -> dict[str, object]:
    """Something for each name that the text speaks of."""
    market, real2 = load_split(root, "market1501", "trad"), load_split(root, "cocas_real2", "li")
    if document == "docs/data.md":
        return {"training_splits": [market], "test_splits": [market, real2]}
    sides = {"query": market.query, "gallery": market.gallery}
    labels = {f"{side}_labels": labels_of(records) for side, records in sides.items()}
    features = {f"{side}_features": np.random.rand(len(records), 4) for side, records in sides.items()}
    distmat = np.random.rand(len(market.query), len(market.gallery))
    asked = {"model": Colours(), "split": real2, "task": TASKS["li"]}
    return {**labels, **features, **asked, "distmat": distmat}


@pytest.mark.parametrize("document", ["docs/data.md", "docs/protocols.md", "docs/synthetic.md"])
def test_the_snippets_that_need_no_trained_model_run(document, tiny_root, tmp_path, monkeypatch):
    (tmp_path / "data/own").mkdir(parents=True)
    (tmp_path / "data/own/shop.csv").write_text("split,image,pid\ntrain,a.jpg,1\n")
    for folder in tiny_root.iterdir():
        (tmp_path / "data" / folder.name).symlink_to(folder)
    shutil.copytree(tiny_root, tmp_path / "data/tiny")  # written already: nothing is drawn again
    monkeypatch.chdir(tmp_path)
    names = supposed(document, tiny_root)
    blocks = python_blocks(document)
    assert blocks
    for block in blocks:
        exec(compile(block, document, "exec"), names)


def test_links_between_documents_lead_somewhere():
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
