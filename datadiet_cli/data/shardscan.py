"""What the shards of a WebDataset hold: members with one key that follow on each other are a sample.

The rules are those of `webdataset.tariterators`: the key is a member's path up to the first dot of its last part; the
rest is its ending. What has no key (directories, links, hidden files, ``__meta__`` members) belongs to no sample.
"""

import json
import re
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.tarindex import Member, members

Ints = NDArray[np.int64]

LABEL = "cls"
"""The ending of the members that say classes, as a name or as a number."""
JSON = "json"
_LABEL_FIELDS = (LABEL, "label", "class")
_LONGEST_LABEL = 1 << 16
_LONGEST_JSON = 1 << 24
_LATEST = (2**63 - 1) // 10**9
"""Seconds whose nanoseconds an int64 holds; a header may say more."""
_META = re.compile(r"__[^/]*__($|/)")
_KEY = re.compile(r"((?:.*/|)[^.]+)[.]([^/]*)", re.DOTALL)


class Asked(NamedTuple):
    """What the user named: an ending, or a field of the ``.json``; None for the usual."""

    label: str | None = None
    split: str | None = None


@dataclass
class Index:
    """What a shard holds.

    Attributes:
        spans: (m, 2) int64, where each member begins and where the next one does.
        sample: (m,) int64, the sample that a member belongs to, counted in the shard; -1 for none.
        ending: (m,) int64, into `endings`; -1 for a member of no sample.
        content: (m, 2) int64, where the content is and its size.
        mtime: (m,) int64, time of the last change in seconds, or the nearest that int64 nanoseconds hold.
        endings: as they are written.
        keys: of each sample.
        labels: of each sample.
        written: of each sample, whether a member of its own says its label.
        splits: of each sample, if they were asked for.
        unclear: samples whose label, or whose JSON, cannot be understood.
    """

    spans: Ints
    sample: Ints
    ending: Ints
    content: Ints
    mtime: Ints
    endings: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    written: list[bool] = field(default_factory=list)
    splits: list[str | None] = field(default_factory=list)
    unclear: int = 0


def split_key(name: str) -> tuple[str, str] | None:
    """The key and the ending of a member's name; None for a name of no sample."""
    found = None if _META.match(name) else _KEY.fullmatch(name)
    return (found[1], found[2]) if found else None


def index_shard(file: BinaryIO, asked: Asked) -> Index:
    """Read the headers of a shard, and what says labels.

    A member whose ending the sample before it has already begins another sample, as a new key does.

    Args:
        file: of this machine, or whatever else can be read and be sought in.
        asked: what the user named.

    Raises:
        TarError: the file is no tar file that can be cut into members.
    """
    walk = _Walk(file, asked)
    for member in members(file):
        walk.add(member)
    return walk.done()


class _Walk:
    def __init__(self, file: BinaryIO, asked: Asked) -> None:
        self._file, self._asked = file, asked
        self._label = LABEL if asked.label is None else asked.label.lower()
        self._said: dict[str, bytes] = {}
        self._codes: dict[str, int] = {}
        self._rows = array("q")
        self._current: dict[str, Member] = {}
        nothing = np.empty(0, dtype=np.int64)
        self._found = Index(nothing, nothing, nothing, nothing, nothing)

    def add(self, member: Member) -> None:
        found, code, sample = self._found, -1, -1
        parts = split_key(member.name) if member.regular else None
        if parts is not None:
            key, ending = parts
            known = ending.lower()
            if not self._current or key != found.keys[-1] or known in self._current:
                self._close()
                found.keys.append(key)
            self._current[known] = member
            self._listen(known, member)
            code, sample = self._codes.setdefault(ending, len(self._codes)), len(found.keys) - 1
        mtime = max(-_LATEST, min(member.mtime, _LATEST))
        self._rows.extend((member.start, member.stop, sample, code, member.offset, member.size, mtime))

    def _listen(self, ending: str, member: Member) -> None:
        """Read what may say a label while the file is there: a store is not asked twice for what is passed by."""
        has_fields = ending == JSON and (self._asked.split is not None or self._label not in self._current)
        longest = _LONGEST_JSON if has_fields else _LONGEST_LABEL if ending == self._label else -1
        if member.size <= longest:
            self._file.seek(member.offset)
            self._said[ending] = self._file.read(member.size)

    def done(self) -> Index:
        self._close()
        table = np.frombuffer(self._rows, dtype=np.int64).reshape(-1, 7)
        found = self._found
        found.spans, found.content = table[:, :2].copy(), table[:, 4:6].copy()
        found.sample, found.ending, found.mtime = table[:, 2].copy(), table[:, 3].copy(), table[:, 6].copy()
        found.endings = list(self._codes)
        return found

    def _close(self) -> None:
        """The sample is complete: see what it says of itself."""
        if not self._current:
            return
        found, asked = self._found, self._asked
        written = self._label in self._current and not (self._label == JSON and asked.label is None)
        label, fields, unclear = None, None, False
        if written:
            label = self._text(self._label)
            unclear = label is None
        if JSON in self._current and (not written or asked.split is not None):
            fields = self._fields()
            unclear |= fields is None
        if not written and fields is not None:
            label = _first(fields, _LABEL_FIELDS if asked.label is None else (asked.label,))
        found.labels.append(label)
        found.written.append(written)
        found.splits.append(None if asked.split is None or fields is None else _first(fields, (asked.split,)))
        found.unclear += unclear
        self._current, self._said = {}, {}

    def _text(self, ending: str) -> str | None:
        """What a member says as text; None for what is none."""
        if self._current[ending].size > _LONGEST_LABEL:
            return None
        text = self._said[ending].decode("utf-8", "surrogateescape").strip()
        return None if "\0" in text else text or None

    def _fields(self) -> Mapping[str, object] | None:
        """What the JSON says; None for what is none."""
        if JSON not in self._said:
            return None
        try:
            fields = json.loads(self._said[JSON])
        except (ValueError, RecursionError):
            return None
        return fields if isinstance(fields, dict) else {}


def _first(fields: Mapping[str, object], names: tuple[str, ...]) -> str | None:
    """What the first of some fields that is there says, if that is a word or a whole number."""
    value = next((fields[name] for name in names if name in fields), None)
    if isinstance(value, bool | int):
        return str(value)
    return (value.strip().replace("\0", "") or None) if isinstance(value, str) else None
