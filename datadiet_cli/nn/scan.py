"""Tell from its bytes alone whether a .pt2 file may be loaded. Nothing of torch is imported, and nothing unpickled.

`torch.export.load` runs what a file tells it to: pickles among its weights and sample inputs, names of operators that
it looks up, modules that the layout of its arguments names, sizes that it hands to `sympy.sympify`, which evaluates
Python, and guards that run at the first call. So a file is accepted only if every member, every operator and every
expression in it is one of those that an exported network is made of. This narrows what can go wrong; a file from a
stranger is still better not loaded.
"""

import io
import json
import pickletools
import re
import struct
import zipfile
from collections.abc import Iterator
from typing import Any

from datadiet_cli.errors import InputError

_MOST_MEMBERS = 100_000
_MOST_BYTES = 1 << 26
"""Of a member that is looked into: a graph as JSON, or a pickle."""
_MOST_SAMPLES = 1 << 28
_LARGE = 0xFFFFFFFF
"""Stands for a number that needs more than 32 bits."""
_MOST_CHARACTERS = 4096
"""Of an expression."""
_SCHEMA = 8
"""Major version of the graph's schema, the only one known here."""

_NAME = re.compile(r"[A-Za-z0-9_.\-]+(/[A-Za-z0-9_.\-]+)*\Z")
_TENSORS = re.compile(r"data/(weights/weight|constants/tensor)_[0-9]+\Z")
_CONFIGS = re.compile(r"data/(weights|constants)/[A-Za-z0-9_\-]+_config\.json\Z")
_GRAPHS = re.compile(r"models/[A-Za-z0-9_\-]+\.json\Z")
_SAMPLES = re.compile(r"data/sample_inputs/[A-Za-z0-9_\-]+\.pt\Z")
_STORAGES = re.compile(
    r"(data/[0-9]+|version|byteorder|\.format_version|\.storage_alignment|\.data/(serialization_id|version))\Z"
)
_PLAIN = frozenset({"archive_format", "archive_version", "byteorder", ".data/version", ".data/serialization_id"})

_OPERATOR = re.compile(
    r"(torch\.ops\.aten\.[a-z0-9_]+\.[A-Za-z0-9_]+"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pow|ge|le|gt|lt|eq|ne|getitem)"
    r"|math\.(ceil|floor|trunc)"
    r"|torch\.sym_(int|float|not|max|min|ite|sum))\Z"
)
_FILES = re.compile(r"torch\.ops\.aten\.(from_file|_?save|_?load)\b")
"""Operators that reach for files."""
_SYMBOL = r"Symbol\('[su][0-9]{1,9}'(?:, (?:positive|integer|nonnegative|negative|zero)=(?:True|False))*\)"
_EXPRESSION = re.compile(
    rf"{_SYMBOL}|Pow\({_SYMBOL}, Integer\(-?[0-9]{{1,2}}\)\)"
    r"|Integer\(-?[0-9]{1,19}\)|[0-9]{1,19}(?![0-9])|[su][0-9]{1,9}(?![0-9])"
    r"|Mul|Add|Mod|FloorDiv|Max|Min|PythonMod|\*(?!\*)|[ ,()+\-/]"
)
"""One word of a size. Powers are small ones, for a large one would take all memory."""
_LAYOUTS = frozenset({None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"})
_FORBIDDEN = ("as_custom_obj", "as_operator")

_GLOBALS = frozenset(
    {"torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter", "collections OrderedDict"}
    | {
        f"torch {name}Storage"
        for name in ("Float", "Double", "Half", "BFloat16", "Byte", "Char", "Short", "Int", "Long", "Bool")
    }
)
_OPCODES = frozenset(
    "PROTO STOP MARK POP POP_MARK EMPTY_DICT EMPTY_LIST EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 DICT LIST SETITEM "
    "SETITEMS APPEND APPENDS NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINUNICODE "
    "BINPUT LONG_BINPUT BINGET LONG_BINGET MEMOIZE FRAME GLOBAL REDUCE BINPERSID".split()
)


_DAMAGED = (
    zipfile.BadZipFile,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
)


class _RefusedError(Exception):
    """What about a file is not allowed."""


def checked(path: str) -> bytes:
    """Read a .pt2 file that may be handed to `torch.export.load`.

    Hand over these bytes, not the path: they are what was looked at.

    Raises:
        InputError: it may not, or is no such file; the message says why.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    try:
        _check_bounds(data)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_archive(archive)
    except _RefusedError as error:
        raise InputError(f"{path} is not loaded: {error}") from None
    except _DAMAGED:
        raise InputError(f"{path} is not a network saved by torch.export.save, or is damaged") from None
    return data


def _check_bounds(data: bytes) -> None:
    """Check that an archive is all there is: whoever else reads it must find the same list of the same parts."""
    end = len(data) - 22
    if not data.startswith(b"PK\x03\x04") or data[end : end + 4] != b"PK\x05\x06":
        raise zipfile.BadZipFile
    size, start = struct.unpack_from("<II", data, end + 12)
    if data[end - 20 : end - 16] == b"PK\x06\x07":
        # A larger record stands before, and between the two where it is. Both must say the same.
        (record,) = struct.unpack_from("<Q", data, end - 12)
        wide = struct.unpack_from("<QQ", data, end - 36)
        if record != end - 76 or data[record : record + 4] != b"PK\x06\x06":
            raise zipfile.BadZipFile
        if any(narrow not in (_LARGE, full) for narrow, full in zip((size, start), wide, strict=True)):
            raise zipfile.BadZipFile
        (size, start), end = wide, record
    if start + size != end:
        raise zipfile.BadZipFile


def _check_archive(archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    names = [member.filename for member in members]
    if len(names) > _MOST_MEMBERS:
        raise _RefusedError(f"it has more than {_MOST_MEMBERS:,} parts")
    if len(set(names)) < len(names):
        raise _RefusedError("it has two parts of one name")
    roots = {name.partition("/")[0] for name in names}
    if len(roots) > 1:
        raise _RefusedError("its parts are not in one folder")
    graphs = 0
    for member in members:
        name = member.filename.partition("/")[2]
        if not _NAME.match(name) or ".." in name:
            raise _RefusedError(f"it has a part of an unexpected name, {_shown(name)}")
        if member.compress_type != zipfile.ZIP_STORED:
            raise _RefusedError("it is compressed, which torch.export.save never does")
        graphs += _check_member(archive, member, name)
    if graphs != 1:
        raise _RefusedError(f"it holds {graphs} networks instead of one")


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> bool:
    """Check one part; tell whether it is a graph."""
    if _GRAPHS.match(name):
        _check_graph(_json(archive, member))
        return True
    if _CONFIGS.match(name):
        _check_config(_json(archive, member))
    elif _SAMPLES.match(name):
        _check_samples(archive, member)
    elif name == "archive_format":
        if archive.read(member) != b"pt2":
            raise _RefusedError("its format is not pt2")
    elif name not in _PLAIN and not _TENSORS.match(name):
        raise _RefusedError(f"it has an unexpected part, {_shown(name)}")
    return False


def _json(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Any:
    if member.file_size > _MOST_BYTES:
        raise _RefusedError(f"its part {_shown(member.filename)} is too large")
    return json.loads(archive.read(member))


def _check_config(config: Any) -> None:
    for name, entry in config["config"].items():
        # Whatever is not the word false may count as true somewhere.
        if entry.get("use_pickle") is not False:
            raise _RefusedError(f"its weight {_shown(name)} is pickled")
        if not re.fullmatch(r"(weight|tensor)_[0-9]+", str(entry["path_name"])):
            raise _RefusedError(f"its weight {_shown(name)} is in an unexpected part")
        _check_values(entry)


def _check_graph(graph: Any) -> None:
    version = graph["schema_version"]["major"]
    if version != _SCHEMA:
        raise _RefusedError(
            f"its schema is version {version}, and only {_SCHEMA} is known here; save it with another torch"
        )
    if graph.get("guards_code"):
        raise _RefusedError("it brings code of its own (guards)")
    _check_values(graph)


def _check_values(value: Any) -> None:
    """Look at every value, however deep, without recursion."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            for key, inner in value.items():
                _check_entry(key, inner, value)
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _check_entry(key: str, inner: Any, around: dict[str, Any]) -> None:
    if key in _FORBIDDEN:
        raise _RefusedError(f"it has an argument that is an object ({key})")
    if key == "expr_str" and not _is_plain(inner):
        raise _RefusedError(f"it has a size that is not a plain expression, {_shown(str(inner))}")
    is_operator = key == "target" and ("inputs" in around or "metadata" in around)
    if is_operator and (not (isinstance(inner, str) and _OPERATOR.match(inner)) or _FILES.match(inner)):
        raise _RefusedError(f"it has an operator that is not allowed, {_shown(str(inner))}")

    if key in ("in_spec", "out_spec") and inner:
        version, layout = json.loads(inner)
        if version != 1:
            raise _RefusedError("its arguments have an unknown layout")
        _check_layout(layout)


def _is_plain(expression: Any) -> bool:
    """Whether an expression is of plain words only."""
    if not isinstance(expression, str) or len(expression) > _MOST_CHARACTERS:
        return False
    position = 0
    while position < len(expression):
        word = _EXPRESSION.match(expression, position)
        if word is None:
            return False
        position = word.end()
    return True


def _check_layout(layout: Any) -> None:
    """Check that arguments are laid out in plain tuples, lists and dictionaries; others name modules to import."""
    if layout["type"] not in _LAYOUTS:
        raise _RefusedError(f"its arguments have a layout of their own, {_shown(str(layout['type']))}")
    context = layout["context"]
    keys = json.loads(context) if isinstance(context, str) else context
    if keys is not None and not (isinstance(keys, list) and all(isinstance(key, str | int) for key in keys)):
        raise _RefusedError("its arguments have a layout of their own")
    for child in layout["children_spec"]:
        _check_layout(child)


def _check_samples(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    if member.file_size > _MOST_SAMPLES:
        raise _RefusedError("its sample inputs are too large")
    with zipfile.ZipFile(io.BytesIO(archive.read(member))) as inner:
        for part in inner.infolist():
            name = part.filename.partition("/")[2]
            if name == "data.pkl":
                if part.file_size > _MOST_BYTES:
                    raise _RefusedError("its sample inputs are too large")
                _check_pickle(inner.read(part))
            elif not _STORAGES.match(name):
                raise _RefusedError(f"its sample inputs have an unexpected part, {_shown(name)}")


def _check_pickle(data: bytes) -> None:
    for code, argument, _ in _opcodes(data):
        if code not in _OPCODES:
            raise _RefusedError(f"its sample inputs hold code (pickle {code})")
        if code == "GLOBAL" and argument not in _GLOBALS:
            raise _RefusedError(f"its sample inputs hold code ({_shown(str(argument))})")


def _opcodes(data: bytes) -> Iterator[tuple[str, Any, int | None]]:
    end = 0
    for code, argument, position in pickletools.genops(data):
        end = position or 0
        yield code.name, argument, position
    if end != len(data) - 1:
        raise _RefusedError("its sample inputs go on after their end")


def _shown(name: str) -> str:
    """A name from a file, short and printable."""
    return repr(name[:60])
