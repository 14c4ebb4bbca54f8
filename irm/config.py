"""Reads run sheets: YAML, one parent (`base:`), presets, `key.path=value` overrides; errors in a sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from instructions.errors import InputError, near_miss
from irm.model_schema import Sheet
from irm.schema import IRMRun

S = TypeVar("S", bound=Sheet)

# What `preset:` stands for: the settings in which paper and released code differ. A sheet's preset overrides
# its base sheet; settings in the same sheet override the preset.
PRESETS: dict[str, dict[str, Any]] = {
    "paper": {
        "sentences": "bank",
        "cc_instruction": "sentence",
        "model": {
            "editing": True,
            "gate": "per_layer",
            "tanh": False,
            "share_kv": False,
            "feature": "edited",
            "normalise": True,
            "fusion": {"streams": 1, "blocks": "own", "mask_padding": True},
            "instruction": {"freeze_text": True, "freeze_images": True, "pad_to_max": False},
        },
        "losses": {
            "adaptive_triplet": {"mining": "all"},
            "triplet_after_neck": False,
            "lessons": None,
            "weights": {"adaptive_triplet": 1.0, "adaptive_triplet_fused": 1.0, "contrastive": 1.0}
            | {"hidden_words": 0.0, "replaced_words": 0.0},
        },
    },
    "released": {
        "sentences": "constant",
        "cc_instruction": "image",
        "model": {
            "editing": False,
            "gate": "per_head",
            "tanh": True,
            "share_kv": True,
            "feature": "fused",
            "normalise": False,
            "fusion": {"streams": 2, "blocks": "backbone", "mask_padding": False},
            "instruction": {"freeze_text": False, "freeze_images": False, "pad_to_max": True},
        },
        "losses": {
            "adaptive_triplet": {"mining": "released"},
            "triplet_after_neck": True,
            "lessons": {},
            "weights": {"adaptive_triplet": 3.0, "adaptive_triplet_fused": 3.0, "contrastive": 0.5}
            | {"hidden_words": 1.0, "replaced_words": 0.5},
        },
    },
}


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-5 is a number (YAML 1.1 reads a string) and a repeated key is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789")
)


def read_run(path: Path, overrides: Sequence[str] = ()) -> IRMRun:
    """Read, merge and check a run sheet.

    Args:
        path: a YAML sheet; its `base:` is relative to its own folder.
        overrides: `key.path=value`, the value in YAML; a number counts list items (`mixture.0.weight=2`).

    Raises:
        InputError: naming the file, the dotted path of the setting, and the way out.
    """
    return read_sheet(path, overrides, IRMRun, PRESETS)


def read_sheet(
    path: Path, overrides: Sequence[str], schema: type[S], presets: Mapping[str, dict[str, Any]]
) -> S:
    """Read, merge and check a run sheet of any kind; see ``read_run``."""
    raw: dict[str, Any] = {}
    for sheet in _with_bases(path):
        raw = _merge(raw, presets.get(str(sheet.get("preset")), {}))
        raw = _merge(raw, sheet)
    parsed = [_parse_override(text) for text in overrides]
    parsed.sort(key=lambda item: item[0] != ["preset"])  # a preset first, as in a sheet
    for keys, value in parsed:
        if keys == ["preset"]:
            raw = _merge(raw, presets.get(str(value), {}))
        _set(raw, keys, value)
    return _parsed(raw, str(path), schema)


def _parsed(raw: dict[str, Any], name: str, schema: type[S]) -> S:
    try:
        # Through JSON, because strict checking there takes a list for a tuple and nothing else loosely.
        return schema.model_validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        raise InputError(f"{name}: {_sentence(error, schema)}") from None


def dump(run: Sheet) -> str:
    """The resolved sheet as YAML; reading it gives the same run again."""
    plain = run.model_dump(mode="json")
    return yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=110, allow_unicode=True)


def differences(old: Sheet, new: Sheet) -> dict[str, tuple[Any, Any]]:
    """Settings that differ, by dotted path, as (old, new)."""
    before, after = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    paths = [*before, *(path for path in after if path not in before)]
    return {
        path: (before.get(path), after.get(path)) for path in paths if before.get(path) != after.get(path)
    }


def _with_bases(path: Path) -> list[dict[str, Any]]:
    """The sheet and its ancestors, the oldest first, without their `base:`."""
    chain: list[dict[str, Any]] = []
    seen: list[Path] = []
    while True:
        if path.resolve() in seen:
            raise InputError(f"{path}: following 'base' leads back to this sheet; remove the cycle")
        seen.append(path.resolve())
        sheet = _read_yaml(path)
        base = sheet.pop("base", None)
        chain.insert(0, sheet)
        if base is None:
            return chain
        if not isinstance(base, str):
            raise InputError(
                f"{path}: 'base' is {base!r}; it must be the path of one sheet, e.g. base: base.yaml"
            )
        path = path.parent / base


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        sheet = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except FileNotFoundError:
        raise InputError(f"there is no run sheet {path.absolute()}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the run sheet {path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(sheet, dict) or not all(isinstance(key, str) for key in sheet):
        raise InputError(f"{path} is not a run sheet; it should consist of 'key: value' lines")
    return sheet


def _merge(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """New over old; mappings key by key, everything else (lists too) whole."""
    merged = dict(old)
    for key, value in new.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _parse_override(text: str) -> tuple[list[str], Any]:
    path, equals, value = text.partition("=")
    if not equals or not path or "" in path.split("."):
        raise InputError(f"{text!r} is not an override; write key.path=value, e.g. optimizer.lr=2e-5")
    try:
        return path.split("."), yaml.load(value, Loader=_Loader)
    except yaml.YAMLError:
        raise InputError(
            f"the value in {text!r} is not valid YAML; quote it, e.g. '{path}=\"...\"'"
        ) from None


def _set(raw: dict[str, Any], keys: list[str], value: Any) -> None:
    """Set a nested value; mappings on the way are created, list items must exist."""
    node: Any = raw
    for depth, key in enumerate(keys):
        place: Any = key
        if isinstance(node, list):
            if not key.isdecimal() or int(key) >= len(node):
                path = ".".join(keys[:depth])
                raise InputError(
                    f"{path} has {len(node)} items, so there is no {path}.{key} (indices start at 0)"
                )
            place = int(key)
        elif not isinstance(node, dict):
            raise InputError(f"{'.'.join(keys[:depth])} is a single value, so it has no key {key!r}")
        if depth == len(keys) - 1:
            old = node[place] if isinstance(node, list) else node.get(place)
            node[place] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
        else:
            # Copied on the way down: presets and parents stay as they are.
            child = node[place] if isinstance(node, list) else node.get(place, {})
            node[place] = (
                list(child) if isinstance(child, list) else dict(child) if isinstance(child, dict) else child
            )
            node = node[place]


def _sentence(error: ValidationError, schema: type[BaseModel]) -> str:
    """The first of pydantic's errors, in our words, and how many more there are."""
    first, more = error.errors()[0], error.error_count() - 1
    path = ".".join(str(key) for key in first["loc"])
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if first["type"] == "extra_forbidden":
        *parents, key = first["loc"]
        known = list(_sheet_at(schema, parents).model_fields)
        text = f"{path} is not a setting{near_miss(str(key), known)}; known here: {', '.join(known)}"
    elif first["type"] == "missing":
        text = f"{path} is missing"
    elif first["type"] == "literal_error":
        allowed = [str(choice) for choice in re.findall(r"'([^']*)'", first["ctx"]["expected"])]
        near = near_miss(str(first["input"]), allowed)
        text = f"{path} is {first['input']!r}{near}; allowed: {', '.join(allowed)}"
    elif first["type"] == "value_error":
        text = f"{path}: {message}" if path else message
    else:
        text = f"{path} is {first['input']!r}; it {message}"
    return text + (f" (errors not shown: {more})" if more else "")


def _sheet_at(schema: type[BaseModel], location: Sequence[int | str]) -> type[BaseModel]:
    """The schema class at a place in the tree."""
    sheet = schema
    for key in location:
        if isinstance(key, str):
            sheet = _sheet_in(sheet.model_fields[key].annotation)
    return sheet


def _sheet_in(annotation: Any) -> type[BaseModel]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(
        _sheet_in(inner) for inner in get_args(annotation) if get_args(inner) or isinstance(inner, type)
    )


def _flat(node: Any, path: str = "") -> dict[str, Any]:
    """Leaves of nested data by dotted path; an empty mapping or list is a leaf."""
    if isinstance(node, dict | list) and node:
        items = node.items() if isinstance(node, dict) else enumerate(node)
        return {
            leaf: value
            for key, child in items
            for leaf, value in _flat(child, f"{path}.{key}" if path else str(key)).items()
        }
    return {path: node}
