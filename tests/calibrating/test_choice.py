"""What counts as found, and what is proposed."""

from hypothesis import example, given
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
    words = "names 87 untouched samples fewer, which the default leaves alone, and finds 10 planted faults less"
    assert chosen.words == words


def test_a_configured_value_is_no_better_for_being_the_default_of_another_setting():
    far = point(30, 20, 20, range(90), configured=True)
    distances = Sweep("max_distance", [point(12, 20, 20, range(3), default=True), point(14, 20, 20, range(40)), far])
    same = point(0.75, 20, 20, range(90), configured=True, default=True)
    correlations = Sweep("min_correlation", [point(0.5, 20, 20, range(95)), same, point(0.9, 20, 20, range(60))])
    chosen = choice([distances, correlations])
    assert (chosen.setting, chosen.point.value) == ("max_distance", 12)
    words = "names 87 untouched samples fewer, which the default leaves alone, and finds no planted fault less"
    assert chosen.words == words


def test_settings_that_are_too_loose_together_are_held_against_both_defaults():
    both = point(None, 20, 20, range(3))
    loose = point(30, 20, 20, range(90), configured=True)
    distances = Sweep("max_distance", [point(0, 20, 4, range(2, 4)), point(12, 20, 20, range(20), default=True), loose])
    floors = [point(0.5, 20, 20, range(90), configured=True), point(0.75, 20, 20, range(80), default=True)]
    chosen = choice([Sweep(distances.setting, distances.points, both), Sweep("min_correlation", floors)], 100)
    assert chosen.setting == ""
    assert "87 untouched samples that the defaults leave alone" in chosen.words
    chosen = choice([Sweep("max_distance", distances.points, both), Sweep("min_correlation", floors)], 100, 0.1)
    assert (chosen.setting, chosen.point.value) == ("max_distance", 0)
    assert "88 untouched samples fewer, 86 of which the default leaves alone" in chosen.words


def test_of_equal_values_the_configured_wins_then_the_default_then_the_nearest_to_it():
    def values(*more):
        return [point(at, 20, 20, range(at // 4), default=at == 12, configured=at in more) for at in (0, 4, 8, 12, 14)]

    loose = point(30, 20, 20, range(90), configured=True)
    assert choice(sweep(*values(), loose)).point.value == 12
    assert choice(sweep(*values(4))).setting == ""
    near = [point(0, 20, 0), point(4, 20, 20), point(8, 20, 20), point(12, 19, 20, default=True)]
    assert choice(sweep(*near, point(16, 0, 0, configured=True))).point.value == 8


def test_a_default_that_cannot_be_run_is_not_made_up():
    points = point(2, 10, 0), point(3, 10, 10, configured=True), point(4, 20, 10, range(50))
    chosen = choice(sweep(*points))
    assert chosen.setting == ""
    assert "the default cannot be run on this data" in chosen.words


def test_a_kind_is_missed_if_no_value_finds_half():
    assert missed(sweep(point(4, 9, 2, configured=True), point(8, 20, 9)), COUNTS) == ["crop-5"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e6, 1e6, allow_subnormal=False).map(
        lambda x: round(x, 9)
    ) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(JSON | st.floats(allow_nan=False, allow_infinity=False))
@example(1.2e-15)
@example(5e-324)
@example(1e22)
def test_a_value_reads_back_from_yaml_as_it_was(one):
    assert read_yaml(f"at: {value(one)}\n", "text")[0] == {"at": one}
