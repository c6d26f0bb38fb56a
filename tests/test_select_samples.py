"""`datadiet select-samples` from the command line: what stays, what is said of what goes, and again the same.

Scores of each kind of data are trained once, and cut again by all that only chooses.
"""

import atexit
import csv
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import get_args

import jsonschema
import numpy as np
import pytest

from datadiet_cli.__main__ import run
from datadiet_cli.config.select_samples import Method
from datadiet_cli.methods.samples.coverage import COVERAGE
from datadiet_cli.methods.samples.rules import RULES
from datadiet_cli.reasons import reasons_of
from tests.conftest import Cli, class_folders, report, table, tree_digest, write_pipeline
from tests.lessons import FLAGS, letters, part, pictures, prices, shade, sounds, things

METHODS = [name for name in get_args(Method) if name != "auto"]
SCORED = [name for name in METHODS if name not in (*COVERAGE, "random", "composite")]
KINDS = {"things": things, "prices": prices, "pictures": pictures, "letters": letters, "sounds": sounds}
CLASSES = ["things", "pictures", "letters", "sounds"]
QUICK = ["--model", "linear", "--epochs", "6", "--models", "1", "--folds", "1", "--learning-rate", "0.1"]
"""One training of a model that is quick to train."""


@cache
def scored(kind):
    """INPUT of a kind, its flags, and a file of its scores, which were trained once for all tests of this process."""
    folder = Path(tempfile.mkdtemp(prefix="datadiet-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    source, flags = KINDS[kind](folder)
    out = folder / f"scored{source.suffix}"
    line = ["select-samples", source, out, *flags, *QUICK, "--method", "aum", "--max-noise", "100%", "--no-cache"]
    assert run([*map(str, line), "--quiet"]) == 0
    return source, flags, Path(f"{out}.scores.parquet")


def recut(datadiet: Cli, kind, out, *more):
    """Choose again by scores that are there."""
    source, flags, scores = scored(kind)
    before = tree_digest(source)
    # Without a cut these have no use for scores, and it is refused to name some.
    bare = {*more} & {*COVERAGE, "random"} and not {*more} & {"10%", "drop"}
    own = [] if bare else ["--scores", scores]
    ran = datadiet("select-samples", source, out, *flags, *QUICK, *own, "--max-noise", "100%", *more)
    assert ran.code == 0, ran.err
    assert tree_digest(source) == before
    return report(out)


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def samples(path):
    """Id of each sample -> whether it is for training."""
    if path.is_file():
        return {row["id"]: row["part"] == "train" for row in rows_of(path)}
    return {name: name.startswith("train") for name in (p.relative_to(path).as_posix() for p in path.rglob("*.*"))}


def told(out):
    return report(out)["steps"][-1]["metrics"]


def gone(said):
    return [row for row in said["verdicts"] if row["action"] == "drop"]


def check(said, source, out, keep):
    """What holds of every choice: so many stay, all others have one verdict that says why, and no test sample goes."""
    before, after = samples(source), samples(out)
    dropped = {row["id"]: row for row in gone(said)}
    metrics = said["steps"][-1]["metrics"]
    assert len(dropped) == len(gone(said))
    assert set(after) == set(before) - set(dropped)
    assert all(before[name] for name in dropped)
    assert sum(after.values()) == metrics["kept"] == keep
    groups = metrics["groups"]
    assert sum(size["after"] for size in groups.values()) == keep
    assert all(size["after"] for size in groups.values())
    for name, row in dropped.items():
        evidence = row["evidence"]
        assert row["reason"] in set(reasons_of("select-samples")) - {"unreadable"}
        assert row["detail"]
        assert evidence["method"] == metrics["method"]
        assert evidence["why"] in row["reason"] or evidence["why"] in ("below", "covered")
        assert evidence["score"] is None or np.isfinite(evidence["score"])
        assert evidence["percentile"] is None or 0 < evidence["percentile"] <= 100
        nearest = evidence["nearest_kept"]
        assert row["witness"] == nearest != name
        assert nearest is None or after[nearest]
        assert (nearest is None) == (evidence["distance"] is None)
        whole = groups[evidence["class"] if evidence["class"] is not None else "all"]
        assert evidence["kept_of_class"] == [whole["after"], whole["before"]]
    return dropped


@pytest.fixture(scope="module")
def schema():
    path = Path(__file__).parent.parent / "configs/report.schema.json"
    return jsonschema.Draft202012Validator(json.loads(path.read_bytes()))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", CLASSES)
def test_every_method_and_rule_on_every_kind(kind, method, tmp_path, datadiet: Cli, schema):
    """Each rule goes with each score on one of the kinds."""
    source = scored(kind)[0]
    rules = list(RULES)
    rule = rules[(METHODS.index(method) + CLASSES.index(kind)) % len(rules)] if method in SCORED else None
    out = tmp_path / f"out{source.suffix}"
    said = recut(
        datadiet, kind, out, "--method", method, "--beta", "10%", "--keep", "40%", *(["--rule", rule] if rule else [])
    )
    schema.validate(said)
    n = sum(samples(source).values())
    dropped = check(said, source, out, round(0.4 * n))
    assert (told(out)["method"], told(out)["rule"], told(out)["beta"]) == (method, rule, 0.1)
    reasons = [row["reason"] for row in dropped.values()]
    assert reasons.count("likely-wrong") == round(0.1 * n)
    usual = {"top-k": "not-selected", "d2": "covered"}.get(rule, "not-drawn") if rule else {
        "random": "not-drawn", "composite": "not-selected"}.get(method, "covered")  # fmt: skip
    assert set(reasons) == {"likely-wrong", usual}
    for row in dropped.values():
        evidence = row["evidence"]
        assert evidence["rule"] == rule
        assert (evidence["stratum"] is not None) == (rule == "ccs" and row["reason"] != "likely-wrong")
        assert (evidence["terms"] is not None) == (method == "composite")
        assert evidence["nearest_kept"] is not None


@pytest.mark.parametrize("method", ["el2n", "loss", "aum", "k-center", "composite", "random", "moderate", "density"])
def test_numbers_to_predict(method, tmp_path, datadiet: Cli):
    source = scored("prices")[0]
    for rule in ["auto", "ccs", "d2"] if method in SCORED else ["auto"]:
        out = tmp_path / f"{rule}.csv"
        said = recut(datadiet, "prices", out, "--method", method, "--keep", "20", "--rule", rule, "--beta", "0%")
        check(said, source, out, 20)


def test_the_hardest_stay_and_the_likely_wrong_go(tmp_path, datadiet: Cli):
    """By scores as they are in the file: of each class the highest, once the hardest of all are out."""
    import polars as pl

    source, _, scores = scored("things")
    frame = pl.read_parquet(scores)
    label = {row["id"]: row["kind"] for row in rows_of(source)}
    said = recut(datadiet, "things", tmp_path / "o.csv", "--method", "el2n", "--beta", "10%", "--keep", "40%")
    cut = {row["id"] for row in gone(said) if row["reason"] == "likely-wrong"}
    assert cut == set(frame.sort("hardness", descending=True)["id"].head(5))
    kept = {name for name, train in samples(tmp_path / "o.csv").items() if train}
    rest = frame.filter(~pl.col("id").is_in(list(cut))).sort("el2n", descending=True)["id"].to_list()
    for name in ("big", "small"):
        own = [each for each in rest if label[each] == name]
        here = {each for each in kept if label[each] == name}
        assert here == set(own[: len(here)])
    (one,) = (row for row in gone(said) if row["id"] == rest[-1])
    own = frame.filter(pl.col("id") == rest[-1])
    assert one["evidence"]["score"] == pytest.approx(own["el2n"].item(), rel=1e-5)
    assert one["score"] < one["threshold"]


def test_strata_and_graph_settings_have_their_effect(tmp_path, datadiet: Cli):
    def kept(name, *more):
        recut(datadiet, "things", tmp_path / f"{name}.csv", "--method", "el2n", "--keep", "12", "--beta", "0%", *more)
        return set(samples(tmp_path / f"{name}.csv"))

    assert kept("few", "--rule", "ccs", "--strata", "1") != kept("many", "--rule", "ccs", "--strata", "20")
    assert kept("flat", "--rule", "d2", "--gamma", "0") != kept("steep", "--rule", "d2", "--gamma", "50")
    plain = ["--method", "composite", "--beta", "0%"]
    terms = [kept(t, *plain, *(p for x in ("redundancy", "noise", "balance", "information") for p in (
        "--weights", f"{x}={int(x == t)}"))) for t in ("redundancy", "noise", "information")]  # fmt: skip
    assert len({frozenset(each) for each in terms}) == 3
    assert told(tmp_path / "noise.csv")["terms"] == {"redundancy": 0, "noise": 1, "balance": 0, "information": 0}


def towns(path):
    """Three classes of 40, 16 and 4, in two towns; in each class two far-apart crowds."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(72):
        code = 0 if i < 40 else 1 if i < 56 else 2 if i < 60 else i % 3
        x, y = rng.normal(4 * code, 1), rng.normal(20 * (i % 2), 1)
        town = "north" if i % 4 else "south"
        rows.append([f"t{i}", f"{x:.3f}", f"{y:.3f}", town, "abc"[code], "train" if i < 60 else "test"])
    return table(path, ["id", "x", "y", "town", "kind", "part"], rows)


def sizes(out):
    return {name: size["after"] for name, size in told(out)["groups"].items()}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--quota", "proportional"], {"a": 20, "b": 8, "c": 2}),
        (["--quota", "balanced"], {"a": 13, "b": 13, "c": 4}),
        (["--quota", "balanced", "--keep", "12"], {"a": 4, "b": 4, "c": 4}),
        (["--quota", "balanced", "--keep", "12", "--class-floor", "100%"], {"a": 8, "b": 3, "c": 1}),
        (["--keep", "3"], {"a": 1, "b": 1, "c": 1}),
        (["--keep", "100%"], {"a": 40, "b": 16, "c": 4}),
        (["--group-by", "town"], {"north": 22, "south": 8}),
        (["--group-by", "town", "--quota", "balanced"], {"north": 15, "south": 15}),
    ],
)
def test_quotas(more, expected, tmp_path, datadiet: Cli):
    source = towns(tmp_path / "in.csv")
    for method in ("random", "k-center"):
        out = tmp_path / f"{method}.csv"
        ran = datadiet("select-samples", source, out, *FLAGS, "--method", method, "--columns", "x", "--columns", "y", *more)  # fmt: skip # noqa: E501
        assert ran.code == 0, ran.err
        assert sizes(out) == pytest.approx(expected, abs=1 if "town" in more else 0)
        if told(out)["kept"] < 60:
            check(report(out), source, out, sum(sizes(out).values()))


def test_quotas_where_nobody_has_one(tmp_path, datadiet: Cli):
    """Half of its part stays of each class, whatever the scores say; with no floor one sample."""
    source = towns(tmp_path / "in.csv")
    for floor, least in (("50%", (10, 4, 1)), ("100%", (20, 8, 2)), ("0%", (1, 1, 1))):
        out = tmp_path / f"{least[0]}.csv"
        ran = datadiet("select-samples", source, out, *FLAGS, "--method", "k-center", "--columns", "y", "--quota",
                       "none", "--class-floor", floor)  # fmt: skip
        assert ran.code == 0, ran.err
        assert sum(sizes(out).values()) == 30
        assert all(size >= low for size, low in zip(sizes(out).values(), least, strict=True))


def test_hard_classes_keep_more(tmp_path, datadiet: Cli):
    """Two classes that cannot be told apart keep more than the one that is easy; the scores say how hard they are."""
    rng = np.random.default_rng(0)
    rows = [[f"t{i}", f"{rng.normal(9 * (i % 3 == 0), 1):.3f}", "abc"[i % 3], "train"] for i in range(90)]
    source = table(tmp_path / "in.csv", ["id", "x", "kind", "part"], rows)
    out = tmp_path / "out.csv"
    ran = datadiet("select-samples", source, out, *FLAGS, "--method", "random", "--quota", "drop", "--keep", "40%")
    assert ran.code == 0, ran.err
    assert sizes(out)["a"] == 6
    assert min(sizes(out)["b"], sizes(out)["c"]) > 10


def test_clusters_get_quotas(tmp_path, datadiet: Cli):
    """The two crowds of a class keep as many each, though one is a tenth of the other."""
    rng = np.random.default_rng(0)
    rows = [[f"t{i}", f"{rng.normal(50 * (i % 11 == 0), 1):.3f}", "ab"[i % 2], "train"] for i in range(88)]
    source = table(tmp_path / "in.csv", ["id", "x", "kind", "part"], rows)
    out = tmp_path / "out.csv"
    ran = datadiet("select-samples", source, out, *FLAGS, "--method", "random", "--clusters", "2", "--quota",
                   "balanced", "--keep", "16")  # fmt: skip
    assert ran.code == 0, ran.err
    assert sizes(out) == {f"{label} / cluster {i}": 4 for label in "ab" for i in (1, 2)}
    far = [float(row["x"]) > 25 for row in rows_of(out)]
    assert far.count(True) == 8
    check(report(out), source, out, 16)


def test_a_share_at_random(tmp_path, datadiet: Cli):
    def kept(share, seed=0):
        out = tmp_path / f"{share}-{seed}.csv"
        recut(datadiet, "things", out, "--method", "el2n", "--keep", "20", "--random-share", share, "--seed", seed)
        return {name for name, train in samples(out).items() if train}

    none, some, all_ = kept("0%"), kept("50%"), kept("100%")
    assert len(none & some) >= 10
    assert len({frozenset(each) for each in (none, some, all_)}) == 3
    assert kept("0%", 1) == none
    assert kept("50%", 1) != some


def test_another_seed_is_another_draw(tmp_path, datadiet: Cli):
    source = towns(tmp_path / "in.csv")

    def kept(seed, method):
        out = tmp_path / f"{method}-{seed}.csv"
        assert datadiet("select-samples", source, out, *FLAGS, "--method", method, "--seed", seed).code == 0
        return set(samples(out))

    assert kept(1, "random") != kept(2, "random")
    assert kept(1, "moderate") == kept(2, "moderate")


@pytest.mark.parametrize("kind", ["prices", "pictures"])
def test_the_same_again_whoever_does_the_work(kind, tmp_path, datadiet: Cli):
    """Engines, numbers of workers, and the order in which files were made change no byte."""
    source, flags = KINDS[kind](tmp_path)
    moved = tmp_path / f"again{source.suffix}"
    if source.is_dir():
        for path in sorted(source.rglob("*.png"), reverse=True):
            (moved / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            (moved / path.relative_to(source)).write_bytes(path.read_bytes())
    else:
        moved = source
    flags = [*flags, *QUICK, "--method", "loss", "--rule", "d2"]
    found = []
    for where, more in (
        (source, ["--workers", "1", "--engine", "serial"]),
        (source, ["--workers", "4", "--engine", "threads", "--no-cache"]),
        (moved, ["--workers", "2", "--engine", "processes", "--no-cache"]),
    ):
        out = tmp_path / f"out-{len(found)}{source.suffix}"
        ran = datadiet("select-samples", where, out, *flags, *more)
        assert ran.code == 0, ran.err
        scores = Path(f"{out}.scores.parquet").read_bytes()
        found.append((report(out)["verdicts"], sorted(samples(out)), scores if where is source else None))
    assert found[0] == found[1]
    assert found[0][:2] == found[2][:2]
    again = datadiet("select-samples", source, tmp_path / f"out-0{source.suffix}", *flags)
    assert again.code == 0
    assert "up to date" in again.err


@pytest.mark.parametrize("method", ["k-center", "density", "prototypes", "herding"])
def test_the_order_of_rows_changes_nothing(method, tmp_path, datadiet: Cli):
    source = towns(tmp_path / "in.csv")
    first, *lines = source.read_text().splitlines(keepends=True)
    (tmp_path / "turned.csv").write_text(first + "".join(np.random.default_rng(1).permutation(lines)))
    found = []
    for name in ("in", "turned"):
        out = tmp_path / f"{name}-out.csv"
        ran = datadiet("select-samples", tmp_path / f"{name}.csv", out, *FLAGS, "--method", method, "--keep", "30%")
        assert ran.code == 0, ran.err
        found.append(set(samples(out)))
    assert found[0] == found[1]


def test_what_cannot_be_chosen_from_stays(tmp_path, datadiet: Cli):
    """No label, no town, no value: these stay, and it is said."""
    rows = rows_of(towns(tmp_path / "in.csv"))
    rows[0]["kind"] = rows[1]["kind"] = ""
    rows[2]["town"] = ""
    rows[3]["x"] = rows[3]["y"] = "nan"
    source = table(tmp_path / "in.csv", list(rows[0]), [list(row.values()) for row in rows])
    out = tmp_path / "out.csv"
    ran = datadiet("select-samples", source, out, *FLAGS, "--method", "k-center", "--columns", "x", "--columns", "y",
                   "--group-by", "label", "--group-by", "town", "--keep", "20")  # fmt: skip
    assert ran.code == 0, ran.err
    after = samples(out)
    assert all(f"t{i}" in after for i in range(4))
    notes = "; ".join(told(out)["notes"])
    assert "training samples without a label, which stay: 2" in notes
    assert notes.count("which stay: ") >= 2
    assert "training samples without a label, which stay: 2" in ran.err
    assert told(out)["kept"] == sum(sizes(out).values()) == 20


def test_pictures_that_cannot_be_read_stay(tmp_path, datadiet: Cli):
    source, flags = pictures(tmp_path)
    (source / "train/big/00.png").write_bytes(b"no picture")
    for method in ("k-center", "el2n"):
        out = tmp_path / method
        ran = datadiet("select-samples", source, out, *flags, *QUICK, "--method", method, "--keep", "8")
        assert ran.code == 3
        assert (out / "train/big/00.png").read_bytes() == b"no picture"
        assert [row["id"] for row in report(out)["verdicts"] if row["action"] == "flag"] == ["train/big/00.png"]
        assert sum(samples(out).values()) == 9


def objects(root, n=24):
    """Pictures with objects of one or two classes, as YOLO has them."""
    for i in range(n):
        shade(root / f"images/{part(i, n)}/{i:02}.png", i % 2 == 0, i)
        label = root / f"labels/{part(i, n)}/{i:02}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text(f"{i % 2} .5 .5 .2 .2\n" + ("1 .2 .2 .1 .1\n" if i % 4 == 0 else ""))
    (root / "data.yaml").write_text("train: images/train\nval: images/test\nnames: [cat, owl]\n")
    return root


@pytest.mark.parametrize("method", ["random", "k-center", "density", "composite"])
def test_pictures_of_several_classes(method, tmp_path, datadiet: Cli):
    """No class of such a picture is its own; features tell them apart all the same."""
    source, out = objects(tmp_path / "in"), tmp_path / "out"
    more = ["--information", "density"] if method == "composite" else []
    ran = datadiet("select-samples", source, out, "--method", method, "--keep", "10", *more)
    assert ran.code == 0, ran.err
    assert told(out)["kept"] == 10
    assert len(list((out / "images/train").iterdir())) == len(list((out / "labels/train").iterdir())) == 10
    assert len(list((out / "images/test").iterdir())) == 4


def test_without_labels(tmp_path, datadiet: Cli):
    source = class_folders(tmp_path / "in", {f"{i}.png": i for i in range(10)})
    for method in ("k-center", "herding", "k-means", "facility-location", "prototypes", "moderate", "random"):
        out = tmp_path / method
        ran = datadiet("select-samples", source, out, "--method", method, "--keep", "4")
        assert ran.code == 0, ran.err
        assert len(list(out.iterdir())) == 4
        assert {row["evidence"]["class"] for row in gone(report(out))} == {None}


def test_a_dry_run_and_a_limit(tmp_path, datadiet: Cli):
    source = towns(tmp_path / "in.csv")
    before = tree_digest(tmp_path)
    line = ["select-samples", source, *FLAGS, "--method", "moderate", "--keep", "30"]
    kept = datadiet(*line, "--dry-run", "--list", "kept").ids
    dropped = datadiet(*line, "--dry-run", "--list", "dropped").ids
    assert len(dropped) == 30
    assert set(kept) | set(dropped) == set(samples(source))
    assert tree_digest(tmp_path) == before
    assert datadiet(*line, "--check", "--max-removed", "60%").code == 0
    assert datadiet(*line, "--check", "--max-removed", "40%").code == 1
    ran = datadiet("select-samples", source, tmp_path / "out.csv", *line[2:], "--max-removed", "40%")
    assert ran.code != 0
    assert not (tmp_path / "out.csv").exists()


def test_as_a_step_between_others(tmp_path, datadiet: Cli):
    """Copies are gone before, new rows are chosen from as any other, and a model is trained on what stays."""
    rows = rows_of(towns(tmp_path / "in.csv"))
    again = {**rows[0], "id": "copy"}
    table(tmp_path / "in.csv", list(rows[0]), [list(row.values()) for row in [*rows, again]])
    plan = write_pipeline(
        tmp_path / "p.yaml",
        "label: kind\nsplit: part\nid_column: id\nsteps:\n  - dedup: {columns: [x, y]}\n"
        "  - denoise: {columns: [x, y], outliers: none, labels: none}\n"
        "  - balance: {target: max, columns: [x, y]}\n"
        "  - select-samples: {method: aum, rule: ccs, beta: 5%, keep: 50%, model: linear, epochs: 6, models: 1, folds: 1}\n"  # noqa: E501
        "  - train: {model: linear, epochs: 1, record: none}\n",
    )
    plan.write_text(plan.read_text().replace("/in\n", "/in.csv\n").replace("/out\n", "/out.csv\n"))
    ran = datadiet("run", plan, "--keep-intermediate")
    assert ran.code == 0, ran.err
    said = report(tmp_path / "out.csv")
    balance, chosen = (step["metrics"] for step in said["steps"][3:5])
    assert {size["after"] for size in balance["groups"].values()} == {40}
    assert chosen["chosen_from"] == 120
    assert min(size["after"] for size in chosen["groups"].values()) > 15
    after = rows_of(tmp_path / "out.csv")
    assert [row["part"] for row in after].count("train") == 60
    assert any("-new" in row["id"] for row in after)
    assert (tmp_path / "out.csv.model").is_dir()
    assert "up to date" in datadiet("run", plan, "--keep-intermediate").err
