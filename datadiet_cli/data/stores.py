"""Object stores and web servers, by the URLs that fsspec knows: the only module that knows fsspec.

How to get into a store, and how often to try again, is the affair of its own configuration: environment variables,
files in the home folder, ``FSSPEC_...``. Names of objects are never patterns here, whatever they hold.
"""

import errno
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Literal, NamedTuple

import xxhash

from datadiet_cli.errors import DatadietError, InputError, MissingExtraError, OutputError

_PACKAGES = {
    "abfs": "adlfs", "abfss": "adlfs", "az": "adlfs", "gcs": "gcsfs", "gs": "gcsfs", "hf": "huggingface_hub",
    "http": "aiohttp", "https": "aiohttp", "s3": "s3fs", "s3a": "s3fs",
}  # fmt: skip
_IN_EXTRA = ("s3fs", "gcsfs", "huggingface_hub", "aiohttp")
_BUCKETS = ("gcs", "gs", "s3", "s3a")
_AZURE = ("abfs", "abfss", "az")
"""Schemes whose URLs may name the account beside the container, or leave it to the settings."""
_READ_ONLY = ("http", "https", "hf")
_WEB = ("http", "https")
_MISSING = (404, 410)
_ERRORS_SHOWN = 300
_VERSIONS = (
    "ETag", "etag", "md5Hash", "crc32c", "checksum", "generation", "blob_id", "xet_hash", "LastModified",
    "last_modified", "mtime", "updated", "created", "ino",
)  # fmt: skip
"""What stores call the facts that differ when an object does."""
_TIMES = ("LastModified", "last_modified", "mtime", "updated", "created")


class Object(NamedTuple):
    """An object of a store.

    Attributes:
        name: its name below what was listed.
        url: of it.
        size: bytes.
        stamp: 32 hexadecimal digits that differ when the object does; never the same where a store tells nothing.
        mtime_ns: time of the last change, in nanoseconds; 0 for unknown.
    """

    name: str
    url: str
    size: int
    stamp: str
    mtime_ns: int


def scheme_of(url: str) -> str:
    """What stands before ``://``, in lower case."""
    return url.partition("://")[0].lower()


def shown(url: str) -> str:
    """An URL for people and reports: without what may be a secret."""
    scheme, _, rest = url.partition("://")
    place, slash, name = rest.partition("/")
    if scheme.lower() in _WEB:
        name = name.partition("?")[0].partition("#")[0]
        place = place.partition("?")[0]
    return f"{scheme}://{place.rpartition('@')[2] if scheme.lower() in _WEB else place}{slash}{name}"


def canonical(url: str) -> str:
    """An URL such that two of one place are the same text; of a place on this machine its path."""
    files, path = opened(url)
    if scheme_of(url) in ("file", "local"):
        return os.path.realpath(path)
    protocol = files.protocol if isinstance(files.protocol, str) else files.protocol[0]
    bare = path.partition("://")[2] if scheme_of(url) in _WEB else path
    parts = [part for part in bare.split("/") if part]
    host = url.partition("://")[2].partition("/")[0]
    # Some keep the host apart from the path, where one path is two places on two hosts.
    if host and parts[:1] != [host] and scheme_of(url) not in (*_WEB, *_AZURE):
        parts.insert(0, host.rpartition("@")[2].lower())
    return f"{protocol}://{'/'.join(parts)}"


def same_store(one: str, other: str) -> bool:
    """Whether objects can be copied from one URL to the other without passing through this machine."""
    return bool(opened(one)[0] == opened(other)[0])


def check_writable(url: str) -> None:
    """Refuse a place that can only be read.

    Raises:
        OutputError: it is one.
    """
    if scheme_of(url) in _READ_ONLY:
        raise OutputError(
            f"{shown(url)}: {scheme_of(url)}:// can only be read; name an OUTPUT on this machine or in a store such as "
            "s3:// or gs://"
        )


def check_root(url: str) -> None:
    """Refuse a place in a bucket that is not there.

    Raises:
        OutputError: there is no such bucket.
    """
    if scheme_of(url) in _BUCKETS:
        bucket = url.partition("://")[2].partition("/")[0]
        files, path = opened(f"{scheme_of(url)}://{bucket}")
        with asking(url):
            if not files.exists(path):
                raise OutputError(f"{shown(url)}: there is no bucket {bucket}, or it cannot be seen; make it first")


def kind_of(url: str) -> Literal["file", "folder"] | None:
    """What there is of this name.

    Raises:
        OSError: the store cannot be asked.
    """
    files, path = opened(url)
    with asking(url):
        files.invalidate_cache()
    try:
        with asking(url):  # not isfile and isdir, for which a store that refuses to answer has nothing
            kind = files.info(path).get("type")
    except (FileNotFoundError, NotADirectoryError):
        return None
    return "folder" if kind == "directory" else "file"


def list_objects(url: str) -> list[Object]:
    """All objects below a folder, sorted by name. Marks of empty folders are no objects.

    Raises:
        OSError: the store cannot be asked.
    """
    files, path = opened(url)
    root = path.rstrip("/") + "/"
    with asking(url):
        files.invalidate_cache()
        found = files.find(root, detail=True, **_strict(files))
    objects = [
        _object(name.removeprefix(root), files.unstrip_protocol(name), info)
        for name, info in found.items()
        if info.get("type") != "directory" and name.startswith(root) and not name.endswith("/")
    ]
    return sorted(objects)


def object_at(url: str) -> Object:
    """A single object, under the last part of its name.

    Raises:
        FileNotFoundError: there is none.
        OSError: the store cannot be asked.
    """
    files, path = opened(url)
    with asking(url):
        files.invalidate_cache()
        return _object(shown(url).rstrip("/").rpartition("/")[2], url, files.info(path))


def read_bytes(url: str, offset: int, size: int) -> bytes:
    """Read a part of an object; fewer bytes where it ends.

    Raises:
        FileNotFoundError: there is no such object.
        OSError: the store cannot be asked, or gives whole objects only.
    """
    if size <= 0:
        return b""
    files, path = opened(url)
    with asking(url):
        content: bytes = files.cat_file(path, start=offset, end=offset + size)
    if len(content) > size:
        raise OSError(errno.EOPNOTSUPP, "the server gives whole files, and no parts of them; copy it here", shown(url))
    return content


def is_still(url: str, stamp: str) -> bool:
    """Whether an object is the one that `object_at` gave a stamp; a store that tells no marks is believed.

    Raises:
        OSError: the store cannot be asked.
    """
    files, path = opened(url)
    try:
        with asking(url):
            files.invalidate_cache()
            info = files.info(path)
    except FileNotFoundError:
        return False
    return not _marks(info) or _object("", url, info).stamp == stamp


def opened(url: str) -> tuple[Any, str]:
    """The file system of an URL, and the name in it."""
    from fsspec.registry import get_filesystem_class

    scheme, place = scheme_of(url), url.partition("://")[2].partition("/")[0]
    url = f"{scheme}://{url.partition('://')[2]}"
    if ":" in place.rpartition("@")[0]:
        raise InputError(
            f"{scheme}://{place.rpartition('@')[2]}/...: the URL has a password in it, which reports would repeat; "
            "give it to the store's own configuration"
        )
    try:
        kind = get_filesystem_class(scheme)
        files = kind(**kind._get_kwargs_from_urls(url))
        return files, kind._strip_protocol(url)
    except ImportError as error:
        package = _PACKAGES.get(scheme, "")
        how = "'datadiet[stores]'" if package in _IN_EXTRA else package
        what = f"pip install {how}" if how else _line(error)
        raise MissingExtraError(f"{shown(url)}: {scheme}:// needs {package or 'a package'}: {what}") from error
    except Exception as error:
        raise InputError(f"{shown(url)}: {_line(error, url)}") from error


def _strict(files: Any) -> dict[str, str]:
    """What makes a listing fail, and not leave out what it could not read."""
    from fsspec.asyn import AsyncFileSystem
    from fsspec.spec import AbstractFileSystem

    plain = type(files).find is AbstractFileSystem.find
    plain |= isinstance(files, AsyncFileSystem) and type(files)._find is AsyncFileSystem._find
    return {"on_error": "raise"} if plain else {}


@contextmanager
def asking(url: str) -> Iterator[None]:
    """Turn whatever a store's own library raises into an OSError that names the URL."""
    try:
        yield
    except DatadietError:
        raise
    except FileNotFoundError as error:
        cause = error.__cause__
        if scheme_of(url) in _WEB and cause is not None and getattr(cause, "status", None) not in _MISSING:
            # Whatever a web server answers, and none at all, is to fsspec that there is nothing.
            raise OSError(errno.EIO, _line(cause, url), shown(url)) from error
        raise FileNotFoundError(errno.ENOENT, "does not exist", shown(url)) from error
    except OSError as error:
        number = errno.EACCES if _denied(error) else error.errno or errno.EIO
        raise OSError(number, error.strerror or _line(error, url), shown(url)) from error
    except Exception as error:
        raise OSError(errno.EIO, _line(error, url), shown(url)) from error


def _denied(error: OSError) -> bool:
    """Whether S3 says that this very object may not be read; keys that are wrong or too old are another matter."""
    answer = getattr(error.__cause__, "response", None)
    return isinstance(answer, Mapping) and answer.get("Error", {}).get("Code") == "AccessDenied"


def _line(error: BaseException, url: str = "") -> str:
    text = " ".join((str(error) or type(error).__name__).split())
    if url:
        text = text.replace(url, shown(url))
    if scheme_of(url) in _WEB:  # not by its very text: some write it in another way
        text = re.sub(r"\?[^\s'\"]*", "?...", text)
    return text if len(text) <= _ERRORS_SHOWN else f"{text[:_ERRORS_SHOWN]}..."


def _object(name: str, url: str, info: Mapping[str, Any]) -> Object:
    size = info.get("size")
    facts = _marks(info)
    stamp = (
        xxhash.xxh3_128_hexdigest(repr((size, facts)).encode("utf-8", "surrogateescape"))
        if facts and size is not None
        else secrets.token_hex(16)
    )
    return Object(name, url, -1 if size is None else int(size), stamp, _time_of(info))


def _marks(info: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a store tells of the version of an object."""
    return [(key, str(info[key])) for key in _VERSIONS if info.get(key) not in (None, "")]


def _time_of(info: Mapping[str, Any]) -> int:
    for key in _TIMES:
        value = info.get(key)
        if isinstance(value, str):
            with suppress(ValueError):
                value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return int(value.timestamp() * 1_000_000) * 1_000
        if isinstance(value, int | float):
            return int(value * 1_000_000) * 1_000
    return 0
