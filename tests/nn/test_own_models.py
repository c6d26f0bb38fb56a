"""Which model suits the data, and networks of one's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from datadiet_cli.nn.models import build, default_model, fits
from datadiet_cli.nn.models.pictures import Pixels
from datadiet_cli.nn.spec import Field, Spec
from tests.nn.fields import CLASSES, FIELDS, samples_of


@pytest.mark.parametrize(
    ("kinds", "name"),
    [
        (["image"], "small-cnn"),
        (["audio"], "audio"),
        (["text"], "text"),
        (["vector"], "mlp"),
        (["numbers", "categories"], "mlp"),
        (["image", "numbers"], "joined"),
        (["text", "text"], "joined"),
    ],
)
def test_the_kind_of_data_tells_the_model(kinds: list[str], name: str) -> None:
    fields = [FIELDS[kind] for kind in kinds]
    assert default_model(fields) == name
    fits(name, fields)


@pytest.mark.parametrize(
    ("name", "fields", "why"),
    [
        ("resnet50", [FIELDS["image"]], "there is no model resnet50; there are linear, mlp"),
        ("mlp", [FIELDS["image"]], "model mlp takes numbers and categories and vector, not image; small-cnn does"),
        ("small-cnn", [FIELDS["image"], FIELDS["text"]], "takes image, not text; joined does"),
        ("text", [FIELDS["text"], FIELDS["text"]], r"takes one field, not 2 \(text, text\); joined takes them all"),
        ("factory", [FIELDS["text"], FIELDS["image"]], "takes one field, not 2"),
        ("small-cnn", [Field("image", "image", {"size": 7})], "7 pixels are too small"),
        ("mlp", [Field("numbers", "numbers", {"columns": []})], "nothing to learn from"),
        ("mlp", [Field("categories", "categories", {"columns": ["a"], "values": [[]]})], "no column has a value"),
        ("mlp", [Field("vector", "vector", {"dimensions": 0})], "nothing to learn from"),
        ("mlp", [], "nothing to learn from"),
    ],
)
def test_fields_that_do_not_fit_are_refused_in_words(name: str, fields: list[Field], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        fits(name, fields)


_NETWORKS = """
import torch
from torch import nn

def good(classes, width=8):
    pool = nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), pool, nn.Flatten(), nn.Linear(width, classes))

def softmax(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(432, classes), nn.Softmax(1))

def widest(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(432, classes + 1))

def small(classes):
    return nn.Linear(7, classes)

def none(classes):
    return "network"

def broken(classes):
    raise RuntimeError("no such width")

constant = 3
"""


@pytest.fixture
def networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Spec]:
    (tmp_path / "some_networks.py").write_text(_NETWORKS)
    (tmp_path / "some_mistake.py").write_text("import nothing_of_this_name")
    monkeypatch.syspath_prepend(tmp_path)

    def spec(factory: Any, *kinds: str, **arguments: Any) -> Spec:
        fields = tuple(FIELDS[kind] for kind in kinds or ("image",))
        return Spec("factory", fields, CLASSES, {"factory": factory, "arguments": arguments})

    return spec


def test_a_network_of_your_own_is_standardised_and_has_its_head_found(networks: Callable[..., Spec]) -> None:
    pictures = samples_of("image")
    model = build(networks("some_networks:good", width=11), [pictures], seed=4)
    assert model.head.in_features == 11
    with torch.no_grad():
        features = model.features(pictures)
        torch.testing.assert_close(model(pictures), model.head(features))
        pixels = Pixels()
        pixels.fit(pictures)
        assert isinstance(model.encoder.body, nn.Module)
        torch.testing.assert_close(features, model.encoder.body(pixels(pictures)))
    again = build(networks("some_networks:good", width=11), [pictures], seed=4)
    assert torch.equal(model.head.weight, again.head.weight)


@pytest.mark.parametrize(
    ("factory", "why"),
    [
        (None, "must be package.module:callable"),
        ("some_networks", "must be package.module:callable"),
        ("no_such_module:good", "cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"),
        ("some_mistake:good", "cannot be imported: ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("some_networks:nobody", "cannot be imported: AttributeError"),
        ("some_networks:constant", "cannot be called: it is a int"),
        ("some_networks:broken", r"broken\(classes=3\) failed: RuntimeError: no such width"),
        ("some_networks:none", "gave a str; it must give a torch.nn.Module"),
        ("some_networks:softmax", "must give what its last linear layer .* without a softmax"),
        ("some_networks:widest", "must end in a torch.nn.Linear of 3 outputs, and has none"),
        ("some_networks:small", r"fails on a batch of \(2, 3, 12, 12\)"),
    ],
)
def test_a_network_that_does_not_do_is_refused_in_words(
    networks: Callable[..., Spec], factory: str | None, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        build(networks(factory))


def test_a_network_of_your_own_takes_one_field_that_is_no_category(networks: Callable[..., Spec]) -> None:
    with pytest.raises(ValueError, match="takes one field, and these are 2"):
        build(networks("some_networks:good", "image", "text"))
    with pytest.raises(ValueError, match="cannot take categories"):
        build(networks("some_networks:good", "categories"))
    with pytest.raises(ValueError, match=r"factory some_networks:good\(classes=3, depth=2\) failed: TypeError"):
        build(networks("some_networks:good", depth=2))
