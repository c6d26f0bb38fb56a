"""Files of torch.export: honest ones are loaded; no other runs anything, takes all memory, or ends in a traceback."""

import io
import json
import subprocess
import sys
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from datadiet_cli.errors import InputError
from datadiet_cli.nn.modelfile import load_program, quiet
from datadiet_cli.nn.scan import checked
from tests.nn.archives import (
    Small,
    attacks,
    changed,
    in_config,
    in_graph,
    in_samples,
    packed,
    parts,
    saved,
    small,
    with_part,
)


@pytest.fixture(scope="module")
def honest() -> bytes:
    return saved(small())


def _refusal(path: Path, data: bytes) -> str:
    """The one line in which a file is refused."""
    path.write_bytes(data)
    with pytest.raises(InputError) as told:
        checked(str(path))
    line = str(told.value)
    assert line.startswith(str(path))
    assert "\n" not in line
    assert len(line) < len(str(path)) + 200
    return line


class _Rows(nn.Module):
    """Makes rows of pairs of rows: half as many, twice as long."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.out(x.reshape(x.shape[0] // 2, -1))
        return found


class _Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.out = nn.Embedding(10, 4), nn.Linear(4, 10, bias=False)
        self.out.weight = self.words.weight

    def forward(self, ids: Tensor) -> Tensor:
        found: Tensor = self.out(self.words(ids).mean(1))
        return found


class _Named(nn.Module):
    def forward(self, given: dict[str, Tensor]) -> Tensor:
        return given["x"] * 2


class _Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.encoder(x).mean(1)
        return found


class _Larger(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.interpolate(x, scale_factor=1.5).mean((2, 3))


def _exported(network: nn.Module, *given: Any, sizes: Any = None, **how: Any) -> ExportedProgram:
    with quiet():
        return torch.export.export(network.eval(), given, dynamic_shapes=sizes, **how)


def _used_before() -> ExportedProgram:
    """Of a tensor that was exported with before, which left its notes on it."""
    x = torch.rand(2, 3, 6, 6)
    _exported(Small(), x, sizes=({0: Dim.DYNAMIC(min=2, max=8)},))
    return _exported(Small(), x)


_PICTURES = torch.rand(2, 3, 6, 6)
HONEST: dict[str, Callable[[], ExportedProgram]] = {
    "fixed": lambda: small(dynamic_shapes=None),
    "automatic": small,
    "named": lambda: small(dynamic_shapes=({0: Dim("n", min=1, max=64)},)),
    "dynamic": lambda: small(dynamic_shapes=({0: Dim.DYNAMIC},)),
    "by argument": lambda: small(dynamic_shapes={"x": {0: Dim("n")}}),
    "of any side": lambda: _exported(Small(), torch.rand(2, 3, 6, 6), sizes=({0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO},)),
    "with guards": lambda: _exported(_Rows(), torch.rand(4, 6), sizes=({0: 2 * Dim("n")},)),
    "with deferred guards": lambda: _exported(
        _Rows(), torch.rand(4, 6), sizes=({0: 2 * Dim("n")},), prefer_deferred_runtime_asserts_over_guards=True
    ),
    "with fractions": lambda: _exported(_Larger(), torch.rand(2, 3, 6, 6), sizes=({2: Dim.AUTO, 3: Dim.AUTO},)),
    "in training": lambda: small(train=True),
    "strict": lambda: small(strict=True),
    "used before": _used_before,
    "of halves": lambda: _exported(Small().half(), _PICTURES.half()),
    "of brain halves": lambda: _exported(Small().bfloat16(), _PICTURES.bfloat16()),
    "channels last": lambda: _exported(Small(), _PICTURES.contiguous(memory_format=torch.channels_last)),
    "tied": lambda: _exported(_Tied(), torch.zeros(2, 5, dtype=torch.int64), sizes=({0: Dim.AUTO},)),
    "of a dictionary": lambda: _exported(_Named(), {"x": torch.rand(2, 3)}),
    "of a view": lambda: _exported(nn.Linear(4, 2), torch.rand(4, 8)[::2, ::2]),
    "frozen": lambda: _exported(
        nn.Sequential(nn.Linear(4, 4).requires_grad_(False), nn.Linear(4, 2)), torch.rand(2, 4)
    ),
    "attention": lambda: _exported(_Attending(), torch.rand(2, 5, 8), sizes=({0: Dim.AUTO, 1: Dim.AUTO},)),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_files_pass_and_answer_as_before(tmp_path: Path, name: str) -> None:
    program = HONEST[name]()
    path = tmp_path / "model.pt2"
    path.write_bytes(saved(program))
    data = checked(str(path))
    assert data == checked(str(path))
    assert parts(data).keys() == parts(path.read_bytes()).keys()
    given = program.example_inputs
    assert given is not None
    with quiet(), torch.no_grad():
        again = torch.export.load(io.BytesIO(data))
        torch.testing.assert_close(again.module()(*given[0]), program.module()(*given[0]))
        torch.manual_seed(0)
        network = load_program(str(path))
        if name == "in training":
            return
        flat = [part for one in given[0] for part in (one.values() if isinstance(one, dict) else (one,))]
        torch.testing.assert_close(network(*flat), program.module()(*given[0]))


def test_what_a_network_does_not_need_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    path.write_bytes(saved(HONEST["with guards"]()))
    before, after = parts(path.read_bytes()), parts(checked(str(path)))
    assert json.loads(before["models/model.json"])["guards_code"]
    assert not json.loads(after["models/model.json"])["guards_code"]
    assert before["data/sample_inputs/model.pt"]
    assert not after["data/sample_inputs/model.pt"]
    path.write_bytes(changed(path.read_bytes(), lambda name, data: None if "sample_inputs" in name else data))
    assert parts(checked(str(path))) == after


@pytest.mark.parametrize("attack", attacks("x"))
def test_a_file_that_could_do_harm_is_refused_in_a_line_of_its_own(honest: bytes, tmp_path: Path, attack: str) -> None:
    marker = tmp_path / "harm"
    change, why = attacks(str(marker))[attack]
    assert why in _refusal(tmp_path / "bad.pt2", changed(honest, change))
    assert not marker.exists()


_UNSCANNED = """
import sys, torch
for path in sys.argv[1:]:
    try:
        torch.export.load(path).module()(torch.zeros(2, 3, 6, 6))
    except Exception as error:
        print(path, error)
"""


def test_torch_itself_runs_what_is_refused(honest: bytes, tmp_path: Path) -> None:
    """Pickles at load, a size at load, guards at the first call: or the tests above would prove nothing."""
    names = ("pickle", "weight", "size", "guards")
    markers = [tmp_path / f"harm-{name}" for name in names]
    paths = [tmp_path / f"{name}.pt2" for name in names]
    for name, marker, path in zip(names, markers, paths, strict=True):
        path.write_bytes(changed(honest, attacks(str(marker))[name][0]))
        _refusal(path, path.read_bytes())
    assert not any(marker.exists() for marker in markers)
    run = [sys.executable, "-W", "ignore", "-c", _UNSCANNED, *map(str, paths)]
    ran = subprocess.run(run, capture_output=True, text=True, check=True)
    harmed = {name: marker.exists() for name, marker in zip(names, markers, strict=True)}
    assert all(harmed.values()), (harmed, ran.stdout)


def _overlapping(honest: bytes) -> bytes:
    """Two entries for the same bytes."""
    data = bytearray(honest)
    listed = int.from_bytes(data[-6:-2], "little")
    places = [at for at in range(listed, len(data) - 22) if data[at : at + 4] == b"PK\x01\x02"]
    data[places[2] + 42 : places[2] + 46] = data[places[1] + 42 : places[1] + 46]
    return bytes(data)


def _listed_twice(honest: bytes) -> bytes:
    """Two lists: the last one is honest, and another one stands before it."""
    start = int.from_bytes(honest[-6:-2], "little")
    return honest[:start] + honest[start:] + honest[start:]


def _large(honest: bytes) -> bytes:
    """An entry that claims to be of terabytes."""
    buffer = io.BytesIO(packed(parts(honest)))
    with zipfile.ZipFile(buffer, "a") as archive:
        entry = archive.infolist()[0]
        entry.file_size = entry.compress_size = 1 << 40
        archive.writestr("archive/data/weights/weight_99", b"")
    return buffer.getvalue()


def _twice(honest: bytes) -> bytes:
    buffer = io.BytesIO(packed(parts(honest)))
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("archive/archive_format", b"pt2")
    return buffer.getvalue()


_ZIPS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", "or is damaged"),
    "text": (lambda _: b"hello", "or is damaged"),
    "no parts": (lambda _: packed({}), "or is damaged"),
    "something before it": (lambda data: b"x" + data, "or is damaged"),
    "something behind it": (lambda data: data + b"x", "or is damaged"),
    "cut": (lambda data: data[:-40], "or is damaged"),
    "cut in half": (lambda data: data[: len(data) // 2], "or is damaged"),
    "two lists": (_listed_twice, "or is damaged"),
    "two parts in one place": (_overlapping, "is not loaded"),
    "terabytes": (_large, "within each other"),
    "two of one name": (_twice, "two parts of one name"),
    "compressed": (lambda data: packed(parts(data), how=zipfile.ZIP_DEFLATED), "it is compressed"),
    "a bomb": (
        lambda data: packed({**parts(data), "data/weights/weight_9": bytes(1 << 24)}, how=zipfile.ZIP_DEFLATED),
        "it is compressed",
    ),
    "up": (with_part("../up", "x"), "unexpected name, '../up'"),
    "up within": (with_part("data/../../up", "x"), "unexpected name"),
    "from the root": (lambda data: packed(parts(data), root="/"), "unexpected name"),
    "two folders": (
        lambda data: packed({f"archive/{k}": v for k, v in parts(data).items()} | {"b/x": b""}, ""),
        "folder",
    ),
    "machine code": (with_part("data/aotinductor/model/x.so", "x"), "unexpected part, 'data/aotinductor/model/x.so'"),
    "code": (with_part("extra/code.py", "x"), "unexpected part, 'extra/code.py'"),
    "an old pickle of weights": (with_part("data/weights/model.pt", "x"), "unexpected part"),
    "two networks": (lambda data: packed({**parts(data), "models/b.json": b"{}"}), "2 networks instead of one"),
    "a part of samples": (
        lambda data: changed(
            data, lambda n, d: packed({"data.pkl": b"N.", "x.py": b""}) if "sample_inputs" in n else d
        ),
        "sample inputs have an unexpected part",
    ),
}


@pytest.mark.parametrize("trick", _ZIPS)
def test_archives_that_can_be_read_in_two_ways_are_refused(honest: bytes, tmp_path: Path, trick: str) -> None:
    make, why = _ZIPS[trick]
    assert why in _refusal(tmp_path / "bad.pt2", make(honest))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        checked(str(tmp_path / "none.pt2"))


def _many(_: bytes) -> bytes:
    """A list of a million parts, where there is nothing."""
    begin, entries = b"PK\x03\x04" + bytes(26), (b"PK\x01\x02" + bytes(42)) * 1_000_000
    end = b"PK\x05\x06" + bytes(8) + len(entries).to_bytes(4, "little") + len(begin).to_bytes(4, "little") + bytes(2)
    return begin + entries + end


def _graph(data: bytes) -> Callable[[bytes], bytes]:
    return lambda honest: packed({**parts(honest), "models/model.json": data})


def _sized(*sizes: int) -> Callable[[bytes], bytes]:
    def edit(config: Any) -> None:
        meta = next(iter(config.values()))["tensor_meta"]
        meta["sizes"] = [{"as_int": size} for size in sizes]
        meta["strides"] = [{"as_int": 0} for _ in sizes]

    return lambda honest: changed(honest, in_config("weights", edit))


_BOMBS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a million parts": (_many, "more than 100,000 parts"),
    "deep": (_graph(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "or is damaged"),
    "deep layout": (
        lambda honest: changed(
            honest,
            in_graph(
                lambda graph: graph["graph_module"]["module_call_graph"][0]["signature"].update(
                    in_spec="[" * 100_000 + "]" * 100_000
                )
            ),
        ),
        "or is damaged",
    ),
    "wide": (_graph(b"[" + b"[]," * 5_000_000 + b"0]"), "is too large"),
    "huge number": (_graph(b'{"schema_version": {"major": ' + b"9" * 5000 + b"}}"), "or is damaged"),
    "long expression": (
        lambda honest: changed(honest, in_graph(lambda graph: graph.update(guards_code=["1+" * 100_000 + "1"]))),
        "(guards)",
    ),
    "weights from nothing": (_sized(1 << 20, 1 << 20), "larger than the file"),
    "weights without size": (_sized(-1), "has no size"),
    "long pickle": (
        lambda honest: changed(honest, in_samples(lambda inner: inner.update({"data.pkl": b"N" * (1 << 21) + b"."}))),
        "is too large",
    ),
}


@pytest.mark.parametrize("bomb", _BOMBS)
def test_looking_at_a_file_takes_little_memory(honest: bytes, tmp_path: Path, bomb: str) -> None:
    make, why = _BOMBS[bomb]
    data = make(honest)
    tracemalloc.start()
    try:
        assert why in _refusal(tmp_path / "bad.pt2", data)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 4 * len(data) + (1 << 24)


def test_the_scan_needs_no_torch(honest: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    path.write_bytes(honest)
    code = (
        "import sys; from datadiet_cli.nn.scan import checked; checked(sys.argv[1]); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)


def test_what_was_exported_on_a_gpu_is_loaded_without_one(honest: bytes, tmp_path: Path) -> None:
    """The device stands in graph and weights; what is loaded is on the processor, and may go anywhere from there."""
    there = '{"type": "cuda", "index": 0}'

    def change(name: str, data: bytes) -> bytes | str:
        here = '{"type": "cpu", "index": null}'
        return data.decode().replace(here, there) if name.endswith(".json") else data

    moved = tmp_path / "gpu.pt2"
    moved.write_bytes(changed(honest, change))
    assert there.encode() in moved.read_bytes()
    (tmp_path / "cpu.pt2").write_bytes(honest)
    one, other = load_program(str(moved)), load_program(str(tmp_path / "cpu.pt2"))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert str(one.code) == str(other.code)


def test_a_weight_may_have_any_name(tmp_path: Path) -> None:
    """Names of weights and arguments are keys in the file, beside those of the format."""

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.device, self.out = nn.Parameter(torch.ones(4)), nn.Linear(4, 2)

        def forward(self, device: Tensor) -> Tensor:
            found: Tensor = self.out(device * self.device)
            return found

    path = tmp_path / "model.pt2"
    path.write_bytes(saved(torch.export.export(Named().eval(), (torch.rand(2, 4),))))
    assert set(load_program(str(path)).state_dict()) == {"device", "out.weight", "out.bias"}
