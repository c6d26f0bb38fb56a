"""`datadiet prune-model`: how much goes, how it goes, how the rest is healed, and what gates say."""

import itertools
import json
import re

import numpy as np
import polars as pl
import pytest

from tests.conftest import Cli, names, report, table
from tests.lessons import by_steady_clock, changed, learned, made, to_prune, weights, without_program

ASIS = ["--epochs", "0", "--no-recalibrate"]
"""Nothing is healed: what stays is as it was."""
WEIGHTS = ["--structure", "weights"]


@pytest.fixture(autouse=True)
def quick():
    """No program is written or timed, which takes longer than all else."""
    with without_program(), by_steady_clock():
        yield


@pytest.fixture
def prune(tmp_path, datadiet: Cli):
    """Prune a model of a kind; what became of it, by its folder and its report."""
    number = itertools.count()

    def call(*flags, kind="things", code=0):
        out = tmp_path / f"small-{next(number)}"
        ran = datadiet(*to_prune(kind, *flags)(out))
        assert ran.code == code, ran.err
        assert out.exists() == (code == 0)
        return (out, learned(out)) if code == 0 else ran

    return call


def inner(folder):
    """The weights that can go: of all layers but the last."""
    return {name: tensor for name, tensor in weights(folder).items() if re.fullmatch(r".*layers\.[03]\.weight", name)}


def zeros(folder):
    return sum(int((tensor == 0).sum()) for tensor in inner(folder).values())


def widths(folder):
    return [len(tensor) for tensor in inner(folder).values()]


@pytest.mark.parametrize(
    ("flags", "figure"),
    [
        (["--macs", "30%"], lambda costs: costs["pruned"]["macs"] / costs["dense"]["macs"]),
        (["--params", "30%"], lambda costs: costs["pruned"]["parameters"] / costs["dense"]["parameters"]),
        (["--params", "30%", *WEIGHTS], lambda costs: costs["pruned"]["nonzero"] / costs["dense"]["nonzero"]),
        (["--latency", ".3x"], lambda costs: costs["pruned"]["macs"] / costs["dense"]["macs"]),
        (["--size", "22kB"], lambda costs: 0.3 * costs["pruned"]["bytes"] / 22_000),
        (["--size", "22KB", *WEIGHTS], lambda costs: 0.3 * costs["pruned"]["compressed"] / 22_000),
        (["--size", "0.021MiB", *WEIGHTS, "--epochs", "5"], lambda costs: 0.3 * costs["pruned"]["compressed"] / 22_020),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_targets(flags, figure, prune):
    """They are met by as little as possible, and what comes out keeps to them."""
    out, told = prune(*flags, "--learning-rate", "1e-3")
    gates = {gate["name"]: gate["limit"] for gate in report(out)["gates"]}
    assert gates[flags[0].strip("-")].endswith("give or take 5% for timing") == (flags[0] == "--latency")
    assert 0.27 < figure(told["costs"]) <= 0.3
    assert told["target"]["name"] == flags[0].strip("-")
    assert told["target"]["expected"] <= told["target"]["asked"]


@pytest.mark.parametrize(
    ("flags", "nearest"),
    [
        (["--macs", "1%", "--least-per-layer", "50%"], r"--macs 0\.01 cannot be reached; the nearest is 2\d\.?\d*%"),
        (["--params", "10%", "--protect", "40%", *WEIGHTS], r"--params 0\.1 cannot be reached; the nearest is 40"),
        (["--size", "100B"], r"--size 100B cannot be reached; the nearest is [\d,]+ bytes"),
        (["--latency", "0.0001x"], r"--latency 0\.0001x cannot be reached; the nearest is 0\.0\d+x"),
        (["--size", "5MB"], r"--size 5MB: .* is at [\d,]+ bytes as it is"),
        (["--macs", "100%"], r"is at 100% as it is"),
    ],
)
def test_targets_that_cannot_be_met(flags, nearest, prune):
    assert re.search(nearest, prune(*flags, code=2).complaint)


def test_thresholds_and_quantiles(prune):
    """What goes is what is small; the rest is as it was."""
    dense = inner(made("things").folder)
    out, told = prune(*WEIGHTS, "--threshold", "0.05", *ASIS)
    for name, tensor in inner(out).items():
        assert np.array_equal(tensor, np.where(abs(dense[name]) <= 0.05, 0, dense[name]))
    assert told["gone"] == pytest.approx(zeros(out) / (128 * 134))
    out, told = prune(*WEIGHTS, "--quantile", "70%", *ASIS)
    assert told["gone"] == pytest.approx(0.7, abs=1e-3)
    least = min(abs(tensor[tensor != 0]).min() for tensor in inner(out).values())
    assert all((tensor[abs(dense[name]) > least] != 0).all() for name, tensor in inner(out).items())


def test_an_accuracy_that_may_be_lost(prune):
    """The largest sparsity of the grid that is proved to be harmless; without any, nothing is written."""
    search = ["--scope", "layer", "--criterion", "random", "--validation", "40%", *ASIS]
    grid = [part for share in ("99%", "20%", "40%", "95%") for part in ("--grid", share)]
    out, told = prune("--max-accuracy-drop", "30%", *search, *grid, *WEIGHTS, "--least-per-layer", "0%")
    target = told["target"]
    assert [one["share"] for one in target["tried"]] == [0.2, 0.4, 0.95]
    assert all(one["passed"] == (one["loss_bound"] <= 0.3) for one in target["tried"])
    passed = [one for one in target["tried"] if one["passed"]]
    assert 0 < len(passed) < 4
    assert told["gone"] == pytest.approx(max(one["share"] for one in passed), abs=0.01)
    assert zeros(out) / (128 * 134) == pytest.approx(told["gone"])
    assert target["samples"] == told["validation_samples"] == 20
    assert target["reached"] == passed[-1]["loss_bound"]
    gates = {gate["name"]: gate["passed"] for gate in report(out)["gates"]}
    assert gates == {"pruned": True, "max_accuracy_drop": True}

    given = ["--max-accuracy-drop", "1%", *search, "--grid", "20%", *WEIGHTS]
    ran = prune(*given, "--json", code=1)
    document = json.loads(ran.out)
    assert {gate["name"]: gate["passed"] for gate in document["gates"]}["max_accuracy_drop"] is False
    notes = document["steps"][-1]["metrics"]["notes"]
    assert any("20 validation samples can prove a loss of" in note and "1 were asked for" in note for note in notes)


@pytest.mark.parametrize("structure", ["weights", "channels"])
def test_in_rounds(structure, prune):
    """The cubic of Zhu and Gupta: most goes at first."""
    flags = ["--schedule", "iterative", "--rounds", "3", "--sparsity", "80%", "--epochs", "3", "--structure", structure]
    out, told = prune(*flags)
    shares = [0.8 * (1 - (1 - turn / 3) ** 3) for turn in (1, 2, 3)]
    assert [one["share"] for one in told["rounds"]] == pytest.approx(shares, abs=0.01)
    assert told["epochs"] == sum(one["epochs"] for one in told["rounds"]) == 3
    gone = zeros(out) / (128 * 134) if structure == "weights" else 1 - sum(widths(out)) / 256
    assert gone == pytest.approx(told["gone"]) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("structure", ["weights", "channels"])
def test_as_far_as_the_loss_allows(structure, prune):
    """A step that costs too much is taken back, and the next one is half as long."""
    flags = ["--schedule", "adaptive", "--structure", structure, "--criterion", "random", "--scope", "layer"]
    out, told = prune(*flags, "--tolerance", "100%", "--rounds", "3", "--epochs", "0")
    rounds = told["rounds"]
    assert 2 <= len(rounds) <= 9
    good = [one["share"] for one in rounds if one["kept"]]
    assert good == sorted(good)
    assert all(one["kept"] == (one["validation_loss"] <= one["allowed"]) for one in rounds)
    assert any(not one["kept"] for one in rounds)
    assert told["gone"] == pytest.approx(max(good, default=0))
    gone = zeros(out) / (128 * 134) if structure == "weights" else 1 - sum(widths(out)) / 256
    assert gone == pytest.approx(told["gone"])
    _, told = prune(*flags, "--tolerance", "100%", "--sparsity", "10%", "--epochs", "0")
    assert told["gone"] <= 0.11


def test_zeros_stay_zeros(prune):
    """After many steps of training the file has as many zeros as are reported, in the places that were chosen."""
    before, _ = prune(*WEIGHTS, "--sparsity", "70%", *ASIS)
    after, told = prune(*WEIGHTS, "--sparsity", "70%", "--epochs", "8", "--batch-size", "8")
    assert zeros(after) == zeros(before) == round(told["gone"] * 128 * 134)
    for name, tensor in inner(before).items():
        assert np.array_equal(tensor == 0, inner(after)[name] == 0)
        # Zeros of two kinds would take more room.
        assert not np.signbit(tensor[tensor == 0]).any()
        assert not np.array_equal(tensor, inner(after)[name])


def test_n_of_m(prune):
    out, told = prune("--structure", "n:m", "--pattern", "1:4", "--epochs", "2")
    for tensor in inner(out).values():
        blocks = tensor[:, : tensor.shape[1] // 4 * 4].reshape(-1, 4)
        assert ((blocks != 0).sum(1) == 1).all()
    assert 0.7 < told["gone"] <= 0.75


def test_what_is_held_back(prune):
    """Limits are counted in the file."""
    out, told = prune(*WEIGHTS, "--sparsity", "99%", "--protect", "60%")
    assert told["costs"]["pruned"]["nonzero"] / told["costs"]["dense"]["parameters"] == pytest.approx(0.6, abs=0.001)
    out, told = prune("--sparsity", "99%", "--protect", "60%", "--scope", "layer")
    assert told["costs"]["pruned"]["parameters"] / told["costs"]["dense"]["parameters"] >= 0.6
    out, _ = prune(*WEIGHTS, "--sparsity", "95%", "--least-per-layer", "20%", "--least-per-row", "2")
    assert all((tensor != 0).mean() >= 0.2 for tensor in inner(out).values())
    assert all(((tensor != 0).sum(1) >= 2).all() for tensor in inner(out).values())
    out, _ = prune("--sparsity", "70%", "--round-to", "8", "--least-per-layer", "30%", "--criterion", "random")
    assert all(width % 8 == 0 and width >= 0.3 * 128 for width in widths(out))
    dense, name = weights(made("things").folder), "encoder.layers.3.weight"
    out, _ = prune("--sparsity", "40%", "--keep-layers", "encoder.layers.3*", *ASIS)
    assert (weights(out)[name].shape, widths(out)[0] < 128) == ((128, widths(out)[0]), True)
    out, told = prune(*WEIGHTS, "--keep-layers", "encoder.layers.0", "--prune-output", *ASIS)
    assert changed(dense, weights(out)) == {name, "head.weight"}
    out, told = prune(*WEIGHTS, "--scope", "row", "--sparsity", "50%", *ASIS)
    assert all(set((tensor == 0).sum(1).tolist()) == {tensor.shape[1] // 2} for tensor in inner(out).values())


def test_how_it_is_healed(prune):
    """Each setting does what it says."""
    dense = weights(made("things").folder)
    bare, told = prune(*WEIGHTS, *ASIS)
    assert changed(dense, weights(bare)) == set(inner(bare))
    assert (told["epochs"], told["recipe"], set(told["stages"])) == (0, None, {"dense", "pruned"})
    again, told = prune(*WEIGHTS, "--epochs", "0")
    statistics = {name for name in dense if "running" in name or "tracked" in name}
    assert set(inner(bare)) < changed(dense, weights(again)) <= set(inner(bare)) | statistics
    assert set(told["stages"]) == {"dense", "pruned", "recalibrated"}
    frozen, told = prune(*WEIGHTS, "--freeze", "--epochs", "2", "--no-recalibrate")
    assert "head.weight" in changed(weights(bare), weights(frozen)) <= {"head.weight", "head.bias"}
    _, told = prune(*WEIGHTS, "--optimiser", "sgd", "--learning-rate", "0.5", "--epochs", "3", "--batch-size", "16")
    assert {name: told["recipe"][name] for name in ("optimiser", "learning_rate", "epochs", "batch_size")} == {
        "optimiser": "sgd", "learning_rate": 0.5, "epochs": 3, "batch_size": 16,
    }  # fmt: skip


def test_the_dense_model_teaches(tmp_path, datadiet: Cli):
    """Labels that are all wrong do no harm to who listens to the dense model alone."""
    given = made("things")
    rows = pl.read_csv(given.source, infer_schema=False).fill_null("")
    other = pl.when(pl.col("kind") == "big").then(pl.lit("small")).otherwise(pl.lit("big"))
    wrong = rows.with_columns(pl.when(pl.col("part") == "train").then(other).otherwise(pl.col("kind")).alias("kind"))
    source = table(tmp_path / "wrong.csv", wrong.columns, wrong.rows())
    found = []
    for distil in ("100%", "0%"):
        out = tmp_path / distil
        flags = ["--epochs", "30", "--learning-rate", "0.01", "--controls", "none", "--distil", distil, *WEIGHTS]
        assert datadiet("prune-model", given.folder, out, "--data", source, *given.flags, *flags).code == 0
        found.append(learned(out)["stages"]["fine_tuned"]["accuracy"])
    assert found == [1.0, 0.0]


@pytest.mark.parametrize("penalty", ["l1", "l2", "group", "bn"])
def test_trained_towards_less_first(penalty, prune):
    """What it is to make small is smaller."""
    strength = {"l1": "0.03", "l2": "5", "group": "0.05", "bn": "0.1"}[penalty]
    plain, told = prune(*WEIGHTS, *ASIS)
    assert told["regularised"] is None
    out, told = prune(*WEIGHTS, *ASIS, "--regularise", penalty, "--strength", strength)
    assert told["regularised"]["penalty"] == penalty
    assert told["regularised"]["epochs"] > 1
    small, large = (
        sum(
            float(abs(tensor).sum())
            for name, tensor in weights(folder).items()
            if re.fullmatch(r".*layers\.[14]\.weight" if penalty == "bn" else r".*layers\.[03]\.weight", name)
        )
        for folder in (out, plain)
    )
    assert small < 0.99 * large


def test_pruned_again(tmp_path, prune, datadiet: Cli):
    """Zeros that are there count, and what asks for no more of them prunes nothing."""
    given, (out, _) = made("things"), prune(*WEIGHTS)
    call = ["--data", given.source, *given.flags, "--epochs", "1", "--controls", "none", *WEIGHTS]
    ran = datadiet("prune-model", out, tmp_path / "more", *call, "--sparsity", "70%")
    assert ran.code == 0, ran.err
    assert zeros(tmp_path / "more") / (128 * 134) == pytest.approx(0.7, abs=0.001)
    ran = datadiet("prune-model", out, tmp_path / "none", *call, "--sparsity", "40%")
    assert ran.code == 1
    assert "pruned >= 1 weight: FAILED with 0" in ran.err
    assert not (tmp_path / "none").exists()
    # Where channels go from it, zeros of those that stay do not grow back.
    flags = ["--structure", "channels", "--sparsity", "20%", "--epochs", "3"]
    assert datadiet("prune-model", out, tmp_path / "narrow", *call, *flags).code == 0
    told = learned(tmp_path / "narrow")["costs"]
    assert told["pruned"]["parameters"] < told["dense"]["parameters"]
    assert told["pruned"]["nonzero"] < told["dense"]["nonzero"] < 0.6 * told["dense"]["parameters"]
    assert zeros(tmp_path / "narrow") > 0.3 * sum(tensor.size for tensor in inner(tmp_path / "narrow").values())


def test_gates(tmp_path, prune, datadiet: Cli):
    """What is asked to be proved, and is not, fails; nothing is written."""
    assert "max_drop" in prune("--max-drop", "1%", "--json", code=1).out.decode()
    _, told = prune("--max-drop", "60%")
    assert told["protocols"]["pruning"]["figures"]["accuracy_drop"] <= 0.6
    given = made("things")
    call = ["prune-model", given.folder, tmp_path / "x", "--data", given.source, *given.flags, "--beat-random"]
    ran = datadiet(*call, "--epochs", "1", "--controls", "random")
    assert ran.code == 1
    assert "the criterion did not beat random choice" in ran.err
    assert "beat_random" in ran.err
    assert not (tmp_path / "x").exists()
    assert {name for name in names(tmp_path) if "/" not in name} == {
        f"small-1{end}" for end in ("", ".report.json", ".layers.csv")
    }
