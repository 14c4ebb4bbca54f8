"""House rules that a program can check: imports point downhill, files are small and say what they are."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("instructions", "omnireid", "irm", "tools")

# The longest matching room wins; a room may import itself and the rooms named here.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "instructions": (),
    "omnireid": ("instructions",),
    "omnireid.metrics": ("instructions.errors", "omnireid.native"),
    "irm": ("irm", "omnireid", "instructions"),
    "irm.losses": (),
    "irm.models": (),
    "irm.mllm": ("irm.models.backbones", "irm.losses"),
    "tools": ("irm", "omnireid", "instructions"),
}
NEVER: dict[str, tuple[str, ...]] = {  # libraries that a room must not know at import time
    "instructions": ("torch", "transformers", "timm"),
    "omnireid": ("timm", "transformers"),
    "irm.losses": ("timm", "transformers"),
}
MAX_FILE, MAX_FUNCTION = 300, 50


def sources() -> list[Path]:
    return sorted(path for room in OURS for path in (ROOT / room).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str, table: dict[str, tuple[str, ...]]) -> str | None:
    matching = [room for room in table if module == room or module.startswith(room + ".")]
    return max(matching, key=len) if matching else None


def imports_of(tree: ast.AST) -> list[str]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            names += [node.module or ""]
            assert all(alias.name != "*" for alias in node.names), "star import"
    return names


def violations(path: Path, tree: ast.Module) -> list[str]:
    module = module_name(path)
    room = room_of(module, MAY_IMPORT)
    assert room is not None
    allowed = (room, *MAY_IMPORT[room])
    found = []
    for name in imports_of(tree):
        if name.split(".")[0] in OURS and not any(name == ok or name.startswith(ok + ".") for ok in allowed):
            found.append(f"{module} imports {name}")
    return found


def top_level_imports(tree: ast.Module) -> list[str]:
    return imports_of(ast.Module(body=[n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]))


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_imports_point_downhill(path: Path):
    tree = ast.parse(path.read_text())
    assert violations(path, tree) == []
    room = room_of(module_name(path), NEVER)
    banned = NEVER[room] if room else ()
    assert [name for name in top_level_imports(tree) if name.split(".")[0] in banned] == []


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_a_module_opens_with_a_sentence_and_stays_small(path: Path):
    text = path.read_text()
    tree = ast.parse(text)
    if text.strip():
        assert ast.get_docstring(tree), "no opening sentence"
    assert len(text.splitlines()) <= MAX_FILE
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < MAX_FUNCTION, f"{node.name} is too long"


def test_the_import_rule_sees_a_violation():
    bad = ast.parse("from irm.losses.triplet import batch_hard_triplet_loss\nimport omnireid.tasks")
    assert violations(ROOT / "irm/models/bad.py", bad) == [
        "irm.models.bad imports irm.losses.triplet",
        "irm.models.bad imports omnireid.tasks",
    ]
    assert violations(ROOT / "irm/training/good.py", bad) == []


def test_nothing_private_is_tracked():
    """No weights, images of people, notebooks or absolute paths in the sources."""
    import subprocess

    found = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = found.stdout.split()
    banned = (".pth", ".pt", ".safetensors", ".ipynb", ".npz", ".pyc", ".tar")
    assert [name for name in listed if name.endswith(banned)] == []
    home = "/" + "work/"
    texts = [name for name in listed if name.endswith((".py", ".md", ".yaml"))]
    assert [name for name in texts if home in (ROOT / name).read_text()] == []
