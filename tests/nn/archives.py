"""Archives of exported networks, honest ones and such as would do harm."""

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

from datadiet_cli.nn.modelfile import quiet

Change = Callable[[str, bytes], "bytes | str | None"]


class Attack:
    """Unpickled, it leaves a folder behind."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def saved(program: ExportedProgram) -> bytes:
    """What `torch.export.save` writes, in a folder named ``archive``."""
    buffer = io.BytesIO()
    with quiet():
        torch.export.save(program, buffer)
    return buffer.getvalue()


class Small(nn.Module):
    """A network with a convolution, a batch norm, a constant, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm, self.two = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2)
        self.register_buffer("shift", torch.ones(4))
        self.gain = torch.arange(2.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.two(self.norm(self.one(x)).relu().mean((2, 3)) + self.shift) * self.gain
        return found


def small(train: bool = False, **how: Any) -> ExportedProgram:
    """`Small`, exported with a free number of samples."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network, x = Small().train(train), torch.rand(2, 3, 6, 6)
    how = {"dynamic_shapes": ({0: torch.export.Dim.AUTO},)} | how
    with quiet():
        return torch.export.export(network, (x,), **how)


def parts(data: bytes) -> dict[str, bytes]:
    """The parts of an archive, by their names without the folder's."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {member.filename.partition("/")[2]: archive.read(member) for member in archive.infolist()}


def packed(members: Mapping[str, bytes | str], root: str = "archive/", how: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of these parts."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(root + name), data, how)
    return buffer.getvalue()


def changed(data: bytes, change: Change) -> bytes:
    """An archive, each part through ``change(name, data)``, which may give None to leave it out."""
    made = {name: change(name, part) for name, part in parts(data).items()}
    return packed({name: part for name, part in made.items() if part is not None})


def rewritten(source: Path, target: Path, change: Change) -> str:
    """The same for a file."""
    target.write_bytes(changed(source.read_bytes(), change))
    return str(target)


def in_graph(edit: Callable[[Any], object]) -> Change:
    """Change what the graph says."""

    def change(name: str, data: bytes) -> bytes | str:
        if not name.startswith("models/"):
            return data
        graph = json.loads(data)
        edit(graph)
        return json.dumps(graph)

    return change


def in_config(kind: str, edit: Callable[[Any], object]) -> Change:
    """Change what the list of ``weights`` or ``constants`` says."""

    def change(name: str, data: bytes) -> bytes | str:
        if not (name.startswith(f"data/{kind}/") and name.endswith("_config.json")):
            return data
        config = json.loads(data)
        edit(config["config"])
        return json.dumps(config)

    return change


def pickled(marker: str) -> bytes:
    """What `torch.save` writes, with a pickle of our own in it."""
    return packed({"data.pkl": pickle.dumps(Attack(marker), 2), "version": "3\n"})


def with_part(name: str, data: bytes | str) -> Callable[[bytes], bytes]:
    """One more part."""
    return lambda honest: packed({**parts(honest), name: data})


def in_samples(edit: Callable[[dict[str, bytes]], object]) -> Change:
    """Change parts of the sample inputs."""

    def change(name: str, data: bytes) -> bytes:
        if not name.startswith("data/sample_inputs/"):
            return data
        inner = parts(data)
        edit(inner)
        return packed(inner)

    return change


def first(config: Any, **values: Any) -> None:
    """Change the first entry of a list of weights."""
    next(iter(config.values())).update(values)


def _size(graph: Any, text: str) -> None:
    graph["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][0]["as_expr"]["expr_str"] = text


def _layout(graph: Any, **layout: Any) -> None:
    graph["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = json.dumps([1, layout])


def _operator(graph: Any, name: str) -> None:
    graph["graph_module"]["graph"]["nodes"][0]["target"] = name


def _object(config: Any, name: str) -> None:
    config["thing"] = {**next(iter(config.values())), "path_name": name}


def _pickled_weight(marker: str) -> Change:
    told = in_config("weights", lambda config: [entry.update(use_pickle=True) for entry in config.values()])

    def change(name: str, data: bytes) -> bytes | str | None:
        return pickled(marker) if name.startswith("data/weights/weight_") else told(name, data)

    return change


def attacks(marker: str) -> dict[str, tuple[Change, str]]:
    """By name: how an archive is changed so that it does harm, and what is said of it."""
    run = f"__import__('os').mkdir({marker!r})"
    enum = json.dumps([{"__enum__": True, "fqn": "antigravity:x", "name": "y"}])
    default = {"default_factory_module": "antigravity", "default_factory_name": "x", "dict_context": []}
    bare = pickle.dumps(Attack(marker), 2)
    return {
        "pickle": (
            lambda name, data: pickled(marker) if name.startswith("data/sample_inputs/") else data,
            "its sample inputs hold code",
        ),
        "pickle of the fourth protocol": (
            in_samples(lambda inner: inner.update({"data.pkl": pickle.dumps(Attack(marker), 4)})),
            "its sample inputs hold code (pickle ",
        ),
        "pickle after a pickle": (
            in_samples(lambda inner: inner.update({"data.pkl": inner["data.pkl"] + bare})),
            "its sample inputs go on after their end",
        ),
        "weight": (_pickled_weight(marker), "is pickled"),
        "constant": (in_config("constants", lambda config: first(config, use_pickle=1)), "is pickled"),
        "weight elsewhere": (
            in_config("weights", lambda config: first(config, path_name="../../x")),
            "is in an unexpected part",
        ),
        "custom object": (
            in_config("constants", lambda config: _object(config, "custom_obj_0")),
            "'thing' is in an unexpected part",
        ),
        "opaque object": (
            in_config("constants", lambda config: _object(config, "opaque_obj_0")),
            "'thing' is in an unexpected part",
        ),
        "size": (in_graph(lambda graph: _size(graph, run)), 'a size that is not a plain expression, "__import__'),
        "size of words": (in_graph(lambda graph: _size(graph, "Symbol('s0').__class__")), "not a plain expression"),
        "huge power": (in_graph(lambda graph: _size(graph, "9**9**9**9")), "not a plain expression"),
        "huge power in words": (
            in_graph(lambda graph: _size(graph, "Pow(Integer(9), Integer(999999999))")),
            "not a plain expression",
        ),
        "guards": (in_graph(lambda graph: graph.update(guards_code=[run])), "brings code of its own (guards)"),
        "guards that are no list": (in_graph(lambda graph: graph.update(guards_code={"a": run})), "(guards)"),
        "operator": (in_graph(lambda graph: _operator(graph, "torch.load")), "an operator that is not allowed"),
        "operator of files": (
            in_graph(lambda graph: _operator(graph, "torch.ops.aten.from_file.default")),
            "an operator that is not allowed, 'torch.ops.aten.from_file",
        ),
        "operator of another library": (
            in_graph(lambda graph: _operator(graph, "torch.ops.higher_order.cond")),
            "an operator that is not allowed",
        ),
        "operator that loads objects": (
            in_graph(lambda graph: _operator(graph, "torch._C._pickle_load_obj")),
            "an operator that is not allowed",
        ),
        "module": (
            in_graph(lambda graph: _layout(graph, type="collections.defaultdict", context=default, children_spec=[])),
            "a layout of their own, 'collections.defaultdict'",
        ),
        "enum": (
            in_graph(lambda graph: _layout(graph, type="builtins.dict", context=enum, children_spec=[])),
            "a layout of their own",
        ),
        "schema": (
            in_graph(lambda graph: graph.update(schema_version={"major": 9, "minor": 0})),
            "its schema is version '9'",
        ),
        "object": (
            in_graph(lambda graph: graph["graph_module"].update(as_custom_obj={})),
            "an argument that is an object",
        ),
        "objects": (
            in_graph(lambda graph: graph["graph_module"]["graph"].update(custom_obj_values={"x": {}})),
            "an argument that is an object",
        ),
        "format": (lambda name, data: b"pt1" if name == "archive_format" else data, "its format is not pt2"),
        "no graph": (lambda name, data: None if name.startswith("models/") else data, "0 networks instead of one"),
        "not json": (lambda name, data: b"{" if name.startswith("models/") else data, "or is damaged"),
        "json of another kind": (lambda name, data: b"[1]" if name.startswith("models/") else data, "or is damaged"),
        "json of another encoding": (
            lambda name, data: data.decode().encode("utf-16") if name.startswith("models/") else data,
            "or is damaged",
        ),
    }
