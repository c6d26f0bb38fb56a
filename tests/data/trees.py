"""Small folders of files, written and read whole."""

from collections.abc import Mapping
from pathlib import Path


def write(root: Path, files: Mapping[str, bytes | str]) -> Path:
    """Make a folder of files, each with its content, and the folders they need; a path that ends in / is a folder."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir()
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def read(root: Path) -> dict[str, bytes]:
    """Every file below a folder, by its relative path."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def without(files: Mapping[str, bytes | str], *gone: str) -> dict[str, bytes]:
    """What `read` gives once some files have gone."""
    content = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
    return {name: data for name, data in content.items() if name not in gone and not name.endswith("/")}
