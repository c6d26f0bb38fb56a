"""Samplers of dynamic pruning: what they leave out, by hand and by chance."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.nn.batches import generator_of
from datadiet_cli.nn.dynamic import DYNAMIC, Unbiased, sampler_of
from datadiet_cli.nn.dynamic.base import below_mean, filled, whole

UNBIASED = [name for name, kind in DYNAMIC.items() if issubclass(kind, Unbiased)]
INFORMED = [name for name in DYNAMIC if name != "random"]


def told(name, losses, target=None, correct=None, **changes):
    """A sampler after one pass with these losses."""
    losses = torch.as_tensor(losses, dtype=torch.float32)
    target = torch.zeros(len(losses), dtype=torch.int64) if target is None else torch.as_tensor(target)
    sampler = sampler_of(name, target, **{"epochs": 10, **changes})
    sampler.observe(torch.arange(len(losses)), losses, None if correct is None else torch.as_tensor(correct))
    return sampler


def some_losses(kind, n, generator):
    even = torch.rand(n, generator=generator)
    return {"equal": torch.full((n,), 0.1), "none": torch.zeros(n), "even": even, "skewed": 100 * even**30}[kind]


def test_there_are_five():
    assert list(DYNAMIC) == ["infobatch", "random", "seta", "rcap", "adaptive"]
    assert UNBIASED == ["infobatch", "adaptive"]


@pytest.mark.parametrize("name", DYNAMIC)
@given(
    n=st.integers(2, 60),
    classes=st.integers(0, 9),
    share=st.sampled_from([0.0, 0.1, 0.5, 0.9, 0.999]),
    until=st.sampled_from([0.3, 0.875, 1.0]),
    kind=st.sampled_from(["equal", "none", "even", "skewed"]),
    seed=st.integers(0, 9),
)
@settings(max_examples=25, deadline=None)
def test_a_course(name, n, classes, share, until, kind, seed):
    """Any samples and losses give passes of at least two samples, all different, and weights that make up for it."""
    chance = generator_of(seed, 99)
    target = torch.randint(0, classes, (n,), generator=chance) if classes else torch.rand(n, generator=chance)
    make = lambda: sampler_of(name, target, epochs=7, share=share, until=until, seed=seed)  # noqa: E731
    sampler, again = make(), make()
    turns = np.zeros(n)
    for epoch in range(7):
        turn = sampler.plan(epoch)
        rows = turn.rows
        assert len(rows) >= 2
        assert torch.equal(rows, rows.unique())
        assert rows.min() >= 0
        assert rows.max() < n
        if share == 0 or (epoch == 0 and name in INFORMED) or (epoch >= int(7 * until) and name != "seta"):
            assert len(rows) == n
        elif name in ("rcap", "seta") and epoch < int(7 * until):
            assert len(rows) == max(2, round((1 - share) * n))
        if isinstance(sampler, Unbiased):
            chances = sampler.chances(epoch)
            assert ((chances > 0) & (chances <= 1)).all()
            assert turn.weights is None or torch.equal(turn.weights, (1 / chances[rows]).float())
            assert turn.weights is None or float(turn.weights.double().sum()) == pytest.approx(n, rel=1e-6)
        else:
            assert turn.weights is None
        losses = some_losses(kind, len(rows), chance) * (1 - epoch / 9)
        right = torch.rand(len(rows), generator=chance) < 0.3 + epoch / 10
        sampler.observe(rows, losses, right if classes else None)
        turns[rows] += 1
        again.load_state_dict(sampler.state_dict())
        after, other = sampler.plan(epoch + 1), again.plan(epoch + 1)
        assert torch.equal(after.rows, other.rows)
        assert (after.weights is None) is (other.weights is None)
        assert after.weights is None or torch.equal(after.weights, other.weights)
    assert sampler.counts.tolist() == turns.tolist()


@pytest.mark.parametrize("name", UNBIASED)
def test_each_sample_counts_one_on_average(name):
    """Over many seeds a sample is kept as often as its chance says, so that its weight makes up for it."""
    losses = np.linspace(0.01, 2, 24) ** 2
    target, correct = np.arange(24) % 3, np.arange(24) % 4 > 0
    draws, kept, weight = 1000, np.zeros(24), np.zeros(24)
    for seed in range(draws):
        sampler = told(name, losses, target, correct, share=0.6, seed=seed)
        if name == "adaptive":
            sampler.observe(torch.arange(24), torch.from_numpy(losses * 0.3).float(), torch.from_numpy(correct))
        turn = sampler.plan(2)
        kept[turn.rows.numpy()] += 1
        weight[turn.rows.numpy()] += turn.weights.numpy()
    chances = sampler.chances(2).numpy()
    assert 0.2 < chances.mean() < 0.9
    off = np.sqrt(chances * (1 - chances) / draws)
    assert (np.abs(kept / draws - chances) <= 4.5 * off).all()
    np.testing.assert_allclose(weight / draws, 1, atol=4.5 * (off / chances).max())


def test_infobatch_by_hand():
    """Below the mean of 2 are three; half of them, rounded up, stay and count for all three."""
    turn = told("infobatch", [1, 1, 5, 1]).plan(1)
    assert len(turn.rows) == 3
    assert 2 in turn.rows
    counts = dict(zip(turn.rows.tolist(), turn.weights.tolist(), strict=True))
    assert counts.pop(2) == 1
    assert list(counts.values()) == [1.5, 1.5]


@pytest.mark.parametrize("loss", [3.0, 0.1, 1e-30, 7e30, 0.0])
@pytest.mark.parametrize("n", [3, 7, 999])
def test_nothing_is_below_the_mean_of_equal_losses(loss, n):
    turn = told("infobatch", [loss] * n).plan(1)
    assert len(turn.rows) == n
    assert turn.weights.tolist() == [1] * n


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.sampled_from([1.0, 1 / 7, 1e-6, 3e5]))
@settings(deadline=None, max_examples=60)
def test_below_the_mean_of_the_group(sevenths, unit):
    losses = torch.tensor(sevenths, dtype=torch.float32) * unit
    groups = torch.arange(len(losses)) % 3
    found = below_mean(losses, groups, 3).tolist()
    for group in range(3):
        own = [Fraction(loss) for loss in losses[groups == group].tolist()]
        wanted = [loss < sum(own) / len(own) for loss in own]
        assert [one for one, place in zip(found, groups.tolist(), strict=True) if place == group] == wanted


@given(st.integers(2, 50), st.floats(0.05, 0.95), st.integers(1, 30), st.sampled_from([0.25, 0.6, 0.875, 1.0]))
@settings(deadline=None, max_examples=50)
def test_random_samples_are_new_ones(n, share, epochs, until):
    """Nobody has a second turn before all had a first, and the passes sum to the share to the sample."""
    sampler = sampler_of("random", torch.zeros(n, dtype=torch.int64), epochs=epochs, share=share, until=until)
    cut = int(until * epochs + 1e-9)
    sizes = []
    for epoch in range(cut):
        rows = sampler.plan(epoch).rows
        sampler.observe(rows, torch.ones(len(rows)))
        assert sampler.counts.max() - sampler.counts.min() <= 1
        sizes.append(len(rows))
    if cut:
        assert max(sizes) - min(sizes) <= 1
        assert sum(sizes) == max(2 * cut, round((1 - share) * n * cut))
        fresh = sampler_of("random", torch.zeros(n, dtype=torch.int64), epochs=epochs, share=share, until=until)
        assert torch.equal(fresh.plan(cut - 1).rows, rows)


def test_the_window_slides_from_easy_to_hard_and_begins_anew():
    n = 1000
    sampler = told("seta", torch.arange(n), share=0.5, epochs=16)
    means = []
    for epoch in range(1, 14):
        rows = sampler.plan(epoch).rows
        assert len(rows) == 500
        means.append(float(rows.double().mean()))
    # Eight groups of ten, so three places.
    assert means[0] < 420
    assert 480 < means[1] < 520
    assert means[2] > 580
    np.testing.assert_allclose(means, (means[:3] * 5)[:13], atol=40)
    # Then no window, but the random cut.
    late = sampler.plan(14).rows
    assert len(late) == 625
    assert 460 < float(late.double().mean()) < 540


def test_rcap_by_hand():
    """Twice the root of the loss is twice the quota; what a class has no room for goes to the others."""
    target = np.repeat([0, 1, 2], [40, 40, 4])
    losses = np.repeat([1.0, 4.0, 400.0], [40, 40, 4])
    sampler = told("rcap", losses, target, share=0.5)
    quotas = sampler.quotas().tolist()
    assert quotas[2] == 4
    assert quotas[:2] in ([12, 26], [13, 25])
    rows = sampler.plan(1).rows
    assert np.bincount(target[rows]).tolist() == quotas
    # Nothing left to learn: in proportion to the classes.
    assert told("rcap", np.zeros(84), target, share=0.5).quotas().tolist() == [20, 20, 2]


def test_rcap_draws_by_loss():
    """With one sample a class, the chances are the softmax of the losses, the highest of which is cut."""
    losses, drawn = [0.0, 1.0, 9.0, 0.5, 0.5, 0.5], np.zeros(6)
    for seed in range(1000):
        drawn[told("rcap", losses, [0, 0, 0, 1, 1, 1], share=0.7, seed=seed).plan(1).rows.numpy()] += 1
    wanted = torch.tensor([0.0, 1.0, 1.0]).softmax(0).tolist() + [1 / 3] * 3
    np.testing.assert_allclose(drawn / 1000, wanted, atol=0.06)


def test_adaptive_follows_the_loss():
    n = 200
    sampler = told("adaptive", np.full(n, 2.0), share=0.5)
    assert sampler.share == 0
    assert len(sampler.plan(1).rows) == n
    rows = torch.arange(n)
    # The moving average: 1.5, then 1, then 0.75 of 2; then back up.
    for loss, share in ((1.0, 0.5 * 0.25), (0.5, 0.5 * 0.5), (0.5, 0.5 * 0.625), (2.0, 0.5 * 0.3125), (9.0, 0.0)):
        sampler.observe(rows, torch.full((n,), loss))
        assert sampler.share == pytest.approx(share)
        assert len(sampler.plan(2).rows) == n - int(share * n)


def test_adaptive_follows_the_recall_and_the_losses():
    """Of a class that is known more is left out, and of that the samples of little loss; none without a chance."""
    target = np.repeat([0, 1], [100, 100])
    correct = np.concatenate([np.arange(100) % 10 > 0, np.arange(100) % 2 > 0])
    losses = np.where(correct, 0.125, 1.0)
    sampler = told("adaptive", losses, target, correct, share=0.6)
    rows = torch.arange(200)
    for _ in range(3):
        sampler.observe(rows, torch.from_numpy(losses * 0.25).float(), torch.from_numpy(correct))
    np.testing.assert_allclose(sampler.recall(), [0.9, 0.5])
    kept = len(sampler.plan(4).rows)
    assert kept == 200 - int(0.6 * (1 - 0.34375) * 200)
    chances = sampler.chances(4).numpy()
    # Half evenly, the other half as 1 to 5.
    np.testing.assert_allclose([chances[:100].sum(), chances[100:].sum()], [kept / 4 + kept / 12, kept * 2 / 3], atol=1)
    for own in (target == 0, target == 1):
        assert chances[own & ~correct].min() > chances[own & correct].max()
        assert chances[own].min() > 0.45 * chances[own].mean()


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 1e-9, 0.5, 1.0, 30.0]), st.integers(0, 40)), min_size=1, max_size=12),
    st.floats(0, 1),
)
@settings(deadline=None, max_examples=60)
def test_shares_are_whole_and_sum_up(parties, part):
    pull, room = (torch.tensor(column, dtype=torch.float64) for column in zip(*parties, strict=True))
    total = int(part * float(room.sum()))
    given_ = filled(pull, room, total)
    assert float(given_.sum()) == pytest.approx(total, abs=1e-6)
    assert (given_ <= room + 1e-9).all()
    # One factor for all that have room left.
    factors = (given_ / pull)[(pull > 0) & (given_ < room - 1e-9)]
    assert len(factors) == 0 or factors.max() == pytest.approx(float(factors.min()), rel=1e-6, abs=1e-6)
    least = torch.minimum(room, torch.ones_like(room))
    if least.sum() <= total:
        made = whole(given_, least, room, total)
        assert float(made.sum()) == total
        assert ((made >= least) & (made <= room) & (made == made.round())).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "magic"}, "no dynamic pruning 'magic'; there are infobatch, random"),
        ({"share": 1.0}, "share left out is 1.0"),
        ({"share": -0.1}, "share left out"),
        ({"until": 0.0}, "above 0"),
        ({"epochs": 0}, "at least one pass"),
        ({"target": torch.zeros(1)}, "at least 2 samples"),
    ],
)
def test_what_no_sampler_is_made_for(changes, words):
    with pytest.raises(ValueError, match=words):
        sampler_of(**{"name": "infobatch", "target": torch.zeros(5), "epochs": 3, **changes})


def test_a_state_of_another_sampler():
    with pytest.raises(ValueError, match="of another sampler"):
        told("infobatch", [1, 2]).load_state_dict(told("adaptive", [1, 2]).state_dict())
