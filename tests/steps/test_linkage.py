"""Rows that describe one thing in different words are found, and nothing else is."""

import random
from pathlib import Path

import numpy as np
import pytest

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.engine import Engine
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.dedup import run

SYLLABLES = "ba ke li mo nu ra se ti vo wu za che dri fro gla ple sta tru".split()
HEADER = "id,given,family,street,town,postcode,state,born,phone"


def word(rng, least, most):
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(least, most)))


def people(count, seed=0):
    """Persons with names, addresses, days and numbers."""
    rng = random.Random(seed)
    given, family, towns = ([word(rng, 2, 3) for _ in range(m)] for m in (60, 150, 40))
    return [
        [
            rng.choice(given),
            rng.choice(family),
            f"{rng.randint(1, 200)} {word(rng, 2, 4)} {rng.choice(['street', 'place', 'road'])}",
            rng.choice(towns),
            f"{rng.randint(200, 7999):04d}",
            rng.choice(["nsw", "vic", "qld"]),
            f"{rng.randint(1920, 1999)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}",
            str(rng.randint(10**7, 10**8 - 1)),
        ]
        for _ in range(count)
    ]


def slip(rng, text):
    """One slip of the pen."""
    at = rng.randrange(len(text))
    other = rng.choice("abcdefgh") if text[at].isalpha() else rng.choice("0123456789")
    return rng.choice(
        [text[:at] + other + text[at + 1 :], text[:at] + text[at + 1 :], text[:at] + other + text[at:],
         text[:at] + text[at : at + 2][::-1] + text[at + 2 :]]
    )  # fmt: skip


def copy_of(rng, person, slips=3, lost=1):
    cells = list(person)
    for i in rng.sample(range(len(cells)), slips):
        cells[i] = slip(rng, cells[i]) or "x"
    for i in rng.sample(range(len(cells)), lost):
        cells[i] = ""
    return cells


def write(path, rows, header=HEADER):
    path.write_text("\n".join([header, *(",".join(row) for row in rows), ""]))
    return str(path)


def decide(path, engine="serial", workers=1, reading=None, method="sorted-neighbourhood", **settings):
    dataset = open_dataset(path, reading or Reading())
    with Engine(engine, workers) as running:
        return dataset, run(dataset, Dedup(method=method, **settings), Context(running))


def kept(path, **settings):
    dataset, outcome = decide(path, **settings)
    return dataset.without(outcome.verdicts.dropped()).ids


@pytest.fixture(scope="module")
def census(tmp_path_factory):
    """600 persons, every fifth with a copy or two: the file, and the person of each id."""
    rng = random.Random(7)
    rows = [[f"{i}-org", *person] for i, person in enumerate(people(600))]
    rows += [[f"{i}-dup{k}", *copy_of(rng, rows[i][1:])] for i in range(0, 600, 5) for k in range(1 + i % 2)]
    rng.shuffle(rows)
    return write(tmp_path_factory.mktemp("census") / "people.csv", rows)


NAMED = Reading(id_column="id")


def persons(ids):
    return [name.split("-")[0] for name in ids]


def test_copies_are_found_and_no_person_is_lost(census):
    dataset, outcome = decide(census, reading=NAMED)
    left = dataset.without(outcome.verdicts.dropped()).ids
    assert len(dataset) == 780
    assert set(persons(left)) == set(map(str, range(600)))
    assert len(left) <= 603
    v = outcome.verdicts
    names = dataset.ids
    assert all(
        persons([names[s]]) == persons([names[w]]) for s, w in zip(v.sample.tolist(), v.witness.tolist(), strict=True)
    )


def test_engines_and_workers_change_nothing(census):
    first = kept(census, reading=NAMED)
    assert kept(census, reading=NAMED, engine="threads", workers=4) == first
    assert kept(census, reading=NAMED, engine="processes", workers=2) == first


def test_the_order_of_rows_does_not_matter_for_who_is_whose_copy(census, tmp_path):
    header, *rows = Path(census).read_text().splitlines()
    random.Random(1).shuffle(rows)
    other = write(tmp_path / "other.csv", [row.split(",") for row in rows], header)
    one, two = (set(persons(kept(path, reading=NAMED))) for path in (census, other))
    assert one == two
    assert len(kept(census, reading=NAMED)) == len(kept(other, reading=NAMED))


def test_copies_of_another_table(census, tmp_path):
    header, *rows = Path(census).read_text().splitlines()
    rng = random.Random(3)
    known = [row.split(",") for row in rows if "-org" in row]
    fresh = [[f"{i}-new", *person] for i, person in enumerate(people(50, seed=9))]
    seen = [[f"{row[0]}-again", *copy_of(rng, row[1:])] for row in known[:50]]
    here = write(tmp_path / "here.csv", fresh + seen, header)
    there = write(tmp_path / "there.csv", known, header)
    assert kept(here, reading=NAMED, against=[there]) == [row[0] for row in fresh]


def test_named_keys_and_the_window(census):
    by_all = kept(census, reading=NAMED)
    by_name = kept(census, reading=NAMED, sort_by=["family"])
    assert 600 <= len(by_all) < len(by_name) < 780
    assert len(kept(census, reading=NAMED, sort_by=["family"], window=40)) <= len(by_name)
    # A key may be a column that is not compared.
    assert len(kept(census, reading=NAMED, sort_by=["id"], columns=HEADER.split(",")[1:])) < 780
    with pytest.raises(InputError, match="nobody"):
        decide(census, sort_by=["nobody"])


def test_similarity_is_told_and_obeyed(census):
    _, outcome = decide(census, reading=NAMED)
    _, strict = decide(census, reading=NAMED, similarity=0.9)
    assert 0 < len(strict.verdicts.dropped()) < len(outcome.verdicts.dropped())


def test_the_most_complete_row_stays(census, tmp_path):
    person = people(1, seed=5)[0]
    gaps = [person[0], slip(random.Random(0), person[1]), "", *person[3:6], "", person[7]]
    others = [row.split(",") for row in Path(census).read_text().splitlines()[1:400]]
    path = write(tmp_path / "gaps.csv", [["gaps", *gaps], ["full", *person], *others])
    assert "full" in kept(path, reading=NAMED)
    assert "gaps" not in kept(path, reading=NAMED)
    assert "gaps" in kept(path, reading=NAMED, prefer="first")


def test_equal_rows_are_copies_however_far_their_keys_repeat(tmp_path):
    """All rows share a key, and their number is far beyond the window."""
    rows = [[str(i), "smith", "sydney", f"note {i % 250} of {i % 250 * 7919 % 1000}"] for i in range(1000)]
    path = write(tmp_path / "equal.csv", rows, "id,name,town,note")
    assert kept(path, reading=NAMED, sort_by=["name"], window=2) == [str(i) for i in range(250)]


def test_one_value_in_all_cells_stays_small(tmp_path):
    """Nothing tells the rows apart, or all but nothing: no crash, no square of the rows."""
    rows = [["same", "same", "1"]] * 3000
    path = write(tmp_path / "same.csv", rows, "a,b,c")
    assert kept(path) == ["0"]
    rows = [["same", "same", str(1000 + i)] for i in range(3000)]
    path = write(tmp_path / "serial.csv", rows, "a,b,c")
    assert len(kept(path)) == 3000


def test_measurements_that_are_merely_similar_are_no_copies(tmp_path):
    rng = np.random.default_rng(0)
    shapes = rng.normal([5, 50, 0.5], [1, 10, 0.1], (400, 3)) @ rng.normal(size=(3, 8)) + rng.normal(0, 1, (400, 8))
    rows = [[f"{value:.1f}" for value in row] for row in shapes]
    rows[399] = [f"{float(value) + 1e-9:.10f}" for value in rows[0]]
    path = write(tmp_path / "numbers.csv", rows, "a,b,c,d,e,f,g,h")
    assert kept(path) == [str(i) for i in range(399)]


def test_categories_alone_make_no_copies(tmp_path):
    rng = random.Random(0)
    rows = {tuple(rng.choice("abcd") for _ in range(10)) for _ in range(500)}
    path = write(tmp_path / "survey.csv", sorted(rows), ",".join("pqrstuvwxy"))
    assert len(kept(path)) == len(rows)


def test_events_at_other_times_are_other_events(tmp_path):
    """Places that belong together agree in many columns at once; when it was tells one ride from the next."""
    rng = random.Random(0)
    places = [[word(rng, 3, 4), f"town{i % 7}", f"{i % 7 * 1000 + i}"] for i in range(200)]

    def ride(day):
        date = f"20{day // 336:02}-{day // 28 % 12 + 1:02}-{day % 28 + 1:02}"
        return [f"{date} {hour:02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}" for hour in (9, 10)]

    # A quarter of the rides are between places that few go to, each of them twice.
    rare = [[*places[i], *places[i + 1]] for i in range(10, 160, 2)]
    common = [[*rng.choice(places[:10]), *rng.choice(places[:10])] for _ in range(450)]
    rows = [[*ride(i), *way] for i, way in enumerate(rare * 2 + common)]
    again = [rows[0][0], rows[0][1][:-1], *rows[0][2:]]
    path = write(tmp_path / "rides.csv", [*rows, again], "begin,end,from,town,code,to,town_to,code_to")
    assert kept(path) == [str(i) for i in range(600)]


def test_rows_with_gaps_need_evidence_of_their_own(census, tmp_path):
    lines = Path(census).read_text().splitlines()[1:200]
    others = [line.split(",") for line in lines]
    blank = [["b1", *[""] * 8], ["b2", *[""] * 8], ["s1", *[""] * 5, "nsw", "", ""], ["s2", *[""] * 5, "nsw", "", ""]]
    path = write(tmp_path / "gaps.csv", blank + others)
    assert {"b1", "b2", "s1", "s2"} <= set(kept(path, reading=NAMED))


def test_labels_and_evaluation_rows_are_respected(tmp_path):
    rng = random.Random(2)
    some = people(100, seed=3)
    rows = [["train", "x", *person] for person in some]
    rows += [["test", "x", *copy_of(rng, some[0])], ["train", "y", *copy_of(rng, some[1])]]
    path = write(tmp_path / "split.csv", rows, HEADER.replace("id", "split,label"))
    reading = Reading(label="label", split="split")
    dataset, outcome = decide(path, reading=reading)
    v = outcome.verdicts
    found = {(dataset.ids[s], str(reason)) for s, reason in zip(v.sample.tolist(), v.reason.tolist(), strict=True)}
    assert found == {("0", "leak"), ("1", "conflict"), ("101", "conflict")}


@pytest.mark.parametrize("method", ["near", "sorted-neighbourhood"])
def test_serial_numbers_are_equal_or_not(tmp_path, method):
    """A millionth of a telephone number or of a time is another number, or another second."""
    rows = [[str(5_000_000 + i), str(1_700_000_000 + i), "same words"] for i in range(50)]
    path = write(tmp_path / "serial.csv", [*rows, rows[0]], "serial,time,words")
    assert kept(path, method=method) == [str(i) for i in range(50)]


def test_near_keeps_its_tolerance_for_quantities(tmp_path):
    path = write(tmp_path / "areas.csv", [["a", "12"], ["b", "345.5"], ["a", "7654321"], ["a", "7654322"]], "t,area")
    assert kept(path, method="near") == ["0", "1", "2"]


@pytest.mark.parametrize("method", ["exact", "near", "sorted-neighbourhood", "minhash", "normalised", "embedding"])
def test_nothing_to_compare(tmp_path, method):
    path = write(tmp_path / "ids.csv", [["1", "a"], ["2", "b"], ["3", "b"]], "id,y")
    reading = Reading(id_column="id", label="y")
    with pytest.raises(ConfigError, match=r"ids.csv has no column to compare, .*; name some with --columns"):
        decide(path, reading=reading, method=method)
    assert kept(path, reading=reading, method=method, columns=["y"]) == ["1", "2"]


def test_long_texts(tmp_path):
    rng = random.Random(0)
    texts = [" ".join(word(rng, 1, 3) for _ in range(2000)) for _ in range(40)]
    rows = [[str(i), text, word(rng, 3, 4)] for i, text in enumerate(texts)]
    rows.append(["again", texts[0].replace("ba", "bo"), rows[0][2]])
    path = write(tmp_path / "long.csv", rows, "id,text,name")
    assert kept(path, reading=NAMED, similarity=0.3) == [str(i) for i in range(40)]
