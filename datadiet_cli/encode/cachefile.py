"""The file of the cache: an SQLite database of rows of bytes, by namespace and digest."""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import xxhash

FILE = "content-1.sqlite"
"""Named by the form of its tables, so that versions of the program do not take it from each other."""
CHECK_BYTES = 8

_KEPT_SHARE = 0.9
_ASKED_AT_ONCE = 512
_DROPPED_AT_ONCE = 10_000
_PATIENCE_S = 5.0
_OVERHEAD = 80
"""Bytes that a row takes beside itself, about: its key, two numbers, and what pages leave empty."""
# Damaged bytes turn up in SQLite's own messages, and as numbers of rows.
_SENSELESS = (UnicodeDecodeError, OverflowError)
ERRORS = (sqlite3.Error, OSError, *_SENSELESS)
"""What using the database may raise; `sqlite3.ProgrammingError`, one of them, is our own mistake."""
_RUINED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH}

# The rows lie apart from their keys: a look at what is known, and a note that it was used, touch few pages.
_TABLES = (
    "CREATE TABLE IF NOT EXISTS spaces (id INTEGER PRIMARY KEY, name TEXT, width INTEGER, UNIQUE (name, width))",
    "CREATE TABLE IF NOT EXISTS keys (space INTEGER, digest BLOB, used INTEGER, id INTEGER,"
    " PRIMARY KEY (space, digest)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS contents (id INTEGER PRIMARY KEY, row BLOB)",
)
# No waiting for the disk: what a power cut leaves is whole, or seen to be damaged. No log beside the file, as WAL has
# it: that would write every row twice, and goes wrong where hosts share a network folder.
_PRAGMAS = ("journal_mode=TRUNCATE", "synchronous=OFF", "secure_delete=OFF")
_HOLDINGS = (
    "SELECT name, COUNT(*), SUM(width) FROM keys JOIN spaces ON spaces.id = keys.space GROUP BY name ORDER BY name"
)
_OLDEST = (
    "SELECT space, digest, keys.id, CAST(IFNULL(width, 0) AS INTEGER) FROM keys JOIN spaces ON spaces.id = keys.space"
    " ORDER BY used, keys.id LIMIT ?"
)


class Holding(NamedTuple):
    """What is held of a namespace: how many rows, and their bytes."""

    namespace: str
    rows: int
    bytes: int


class _Entry(NamedTuple):
    id: int
    used: int


def hold(folder: str, *, alone: bool = False) -> int:
    """Lock the cache: whoever removes its file must be alone with it, all others hold the lock together.

    Returns:
        A file descriptor; closing it gives the lock back.

    Raises:
        BlockingIOError: another run is in the way.
        OSError: the folder is not there, or cannot be locked.
    """
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BaseException:
        os.close(lock)
        raise
    return lock


def connect(folder: str) -> sqlite3.Connection:
    """Open the database, and make it if there is none."""
    db = sqlite3.connect(os.path.join(folder, FILE), timeout=_PATIENCE_S, isolation_level=None)
    try:
        for pragma in _PRAGMAS:
            db.execute(f"PRAGMA {pragma}")
        if db.execute("SELECT COUNT(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0] < len(_TABLES):
            # In one transaction from the start: another run that makes them too then waits, rather than gives up.
            with _transaction(db):
                for table in _TABLES:
                    db.execute(table)
    except BaseException:
        db.close()
        raise
    return db


def ruined(error: Exception) -> bool:
    """Whether an error says that the file is damaged, or no such database at all."""
    return isinstance(error, _SENSELESS) or (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in _RUINED


def remove(folder: str) -> int:
    """Remove the database.

    Returns:
        The bytes that it took.

    Raises:
        BlockingIOError: a run uses it.
        OSError: it cannot be removed.
    """
    lock = hold(folder, alone=True)
    try:
        freed = size_of(folder)
        for path in _files(folder):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
    finally:
        os.close(lock)
    return freed


def size_of(folder: str) -> int:
    """The bytes that the database takes."""
    size = 0
    for path in _files(folder):
        with contextlib.suppress(OSError):
            size += os.lstat(path).st_size
    return size


def _files(folder: str) -> tuple[str, str]:
    """The database, and its journal last: what a killed run left half written would pass for whole without it."""
    path = os.path.join(folder, FILE)
    return path, f"{path}-journal"


def survey(folder: str) -> tuple[list[Holding], str | None]:
    """Say what is held, by namespace, and why it cannot be used, or None. Makes and removes no file."""
    if not os.path.lexists(folder):
        return [], None
    if not os.path.isdir(folder):
        return [], "is no folder"
    trouble = None if os.access(folder, os.W_OK | os.X_OK) else "cannot be written"
    if not os.path.lexists(os.path.join(folder, FILE)):
        return [], trouble
    try:
        lock = hold(folder)
    except OSError as error:
        return [], error.strerror or str(error)
    try:
        with contextlib.closing(connect(folder)) as db:
            found = [Holding(str(name), int(rows), int(size)) for name, rows, size in db.execute(_HOLDINGS)]
    except ERRORS as error:
        return [], "is damaged" if ruined(error) else str(error)
    finally:
        os.close(lock)
    return found, trouble


def find(
    db: sqlite3.Connection, namespace: str, width: int, digests: Sequence[bytes], hour: int
) -> tuple[dict[bytes, bytes], list[tuple[int, int, bytes]]]:
    """Look rows up.

    Args:
        db: the database.
        namespace: what is asked for.
        width: bytes of a row.
        digests: of 16 bytes each, different.
        hour: now, in hours since 1970.

    Returns:
        Rows by digest, each followed by its check; and what `touch` should note.
    """
    space = _space(db, namespace, width)
    if space is None:
        return {}, []
    salt = _salt(namespace, width)
    entries = _entries(db, space, digests)
    owner = {entry.id: digest for digest, entry in entries.items()}
    # By number, not by digest: rows that were stored together are read together.
    rows = _select(db, "SELECT id, row FROM contents WHERE id IN ({})", (), sorted(owner))
    found = {owner[i]: row for i, row in rows if isinstance(row, bytes) and len(row) == width + CHECK_BYTES}
    sound = {digest: row for digest, row in found.items() if _checked(salt, digest, row[:width]) == row}
    return sound, [(hour, space, digest) for digest in sound if entries[digest].used < hour]


def touch(db: sqlite3.Connection, used: Sequence[tuple[int, int, bytes]]) -> None:
    """Note that contents were used."""
    with _transaction(db):
        db.executemany("UPDATE keys SET used = ? WHERE space = ? AND digest = ?", used)


def keep(db: sqlite3.Connection, namespace: str, width: int, rows: Mapping[bytes, bytes], hour: int) -> None:
    """Store rows by digest, in the place of those that are there."""
    salt, digests = _salt(namespace, width), sorted(rows)
    with _transaction(db):
        db.execute("INSERT OR IGNORE INTO spaces (name, width) VALUES (?, ?)", (namespace, width))
        space = _space(db, namespace, width)
        ids = {digest: entry.id for digest, entry in _entries(db, space, digests).items()}
        last = db.execute("SELECT MAX(id) FROM contents").fetchone()[0] or 0
        fresh = [digest for digest in digests if digest not in ids]
        ids.update(zip(fresh, range(last + 1, last + 1 + len(fresh)), strict=True))
        keys = [(space, digest, hour, ids[digest]) for digest in digests]
        db.executemany("INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?)", keys)
        checked = [(ids[digest], _checked(salt, digest, rows[digest])) for digest in digests]
        db.executemany("INSERT OR REPLACE INTO contents VALUES (?, ?)", checked)


def prune(db: sqlite3.Connection, limit: int) -> None:
    """Drop what was used least recently if the file holds more than `limit` bytes.

    Some at a time, so that other runs are not kept waiting.
    """
    pages, free, size = (
        int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count", "page_size")
    )
    held = (pages - free) * size
    excess = held - _KEPT_SHARE * limit if held > limit else 0.0
    while excess > 0:
        dropped = []
        for space, digest, number, width in db.execute(_OLDEST, (_DROPPED_AT_ONCE,)).fetchall():
            if excess > 0:
                dropped.append((space, digest, number))
                excess -= width + _OVERHEAD
        if not dropped:
            return
        with _transaction(db):
            db.executemany("DELETE FROM keys WHERE space = ? AND digest = ?", [row[:2] for row in dropped])
            db.executemany("DELETE FROM contents WHERE id = ?", [row[2:] for row in dropped])


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise


def _space(db: sqlite3.Connection, namespace: str, width: int) -> int | None:
    """The number of a namespace; another width is another one."""
    found = db.execute("SELECT id FROM spaces WHERE name = ? AND width = ?", (namespace, width)).fetchone()
    return None if found is None else int(found[0])


def _entries(db: sqlite3.Connection, space: int | None, digests: Sequence[bytes]) -> dict[bytes, _Entry]:
    asked = "SELECT digest, id, used FROM keys WHERE space = ? AND digest IN ({})"
    rows = _select(db, asked, (space,), digests)
    return {d: _Entry(i, used) for d, i, used in rows if isinstance(i, int) and isinstance(used, int)}


def _select(db: sqlite3.Connection, asked: str, first: tuple[Any, ...], values: Sequence[Any]) -> Iterator[Any]:
    """Rows of a query over a list, too long to be asked for at once."""
    for start in range(0, len(values), _ASKED_AT_ONCE):
        some = values[start : start + _ASKED_AT_ONCE]
        yield from db.execute(asked.format(",".join("?" * len(some))), (*first, *some))


def _salt(namespace: str, width: int) -> bytes:
    return xxhash.xxh3_128_digest(f"{width} {namespace}".encode())


def _checked(salt: bytes, digest: bytes, row: bytes) -> bytes:
    """A row with its check behind it."""
    return row + xxhash.xxh3_64_digest(salt + digest + row)
