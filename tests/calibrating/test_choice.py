"""What counts as found, and what is proposed."""

from hypothesis import given
from hypothesis import strategies as st

from datadiet_cli.calibrating.faults import faults_of
from datadiet_cli.calibrating.measuring import Point, hits, named
from datadiet_cli.calibrating.planting import Plant
from datadiet_cli.calibrating.proposing import choose, missed
from datadiet_cli.calibrating.sweeping import Sweep
from datadiet_cli.calibrating.writing import value
from datadiet_cli.config.yamlfile import read_yaml
from datadiet_cli.outcome import Action, Verdicts

COUNTS = {"flip": 20, "crop-5": 20}


def test_a_copy_is_found_with_its_original_or_beside_the_same_third_sample():
    faults = faults_of("image")
    plants = [Plant("flip", 10, 0), Plant("flip", 11, 1), Plant("flip", 12, 2), Plant("flip", 13, 3)]
    verdicts = Verdicts.join(
        [
            Verdicts.of([10], Action.DROP, "duplicate", witness=[0]),
            # The original goes, for its copy is larger.
            Verdicts.of([1], Action.DROP, "duplicate", witness=[11]),
            Verdicts.of([2, 12], Action.DROP, "duplicate", witness=[7, 7]),
            # A copy of something else altogether; and two that cannot be read have nothing in common.
            Verdicts.of([13], Action.DROP, "duplicate", witness=[8]),
            Verdicts.of([3, 13], Action.FLAG, "unreadable"),
        ]
    )
    assert hits("copies", verdicts, plants, faults) == {"flip": 3}
    assert named("copies", verdicts)[0] == (1, 2, 10, 12, 13)


def test_a_fault_counts_for_a_reason_that_names_it_and_no_other():
    faults = faults_of("image")
    plants = [Plant("dark", 0, 0), Plant("dark", 1, 1), Plant("dark", 2, 2)]
    verdicts = Verdicts.join([Verdicts.of([0], Action.FLAG, "dark"), Verdicts.of([1], Action.FLAG, "odd-size")])
    assert hits("quality", verdicts, plants, faults) == {"dark": 1}


def test_a_cell_that_is_filled_is_no_false_finding():
    verdicts = Verdicts.of([4], Action.IMPUTE, "missing")
    assert named("broken", verdicts) == ((), ())


def sweep(*points):
    return [Sweep("max_distance", points)]


def point(at, flips, crops, rows=(), **more):
    return Point(at, {"flip": flips, "crop-5": crops}, tuple(rows), (-1,) * len(rows), **more)


def choice(sweeps, samples=400, max_false=0.01):
    return choose(sweeps, list(COUNTS), COUNTS, samples, max_false)


def test_more_is_found_without_naming_more():
    chosen = choice(sweep(point(4, 10, 0, configured=True), point(8, 20, 10), point(12, 20, 12, default=True)))
    assert (chosen.setting, chosen.point.value) == ("max_distance", 12)


def test_what_names_more_than_may_be_is_not_proposed():
    near = point(12, 20, 10, range(3), configured=True, default=True)
    far = point(16, 20, 20, range(6))
    assert choice(sweep(near, far)).setting == ""
    assert choice(sweep(near, far), max_false=0.05).point.value == 16


def test_a_gain_of_one_is_none():
    assert choice(sweep(point(10, 19, 10, configured=True), point(12, 20, 10, default=True))).setting == ""


def test_a_configured_value_that_names_too_many_is_taken_back():
    chosen = choice(sweep(point(12, 20, 10, range(3), default=True), point(30, 20, 20, range(90), configured=True)))
    assert chosen.point.value == 12
    assert "names 87 untouched samples fewer" in chosen.words


def test_a_kind_is_missed_if_no_value_finds_half():
    assert missed(sweep(point(4, 9, 2, configured=True), point(8, 20, 9)), COUNTS) == ["crop-5"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e6, 1e6, allow_subnormal=False).map(
        lambda x: round(x, 9)
    ) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(JSON)
def test_a_value_reads_back_from_yaml_as_it_was(one):
    assert read_yaml(f"at: {value(one)}\n", "text")[0] == {"at": one}
