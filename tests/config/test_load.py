from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datadiet_cli.config.base import Common
from datadiet_cli.config.dedup import Dedup
from datadiet_cli.config.load import load_pipeline, load_step
from datadiet_cli.config.pipeline import Pipeline
from datadiet_cli.config.yamlfile import scalar
from datadiet_cli.errors import ConfigError


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a file, and name it shortly, so that messages can be read."""
    monkeypatch.chdir(tmp_path)

    def writer(text):
        Path("a.yaml").write_text(text, encoding="utf-8")
        return Path("a.yaml")

    return writer


def mistakes(function, *arguments):
    with pytest.raises(ConfigError) as caught:
        function(*arguments)
    return str(caught.value).split("\n")


def test_flag_over_environment_over_file_over_default(write):
    path = write("max_distance: 3\nseed: 3\n")
    env = {"DATADIET_DEDUP_MAX_DISTANCE": "4", "DATADIET_SEED": "4", "HOME": "/root"}
    flags = {"max_distance": 5, "seed": 5}

    def both(*arguments):
        common, own = load_step("dedup", *arguments)
        return common.seed, own.max_distance

    assert both(None, {}, {}) == (0, None)
    assert both(path, {}, {}) == (3, 3)
    assert both(path, {}, env) == (4, 4)
    assert both(path, flags, env) == (5, 5)
    assert both(None, {}, env) == (4, 4)
    assert both(None, flags, {}) == (5, 5)
    assert both(path, flags, {}) == (5, 5)
    assert both(path, {"seed": 9}, {}) == (9, 3)


def test_precedence_in_a_pipeline(write):
    path = write("seed: 3\nsteps: [dedup, dedup: {max_distance: 3}, dedup: ]\n")
    env = {"DATADIET_DEDUP_MAX_DISTANCE": "4", "DATADIET_SEED": "4"}

    def figures(overrides, env):
        pipeline = load_pipeline(path, overrides, env)
        return pipeline.seed, [step.settings.max_distance for step in pipeline.steps]

    assert figures({}, {}) == (3, [None, 3, None])
    assert figures({}, env) == (4, [4, 4, 4])
    assert figures({"seed": 5}, env) == (5, [4, 4, 4])
    assert load_pipeline(path, {"input": "raw", "output": "clean"}, {}).input == "raw"


@pytest.mark.parametrize(
    ("variable", "text", "setting", "value"),
    [
        ("MAX_REMOVED", "1%", "max_removed", 0.01),
        ("MAX_REMOVED", "0.01", "max_removed", 0.01),
        ("CACHE", "false", "cache", False),
        ("CACHE", "0", "cache", False),
        ("FOLLOW_SYMLINKS", "1", "follow_symlinks", True),
        ("LABEL", "1", "label", "1"),
        ("LABEL", "true", "label", "true"),
        ("WORKERS", "", "workers", None),
        ("DEDUP_COLUMNS", "a, b", "columns", ["a", "b"]),
        ("DEDUP_COLUMNS", "a", "columns", ["a"]),
        ("DEDUP_TOLERANCE", "1e-3", "tolerance", 0.001),
        ("DEDUP_TOLERANCE", "0", "tolerance", 0.0),
        ("CACHE_DIR", "anything", "cache", True),
    ],
)
def test_environment_values(variable, text, setting, value):
    common, own = load_step("dedup", None, {}, {f"DATADIET_{variable}": text})
    assert {**dict(common), **dict(own)}[setting] == value


def test_all_mistakes_of_a_pipeline_at_once(write):
    path = write(
        "seed: -1\n"
        "device: gpuu\n"
        "steps:\n"
        "  - dedup: {method: phsh, treshold: 3}\n"
        "  - dedup:\n"
        "      max-distance: 3\n"
        "      min_correlation: 1.5\n"
        "      columns: [a, 2]\n"
        "      verify: yes\n"
        "      seed: 3\n"
        "  - dedpu\n"
        "  - dedup:\n"
        "    method: exact\n"
        "  - 3\n"
        "expect:\n"
        "  leeks: '== 0'\n"
        "  removed: 3\n"
        "max_remvoed: 3%\n"
        "workers: 1.5\n"
    )
    env = {"DATADIET_MAX_PIXELS": "many", "DATADIET_DEDUP_TOLERANCE": "-1", "DATADIET_SEDE": "1"}
    metrics = "removed, samples, added, relabelled, imputed, flagged, unreadable, conflicts, leaks, contaminated, "
    metrics += "invalid, poor, outliers, mislabelled, accepted, columns_dropped, accuracy, accuracy_lost, accuracy_drop"
    methods = "auto, exact, pixels, phash, dhash, ahash, whash, colorhash, normalised, minhash, simhash, near, "
    methods += "sorted-neighbourhood, samples, fingerprint, embedding, cluster"
    assert sorted(mistakes(load_pipeline, path, {"link": "hard", "max_removed": "5"}, env)) == sorted(
        [
            "environment DATADIET_SEDE: unknown setting; did you mean 'DATADIET_SEED'?",
            "environment DATADIET_MAX_PIXELS: must be a whole number, not 'many'",
            "environment DATADIET_DEDUP_TOLERANCE: must be at least 0, not -1",
            "--link: must be one of copy, hardlink, symlink, not 'hard'",
            "--max-removed: must be a percentage such as 5%, or a number from 0 to 1, not '5'",
            "a.yaml:1:1: seed: must be at least 0, not -1",
            "a.yaml:2:1: device: must be one of auto, cpu, cuda, not 'gpuu'",
            f"a.yaml:4:13: steps[0].dedup.method: must be one of {methods}, not 'phsh'; did you mean 'phash'?",
            "a.yaml:4:27: steps[0].dedup.treshold: unknown setting",
            "a.yaml:6:7: steps[1].dedup.max-distance: unknown setting; did you mean 'max_distance'?",
            "a.yaml:7:7: steps[1].dedup.min_correlation: must be at most 1, not 1.5",
            "a.yaml:8:20: steps[1].dedup.columns[1]: must be text, not 2; "
            "text that looks like something else needs quotes",
            "a.yaml:9:7: steps[1].dedup.verify: must be true or false, not 'yes'",
            "a.yaml:10:7: steps[1].dedup.seed: unknown setting of a step; "
            "it belongs to the whole pipeline, at the top level",
            "a.yaml:11:5: steps[2]: unknown step 'dedpu'; did you mean 'dedup'?",
            "a.yaml:12:5: steps[3]: the settings of dedup must be indented further than its name",
            "a.yaml:14:5: steps[4]: must be a step: its name, or its name with settings under it, not 3",
            f"a.yaml:16:3: expect.leeks: must be one of {metrics}, not 'leeks'; did you mean 'leaks'?",
            'a.yaml:17:3: expect.removed: must compare with a share or a number of samples, as "<= 60%" or '
            '">= 100", not 3',
            "a.yaml:18:1: max_remvoed: unknown setting; did you mean 'max_removed'?",
            "a.yaml:19:1: workers: must be a whole number, not 1.5",
        ]
    )


def test_mistakes_in_the_file_come_in_its_order(write):
    path = write("zzz: 1\nsteps:\n  - dedup: {zzz: 1}\nseed: x\nyyy: 1\n")
    lines = mistakes(load_pipeline, path, {}, {})
    assert [int(line.split(":")[1]) for line in lines] == [1, 3, 4, 5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1", "a.yaml:1:1: steps: must be given"),
        ("steps: []", "a.yaml:1:1: steps: must have 1 or more entries"),
        ("steps:", "a.yaml:1:1: steps: must be a list, not an empty value"),
        ("steps: dedup", "a.yaml:1:1: steps: must be a list, not 'dedup'"),
        ("steps: {dedup: }", "a.yaml:1:1: steps: must be a list, not a mapping"),
        ("steps: [dedup: 3]", "a.yaml:1:9: steps[0].dedup: must be settings as 'key: value', not 3"),
        ("steps: [[dedup]]", "must be a step: its name, or its name with settings under it, not a list"),
        ("steps: [{}]", "a.yaml:1:9: steps[0]: must name a step; there are dedup"),
        ("steps: [{method: a, x: b}]", "a.yaml:1:9: steps[0]: must name a step; there are dedup"),
        ("steps: [dedup]\nexpect: 3", "a.yaml:2:1: expect: must be settings as 'key: value', not 3"),
        ("steps: [dedup]\nmax_pixels: 0", "a.yaml:2:1: max_pixels: must be at least 1, not 0"),
        ("steps: [dedup: {tolerance: 1e999}]", "must be a finite number, not inf"),
        ("steps: [dedup: {columns: []}]", "steps[0].dedup.columns: must have 1 or more entries"),
        ('"a\\nb": 1\nsteps: [dedup]', "a.yaml:1:1: 'a\\nb': unknown setting"),
    ],
)
def test_one_mistake_one_line(write, text, message):
    [line] = mistakes(load_pipeline, write(text), {}, {})
    assert message in line


def test_a_variable_that_is_wrong_for_several_steps_is_named_once(write):
    env = {"DATADIET_DEDUP_TOLERANCE": "x"}
    [line] = mistakes(load_pipeline, write("steps: [dedup, dedup]"), {}, env)
    assert line == "environment DATADIET_DEDUP_TOLERANCE: must be a number, not 'x'"


def test_all_mistakes_of_a_step_at_once(write):
    path = write("max-distance: 7\nsead: 1\nmethod: 3\nlabel: 3\n")
    flags = {"tolerance": -1.0, "workers": 0}
    env = {"DATADIET_DEDUP_COLUMNS": "a", "DATADIET_DEDUP_VERIFY": "no"}
    lines = mistakes(load_step, "dedup", path, flags, env)
    assert lines[0].startswith("--workers: must be at least 1, not 0")
    assert {line.split(": ")[0] for line in lines} == {
        "a.yaml:1:1", "a.yaml:2:1", "a.yaml:3:1", "a.yaml:4:1", "--tolerance", "--workers",
        "environment DATADIET_DEDUP_VERIFY",
    }  # fmt: skip
    assert "a.yaml:2:1: sead: unknown setting; did you mean 'seed'?" in lines
    assert "a.yaml:1:1: max-distance: unknown setting; did you mean 'max_distance'?" in lines


def test_unknown_step_and_missing_file(tmp_path):
    assert mistakes(load_step, "dedpu", None, {}, {}) == ["unknown step 'dedpu'; did you mean 'dedup'?"]
    [line] = mistakes(load_step, "dedup", tmp_path / "none.yaml", {}, {})
    assert line.endswith("none.yaml: cannot be read: No such file or directory")


def test_unknown_variables_are_told_apart_from_strangers():
    env = {"DATADIET_ZZZ": "1", "DATADIET_DEDUP_MAXDISTANCE": "1", "DATA_DIET": "1", "PATH": "x"}
    assert mistakes(load_step, "dedup", None, {}, env) == [
        "environment DATADIET_DEDUP_MAXDISTANCE: unknown setting; did you mean 'DATADIET_DEDUP_MAX_DISTANCE'?",
        "environment DATADIET_ZZZ: unknown setting",
    ]


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    # PyYAML writes such text without quotes, because in YAML 1.1 it is no number.
    lambda text: scalar(text) == text
)
COMMON = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.integers(0, 2**32 - 1),
        "device": st.sampled_from(["auto", "cpu", "cuda"]),
        "workers": st.none() | st.integers(1, 1000),
        "label": st.none() | NAMES,
        "id_column": NAMES,
        "delimiter": st.sampled_from([",", ";", "\t", "tab", "|", ":", "#", " ", "'", "\\t"]),
        "max_pixels": st.integers(1, 10**15),
        "max_removed": st.none() | st.floats(0, 1) | st.integers(0, 100).map("{}%".format),
        "cache": st.booleans(),
        "link": st.sampled_from(["copy", "hardlink", "symlink"]),
    },
)
DEDUP = st.fixed_dictionaries(
    {},
    optional={
        "method": st.sampled_from(["auto", "exact", "near", "phash"]),
        "max_distance": st.integers(0, 64),
        "min_correlation": st.floats(0, 1),
        "tolerance": st.floats(0, 0.5) | st.just(0),
        "columns": st.none() | st.lists(NAMES, min_size=1, max_size=3),
        "verify": st.booleans(),
    },
)
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@in_one_folder
@given(COMMON, DEDUP)
def test_settings_of_a_step_round_trip(write, common, own):
    expected = Common(**common), Dedup(**own)
    assert load_step("dedup", write(yaml.safe_dump({**common, **own})), {}, {}) == expected
    effective = {**expected[0].model_dump(mode="json"), **expected[1].model_dump(mode="json")}
    assert load_step("dedup", write(yaml.safe_dump(effective)), {}, {}) == expected


@in_one_folder
@given(
    COMMON,
    st.lists(st.just("dedup") | st.fixed_dictionaries({"dedup": st.none() | DEDUP}), min_size=1, max_size=4),
)
def test_pipelines_round_trip(write, common, steps):
    said = {**common, "steps": steps, "expect": {"removed": "<= 60%", "leaks": "== 0"}}
    expected = Pipeline(**said)
    assert load_pipeline(write(yaml.safe_dump(said)), {}, {}) == expected
    assert load_pipeline(write(yaml.safe_dump(expected.model_dump(mode="json"))), {}, {}) == expected


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["dedup", "x", "removed"]), inner),
    max_leaves=6,
)
KEYS = st.sampled_from([*Pipeline.model_fields, *Dedup.model_fields, "x"])


@in_one_folder
@given(
    st.dictionaries(KEYS, ANYTHING | st.lists(st.fixed_dictionaries({"dedup": st.dictionaries(KEYS, ANYTHING)}))),
    st.dictionaries(KEYS.map(lambda key: f"DATADIET_DEDUP_{key}".upper()), st.text(max_size=4)),
)
def test_whatever_is_said_is_loaded_or_refused_in_plain_words(write, said, env):
    path = write(yaml.safe_dump(said))
    for call in (lambda: load_pipeline(path, {}, env), lambda: load_step("dedup", path, {}, env)):
        try:
            call()
        except ConfigError as error:
            lines = str(error).split("\n")
            assert all(line.startswith(("a.yaml:", "environment ")) for line in lines)
            assert not any("nput should" in line or "alue error" in line for line in lines)


@in_one_folder
@given(st.text(st.characters(codec="utf-8")) | st.binary())
def test_any_file_is_loaded_or_refused(write, content):
    path = write("")
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    for call in (lambda: load_pipeline(path, {}, {}), lambda: load_step("dedup", path, {}, {})):
        try:
            call()
        except ConfigError as error:
            lines = str(error).split("\n")
            assert all(line.startswith("a.yaml:") for line in lines)
