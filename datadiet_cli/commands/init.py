"""`datadiet init INPUT`: write a commented starter pipeline that runs as it stands."""

import os
import sys

from datadiet_cli.config.base import Settings
from datadiet_cli.config.registry import STEPS, settings_of
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.publish import check_file, check_folder, place_beside, write_atomically
from datadiet_cli.errors import ExitCode, InputError, OutputError
from datadiet_cli.report.terminal import say

# What a starter says out loud; everything else is there as a comment.
_SPOKEN: dict[str, dict[str, dict[str, str]]] = {
    "dedup": {"image": {"method": "phash"}, "row": {"method": "exact"}, "": {"method": "exact"}},
    "denoise": {"": {"quality_action": "flag", "labels_action": "flag"}},
}
# Steps that are there as comments only: they make samples, or train models, which is not what a first look is for.
_ASLEEP = {"balance", "select-features", "select-samples", "train", "prune-model", "evaluate"}


def init(path: str, file: str, *, force: bool) -> int:
    """Write a pipeline for INPUT to `file`, or to stdout for ``-``.

    Raises:
        InputError: INPUT is no dataset.
        OutputError: `file` exists and `force` is not set.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{path}: the name is not UTF-8, which YAML cannot hold; rename it, or pass it to run as --input"
        ) from None
    text = starter(open_dataset(path))
    if file == "-":
        sys.stdout.write(text)
        return ExitCode.DONE
    if os.path.lexists(file) and not force:
        raise OutputError(f"{file}: exists already; name another file or pass --force to replace it")
    check_file(file)
    check_folder(file)
    write_atomically(file, text.encode())
    say(f"{file}: written; run it with: datadiet run {file}")
    return ExitCode.DONE


def starter(dataset: Dataset) -> str:
    """A pipeline in YAML: every step there is, each setting with its meaning, the defaults as comments."""
    path = dataset.source.path.rstrip("/")
    lines = [
        f"# A starter for {_quoted(path)}: {len(dataset):,} samples, {dataset.source.layout}.",
        "# Run it:       datadiet run THIS_FILE",
        "# Try it first: datadiet run THIS_FILE --dry-run --verbose",
        f"input: {_quoted(path)}",
        f"output: {_quoted(place_beside(path))}",
        "seed: 0",
        "# max_removed: 30%      # fail, and write nothing, if more than this would go",
        "steps:",
    ]
    for name, spec in STEPS.items():
        spoken = _SPOKEN.get(name, {})
        block = [f"  - {name}:", *_settings(settings_of(name), spoken.get(dataset.kind, spoken.get("", {})))]
        lines += ["", f"  # {spec.summary}.", *(f"  # {line[2:]}" if name in _ASLEEP else line for line in block)]
    return "\n".join([*lines, "", "# Gates: the run fails, and writes nothing, if one does not hold.", *_EXPECT, ""])


_EXPECT = ["expect:", '  removed: "<= 90%"', '  # leaks: "== 0"', '  # unreadable: "== 0"']


def _settings(model: type[Settings], spoken: dict[str, str]) -> list[str]:
    lines = []
    for name, field in model.model_fields.items():
        lines.append(f"      # {field.description}")
        if name in spoken:
            lines.append(f"      {name}: {spoken[name]}")
        else:
            default = model.model_construct().model_dump(mode="json").get(name)
            shown = "null" if default is None else str(default).lower() if isinstance(default, bool) else default
            lines.append(f"      # {name}: {shown}")
    return lines


def _quoted(text: str) -> str:
    """A YAML double-quoted scalar for any text."""
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    # YAML knows \U for what JSON writes as a pair of surrogates.
    return character if character.isprintable() and character.isascii() else f"\\U{ord(character):08x}"
