"""Which units go, against choices one by one; schedules; and the search for a share that a network bears."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.nn.pruning.choosing import Adaptive, UnitLimits, choose_units, cubic, least_share

SCOPES = ["layer", "global", "isomorphic"]
SHARES = [0, 0.01, 0.1, 0.25, 0.3, 0.5, 0.7, 0.9, 0.99, 1]


@st.composite
def networks(draw):
    """Groups with many equal scores, some without any, in any order, with what else is known of them."""
    sizes = draw(st.lists(st.integers(1, 20), min_size=1, max_size=5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([1, 3, 1000]))
    units = dict(zip(rng.permutation(list("abcde")).tolist(), sizes, strict=False))
    scored = {name: rng.integers(0, levels, count).astype(float) for name, count in units.items() if rng.random() < 0.9}
    return scored, {
        "units": units,
        "signatures": {name: str(rng.integers(2)) for name in units},
        "kinds": {name: str(rng.choice(["channels", "heads"])) for name in units},
        "weights": {name: int(rng.integers(1, 9)) for name in units},
    }


limits_of_all_kinds = st.builds(
    UnitLimits, st.just(0.0), st.sampled_from([0, 0.1, 0.5, 1]), st.integers(1, 3), st.sampled_from([1, 4, 8])
)


def one_by_one(scores, about, share, scope, limits):
    """What stays, taking the lowest unit away as long as too many are left."""
    units, kept, minima = about["units"], {}, {}
    for name, count in units.items():
        kept[name] = [True] * count
        step = limits.round_to if about["kinds"][name] == "channels" else 1
        minimum = max(limits.least, math.ceil(limits.per_layer * count))
        minima[name] = min(math.ceil(minimum / step) * step, count), step
    sets = {"layer": lambda name: name, "global": lambda _: "", "isomorphic": about["signatures"].get}
    for key in {sets[scope](name) for name in scores}:
        ranked = sorted((s, name, i) for name in scores if sets[scope](name) == key for i, s in enumerate(scores[name]))
        quota = len(ranked) - math.floor(len(ranked) * (1 - share) + 1e-6)
        quota = quota if scope == "layer" else round(share * len(ranked))
        for _, name, i in ranked:
            if quota and sum(kept[name]) > minima[name][0]:
                kept[name][i] = False
                quota -= 1
    for name in scores:
        back = sorted(((s, i) for i, s in enumerate(scores[name]) if not kept[name][i]), reverse=True)
        for _, i in back:
            if sum(kept[name]) % minima[name][1]:
                kept[name][i] = True
    return kept


@settings(max_examples=150)
@given(networks(), st.sampled_from(SHARES), st.sampled_from(SCOPES), limits_of_all_kinds)
def test_units_go_as_if_one_by_one_and_limits_hold(network, share, scope, limits):
    scores, about = network
    found = choose_units(scores, **about, share=share, scope=scope, limits=limits)
    assert {name: flags.tolist() for name, flags in found.items()} == one_by_one(scores, about, share, scope, limits)
    backwards = {name: scores[name] for name in reversed(scores)}
    again = choose_units(backwards, **about, share=share, scope=scope, limits=limits)
    assert all(np.array_equal(again[name], found[name]) for name in found)


@settings(max_examples=60)
@given(networks(), st.sampled_from(SCOPES), limits_of_all_kinds, st.sampled_from([0, 0.3, 0.6, 1]))
def test_a_larger_share_keeps_some_of_what_a_smaller_one_keeps_and_the_protected_stay(network, scope, limits, protect):
    scores, about = network
    limits = UnitLimits(protect, limits.per_layer, limits.least, limits.round_to)
    weights, before = about["weights"], None
    for share in SHARES:
        found = choose_units(scores, **about, share=share, scope=scope, limits=limits)
        assert before is None or all(bool((before[name] | ~found[name]).all()) for name in found)
        left = sum(int(flags.sum()) * weights[name] for name, flags in found.items())
        assert left >= protect * sum(len(flags) * weights[name] for name, flags in found.items()) - 1e-9
        before = found
    assert share == 1
    if not protect:
        free = UnitLimits(0, limits.per_layer, limits.least)
        ends = choose_units(scores, about["units"], share=1, limits=free)
        for name in scores:
            count = about["units"][name]
            assert ends[name].sum() == min(max(limits.least, math.ceil(limits.per_layer * count)), count)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.45, 0.5, 0.7, 0.9])
def test_layers_are_as_wide_as_torch_pruning_makes_them(share):
    widths = {"a": 16, "b": 33, "c": 64, "d": 10}
    scores = {name: np.arange(width)[::-1] / width for name, width in widths.items()}
    found = choose_units(scores, widths, share=share, limits=UnitLimits(per_layer=0))
    for name, width in widths.items():
        stay = max(int(round(width * (1 - share), 9)), 1)
        assert found[name].tolist() == [True] * stay + [False] * (width - stay)


def test_protection_is_of_all_parameters():
    scores = {"cheap": np.arange(10.0), "dear": np.arange(10.0)}
    about = {"units": {"cheap": 10, "dear": 10}, "weights": {"cheap": 1, "dear": 9}, "share": 0.9}
    half = choose_units(scores, **about, limits=UnitLimits(protect=0.5))
    assert {name: int(flags.sum()) for name, flags in half.items()} == {"cheap": 5, "dear": 5}
    all_of_a_larger_network = choose_units(scores, **about, total=130, limits=UnitLimits(protect=0.5))
    assert {name: int(flags.sum()) for name, flags in all_of_a_larger_network.items()} == {"cheap": 3, "dear": 4}


BAD = {
    "nan": ({"a": np.array([1, np.nan])}, {}, "a are not finite"),
    "infinite": ({"a": np.array([1, np.inf])}, {}, "a are not finite"),
    "length": ({"a": np.ones(3)}, {}, r"a have shape \(3,\), not \(2,\)"),
    "unknown": ({"b": np.ones(2)}, {}, "b, which is no group"),
    "empty": ({}, {"units": {"z": 0}}, "z has no units"),
    "share": ({"a": np.ones(2)}, {"share": -0.1}, "share must be between 0 and 1"),
    "scope": ({"a": np.ones(2)}, {"scope": "row"}, "unknown scope 'row'"),
    "signature": ({"a": np.ones(2)}, {"scope": "isomorphic", "signatures": {"b": "s"}}, "signature of a"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_ranked_is_refused(case):
    scores, changes, line = BAD[case]
    with pytest.raises(ValueError, match=line):
        choose_units(scores, **{"units": {"a": 2}, "share": 0.5, **changes})


def test_numbers_that_cannot_be_are_refused():
    for wrong in ({"protect": -1}, {"per_layer": 1.1}, {"least": 0}, {"round_to": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            UnitLimits(**wrong)
    for wrong, line in (({"step": 0.01, "resolution": 0.1}, "resolution <= step"), ({"best": 2.0}, "start must be")):
        with pytest.raises(ValueError, match=line):
            Adaptive(**wrong)
    for wrong in ((0.5, 0), (1.5, 3), (0.5, 3, -1)):
        with pytest.raises(ValueError, match="must be"):
            cubic(*wrong)
    with pytest.raises(ValueError, match="resolution"):
        least_share(bool, resolution=0)


def test_no_groups_or_none_with_scores_stay_whole():
    for scope in SCOPES:
        assert choose_units({}, {}, share=1, scope=scope) == {}
        assert choose_units({}, {"a": 3}, share=1, scope=scope)["a"].tolist() == [True] * 3


@given(st.floats(0, 1), st.integers(1, 12), st.floats(0, 1))
def test_a_cubic_schedule_ends_at_its_share_with_ever_smaller_steps(share, rounds, start):
    found = cubic(share, rounds, start)
    assert len(found) == rounds
    assert found[-1] == share
    steps = np.abs(np.diff([start, *found]))
    assert (np.diff(steps) <= 1e-12).all()
    assert np.allclose(found, [share + (start - share) * (1 - t / rounds) ** 3 for t in range(1, rounds + 1)])


@given(st.floats(0, 1.2), st.sampled_from([0.5, 0.01, 0.001]))
def test_the_least_share_is_that_of_a_scan(edge, resolution):
    asked = []
    found = least_share(lambda share: asked.append(share) or share >= edge, resolution=resolution)
    grid = [min(step * resolution, 1.0) for step in range(round(1 / resolution) + 1)]
    assert found == next((share for share in grid if share >= edge), None)
    assert len(asked) <= 2 + math.ceil(math.log2(1 / resolution))


def searched(bears, **changes):
    search = Adaptive(**changes)
    while (share := search.proposal) is not None:
        search.tell(bears(share))
        assert len(search.tried) < 200
    with pytest.raises(ValueError, match="at its end"):
        search.tell(True)
    return search


@given(st.floats(0, 1), st.floats(0.02, 0.9), st.sampled_from([1.0, 0.95, 0.5]))
def test_the_share_rises_to_where_the_loss_leaves_the_tolerance(edge, step, limit):
    search = searched(lambda share: share <= edge, step=step, resolution=0.01, limit=limit)
    assert search.best <= min(edge, limit)
    assert min(edge, limit) - search.best < 0.02 or search.best == limit
    assert search.best == max((share for share, borne in search.tried if borne), default=0.0)
    assert all(0 < share <= limit for share, _ in search.tried)


def test_scripted_losses():
    always = searched(lambda _: True, step=0.1)
    assert always.best == 1
    assert len(always.tried) == 10
    never = searched(lambda _: False, step=0.1, resolution=0.0125)
    assert never.best == 0
    assert [share for share, _ in never.tried] == pytest.approx([0.1, 0.05, 0.025, 0.0125])
    stepped = searched(lambda share: share < 0.37, step=0.2, resolution=0.05)
    assert [share for share, _ in stepped.tried] == pytest.approx([0.2, 0.4, 0.3, 0.4, 0.35, 0.4])
    assert [borne for _, borne in stepped.tried] == [True, False, True, False, True, False]
    rng = np.random.default_rng(0)
    for _ in range(50):
        noisy = searched(lambda share: share + rng.normal(0, 0.1) < 0.6, step=0.1, best=0.2)
        assert 0.2 <= noisy.best <= 1
        assert noisy.best == max([share for share, borne in noisy.tried if borne], default=0.2)
