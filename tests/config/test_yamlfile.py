import json
import math
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from datadiet_cli.config.yamlfile import DEEPEST, LARGEST_FILE, read_yaml
from datadiet_cli.errors import ConfigError


@pytest.fixture(params=["C parser", "Python parser"])
def parser(request, monkeypatch):
    """Both parsers must agree: PyYAML may be installed without libyaml."""
    if request.param == "Python parser":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)


def mistakes(text):
    with pytest.raises(ConfigError) as caught:
        read_yaml(text, "a.yaml")
    return str(caught.value).split("\n")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("true", True), ("True", True), ("FALSE", False),
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("Off", "Off"), ("y", "y"),
        ("12", 12), ("-3", -3), ("0", 0), ("+4", 4),
        ("010", "010"), ("007", "007"), ("0o17", "0o17"), ("0x1F", "0x1F"), ("1_000", "1_000"),
        ("12:30:45", "12:30:45"), ("1:30.5", "1:30.5"),
        ("1e-3", 0.001), ("1.5", 1.5), (".5", 0.5), ("2.", 2.0), ("-1E3", -1000.0),
        ("1.0e+2", 100.0), ("00.5", "00.5"),
        (".inf", ".inf"), (".nan", ".nan"),
        ("2024-02-03", "2024-02-03"), ("2024-02-03 10:00:00", "2024-02-03 10:00:00"),
        ("null", None), ("~", None), ("", None),
        ("10%", "10%"), ("<= 60%", "<= 60%"), ("=", "="),
        ("'12'", "12"), ('"true"', "true"), ("'null'", "null"), ("'<<'", "<<"),
        ("1" * 18, int("1" * 18)), ("1" * 40, "1" * 40),
        ("[1, no, [a]]", [1, "no", ["a"]]), ("{a: {b: 1}}", {"a": {"b": 1}}),
    ],
)  # fmt: skip
def test_scalars_mean_what_they_say(parser, written, meant):
    content, _ = read_yaml(f"key: {written}", "a.yaml")
    assert content == {"key": meant}
    assert type(content["key"]) is type(meant)


@pytest.mark.parametrize("key", ["on", "no", "true", "null", "3", "1.5", "2024-02-03", "'<<'"])
def test_keys_are_the_text_written(parser, key):
    assert read_yaml(f"{key}: 1", "a.yaml")[0] == {key.strip("'"): 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "a.yaml:3:1: 'a' is set twice; the first time in line 1"),
        ("s:\n  - x: 1\n    x: 2", "a.yaml:3:5: 'x' is set twice; the first time in line 2"),
        ("a: &x 1", "a.yaml:1:4: anchors (&x) are not supported"),
        ("a: 1\nb: *x", "a.yaml:2:4: aliases (*x) are not supported"),
        ("a:\n  <<: {b: 1}", "a.yaml:2:3: merge keys (<<) are not supported"),
        ("a: !!python/object/apply:os.system [ls]", "a.yaml:1:4: tags ("),
        ("a: !x%0Ay 1", "a.yaml:1:4: tags ("),
        ("a: 1\n---\nb: 2", "a.yaml:2:1: a second document begins here"),
        ("- a", "a.yaml:1:1: must hold settings, one 'key: value' per line"),
        ("just words", "a.yaml:1:1: must hold settings, one 'key: value' per line"),
        ("[a]: 1", "a.yaml:1:1: a key must be text, not a mapping or list"),
        ("a:\n\t- b", "a.yaml:2:1: a tab stands where YAML wants spaces"),
        ("a: 1\nb: [1, 2\nc: 3", "a.yaml:3:2: not YAML: "),
        ("a: b: c", "a.yaml:1:5: not YAML: mapping values are not allowed"),
        ("removed: >= 100", "a value that begins with > or | needs quotes"),
        ("a: \x07", "a.yaml:1:1: not YAML: it holds control characters"),
        ("a: \ud800", "a.yaml:1:1: not YAML: it holds control characters"),
    ],
)
def test_what_is_not_plain_is_refused(parser, text, message):
    [line] = mistakes(text)
    assert message in line
    assert line.startswith("a.yaml:")


def test_all_mistakes_are_reported_at_once(parser):
    lines = mistakes("a: &x 1\na: *x\nb: !!str 2\nc: [")
    assert [line.split(" ")[0] for line in lines[:4]] == [
        "a.yaml:1:4:",
        "a.yaml:2:1:",
        "a.yaml:2:4:",
        "a.yaml:3:4:",
    ]
    assert len(lines) == 5


def test_billion_laughs_is_refused_without_being_told(parser):
    bomb = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))
    assert all("not supported" in line for line in mistakes(bomb))


@pytest.mark.parametrize(
    "text", ["[" * 500_000, "- " * 400_000, "{a: " * 200_000, "a: " + "[" * DEEPEST + "]" * DEEPEST]
)
def test_depth_is_limited(parser, text):
    assert any(f"nested more than {DEEPEST} deep" in line for line in mistakes(text))


def test_allowed_depth(parser):
    assert read_yaml("a: " + "[" * (DEEPEST - 1) + "]" * (DEEPEST - 1), "a.yaml")[0]


@pytest.mark.parametrize("text", ["", "# all: commented out\n", "---\n", "{}"])
def test_an_empty_file_sets_nothing(parser, text):
    assert read_yaml(text, "a.yaml")[0] == {}


def test_locate(parser):
    _, locate = read_yaml("a: 1\nsteps:\n  - dedup\n  - denoise: {x: 1,  y: [5, 6]}\n", "a.yaml")
    assert str(locate(("a",))) == "a.yaml:1:1"
    assert str(locate(("steps", 0))) == "a.yaml:3:5"
    assert str(locate(("steps", 1, "denoise"))) == "a.yaml:4:5"
    assert str(locate(("steps", 1, "denoise", "y", 1))) == "a.yaml:4:29"
    assert str(locate(("steps", 1, "denoise", "missing"))) == "a.yaml:4:5"
    assert str(locate(("missing",))) == "a.yaml:1:1"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: \xff", "not UTF-8 text"),
        ("a: 1".encode("utf-16"), "not UTF-8 text"),
        (b"#" * (LARGEST_FILE + 1), "larger than 1 MB"),
    ],
)
def test_bytes_that_are_no_yaml(tmp_path, content, message):
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_yaml(path, "a.yaml")
    assert "\n" not in str(caught.value)


def test_file_with_byte_order_mark_and_windows_line_ends(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes("a: é\r\nb: 2\r\n".encode("utf-8-sig"))
    content, locate = read_yaml(path, "a.yaml")
    assert content == {"a": "é", "b": 2}
    assert str(locate(("b",))) == "a.yaml:2:1"


def test_paths_that_cannot_be_read(tmp_path):
    for path, message in [
        (tmp_path / "none.yaml", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (Path("a\0b"), "null byte"),
    ]:
        with pytest.raises(ConfigError, match=f"cannot be read: .*{message}") as caught:
            read_yaml(path, str(path))
        assert "\n" not in str(caught.value)


SNIPPETS = [*"a[]{}|>'#,\téé\x85\u2028\ufeff", '"', "b: ", "- ", "\n", "  ", "&x ", "*x", "!t ", "? ", ": "]
SNIPPETS += ["---", "...", "%YAML 1.1\n", "\\U", "\\x41", "1e3"]


@example("%YAML 9.9\n---\na: 1")
@example('a: "\\UFFFFFFFF"')
@example("? a\n")
@example("*x : 1")
@example("%TAG ! tag:x,2000:\n---\na: !b 1")
@given(st.text() | st.lists(st.sampled_from(SNIPPETS)).map("".join))
def test_any_text_is_read_or_refused_in_words(text):
    for loader in ("CSafeLoader", "none"):
        with pytest.MonkeyPatch.context() as patch:
            if loader == "none":
                patch.delattr(yaml, "CSafeLoader", raising=False)
            try:
                content, locate = read_yaml(text, "a.yaml")
            except ConfigError as error:
                lines = str(error).split("\n")
            else:
                assert isinstance(content, dict)
                lines = [str(locate((key,))) for key in content]
            assert all(line.startswith("a.yaml:") for line in lines)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF, exclude_categories=["Cc", "Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab_-01é", min_size=1), inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(st.text("abcxyz", min_size=1), JSON, max_size=4))
def test_json_means_the_same_as_to_json(content):
    """JSON is YAML: the json module's words for a value are read back as that value."""
    text = json.dumps(content, indent=1)
    assert read_yaml(text, "a.json")[0] == content


def test_a_number_too_great_is_infinite_and_left_to_the_setting_to_refuse():
    assert math.isinf(read_yaml("a: 1e999", "a.yaml")[0]["a"])
