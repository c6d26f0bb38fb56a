"""What a command reads is never replaced, removed or written into, whatever else it was told."""

import pytest

from tests.conftest import Cli, table, tree_digest


@pytest.fixture
def rows(tmp_path):
    cells = [[i % 7, (i * 5) % 11, "ab"[i % 2]] for i in range(40)]
    return table(tmp_path / "rows.csv", ["one", "two", "kind"], cells)


def test_a_transform_is_not_replaced_by_what_it_is_applied_to(tmp_path, datadiet: Cli, rows):
    flags = ("--label", "kind")
    made = datadiet("select-features", rows, tmp_path / "out.csv", *flags, "--method", "anova", "--keep", "1")
    assert made.code == 0, made.err
    before = tree_digest(tmp_path)
    ran = datadiet("apply", tmp_path / "out.csv.transform.json", rows, tmp_path / "out.csv", *flags, "--force")
    assert (ran.code, "out.csv.transform.json" in ran.complaint) == (2, True)
    assert tree_digest(tmp_path) == before


def test_predict_keeps_no_cache_in_its_input(tmp_path, datadiet: Cli, monkeypatch):
    folder = tmp_path / "in"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for i in range(4):
            (folder / name / f"{i}.txt").write_text(f"{name} {name}{i} word\n" * 3)
    assert datadiet("train", folder, tmp_path / "model", "--epochs", "1").code == 0
    monkeypatch.setenv("DATADIET_CACHE_DIR", str(folder / ".cache"))
    before = tree_digest(folder)
    assert datadiet("predict", tmp_path / "model", folder, tmp_path / "out.csv").code == 0
    assert tree_digest(folder) == before


def test_a_report_is_made_again_but_no_other_file(tmp_path, datadiet: Cli, rows):
    arguments = ("evaluate", rows, tmp_path / "r.json", "--against", rows, "--label", "kind", "--model", "linear")
    arguments += ("--seeds", "2", "--epochs", "1", "--leakage", "report")
    assert datadiet(*arguments).code == 0
    assert datadiet(*arguments).code == 2
    assert datadiet(*arguments, "--rerun").code == 0
    (tmp_path / "r.json").write_text('{"mine": 1}')
    assert datadiet(*arguments, "--rerun").code == 2
    assert (tmp_path / "r.json").read_text() == '{"mine": 1}'


def test_a_factory_that_has_no_file(tmp_path, datadiet: Cli, rows):
    ran = datadiet("train", rows, tmp_path / "model", "--label", "kind", "--factory", "__main__:network")
    assert (ran.code, "factory __main__:network" in ran.complaint) == (2, True), ran.err
