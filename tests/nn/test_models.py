"""Reference models: what they give, what they learn units from, and that nothing of them stays behind."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy.signal import stft
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from datadiet_cli.config.training import MODELS as OFFERED
from datadiet_cli.nn.models import DEFAULTS, MODELS, Dropout, build
from datadiet_cli.nn.models.pictures import Pixels
from datadiet_cli.nn.models.sounds import LogMel
from datadiet_cli.nn.models.tables import Categories, Numbers, Rows, Vector
from datadiet_cli.nn.models.texts import Text
from datadiet_cli.nn.recipe import Recipe
from datadiet_cli.nn.spec import Field, Spec
from tests.nn.fields import CLASSES, FIELDS, ROWS, inputs_of, samples_of, spec_of

every_model = pytest.mark.parametrize("name", MODELS)


def test_every_model_offered_is_there_and_has_settings_of_its_own() -> None:
    assert tuple(MODELS) == OFFERED
    for name in (*MODELS, "factory", "program"):
        assert Recipe(**DEFAULTS[name]).epochs > 1


@every_model
@pytest.mark.parametrize("classes", [CLASSES, ()])
def test_a_model_gives_a_finite_row_per_sample_that_does_not_depend_on_the_others(
    name: str, classes: tuple[str, ...]
) -> None:
    given = inputs_of(name)
    model = build(spec_of(name, classes), given, torch.arange(ROWS) * 1e3 if not classes else None)
    with torch.no_grad():
        out = model(*given)
        features = model.features(*given)
        alone = torch.cat([model(*[part[i : i + 1] for part in given]) for i in range(3)])
    assert out.shape == (ROWS, len(classes) or 1)
    assert out.dtype == torch.float32
    assert torch.isfinite(out).all()
    assert features.shape == (ROWS, model.head.in_features)
    torch.testing.assert_close(alone, out[:3], rtol=1e-4, atol=1e-4 * float(out.abs().max()))


@every_model
def test_gradients_reach_every_parameter(name: str) -> None:
    given = inputs_of(name)
    model = build(spec_of(name, dropout=0.1), given).train()
    model(*given).square().sum().backward()
    for path, parameter in model.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.abs().sum() > 0, path


@every_model
def test_no_tensor_stays_behind_when_a_model_moves_to_another_device(name: str) -> None:
    given = inputs_of(name)
    model = build(spec_of(name, (), dropout=0.5), given, torch.ones(ROWS)).to("meta").train()
    out = model(*[part.to("meta") for part in given])
    assert out.is_meta
    out.sum().backward()
    assert all(parameter.grad is not None and parameter.grad.is_meta for parameter in model.parameters())


@every_model
def test_weights_depend_on_the_seed_alone(name: str) -> None:
    before = torch.random.get_rng_state()
    one, two, other = (build(spec_of(name), inputs_of(name), seed=seed).state_dict() for seed in (5, 5, 6))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@every_model
@pytest.mark.parametrize("n", [0, 1])
def test_few_samples_are_enough_to_build(name: str, n: int) -> None:
    model = build(spec_of(name, ()), inputs_of(name, n), torch.full((n,), 7.0))
    assert torch.isfinite(model(*inputs_of(name))).all()


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("small-cnn", 24_000, 26_000), ("resnet8", 77_000, 79_000), ("resnet20", 271_000, 273_000)],
)
def test_models_for_pictures_have_the_published_number_of_parameters_at_any_size(
    name: str, least: int, most: int
) -> None:
    counts = set()
    for size in (8, 32, 45):
        spec = Spec(name, (Field("image", "image", {"size": size}),), tuple("0123456789"))
        model = build(spec)
        counts.add(sum(parameter.numel() for parameter in model.parameters()))
        assert model(torch.zeros(1, 3, size, size, dtype=torch.uint8)).shape == (1, 10)
    assert len(counts) == 1
    assert least <= counts.pop() <= most


def test_channels_are_standardised_by_their_mean_and_spread() -> None:
    pictures = samples_of("image")
    pixels = Pixels()
    pixels.fit(pictures)
    expected = StandardScaler().fit_transform(pictures.permute(0, 2, 3, 1).reshape(-1, 3).numpy())
    found = pixels(pictures).permute(0, 2, 3, 1).reshape(-1, 3)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    again = Pixels()
    again.fit(pictures.flip(0))
    assert torch.equal(again.mean, pixels.mean)
    assert torch.equal(again.scale, pixels.scale)


def test_numbers_are_taken_by_median_and_quartiles_and_missing_ones_said() -> None:
    field = Field("numbers", "numbers", {"columns": list("abcde")})
    draw = np.random.default_rng(0)
    table = draw.normal([0, 5, 1e30, 0, 3], [1, 20, 1e29, 0, 1], (101, 5)).astype(np.float32)
    table[::3, 1] = np.nan
    table[:, 3] = 4.0
    table[:, 4] = np.nan
    table[5, 0] = np.inf
    encoder = Numbers(field, smooth=False)
    encoder.fit(torch.from_numpy(table))
    seen = np.where(np.isfinite(table[:, :3]), table[:, :3].astype(np.float64), np.nan)
    low, median, high = np.nanquantile(seen, [0.25, 0.5, 0.75], axis=0)
    np.testing.assert_allclose(encoder.median[:3], median, rtol=1e-6)
    np.testing.assert_allclose(encoder.scale[:3], (high - low) / 1.349, rtol=1e-5)
    out = encoder(torch.from_numpy(table)).numpy()
    assert np.isfinite(out).all()
    np.testing.assert_array_equal(out[:, 5:], ~np.isfinite(table))
    assert (out[:, 3:5] == 0).all()
    expected = np.clip(np.nan_to_num((seen - median) * 1.349 / (high - low)), -10, 10)
    np.testing.assert_allclose(out[:, :3], expected, atol=1e-4)


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -3e38, 0.0])
def test_no_number_is_too_odd(value: float, smooth: bool) -> None:
    encoder = Numbers(Field("numbers", "numbers", {"columns": ["a", "b"]}), smooth)
    encoder.fit(torch.tensor([[-3e38, 0.0], [3e38, 1e-30]]))
    assert torch.isfinite(encoder(torch.full((1, 2), value))).all()


def test_a_linear_model_sees_categories_one_by_one() -> None:
    given = samples_of("categories")
    found = Categories(FIELDS["categories"], embed=False)(given).numpy()
    known = [np.arange(1, 4), np.arange(1, 31)]
    expected = OneHotEncoder(categories=known, handle_unknown="ignore", sparse_output=False).fit_transform(
        given.numpy()
    )
    np.testing.assert_array_equal(found, expected)


def test_embedded_categories_are_rows_of_one_table_and_unknown_ones_are_zero() -> None:
    field = Field("categories", "categories", {"columns": ["x", "y"], "values": [list(range(20)), list(range(17))]})
    encoder = Categories(field, embed=True)
    table = encoder.embedding.weight.detach()
    with torch.no_grad():
        out = encoder(torch.tensor([[1, 1], [20, 17], [0, 18], [-1, 99]])).reshape(4, 2, -1)
    torch.testing.assert_close(out[0], table[[1, 21]])
    torch.testing.assert_close(out[1], table[[20, 37]])
    assert (out[2:] == 0).all()


def test_vectors_are_centred_scaled_as_a_whole_and_cut() -> None:
    """A dimension that hardly varies stays one that hardly varies."""
    given = samples_of("vector")
    given[:, 1] *= 1e-3
    given[:, 2] = 9
    encoder = Vector(FIELDS["vector"])
    encoder.fit(given)
    off = given.numpy() - given.numpy().mean(axis=0)
    np.testing.assert_allclose(encoder(given), off / np.sqrt((off**2).mean()), atol=1e-5)
    assert encoder(given)[:, 1].abs().max() < 0.01
    assert encoder(torch.full((1, 5), 1e30)).abs().max() == 10
    encoder.fit(torch.full((3, 5), 7.0))
    assert encoder(torch.full((1, 5), 7.0)).abs().max() == 0


def test_a_text_is_the_mean_of_its_words_wherever_they_stand() -> None:
    encoder = Text(FIELDS["text"])
    with torch.no_grad():
        short = encoder(torch.tensor([[3, 9, 9, 0, 0, 0]], dtype=torch.int32))
        moved = encoder(torch.tensor([[0, 9, 0, 3, 0, 9]], dtype=torch.int32))
        expected = encoder.layers(encoder.words.weight[[3, 9, 9]].mean(0, keepdim=True))
    torch.testing.assert_close(short, expected)
    torch.testing.assert_close(moved, expected)


@pytest.mark.parametrize(("rate", "samples"), [(8000, 1500), (8000, 100), (22050, 4000)])
def test_spectra_are_those_of_a_fourier_transform(rate: int, samples: int) -> None:
    spectrum = LogMel(rate, samples)
    sounds = torch.randint(-20000, 20000, (2, samples), dtype=torch.int16, generator=torch.Generator().manual_seed(1))
    frame = 256 if rate == 8000 else 512 if rate == 16000 else spectrum.fourier.shape[0]
    length = frame + (spectrum.frames - 1) * frame // 2
    filled = np.zeros((2, length))
    filled[:, :samples] = sounds.numpy() / 32768
    _, _, waves = stft(
        filled, window=np.hanning(frame), nperseg=frame, noverlap=frame // 2, boundary=None, padded=False
    )
    power = np.square(np.abs(waves) * np.hanning(frame).sum()) / frame  # undo the scaling of scipy
    expected = np.log(np.einsum("nft,fb->nbt", power, spectrum.bands.numpy()) + 1e-6)
    np.testing.assert_allclose(spectrum(sounds), expected, atol=1e-3)


def test_quiet_bands_survive_a_training_in_half_precision() -> None:
    model = build(spec_of("audio"), inputs_of("audio"))
    sounds = samples_of("audio")
    spectrum = model.encoder.spectrum
    assert isinstance(spectrum, LogMel)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = spectrum(sounds)
    torch.testing.assert_close(found, spectrum(sounds))


def test_a_regression_answers_in_the_unit_of_the_label() -> None:
    given = inputs_of("linear")
    target = torch.linspace(1e6, 3e6, ROWS)
    model = build(spec_of("linear", ()), given, target)
    plain = model.head(model.features(*given))
    torch.testing.assert_close(model(*given), plain * target.double().std(correction=0).float() + target.mean())
    constant = build(spec_of("linear", ()), given, torch.full((ROWS,), 1e6))
    assert float(constant.target_scale) == 1
    with pytest.raises(ValueError, match="no finite numbers"):
        build(spec_of("linear", ()), given, torch.full((ROWS,), torch.nan))


def test_units_are_learnt_from_ten_thousand_samples_at_most() -> None:
    spec = Spec("linear", (FIELDS["vector"],), CLASSES)
    many = samples_of("vector", 30_000)
    one, two = build(spec, [many], seed=1), build(spec, [many], seed=1)
    assert isinstance(one.encoder, Rows)
    vector = one.encoder.parts[0]
    assert isinstance(vector, Vector)
    assert not torch.equal(vector.mean, many.mean(0))
    torch.testing.assert_close(vector.mean, many.mean(0), atol=5, rtol=0)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="different lengths: 3, 4"):
        build(spec_of("mlp"), [samples_of("numbers", 3), samples_of("categories", 4), samples_of("vector", 3)])


def test_hidden_layers_are_as_wide_as_asked() -> None:
    model = build(spec_of("mlp", hidden=[20, 7]))
    assert model.head.in_features == 7
    for wrong in (0, [], [3, True], "wide", [2.5]):
        with pytest.raises(ValueError, match="hidden is"):
            build(spec_of("mlp", hidden=wrong))


def test_dropout_has_a_stream_of_its_own_that_can_go_on_later() -> None:
    x = torch.ones(1000, 10)
    one, two = Dropout(0.3, seed=1), Dropout(0.3, seed=1)
    first = [one(x) for _ in range(2)]
    torch.rand(7)
    torch.testing.assert_close(two(x), first[0])
    state = two.state()
    torch.testing.assert_close(two(x), first[1])
    later = Dropout(0.3, seed=99)
    later.set_state(state)
    torch.testing.assert_close(later(x), first[1])
    torch.testing.assert_close(copy.deepcopy(one)(x), one(x))
    one.reseed(1)
    torch.testing.assert_close(one(x), first[0])
    assert first[0].unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert math.isclose(float((first[0] == 0).float().mean()), 0.3, abs_tol=0.02)
    assert one.eval()(x) is x
    with pytest.raises(ValueError, match="dropout is 1"):
        Dropout(1.0)
