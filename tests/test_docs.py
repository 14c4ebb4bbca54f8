"""The documents say what is: names in the paper map exist, equations have their rows, code blocks run."""

import ast
import re
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("document", ["README.md", "docs/data.md", "docs/inside.md", "docs/synthetic.md"])
def test_python_in_the_documents_compiles(document):
    for block in python_blocks(document):
        compile(block, document, "exec")


def test_links_between_documents_lead_somewhere():
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
