"""`datadiet train` of what cannot be learned, and to places that are taken."""

import pytest

from tests.conftest import Cli, names, table, tree_digest
from tests.lessons import pictures


def numbered(label, n=40):
    """A column of numbers, and a label made of each number and the row."""
    return [[f"{(i * 7919) % 101 / 10}", label(i)] for i in range(n)]


@pytest.mark.parametrize(
    ("rows", "flags", "words"),
    [
        (numbered(lambda i: "ab"[i % 2]), [], "there is no label to learn; --label names its column"),
        (numbered(lambda i: "a"), ["--label", "y"], "of one class, 'a'"),
        (numbered(lambda i: "2.5"), ["--label", "y"], "of one class, '2.5'"),
        (numbered(lambda i: f"n{i}"), ["--label", "y"], "no two samples have the same"),
        (numbered(lambda i: f"n{i}"), ["--label", "y", "--batch-size", "2"], "is another column the label?"),
        (numbered(lambda i: "", 3), ["--label", "y"], "--label y: the column is empty"),
        ([], ["--label", "y"], ""),
        ([["1", "a"]], ["--label", "y"], "of one class"),
        (numbered(lambda i: "ab"[i % 2]), ["--label", "z"], "--label"),
        (numbered(lambda i: "ab"[i % 2]), ["--label", "y", "--columns", "w"], "--columns"),
        (numbered(lambda i: "ab"[i % 2]), ["--label", "y", "--augment", "flip"], "--augment flip is for image data"),
        (numbered(lambda i: "ab"[i % 2]), ["--label", "y", "--model", "small-cnn"], "--model small-cnn"),
        (numbered(lambda i: "ab"[i % 2]), ["--label", "y", "--model", "small-cmm"], "did you mean 'small-cnn'?"),
        (numbered(lambda i: "ab"[i % 2]), ["--label", "y", "--freeze"], "--from-model"),
        (numbered(lambda i: "ab"[i % 2]), ["--label", "y", "--from-model", "nowhere"], "nowhere"),
        (
            numbered(lambda i: f"{i * 1.37}"),
            ["--label", "y", "--optimiser", "sgd", "--learning-rate", "100", "--weight-decay", "50"],
            "training diverged",
        ),
        (numbered(lambda i: "ab"[i % 2]), ["--label", "y", "--device", "cuda"], "--device cuda"),
        (numbered(lambda i: "ab"[i % 2]), ["--label", "y", "--patience", "1", "--validation", "0"], "--validation"),
        (numbered(lambda i: f"{i * 1.37e200}"), ["--label", "y"], "too large to be learned"),
        (numbered(lambda i: "inf" if i == 3 else f"{i * 1.37}"), ["--label", "y"], "1 of them infinite, such as 'inf'"),
        (numbered(lambda i: "ab"[i % 2]), ["--label", "y", "--factory", "a:b", "--model", "mlp"], "both name"),
        (numbered(lambda i: "ab"[i % 2]), ["--label", "y", "--from-model", __file__, "--columns", "x"], "--columns"),
    ],
)  # fmt: skip
def test_one_line_for_what_cannot_be(rows, flags, words, tmp_path, datadiet: Cli, monkeypatch):
    """Nothing is written, and nothing but the line is said."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    source = table(tmp_path / "in.csv", ["x", "y"], rows)
    ran = datadiet("train", source, tmp_path / "model", *flags, "--quiet")
    assert ran.code == 2, ran.err
    assert words in ran.complaint
    assert names(tmp_path) == {"in.csv"}


def test_places_that_are_taken(tmp_path, datadiet: Cli):
    source, flags = pictures(tmp_path)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("mine")
    before = tree_digest(tmp_path)
    assert "exists already" in datadiet("train", source, taken, *flags, "--quiet").complaint
    assert datadiet("train", source, source / "model", *flags, "--quiet").code == 2
    assert datadiet("train", source, source, *flags, "--force", "--quiet").code == 2
    assert "MODEL_DIR is missing" in datadiet("train", source, *flags, "--quiet").complaint
    assert tree_digest(tmp_path) == before
