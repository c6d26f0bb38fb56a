"""`datadiet prune-model` from the command line: every criterion of every structure, and what is written and said of it."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import polars as pl
import pytest

from datadiet_cli.config.prune_model import Criterion
from tests.conftest import Cli, names, report, tree_digest, write_pipeline
from tests.lessons import (
    MODEL_FILES,
    by_steady_clock,
    different,
    dying,
    learned,
    made,
    to_prune,
    weights,
    without_program,
)

CRITERIA = Criterion.__args__
STRUCTURES = ("channels", "weights", "n:m")


@pytest.fixture
def quick():
    """No program is written or timed, which takes longer than all else."""
    with without_program(), by_steady_clock():
        yield


def parameters(folder: Path):
    """What a training changes, by name."""
    return {name: tensor for name, tensor in weights(folder).items() if name.endswith((".weight", ".bias"))}


def counted(folder: Path):
    """What a model costs, by its file alone: an mlp multiplies each weight of a matrix once."""
    tensors = parameters(folder)
    matrices = [tensor for tensor in tensors.values() if tensor.ndim == 2]
    return {
        "parameters": sum(tensor.size for tensor in tensors.values()),
        "nonzero": sum(int(np.count_nonzero(tensor)) for tensor in tensors.values()),
        "macs": sum(tensor.size for tensor in matrices),
        "macs_nonzero": sum(int(np.count_nonzero(tensor)) for tensor in matrices),
    }


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_criterion_of_every_structure(criterion, structure, tmp_path, datadiet: Cli):
    """Less is left, and as much as the report says; twice the same; what was read is as it was."""
    given, out = made("things"), tmp_path / "small"
    before = [tree_digest(path) for path in (given.source, given.folder)]
    call = to_prune("things", "--criterion", criterion, "--structure", structure, "--no-cache")
    ran = datadiet(*call(out))
    assert [tree_digest(path) for path in (given.source, given.folder)] == before
    if criterion == "bn-scale" and structure != "channels":
        assert ran.code == 2
        assert "bn-scale" in ran.complaint
        assert names(tmp_path) == set()
        return
    assert (ran.code, ran.err) == (0, "")
    told = learned(out)
    figures = {name: {key: told["costs"][name][key] for key in counted(out)} for name in ("dense", "pruned")}
    assert figures == {"dense": counted(given.folder), "pruned": counted(out)}
    assert counted(out)["nonzero"] < 0.6 * counted(given.folder)["nonzero"]
    assert (counted(out)["macs"] < counted(given.folder)["macs"]) == (structure == "channels")
    tensors = weights(out)
    inner = [tensor for name, tensor in tensors.items() if tensor.ndim == 2 and name != "head.weight"]
    if structure == "channels":
        assert told["gone"] == pytest.approx(1 - sum(map(len, inner)) / 256)
    else:
        zeros = sum(int((tensor == 0).sum()) for tensor in inner)
        assert told["gone"] == pytest.approx(zeros / sum(tensor.size for tensor in inner))
        assert np.count_nonzero(tensors["head.weight"]) == tensors["head.weight"].size
        assert any("do not make dense kernels faster" in note for note in told["notes"])
    assert told["gone"] == pytest.approx(0.5, abs=0.02)
    assert datadiet(*call(tmp_path / "again")).code == 0
    assert different(out, tmp_path / "again") == set()
    assert learned(tmp_path / "again") == told
