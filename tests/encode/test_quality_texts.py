"""Measures of texts: each fault shows in its own measure; short messages and any script are good as they are."""
# ruff: noqa: RUF001 - letters of many scripts

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datadiet_cli.encode.quality.texts import MEASURES, PHRASE, measure_texts
from datadiet_cli.engine import Engine
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.quality import CHECKS, find_faults

CHECKED = list(CHECKS["text"].values())
WORDS = "time year people way day man thing woman life child world school state family student group".split()

WORDS_IN_A_ROW = " ".join(WORDS)


def prose(seed=0, words=60):
    rng = np.random.default_rng(seed)
    chosen = rng.choice(WORDS, words).tolist()
    return "\n".join(" ".join(chosen[i : i + 12]) + "." for i in range(0, words, 12))


def measured(texts, engine="serial"):
    frame = pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)})
    with Engine(engine, 2) as runner:
        return measure_texts(frame, None, engine=runner)


def names(found, i):
    return {name for name, faulty in find_faults(found.values, CHECKED).items() if faulty[i]}


TEXTS = {
    "empty": ({"empty"}, ""),
    "missing": ({"empty"}, None),
    "white space": ({"empty"}, " \n\t\u00a0\u200b\ufeff "),
    "two letters": ({"too-short"}, "Ok"),
    "symbols": ({"mostly-symbols"}, "!!! $$$ ### ??? *** +++ --- ... ;;; ,,, === (((((( )))))) or so"),
    "Russian": ({"wrong-script"}, "Съешь же ещё этих мягких французских булок, да выпей чаю, и не забудь про хлеб"),
    "Japanese": ({"wrong-script"}, "いろはにほへと ちりぬるを 我が世誰ぞ 常ならむ 有為の奥山 今日越えて"),
    "lines": ({"repeated-lines"}, "\n".join(["home about us", "the first story", "home about us", "home about us"])),
    "phrases": ({"repeated-phrases"}, prose(1, 12).replace("\n", " ") + " buy it now and save some money" * 6),
    "read as cp1252": ({"bad-encoding"}, "Ça déjà été très étonné, forêt".encode().decode("cp1252") + prose(2, 12)),
    "read as Latin-1": ({"bad-encoding"}, "It\u2019s what they don\u2019t know of us.".encode().decode("latin-1")),
    "Russian read as Latin-1": ({"bad-encoding"}, "Съешь же ещё этих мягких".encode().decode("latin-1") + prose(2, 36)),
    "replaced": ({"bad-encoding"}, "d\ufffdj\ufffd vu, tr\ufffds bien, l'\ufffdl\ufffdve est d\ufffdj\ufffd l\ufffd"),
    "French": (set(), "«\u00a0L'ÉTÉ» dit-il, «À LA PLAGE…» Où êtes-vous, Noël\u00a0? Çà et là, l'œuvre d'Éluard."),
    "quoted names": (set(), "words: “CAFÉ”, “MAÎTRÉ” and “FIANCÉ…” and “PROTÉGÉ”— all come from the French language"),
    "smiling": (set(), "see you tonight then, it will be great fun \U0001f600\U0001f600 :-) do not forget the cake!!!"),
    "wide letters": (set(), "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in WORDS_IN_A_ROW)),
}  # fmt: skip


@pytest.mark.parametrize("kind", TEXTS)
def test_a_fault_is_found_and_nothing_else_is(kind):
    expected, text = TEXTS[kind]
    good = [prose(seed) for seed in range(40)]
    found = measured([*good, text])
    assert found.causes.tolist() == [None] * 41
    assert [names(found, i) for i in range(40)] == [set()] * 40
    assert names(found, 40) == expected


def test_short_messages_are_normal_where_all_are_short():
    messages = [
        "Ok",
        "Ok...",
        "yes :)",
        "See you at 5",
        "Call me",
        "Where are you?",
        "k",
        "Happy birthday!!",
        "On my way",
    ]
    found = measured(messages * 3)
    assert [names(found, i) for i in range(len(messages) * 3)] == [set()] * len(messages) * 3


def test_no_script_is_wrong_where_there_are_several():
    found = measured(["this is English"] * 9 + ["а это русский"])
    assert np.isnan(found.values["foreign"]).all()
    found = measured(["これは日本語です", "全漢字文章", "カタカナ"] * 20 + ["english"])
    assert np.flatnonzero(found.values["foreign"] > 0.5).tolist() == [60]
    assert np.isnan(measured(["123", "!?"]).values["foreign"]).all()


@given(st.lists(st.sampled_from(["a", "bb", "ccc"]), min_size=1, max_size=40))
@example(["a"] * 40)
def test_repeated_phrases_are_those_of_a_plain_count(words):
    seen, inside = set(), set()
    for i in range(len(words) - PHRASE + 1):
        phrase = tuple(words[i : i + PHRASE])
        inside |= set(range(i, i + PHRASE)) if phrase in seen else set()
        seen.add(phrase)
    expected = sum(len(words[i]) for i in inside) / sum(map(len, words))
    assert measured([" ".join(words)]).values["repeated_phrases"][0] == pytest.approx(expected)


@given(st.lists(st.text(), min_size=1, max_size=8))
def test_any_text_is_measured_and_the_order_makes_no_difference(texts):
    found, turned = measured(texts), measured(texts[::-1])
    for name in MEASURES:
        values = found.values[name]
        assert np.array_equal(values[::-1], turned.values[name], equal_nan=True)
        assert not np.isinf(values).any()
        if name not in ("characters", "length"):
            assert ((values >= 0) & (values <= 1) | np.isnan(values)).all()


def test_files_are_read_in_their_encoding_and_have_a_cause_where_they_are_no_text(tmp_path):
    contents = {"a": prose().encode(), "b": b"", "c": b"\x00\x01\x02", "d": "déjà vu".encode("latin-1")}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / name) for name in (*contents, "absent")]
    with Engine("threads", 2) as engine:
        found = measure_texts(paths, None, engine=engine)
        latin = measure_texts(paths[3:4], "latin-1", engine=engine)
    assert found.causes.tolist() == [None, None, "not-text", "not-text", "unreachable"]
    assert found.values["characters"].tolist()[1] == 0
    for column in found.values.values():
        assert np.isnan(column[2:]).all()
    assert latin.causes.tolist() == [None]
    assert latin.values["broken"].tolist() == [0]
    with Engine("serial") as engine, pytest.raises(ConfigError, match="no-such"):
        measure_texts(paths, "no-such", engine=engine)
