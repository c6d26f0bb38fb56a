"""Tell from its bytes alone whether a .pt2 file may be loaded. Nothing of torch is imported, and nothing unpickled.

`torch.export.load` runs what a file tells it to: pickles among its weights and sample inputs, names of operators that
it looks up, modules that the layout of its arguments names, sizes that it hands to `sympy.sympify`, which evaluates
Python, and guards that run at the first call. So a file is accepted only if every member, every operator and every
expression in it is one of those that an exported network is made of; and what is handed to torch is an archive of our
own with these members, without sample inputs and guards, which a network does not need. This narrows what can go
wrong; a file from a stranger is still better not loaded.
"""

import json
import pickletools
import re
from collections.abc import Iterator
from math import prod
from typing import Any

from datadiet_cli.errors import InputError
from datadiet_cli.nn.scan_archive import DAMAGED, Archive, RefusedError, shown

_MOST_BYTES = 1 << 26
"""Of a member that is looked into: a graph as JSON."""
_MOST_VALUES = 1 << 22
"""In one."""
_MOST_PICKLED = 1 << 20
"""Bytes of the pickle of sample inputs, without the samples."""
_MOST_CHARACTERS = 4096
"""Of an expression."""
_SPARE = 1 << 24
"""Elements that weights may have beyond what the file's size tells."""
_SCHEMA = 8
"""Major version of the graph's schema, the only one known here."""

_TENSORS = re.compile(r"data/(weights/weight|constants/tensor)_[0-9]+\Z")
_CONFIGS = re.compile(r"data/(weights|constants)/[A-Za-z0-9_\-]+_config\.json\Z")
_GRAPHS = re.compile(r"models/([A-Za-z0-9_\-]+)\.json\Z")
_SAMPLES = "data/sample_inputs/{}.pt"
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
    r"|Integer\(-?[0-9]{1,19}\)|Rational\(-?[0-9]{1,19}, [0-9]{1,19}\)"
    r"|Float\('-?[0-9]{1,19}(?:\.[0-9]{1,40})?(?:e[+-]?[0-9]{1,2})?', precision=[0-9]{1,3}\)"
    r"|[0-9]{1,19}(?![0-9])|[su][0-9]{1,9}(?![0-9])"
    r"|(?:Mul|Add|Mod|FloorDiv|Max|Min|PythonMod|CleanDiv|CeilDiv|ModularIndexing|IntTrueDiv|FloatTrueDiv|ToFloat"
    r"|CeilToInt|FloorToInt|TruncToInt|TruncToFloat|RoundToInt|Identity|Equality|Unequality|StrictLessThan|LessThan"
    r"|StrictGreaterThan|GreaterThan|And|Or|Not)(?=\()|\*(?!\*)|[ ,()+\-/]"
)
"""One word of a size. Powers are small ones, for a large one would take all memory."""
_GUARD = re.compile(
    r"L(?=\[)|\['[A-Za-z0-9_]{1,200}'\]|\[[0-9]{1,9}\]|\.(?:size|stride|storage_offset)\(\)"
    r"|[0-9]{1,19}(?:\.[0-9]{1,19})?|(?:and|or|not|is|None|True|False|Mod|Max|Min|max|min)\b"
    r"|math\.(?:ceil|floor|trunc|inf|isnan)\b|[=!<>]=|//|[<>+\-*/%(), ]"
)
"""One word of what torch itself writes as a guard: a comparison of sizes."""
_LAYOUTS = frozenset({None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"})
_DEVICES, _CPU = {"device", "as_device"}, {"type": "cpu", "index": None}
"""Names of places in a graph that a device stands in, and what stands there when it is loaded."""
_FORBIDDEN = ("as_custom_obj", "as_operator")

_GLOBALS = frozenset(
    {
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_parameter",
        "collections OrderedDict",
        # A tensor that was handed to an export before, which left its notes on it.
        "torch._tensor _rebuild_from_type_v2",
        "torch Tensor",
        "torch.nn.parameter Parameter",
        "torch._dynamo.decorators _DimRange",
        "__builtin__ set",
    }
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


def checked(path: str) -> bytes:
    """Read a .pt2 file for `torch.export.load`.

    Hand over these bytes, not the path: they hold what was looked at, and nothing else. The same file always gives the
    same bytes.

    Returns:
        The file without what a network does not need: sample inputs, and guards that compare sizes.

    Raises:
        InputError: it may not be loaded, or is no such file; the message says why.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    try:
        return _checked(Archive(data))
    except RefusedError as error:
        raise InputError(f"{path} is not loaded: {error}") from None
    except DAMAGED:
        raise InputError(f"{path} is not a network saved by torch.export.save, or is damaged") from None


def _checked(archive: Archive) -> bytes:
    graphs = [found[1] for name in archive.sizes if (found := _GRAPHS.match(name))]
    if len(graphs) != 1:
        raise RefusedError(f"it holds {len(graphs)} networks instead of one")
    samples = _SAMPLES.format(graphs[0])
    instead = {samples: b""}
    elements = 0
    for name in archive.sizes:
        if name == samples:
            _check_samples(archive.read(name))
        elif _GRAPHS.match(name):
            instead[name] = _written(_graph(_json(archive, name)))
        elif _CONFIGS.match(name):
            config = _json(archive, name)
            elements += _check_config(config)
            instead[name] = _written(config)
        else:
            _check_part(archive, name)
    if elements > 2 * sum(archive.sizes.values()) + _SPARE:
        raise RefusedError("it has weights that are larger than the file")
    return archive.packed(instead)


def _check_part(archive: Archive, name: str) -> None:
    if name == "archive_format":
        if archive.read(name, 99) != b"pt2":
            raise RefusedError("its format is not pt2")
    elif name not in _PLAIN and not _TENSORS.match(name):
        raise RefusedError(f"it has an unexpected part, {shown(name)}")


def _json(archive: Archive, name: str) -> Any:
    data = archive.read(name, _MOST_BYTES)
    # Each value takes far more memory than the two bytes it may be written in.
    if sum(data.count(mark) for mark in (b",", b"[", b"{")) > _MOST_VALUES:
        raise RefusedError(f"its part {shown(name)} is too large")
    return json.loads(data.decode("utf-8"))


def _is_device(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == _CPU.keys()


def _written(value: Any) -> bytes:
    """What was looked at, as JSON; for the CPU, wherever the network was exported: from there it may go anywhere."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            # Names of tensors are keys, too: only what has the form of a device is one.
            one.update((key, dict(_CPU)) for key in _DEVICES & one.keys() if _is_device(one[key]))
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return json.dumps(value).encode()


def _check_config(config: Any) -> int:
    """Check a list of weights; tell how many elements they have."""
    elements = 0
    for name, entry in config["config"].items():
        # Whatever is not the word false may count as true somewhere.
        if entry.get("use_pickle") is not False:
            raise RefusedError(f"its weight {shown(name)} is pickled")
        if not re.fullmatch(r"(weight|tensor)_[0-9]+", str(entry["path_name"])):
            raise RefusedError(f"its weight {shown(name)} is in an unexpected part")
        _check_values(entry)
        sizes = [size["as_int"] for size in entry["tensor_meta"]["sizes"]]
        if not all(type(size) is int and size >= 0 for size in sizes):
            raise RefusedError(f"its weight {shown(name)} has no size")
        elements += prod(sizes)
    return elements


def _graph(graph: Any) -> Any:
    """A graph that was looked at, without guards."""
    version = graph["schema_version"]["major"]
    if version != _SCHEMA:
        raise RefusedError(
            f"its schema is version {shown(version)}, and only {_SCHEMA} is known here; save it with another torch"
        )
    for guard in graph.get("guards_code") or ():
        if not _is_plain(guard, _GUARD):
            raise RefusedError(f"it brings code of its own (guards), {shown(guard)}")
    _check_values(graph)
    return {**graph, "guards_code": []}


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
    if key in _FORBIDDEN or (key == "custom_obj_values" and inner):
        raise RefusedError(f"it has an argument that is an object ({key})")
    if key == "expr_str" and not _is_plain(inner, _EXPRESSION):
        raise RefusedError(f"it has a size that is not a plain expression, {shown(inner)}")
    is_operator = key == "target" and ("inputs" in around or "metadata" in around)
    if is_operator and (not (isinstance(inner, str) and _OPERATOR.match(inner)) or _FILES.match(inner)):
        raise RefusedError(f"it has an operator that is not allowed, {shown(inner)}")
    if key in ("in_spec", "out_spec") and inner:
        version, layout = json.loads(inner)
        if version != 1:
            raise RefusedError("its arguments have an unknown layout")
        _check_layout(layout)


def _is_plain(expression: Any, words: re.Pattern[str]) -> bool:
    """Whether an expression is of plain words only."""
    if not isinstance(expression, str) or len(expression) > _MOST_CHARACTERS:
        return False
    position = 0
    while position < len(expression):
        word = words.match(expression, position)
        if word is None:
            return False
        position = word.end()
    return True


def _check_layout(layout: Any) -> None:
    """Check that arguments are laid out in plain tuples, lists and dictionaries; others name modules to import."""
    if layout["type"] not in _LAYOUTS:
        raise RefusedError(f"its arguments have a layout of their own, {shown(layout['type'])}")
    context = layout["context"]
    keys = json.loads(context) if isinstance(context, str) else context
    if keys is not None and not (isinstance(keys, list) and all(isinstance(key, str | int) for key in keys)):
        raise RefusedError("its arguments have a layout of their own")
    for child in layout["children_spec"]:
        _check_layout(child)


def _check_samples(data: bytes) -> None:
    """Refuse a file whose sample inputs would run code, though nobody will unpickle them."""
    if not data:
        return
    inner = Archive(data)
    for name in inner.sizes:
        if name == "data.pkl":
            _check_pickle(inner.read(name, _MOST_PICKLED))
        elif not _STORAGES.match(name):
            raise RefusedError(f"its sample inputs have an unexpected part, {shown(name)}")


def _check_pickle(data: bytes) -> None:
    for code, argument in _opcodes(data):
        if code not in _OPCODES:
            raise RefusedError(f"its sample inputs hold code (pickle {code})")
        if code == "GLOBAL" and argument not in _GLOBALS:
            raise RefusedError(f"its sample inputs hold code ({shown(argument)})")


def _opcodes(data: bytes) -> Iterator[tuple[str, Any]]:
    end = 0
    for code, argument, position in pickletools.genops(data):
        end = position or 0
        yield code.name, argument
    if end != len(data) - 1:
        raise RefusedError("its sample inputs go on after their end")
