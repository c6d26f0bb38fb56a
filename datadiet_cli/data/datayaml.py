"""Read the ``data.yaml`` of a YOLO dataset: its class names, and which images are for what."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from datadiet_cli.data.annotations import tidy
from datadiet_cli.data.scan import Entry
from datadiet_cli.errors import InputError

USUAL_NAMES = frozenset({"data.yaml", "data.yml", "dataset.yaml", "dataset.yml"})
_LARGEST = 1 << 20
_DEEPEST = 10
_SPLITS = {"train": "train", "val": "val", "test": "test", "minival": "val"}


@dataclass(frozen=True)
class DataYaml:
    """What a ``data.yaml`` says.

    Attributes:
        path: of the file, relative to the folder.
        names: class number -> name.
        splits: a split and the folder, list or image that it names, as written; a split may come several times.
        base: the folder that its entries are relative to, relative to the folder.
    """

    path: str
    names: Mapping[int, str]
    splits: Sequence[tuple[str, str]]
    base: str

    def candidates(self, entry: str) -> list[str]:
        """Where an entry may lie, relative to the folder, the likeliest first.

        It is relative to `base`. Paths of other machines are common, and so is a needless ``../`` in front: leading
        parts are left out one by one. Nothing leads out of the folder, since names are only compared.
        """
        found = []
        if not entry.startswith("/"):
            inside = os.path.normpath(os.path.join(self.base, entry))
            if inside != ".." and not inside.startswith("../"):
                found.append("" if inside == "." else inside)
        parts = [part for part in tidy(entry).split("/") if part not in ("..", ".", "")]
        return found + ["/".join(parts[begin:]) for begin in range(len(parts))]


def find_data_yaml(root: str, others: Sequence[Entry], folders: set[str]) -> DataYaml | None:
    """The description of the dataset: a YAML file with class names and a split, the one nearest to the top.

    Args:
        root: the folder.
        others: its files that are no samples.
        folders: all that hold samples, at any depth, relative to the folder.

    Raises:
        InputError: a file with the usual name cannot be read: splits that nobody knows of would not be safe.
    """
    paths = [entry.path for entry in others if entry.cause is None and entry.path.endswith((".yaml", ".yml"))]
    usual = {path: path.rpartition("/")[2] in USUAL_NAMES for path in paths}
    for path in sorted(paths, key=lambda path: (path.count("/"), not usual[path], path)):
        if not usual[path] and "/" in path:
            continue
        try:
            content = _load(os.path.join(root, path))
        except InputError:
            if usual[path]:
                raise
            continue
        if "names" in content and not content.keys().isdisjoint(_SPLITS):
            return _describe(path, content, folders)
    return None


def _describe(path: str, content: Mapping[str, Any], folders: set[str]) -> DataYaml:
    names = content["names"]
    numbered = names.items() if isinstance(names, dict) else enumerate(names) if isinstance(names, list) else ()
    known = {int(n): name for n, name in numbered if str(n).isdecimal() and isinstance(name, str)}
    splits = []
    for key, split in _SPLITS.items():
        value = content.get(key)
        entries = value if isinstance(value, list) else [value]
        splits += [(split, entry) for entry in entries if isinstance(entry, str) and entry]
    base = os.path.dirname(path)
    said = content.get("path")
    if isinstance(said, str) and not said.startswith("/"):
        inside = os.path.normpath(os.path.join(base, said))
        base = inside if inside in folders else base
    return DataYaml(path, known, splits, base)


def _load(path: str) -> Mapping[str, Any]:
    """The content with every scalar as text; {} if it is no mapping."""
    with open(path, "rb") as file:
        raw = file.read(_LARGEST + 1)
    if len(raw) > _LARGEST:
        raise InputError(f"{path}: larger than {_LARGEST >> 20} MiB; is it the description of a dataset?")
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    depth = 0
    try:
        # First the events, which build nothing: a few aliases can stand for more than memory holds.
        for event in yaml.parse(raw, Loader=loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                raise InputError(f"{path}: aliases (*{event.anchor}) are not supported; write the value out")
            if depth > _DEEPEST:
                raise InputError(f"{path}: nested more than {_DEEPEST} deep; is it the description of a dataset?")
        content = yaml.load(raw, Loader=loader)  # noqa: S506 - the base loader makes text, lists and mappings only
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path}:{line}: not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, OverflowError):  # UnicodeDecodeError is a ValueError
        raise InputError(f"{path}: not YAML: it holds control characters or broken text") from None
    return content if isinstance(content, dict) and all(isinstance(key, str) for key in content) else {}
