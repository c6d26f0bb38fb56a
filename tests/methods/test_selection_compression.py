"""Design matrices and what they are compressed to."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.linalg import eigh, subspace_angles
from sklearn.covariance import ledoit_wolf
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.preprocessing import StandardScaler

from datadiet_cli.methods.selection import compression
from datadiet_cli.methods.selection.base import Columns, Target
from datadiet_cli.methods.selection.compression import COMPRESSIONS
from datadiet_cli.methods.selection.design import Design
from tests.methods import selection_contract as contract

ALL = pytest.mark.parametrize("fit", COMPRESSIONS.values(), ids=COMPRESSIONS)
pca, lda, random_projection = COMPRESSIONS["pca"], COMPRESSIONS["lda"], COMPRESSIONS["random-projection"]


def digits():
    x, y = load_digits(return_X_y=True)
    return x[:600], Target(y[:600].astype(np.int64), 10)


@ALL
def test_what_all_hold(fit):
    x, target = digits()
    found = fit(x, target, components=4, seed=3)
    again = fit(x.copy(), target, components=4, seed=3)
    assert found.components.shape == (4, 64)
    assert (found.components == again.components).all()
    for array in (found.mean, found.scale, found.components):
        assert array.dtype == np.float64
        assert np.isfinite(array).all()
    out = found.apply(x)
    assert out.shape == (600, 4)
    # A row by itself is what it is among others, to the last digit.
    assert (found.apply(x[17:18]) == out[17:18]).all()
    np.testing.assert_allclose(out, (x - found.mean) / found.scale @ found.components.T, atol=1e-9)
    with pytest.raises(ValueError, match="not of 64"):
        found.apply(x[:, :3])


@ALL
@pytest.mark.parametrize(
    ("x", "options", "words"),
    [
        (np.empty((0, 3)), {}, "nothing to compress"),
        (np.empty((3, 0)), {}, "nothing to compress"),
        (np.array([[1.0], [np.nan]]), {}, "missing or infinite"),
        (np.ones((2, 1)), {"components": 0}, "at least 1"),
        (np.ones((2, 1)), {"variance": 1.5}, "share of 1.5"),
    ],
)
def test_bad_input_is_refused(fit, x, options, words):
    with pytest.raises(ValueError, match=words):
        fit(x, Target(np.arange(len(x)) % 2, 2), **options)


@ALL
@given(x=hnp.arrays(np.float64, st.tuples(st.integers(2, 6), st.integers(1, 5)), elements=st.floats(-1e6, 1e6)))
@settings(max_examples=40)
def test_any_numbers_stay_numbers(fit, x):
    found = fit(x, Target(np.arange(len(x)) % 2, 2), components=3)
    assert np.isfinite(found.apply(x)).all()
    assert len(found.components) <= 3
    assert found.explained is None or ((found.explained > 0) & (found.explained <= 1 + 1e-9)).all()


@pytest.mark.parametrize("shape", [(500, 64), (40, 64)])
def test_principal_components_are_those_of_scikit_learn(shape):
    x, _ = digits()
    x = x[: shape[0]]
    found, theirs = pca(x, None, components=12), PCA(12, svd_solver="full").fit(x)
    np.testing.assert_allclose(np.abs(found.apply(x)), np.abs(theirs.transform(x)), atol=1e-7)
    np.testing.assert_allclose(found.explained, theirs.explained_variance_ratio_, atol=1e-10)
    far = found.components[np.arange(12), np.abs(found.components).argmax(axis=1)]
    assert (far > 0).all()


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_as_many_components_as_a_share_of_the_variance_takes(share):
    x, _ = digits()
    theirs = PCA(share, svd_solver="full").fit(x)
    assert len(pca(x, None, variance=share).components) == theirs.n_components_


def test_no_more_components_than_rows_vary_in(monkeypatch):
    x = np.outer(np.arange(10.0), [1.0, 2.0, 3.0])
    found = pca(x, None, components=3)
    assert len(found.components) == 1
    assert "1 components instead of 3" in found.notes[0]
    assert len(pca(np.ones((5, 2)), None).components) == 0
    monkeypatch.setattr(compression, "MOST", 50)
    many, _ = digits()
    assert "50 of 600 rows" in pca(many, None, components=2).notes[0]


def test_discriminants_are_those_of_the_definition():
    x, y = load_wine(return_X_y=True)
    z = StandardScaler().fit_transform(x)
    found = lda(x, Target(y.astype(np.int64), 3))
    means = np.array([z[y == k].mean(axis=0) for k in range(3)])
    within = ledoit_wolf(z - means[y], assume_centered=True)[0]
    between = (means[y].T @ means[y]) / len(y)
    value, vector = eigh(between, within)
    assert found.components.shape == (2, 13)
    assert subspace_angles(found.components.T, vector[:, -2:]).max() < 1e-5
    np.testing.assert_allclose(found.explained, value[::-1][:2] / value[-2:].sum(), atol=1e-6)
    np.testing.assert_allclose(found.components @ within @ found.components.T, np.eye(2), atol=1e-6)


def test_discriminants_of_many_rows_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 20_000)
    x = rng.normal(size=(20_000, 6)) @ rng.normal(size=(6, 6)) + rng.normal(size=(4, 6))[y]
    theirs = LinearDiscriminantAnalysis(solver="eigen").fit(x, y).transform(x)
    ours = lda(x, Target(y, 4)).apply(x)
    for one, other in zip(ours.T, theirs.T, strict=False):
        assert abs(np.corrcoef(one, other)[0, 1]) > 0.999


def test_discriminants_of_fewer_rows_than_dimensions():
    rng = np.random.default_rng(0)
    y = np.arange(30) % 3
    x = rng.normal(size=(30, 100)) + 2 * rng.normal(size=(3, 100))[y]
    found = lda(x, Target(y, 3), components=9)
    assert len(found.components) == 2
    assert "2 components instead of 9: 3 classes" in found.notes[0]
    out = found.apply(x)
    centres = np.array([out[y == k].mean(axis=0) for k in range(3)])
    assert (np.linalg.norm(out[:, None] - centres, axis=2).argmin(axis=1) == y).all()


def test_discriminants_need_classes():
    x = np.random.default_rng(0).normal(size=(9, 2))
    for target in (
        None,
        Target(x[:, 0], 0),
        Target(np.zeros(9, dtype=np.int64), 1),
        Target(np.zeros(3, dtype=np.int64), 2),
    ):
        with pytest.raises(ValueError, match="lda needs"):
            lda(x, target)


def test_random_directions_keep_distances():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 3000))
    found = random_projection(x, None)
    assert len(found.components) < 3000
    assert found.explained is None
    assert not found.notes
    out = found.apply(x)
    one, other = np.triu_indices(30, 1)
    ratio = ((out[one] - out[other]) ** 2).sum(axis=1) / ((x[one] - x[other]) ** 2).sum(axis=1)
    assert (np.abs(ratio - 1) < 0.3).all()
    assert "takes" in random_projection(x[:, :20], None).notes[0]
    assert (random_projection(x, None, seed=1, components=5).components != found.components[:5]).any()
    with pytest.raises(ValueError, match="not by a share"):
        random_projection(x, None, variance=0.9)


def test_a_design_survives_json_and_works_on_other_rows():
    columns, _ = contract.problem(n=300)
    design = Design.fit(columns)
    x = design.matrix(columns)
    again = Design.of(json.loads(json.dumps(design.as_json())))
    assert (again.matrix(columns) == x).all()
    assert (again.matrix(columns.rows(np.array([7]))) == x[7]).all()
    assert (again.owner == design.owner).all()
    # Every column that varies has a variance of 1; the dimension that says what is missing adds another.
    variance = np.bincount(design.owner, x.var(axis=0), columns.count)
    gaps = np.isnan(columns.numbers).mean(axis=0)
    for position, share in enumerate(gaps[:3]):
        assert variance[position] == pytest.approx(2 if share >= 0.05 else 1)
    np.testing.assert_allclose(variance[3:5], 0)
    for position, share in enumerate((columns.categories < 0).mean(axis=0)[:3], start=5):
        # Few gaps are at the mean, and vary by nothing.
        assert variance[position] == pytest.approx(1, abs=1e-9 if share >= 0.05 else 0.05)
    assert variance[8] == 0
    assert np.abs(x.mean(axis=0)).max() < 0.05


def test_a_design_of_numbers_is_that_of_a_scaler():
    x, _ = load_wine(return_X_y=True)
    columns = contract.plain(x)
    np.testing.assert_allclose(Design.fit(columns).matrix(columns), StandardScaler().fit_transform(x), atol=1e-9)


def test_values_a_design_has_not_seen_are_missing_ones():
    columns = Columns(np.empty((6, 0)), np.array([[0], [1], [2], [0], [1], [2]]))
    design = Design.fit(columns)
    new = Columns(np.empty((2, 0)), np.array([[9], [-1]]))
    assert (design.matrix(new) == 0).all()
    many = Columns(np.empty((200, 0)), (np.arange(200) % 100)[:, None])
    assert design.matrix(columns).shape == (6, 3)
    wide = Design.fit(many)
    assert wide.matrix(many).shape == (200, 33)
    rest = wide.matrix(many)[:, 32]
    assert len(np.unique(rest[:100] > 0)) == 2
    assert (rest > 0).sum() == 2 * 68


@pytest.mark.parametrize(
    "document",
    [{}, {"numbers": [{}], "categories": []}, {"numbers": 3, "categories": []},
     {"numbers": [], "categories": [{"codes": [0, 1], "others": [], "share": [1.0], "scale": 1.0}]}],
)  # fmt: skip
def test_other_documents_are_no_design(document):
    with pytest.raises(ValueError, match="design matrix"):
        Design.of(document)


def test_a_design_is_for_the_columns_it_was_fitted_on():
    columns, _ = contract.problem()
    with pytest.raises(ValueError, match="columns of numbers"):
        Design.fit(columns).matrix(contract.plain(np.ones((2, 3))))
