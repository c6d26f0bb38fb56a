"""Where trainings keep what they need to go on."""

import os
from dataclasses import replace

import pytest

from datadiet_cli.steps.context import Context
from datadiet_cli.steps.teaching.lessons import MONTH, Place


@pytest.fixture
def context(tmp_path):
    made = iter(range(100))

    def new_folder():
        path = tmp_path / f"room-{next(made)}"
        path.mkdir()
        return str(path)

    return Context(new_folder=new_folder, checkpoints=str(tmp_path / "kept"))


def interrupted(context):
    place = Place("train", ["a"], context)
    path = place.__enter__().room("model-0")
    place.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    return path


def test_what_went_wrong_is_gone_on_with_and_what_went_well_is_forgotten(context):
    first = interrupted(context)
    with Place("train", ["a"], context) as place:
        assert place.room("model-0") == first
    assert os.listdir(context.checkpoints) == []


def test_two_runs_at_once_do_not_share_a_folder(context):
    with Place("train", ["a"], context) as one, Place("train", ["a"], context) as other:
        assert one.path != other.path
        assert not other.path.startswith(context.checkpoints)
    with Place("train", ["a"], context) as one, Place("train", ["b"], context) as other:
        assert {os.path.dirname(place.path) for place in (one, other)} == {context.checkpoints}


def test_another_training_or_rerun_begins_anew(context):
    path = interrupted(context)
    with Place("train", ["a"], replace(context, rerun=True)):
        assert not os.path.exists(path)


def test_what_nobody_went_on_with_for_a_month_goes(context, tmp_path):
    old, strange = (tmp_path / "kept" / name for name in (f"train-{'0' * 32}", "notes"))
    for folder in (old, strange):
        folder.mkdir(parents=True)
        os.utime(folder, (0, os.stat(tmp_path).st_mtime - 2 * MONTH))
    with Place("train", ["a"], context):
        assert not old.exists()
        assert strange.exists()


def test_a_folder_that_cannot_be_used_is_done_without(context, tmp_path):
    (tmp_path / "kept").write_text("a file")
    with Place("train", ["a"], context) as place:
        assert os.path.isdir(place.path)


def test_what_is_gone_on_with_after_a_month_is_not_swept(context):
    path = os.path.dirname(interrupted(context))
    os.utime(path, (0, os.stat(path).st_mtime - 2 * MONTH))
    with Place("train", ["a"], context) as place:
        assert place.path == path
