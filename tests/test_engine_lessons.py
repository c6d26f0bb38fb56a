"""Folds and trainings give the same numbers wherever they run: in threads, in other processes, on a cluster."""

import threading
from contextlib import ExitStack

import numpy as np
import pytest

from datadiet_cli.config.evaluate import Evaluate
from datadiet_cli.config.select_samples import SelectSamples
from datadiet_cli.config.training import Training
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.engine import Engine, Limits
from datadiet_cli.errors import InputError
from datadiet_cli.methods.crew import ALONE
from datadiet_cli.methods.probabilities import out_of_fold
from datadiet_cli.methods.residuals import find_odd_targets
from datadiet_cli.nn.record import Record
from datadiet_cli.steps import evaluate, select_samples
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.teaching.recording import files_of, put_files, record_at
from datadiet_cli.steps.teaching.side_by_side import Tutor
from tests.lessons import prices, things
from tests.nn.lessons import vectors
from tests.nn.test_record import facts_of

READING = Reading(label="kind", split="part", id_column="id")


@pytest.fixture(scope="module")
def engines():
    """One process, for what takes time is to start it; a cluster of two threads, between which nothing is pickled."""
    with ExitStack() as stack:
        yield {
            "threads": stack.enter_context(Engine("threads", 2)),
            "processes": stack.enter_context(Engine("processes", 1)),
            "dask": stack.enter_context(Engine("dask", 2, Limits(scheduler="inproc"))),
        }


ELSEWHERE = ("processes", "dask")


@pytest.fixture
def context(tmp_path, engines):
    made = iter(range(1000))

    def new_folder():
        path = tmp_path / f"room-{next(made)}"
        path.mkdir()
        return str(path)

    return lambda name: Context(engine=engines[name], device="cpu", new_folder=new_folder, reading=READING)


def some(n=150, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, n)
    x = (rng.normal(size=(n, 40)) + label[:, None] * np.linspace(0, 1, 40)).astype(np.float32)
    return x, label, rng.random(n) < 0.9


def test_probabilities_are_the_same_to_the_last_bit(engines):
    x, label, fit = some()
    alone = out_of_fold(x, label, fit, 3, folds=2, crew=ALONE)
    for crew in engines.values():
        found = out_of_fold(x, label, fit, 3, folds=2, crew=crew)
        assert np.array_equal(found.probability, alone.probability)
        assert np.array_equal(found.neighbours, alone.neighbours)
        assert (found.members, found.scaled) == (alone.members, alone.scaled)


def test_odd_targets_are_the_same_to_the_last_bit(engines):
    x, label, fit = some(120)
    target = label + np.random.default_rng(1).normal(0, 0.1, len(label))
    target[:9] += 40
    alone = find_odd_targets(x, target, fit, folds=2, crew=ALONE)
    assert alone.wrong[:9][fit[:9]].all()
    for crew in engines.values():
        found = find_odd_targets(x, target, fit, folds=2, crew=crew)
        assert np.array_equal(found.score, alone.score)
        assert np.array_equal(found.suggested, alone.suggested)


def untimed(value):
    """Figures without those that a clock gave."""
    if isinstance(value, dict):
        return {name: untimed(one) for name, one in value.items() if "second" not in name or name == "samples_seen"}
    return [untimed(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("kind", [things, prices])
def test_a_comparison_is_the_same_everywhere(tmp_path, context, kind):
    source, _ = kind(tmp_path)
    before = open_dataset(str(source), READING)
    after = before.keep(np.arange(len(before)) % 5 > 0)
    settings = Evaluate(against=str(source), model="linear", seeds=2, epochs=2, batch_size=8)

    def figures(name):
        return untimed(evaluate.run(after, settings, context(name)).metrics)

    there = figures("threads")
    assert len(there["protocols"]["epochs"]["arms"]) == 4
    for name in ELSEWHERE:
        assert figures(name) == there


@pytest.mark.parametrize(
    "options",
    [
        {"method": "el2n", "models": 2, "folds": 2, "keep": "50%"},
        {"method": "grand", "gradient": "full", "space": "model", "models": 1, "folds": 1, "keep": "50%"},
        {"method": "auto", "candidates": ["el2n", "k-center"], "keep": "60%"},
        {"method": "random", "keep": "auto"},
    ],
    ids=["scores", "gradients-and-features", "tournament", "enough"],
)
def test_a_choice_is_the_same_everywhere(tmp_path, context, options):
    source, _ = things(tmp_path)
    dataset = open_dataset(str(source), READING)
    settings = SelectSamples(**options, model="linear", epochs=2, batch_size=8, max_noise="100%")

    def chosen(name):
        found = select_samples.run(dataset, settings, context(name))
        return found.verdicts.sample.tolist(), untimed(found.metrics), found.artefacts

    there = chosen("threads")
    for name in ELSEWHERE:
        assert chosen(name) == there


def test_a_record_comes_back_from_where_its_folder_is_not_seen(tmp_path):
    samples = vectors(6)
    facts = facts_of(samples, 2)
    record = Record.create(str(tmp_path / "record"), facts)
    rows = np.arange(len(samples))
    values = {name: rows / 8 if name != "correct" else rows % 2 == 0 for name in facts.quantities}

    def learn(folder):
        with record_at(folder, facts) as there:
            there.begin(0, 0)
            there.write(0, 0, rows, values)
            there.mark(0, 1, finished=True)
            return files_of(there, 0, folder)

    put_files(record, 0, learn(str(tmp_path / "nowhere")))
    again = Record.open(str(tmp_path / "record"), facts)
    assert not again.missing()
    assert {name: again.read(name, 0)[0].tolist() for name in values} == {n: v.tolist() for n, v in values.items()}
    assert not (tmp_path / "nowhere").exists()
    assert learn(record.folder) == {}, "written in place"


def test_a_model_to_start_from_that_a_worker_does_not_see(tmp_path):
    tutor = Tutor(Training(from_model=str(tmp_path / "gone")), "cpu", "evaluate")
    with pytest.raises(InputError, match=r"evaluate: --from-model .*gone: a worker does not see it"):
        tutor.teach(None, None)


def test_trainings_of_two_runs_in_one_worker_take_turns():
    """The number of threads is one for a process: who wants another waits, and no longer than need be."""
    import torch

    inside, told = threading.Barrier(3), []

    def work(threads):
        with Tutor(Training(threads=threads), "cpu", "evaluate").at_work():
            if threads == 1:
                inside.wait(30)
                inside.wait(30)
            told.append((threads, torch.get_num_threads()))

    alike = [threading.Thread(target=work, args=(1,)) for _ in range(2)]
    [one.start() for one in alike]
    inside.wait(30)  # both are at work
    other = threading.Thread(target=work, args=(3,))
    other.start()
    other.join(0.05)
    assert other.is_alive()
    inside.wait(30)
    [one.join(30) for one in (*alike, other)]
    assert told == [(1, 1), (1, 1), (3, 3)]
