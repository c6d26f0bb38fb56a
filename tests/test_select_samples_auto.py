"""What `select-samples` finds out by itself: the method by a tournament, and how few samples train as well."""

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datadiet_cli.config.select_samples import SelectSamples
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.engine import Engine
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.methods.samples.coverage import COVERAGE
from datadiet_cli.methods.samples.crowd import Crowd
from datadiet_cli.methods.samples.dynamics import DYNAMICS
from datadiet_cli.methods.samples.rules import RULES
from datadiet_cli.methods.samples.typical import TYPICAL
from datadiet_cli.steps.choosing.base import task_of
from datadiet_cli.steps.choosing.candidates import (
    MOST,
    RANDOM,
    Candidate,
    candidates_of,
    check_candidates,
    parsed,
)
from datadiet_cli.steps.choosing.enough import ATTEMPTS, SHARES, enough
from datadiet_cli.steps.choosing.judging import Judged
from datadiet_cli.steps.choosing.known import Need, known_of
from datadiet_cli.steps.choosing.plans import UNSCORED, plan_of, usual_rule
from datadiet_cli.steps.choosing.tournament import FOLDS, tournament
from datadiet_cli.steps.choosing.trials import Job, Trials
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.teaching.material import material_of
from tests.conftest import Cli, table
from tests.lessons import count_steps

QUICK = {"model": "linear", "epochs": 6, "batch_size": 32, "learning_rate": 0.3, "models": 1}
FLAGS = [part for name, value in QUICK.items() for part in ("--" + name.replace("_", "-"), value)]
COLUMNS = ["--label", "kind", "--id-column", "name"]
ALL = Need(scores=True, looks=True, judged=True)
LOOKS = Need(scores=False, looks=True, judged=False)


def blobs(path, n=240, wrong=0.0, apart=3.0, k=3, d=5, numbers=False, seed=0):
    """Classes around centres, with some labels wrong; or a sum of the columns, which is a number."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    x = (rng.normal(size=(k, d)) * apart)[y] + rng.normal(size=(n, d))
    said = y.copy()
    bad = rng.permutation(n)[: round(wrong * n)]
    said[bad] = (y[bad] + rng.integers(1, k, len(bad))) % k
    label = [f"{value:.4f}" for value in x.sum(axis=1)] if numbers else ["abcdef"[code] for code in said]
    rows = [[f"s{i}", *(f"{value:.4f}" for value in x[i]), label[i]] for i in range(n)]
    return table(path, ["name", *(f"x{i}" for i in range(d)), "kind"], rows)


def task_for(path, kept, *, workers=1, checkpoints=None, seed=0, **settings):
    dataset = open_dataset(str(path), Reading(label="kind", id_column="name"))
    context = Context(
        Engine("threads", workers), seed=seed, new_folder=tempfile.mkdtemp, checkpoints=checkpoints and str(checkpoints)
    )
    return task_of(dataset, SelectSamples(**{**QUICK, **settings}), context, kept)


def held(path, keep, **settings):
    with ExitStack() as kept:
        known = known_of(task_for(path, kept, **settings), ALL, leave_out=FOLDS)
        return tournament(known, round(keep * len(known.rows)))


def by_name(table_):
    return {row["candidate"]: row for row in table_}


def told(report: Path):
    return json.loads(report.read_bytes())["steps"][-1]["metrics"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("el3n", "'el3n': no such method; did you mean 'el2n'?"),
        ("aum/dual_beta", "'aum/dual_beta': no such rule; did you mean 'dual-beta'?"),
        ("random/20%", "or nothing, as in random//20%"),
        ("aum/ccs/20", "must be a percentage such as 5%"),
        ("aum/ccs/20%/3", "must be METHOD/RULE/BETA"),
        ("k-center/ccs", "ccs chooses by a score, and k-center has none"),
        ("random/d2", "d2 chooses by a score, and random has none"),
        ("", "no such method; there are"),
    ],
)
def test_what_is_no_candidate(text, words):
    with pytest.raises(ConfigError) as caught:
        check_candidates(SelectSamples(candidates=["el2n", text]))
    assert str(caught.value).startswith("select-samples: --candidates: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@given(
    method=st.sampled_from([*DYNAMICS, *TYPICAL, *COVERAGE, "random", "composite"]),
    rule=st.sampled_from(list(RULES)),
    beta=st.integers(0, 1000).map(lambda value: value / 1000),
)
def test_a_candidate_is_written_as_it_is_read(method, rule, beta):
    one = Candidate(method, usual_rule(method) if method in UNSCORED else rule, beta)
    method, rule, read = parsed(one.name)
    assert one == Candidate(method, rule, 0.0 if read is None else read)


def known_with(rate, classes=("a", "b"), **settings):
    n = 40
    scores = {name: np.linspace(0, 1, n) for name in (*DYNAMICS, "confidence")} if classes else {"loss": np.arange(n)}
    crowd = Crowd(np.arange(n) % 2, np.arange(n) % 2, np.zeros((n, 2), np.float32), scores, np.arange(n) / n)
    judged = Judged(np.zeros(n), np.ones(n), rate, None, "a reason")
    return SimpleNamespace(
        task=SimpleNamespace(settings=SelectSamples(**settings), classes=classes, path="x"), judged=judged, crowd=crowd
    )


@pytest.mark.parametrize("classes", [("a", "b"), ()])
@pytest.mark.parametrize("rate", [None, 0.0, 0.03, 0.2, 0.9])
@pytest.mark.parametrize("gone", [0.1, 0.9])
def test_what_is_tried_where_nothing_is_said(rate, classes, gone):
    found, notes = candidates_of(known_with(rate, classes), gone)
    assert found[0] == RANDOM
    assert len(found) == len(set(found)) == len({one.name for one in found}) <= MOST
    if rate is not None and rate > 0.05:
        assert all(one.beta >= rate for one in found if one.method in DYNAMICS)
        assert notes or not classes
    # All that goes is cut: one of these is enough.
    assert sum(one.beta >= gone for one in found) <= 1
    if rate != 0.0:
        assert any(one.beta and one.method == "random" for one in found)


def test_settings_that_bear_on_candidates():
    """A cut of the settings is that of all; ccs takes the estimate, and says if there is none."""
    found, _ = candidates_of(known_with(0.0, beta=0.15), 0.5)
    assert {one.beta for one in found} == {0.0, 0.15}
    assert [one for one in found if not one.beta] == [RANDOM]
    found, notes = candidates_of(known_with(0.2, candidates=["aum/ccs", "aum", "k-center", "el2n//30%"]), 0.9)
    assert found == [RANDOM, Candidate("aum", "ccs", 0.2), Candidate("k-center"), Candidate("el2n", beta=0.3)]
    assert notes == [
        "method auto: an estimated 20% of the labels are wrong, which scores of hardness keep: not tried without a "
        "cut: aum"
    ]
    with pytest.raises(ConfigError, match="cannot be estimated"):
        candidates_of(known_with(None, candidates=["aum/ccs"]), 0.9)
    with pytest.raises(ConfigError, match="there is no score aum of numbers"):
        candidates_of(known_with(None, (), candidates=["aum"]), 0.9)


def test_wrong_labels_make_a_cut_win(tmp_path, datadiet: Cli):
    """Many labels are wrong: what cuts them first beats random, and hardness alone is not even tried."""
    source, out = blobs(tmp_path / "in.csv", n=400, wrong=0.3, apart=1.5), tmp_path / "out.csv"
    tried = ["el2n", "random//35%"]
    flags = [part for name in tried for part in ("--candidates", name)]
    ran = datadiet("select-samples", source, out, *COLUMNS, *FLAGS, "--keep", "6%", *flags)
    assert ran.code == 0, ran.err
    metrics = told(tmp_path / "out.csv.report.json")
    rows = by_name(metrics["tournament"])
    assert set(rows) == {"random", "random//35%"}
    best = metrics["tournament"][0]
    assert (best["candidate"], best["picked"], best["rung"]) == ("random//35%", True, 4)
    assert best["trainings"] == 3 * FOLDS
    assert best["interval"][0] > 0
    assert best["interval"][0] < best["difference"] < best["interval"][1]
    assert best["difference"] == pytest.approx(best["accuracy"] - rows["random"]["accuracy"], abs=1e-5)
    assert [row["picked"] for row in metrics["tournament"]].count(True) == 1
    assert (metrics["method"], metrics["beta"], metrics["kept"]) == ("random", 0.35, 24)
    assert any("not tried without a cut: el2n" in note for note in metrics["notes"])
    assert any("random//35% is" in note and "ahead of random" in note for note in metrics["notes"])
    assert "ahead of random" in ran.err


def test_labels_that_mean_nothing_leave_it_to_random(tmp_path):
    """Nothing beats random where nothing can be learned; and it is the same however many work at it."""
    source = blobs(tmp_path / "in.csv", n=120, wrong=2 / 3, apart=0.0)
    tried = {"candidates": ["k-center", "moderate", "herding", "k-means", "density", "aum", "loss"]}
    won, again = (held(source, 0.3, workers=workers, max_noise=1.0, epochs=2, **tried) for workers in (1, 2))
    assert won == again
    assert won.plan.method == "random"
    assert "no method is proved to beat random, so random it is" in won.notes[-1]
    rows = by_name(won.table)
    assert rows["random"]["picked"]
    # The better half, but five at least, go on; then five; then two, which are trained with two more seeds.
    assert sorted((row["rung"], row["trainings"]) for row in won.table) == [
        (1, 2), (1, 2), (3, 5), (3, 5), (3, 5), (4, 15), (4, 15), (4, 15),
    ]  # fmt: skip
    assert all((row["interval"] is None) == (row["rung"] < 4 or name == "random") for name, row in rows.items())
    assert won.samples_seen == sum(row["trainings"] for row in won.table) * 2 * round(0.3 * 96)


def test_numbers_and_scores_that_were_made_before(tmp_path, datadiet: Cli):
    """Numbers are judged by R2. Scores of an earlier run are taken, with a word of warning."""
    source = blobs(tmp_path / "in.csv", n=90, numbers=True)
    both = [*COLUMNS, *FLAGS, "--candidates", "loss", "--candidates", "k-center", "--keep", "40%"]
    assert datadiet("select-samples", source, tmp_path / "a.csv", *COLUMNS, *FLAGS, "--method", "loss").code == 0
    ran = datadiet("select-samples", source, tmp_path / "b.csv", *both, "--scores", tmp_path / "a.csv.scores.parquet")
    assert ran.code == 0, ran.err
    metrics = told(tmp_path / "b.csv.report.json")
    assert {row["candidate"] for row in metrics["tournament"]} == {"random", "loss", "k-center"}
    assert all(row["r2"] <= 1 for row in metrics["tournament"])
    assert any("the scores were made before" in note for note in metrics["notes"])
    assert any("of R2" in note for note in metrics["notes"])


@pytest.mark.parametrize(
    ("n", "k", "keep", "error", "words"),
    [
        (9, 3, 0.5, InputError, "9 training samples are too few to try methods out; at least 10 are needed"),
        (60, 6, 0.05, ConfigError, "keep 3 leaves no sample of 3 of 6 groups"),
    ],
)
def test_a_tournament_that_cannot_be_held(n, k, keep, error, words, tmp_path):
    with pytest.raises(error, match=words):
        held(blobs(tmp_path / "in.csv", n=n, k=k), keep)


def test_a_score_that_takes_longer(tmp_path, datadiet: Cli):
    source = blobs(tmp_path / "in.csv", n=30)
    few = [*FLAGS, "--epochs", 3, "--candidates", "tdds"]
    ran = datadiet("select-samples", source, tmp_path / "out.csv", *COLUMNS, *few)
    assert ran.code == 2
    assert ran.complaint == (
        "select-samples: --candidates: 'tdds': there is no score tdds, which needs at least 4 epochs; give --epochs "
        "(there are 3)"
    )


def test_nothing_to_choose(tmp_path):
    with ExitStack() as kept:
        won = tournament(known_of(task_for(blobs(tmp_path / "in.csv", n=30), kept), LOOKS), 30)
    assert (won.plan.method, won.table, won.samples_seen) == ("random", [], 0)
    assert "everything stays" in won.notes[-1]


def test_few_are_enough_where_it_is_easy(tmp_path, datadiet: Cli):
    """Classes far apart take a few samples, and that is proved on samples that were held out."""
    source, out = blobs(tmp_path / "in.csv", n=300, apart=9.0), tmp_path / "out.csv"
    ran = datadiet(
        "select-samples", source, out, *COLUMNS, *FLAGS, "--method", "k-center", "--keep", "auto",
        "--max-accuracy-drop", "10%",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    metrics = told(tmp_path / "out.csv.report.json")
    *searched, last = metrics["search"]
    assert metrics["kept"] == round(last["share"] * 300) <= 90
    assert (last["part"], last["noninferior"], last["seeds"], last["samples"]) == ("confirm", True, 5, 60)
    assert last["loss_bound"] <= last["margin"] == 0.1
    assert last["confidence"] == pytest.approx(1 - 0.05 / ATTEMPTS, abs=1e-4)
    # 180 samples are chosen from; what is passed is found by halving.
    assert all(row["kept"] == round(row["share"] * 180) for row in metrics["search"])
    assert {row["part"] for row in searched} == {"search"}
    assert len(searched) <= 4
    assert min(row["share"] for row in searched if row["noninferior"]) == last["share"]
    assert f"keep auto: {last['share']:.0%} train as well as all" in ran.err


def test_what_cannot_be_proved_stays(tmp_path):
    """With ten samples to judge by nothing proves that no more than a point is lost: all stay, and it says why."""
    with ExitStack() as kept:
        known = known_of(task_for(blobs(tmp_path / "in.csv", n=50, apart=9.0), kept), LOOKS)
        found = enough(known, plan_of(known.task.settings, "random", "top-k", 0.0))
    assert found.keep == 50
    assert [row["share"] for row in found.table][-1] == SHARES[-1]
    assert not any(row["noninferior"] for row in found.table)
    assert "everything stays" in found.notes[-1]
    assert "10 test samples and 3 seeds resolve" in found.notes[-1]
    assert found.samples_seen > 0


def test_a_validation_split_is_searched_by(tmp_path, datadiet: Cli):
    """It is held out anyway, so that four fifths of the training samples are left to choose from; of numbers too."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(160, 2))
    rows = [
        [f"s{i}", f"{a:.4f}", f"{b:.4f}", f"{a + b + rng.normal(0, 0.05):.4f}", "val" if i < 60 else "train"]
        for i, (a, b) in enumerate(x)
    ]
    source = table(tmp_path / "in.csv", ["name", "a", "b", "kind", "split"], rows)
    ran = datadiet(
        "select-samples", source, tmp_path / "out.csv", *COLUMNS, *FLAGS, "--method", "random", "--keep", "auto",
        "--max-accuracy-drop", "20%",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    rows = told(tmp_path / "out.csv.report.json")["search"]
    assert {row["samples"] for row in rows if row["part"] == "search"} == {60}
    assert {row["samples"] for row in rows if row["part"] == "confirm"} <= {20}
    assert all(row["kept"] == round(row["share"] * 80) for row in rows)


def test_trials_are_counted_once_and_taken_up_again(tmp_path, monkeypatch):
    """The same training is run once. After an interruption none that was done is done again."""
    jobs = [Job(np.arange(20), np.arange(40, 60), 1), Job(np.arange(30), np.arange(40, 60), 2)]
    source = blobs(tmp_path / "in.csv", n=60)

    def run():
        with ExitStack() as kept:
            task = task_for(source, kept, checkpoints=tmp_path / "kept")
            trials = Trials(task, material_of(task.view, task.settings, task.context, "select-samples"), "test")
            first = trials.run(jobs[:1], "one")
            return [*first, *trials.run([*jobs, jobs[1]], "both")], trials.samples_seen, trials.trainings

    with monkeypatch.context() as patched:
        taken = count_steps(patched)
        (one, same, other, again), seen, trainings = run()
    assert (seen, trainings, len(taken)) == (6 * 20 + 6 * 30, 2, 12)
    assert (one == same).all()
    assert (other == again).all()
    assert set(np.concatenate([one, other])) <= {0.0, 1.0}
    with monkeypatch.context() as patched:
        count_steps(patched, fail=11)
        with pytest.raises(KeyboardInterrupt):
            run()
    with monkeypatch.context() as patched:
        taken = count_steps(patched)
        resumed, seen, _ = run()
    assert len(taken) <= 6
    assert seen == 6 * 20 + 6 * 30
    assert all((a == b).all() for a, b in zip(resumed, (one, same, other, again), strict=True))
    assert list((tmp_path / "kept").iterdir()) == []
