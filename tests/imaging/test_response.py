"""Response curves: laws, files in their real layouts, and the measured curves where they are."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import loadmat, savemat
from scipy.optimize import minimize

from hdrbench.errors import DataMissingError, HdrbenchError
from hdrbench.imaging import response, transfer

CURVES = Path(os.environ.get("HDRBENCH_DATA", "no data")) / "dorf_crf"
REAL = pytest.mark.skipif(not CURVES.is_dir(), reason="HDRBENCH_DATA has no folder dorf_crf")
GRID = np.linspace(0.0, 1.0, 2001)
SAMPLES = np.linspace(0.0, 1.0, 60)


@pytest.mark.parametrize(
    "curve",
    [response.gamma(2.2), response.gamma(0.8), response.sigmoid(0.9, 0.6), response.sigmoid(1.2, 0.3)],
    ids=lambda curve: curve.name,
)
def test_laws_of_curves_without_a_file(curve):
    brightness = curve.evaluate(GRID)
    assert brightness[0] == 0
    assert brightness[-1] == pytest.approx(1.0, abs=1e-15)
    assert (np.diff(brightness) > 0).all()
    np.testing.assert_allclose(curve.invert(brightness), GRID, atol=1e-12)
    np.testing.assert_allclose(curve.evaluate(curve.invert(GRID)), GRID, atol=1e-12)
    np.testing.assert_array_equal(curve.evaluate([-1.0, 3.0]), curve.evaluate([0.0, 1.0]))


def test_gamma_is_the_transfer_function_of_that_name():
    codes = transfer.gamma_encode(torch.from_numpy(GRID), 2.2).numpy()
    np.testing.assert_allclose(response.gamma(2.2).evaluate(GRID), codes, atol=1e-15)


def test_sigmoid_by_hand():
    # n = 1, sigma = 0.5: 1.5 * 0.5 / (0.5 + 0.5)
    assert response.sigmoid(1.0, 0.5).evaluate(0.5) == pytest.approx(0.75)


@pytest.mark.parametrize("make", [lambda: response.gamma(0.0), lambda: response.sigmoid(0.9, -0.6)])
def test_parameters_above_zero(make):
    with pytest.raises(HdrbenchError, match="above 0"):
        make()


def test_flat_parts_invert_to_where_they_begin():
    curve = response.tabulated("steps", [0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 0.3, 0.3, 0.3, 1.0, 1.0])
    np.testing.assert_allclose(curve.invert([0.0, 0.15, 0.3, 0.65, 1.0]), [0.0, 0.1, 0.2, 0.7, 0.8])
    assert curve.invert(0.3 + 1e-9) == pytest.approx(0.6, abs=1e-6)
    np.testing.assert_allclose(curve.evaluate(curve.invert(GRID)), GRID, atol=1e-12)


@pytest.mark.parametrize(
    ("irradiance", "brightness", "words"),
    [
        ([0, 0.5, 1], [0, 0.6, 0.5, 1], "two equally long lists"),
        ([0, 0.5, 1], [0, 1.2, 1], "brightness falls by 0.2 at sample 1"),
        ([0, 0.5, 0.9], [0, 0.5, 1], "irradiance runs from 0 to 0.9"),
        ([0, 0.5, 1], [0.1, 0.5, 1], "brightness runs from 0.1 to 1"),
        ([0, 0.5, 1], [0, np.nan, 1], "expected finite values"),
    ],
)
def test_no_response_curve(irradiance, brightness, words):
    with pytest.raises(HdrbenchError, match=words):
        response.tabulated("mine", irradiance, brightness)


def block(name: str, curve: np.ndarray) -> list[str]:
    texts = [" ".join(f"{value:.6e}" for value in values) for values in (SAMPLES, curve)]
    return [name, "Type1", "I =", texts[0], "B =", texts[1]]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_both_layouts_of_the_measured_curves_agree(tmp_path, end):
    curves = np.stack([SAMPLES ** (1 / 2.2), SAMPLES**1.4])
    lines = [
        line for name, curve in zip(("first film", "second-film+"), curves, strict=True) for line in block(name, curve)
    ]
    (tmp_path / "dorfCurves.txt").write_bytes(end.join(lines).encode())
    rows = np.stack([SAMPLES, SAMPLES]).astype(np.float32)
    savemat(tmp_path / "201_CRF_data.mat", {"I": rows, "B": curves.astype(np.float32)})
    text, matrix = (response.read_dorf(tmp_path / name) for name in ("dorfCurves.txt", "201_CRF_data.mat"))
    assert [curve.name for curve in text] == ["first film", "second-film+"]
    assert [curve.name for curve in matrix] == ["dorf row 0", "dorf row 1"]
    for one, other, curve in zip(text, matrix, curves, strict=True):
        np.testing.assert_allclose(one.evaluate(SAMPLES), curve, atol=1e-6)
        np.testing.assert_allclose(other.evaluate(SAMPLES), curve, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: [], "is empty"),
        (lambda lines: lines[:-1], "curve 1 .'second'. is not name, kind"),
        (lambda lines: ["I =", *lines], "curve 0 .'I ='. is not name, kind"),
        (lambda lines: [line.replace("e-01", "e-0l") for line in lines], "could not convert string"),
        (lambda lines: [*lines[:5], lines[3].replace("1.000000e+00", "9.000000e-01"), *lines[6:]], "response 'first'"),
    ],
)
def test_broken_text(tmp_path, change, words):
    lines = block("first", SAMPLES) + block("second", SAMPLES)
    path = tmp_path / "dorfCurves.txt"
    path.write_text("\n".join(change(lines)))
    with pytest.raises(HdrbenchError, match=words) as caught:
        response.read_dorf(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_broken_matrix_and_missing_file(tmp_path):
    path = tmp_path / "201_CRF_data.mat"
    with pytest.raises(DataMissingError, match="is missing; get the measured response curves from https://cave"):
        response.read_dorf(path)
    with pytest.raises(DataMissingError, match=r"emor\.txt is missing"):
        response.read_basis(tmp_path / "emor.txt")
    savemat(path, {"B": np.zeros((2, 5))})
    with pytest.raises(HdrbenchError, match="expected matrices I and B"):
        response.read_dorf(path)
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(HdrbenchError, match="not a complete MATLAB file"):
        response.read_dorf(path)


def sines(path: Path, *, inverse: bool = False) -> response.Basis:
    """Write and read a basis of sines, which are orthonormal and 0 at both ends, around a gamma curve."""
    names = ("B", "g0", "hinv({})") if inverse else ("E", "f0", "h({})")
    steps = np.arange(60) / 59
    blocks = {names[0]: steps, names[1]: steps ** (2.2 if inverse else 1 / 2.2)}
    for number in range(1, 6):
        blocks[names[2].format(number)] = np.sqrt(2 / 59) * np.sin(number * np.pi * steps)
    lines = []
    for name, values in blocks.items():
        texts = [f"{value:.15e}" for value in values]
        lines += [f"{name} = ", *("   ".join(texts[i : i + 4]) for i in range(0, 60, 4))]
    path.write_text("\n".join(lines))
    return response.read_basis(path)


@pytest.mark.parametrize("inverse", [False, True])
def test_fit_recovers_coefficients(tmp_path, inverse):
    basis = sines(tmp_path / "emor.txt", inverse=inverse)
    assert basis.inverse is inverse
    assert basis.vectors.shape == (5, 60)
    truth = np.array([[0.3, -0.1, 0.02], [0.0, 0.05, 0.0]])
    fitted = response.fit(basis, np.stack([basis.curve(row) for row in truth]), 3)
    np.testing.assert_allclose(fitted, truth, atol=1e-12)
    curve = basis.response(truth[0], "mine")
    known, found = (curve.invert, curve.evaluate) if inverse else (curve.evaluate, curve.invert)
    np.testing.assert_allclose(known(basis.grid), basis.curve(truth[0]), atol=1e-12)
    np.testing.assert_allclose(found(basis.curve(truth[0])), basis.grid, atol=1e-12)


def test_monotone_is_the_nearest_curve_that_never_falls(tmp_path):
    basis = sines(tmp_path / "emor.txt")
    wanted = np.array([1.5, -1.0, 0.8, -0.5])
    with pytest.raises(HdrbenchError, match="brightness falls"):
        basis.response(wanted, "wild")
    found = response.monotone(basis, wanted)
    assert np.diff(basis.curve(found)).min() >= 0
    basis.response(found, "tame")
    slopes, start = np.diff(basis.vectors[:4], axis=1), np.diff(basis.mean)
    reference = minimize(
        lambda c: ((c - wanted) ** 2).sum(),
        np.zeros(4),
        jac=lambda c: 2 * (c - wanted),
        constraints={"type": "ineq", "fun": lambda c: start + c @ slopes, "jac": lambda c: slopes.T},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    np.testing.assert_allclose(found, reference.x, atol=1e-5)
    np.testing.assert_array_equal(response.monotone(basis, found * 0), 0)


@pytest.mark.parametrize("text", ["", "E = 0 1", "E = 0 1\nf0 = 0 1\nh(1) = 0 0 0", "Q = 0 1\nf0 = 0 1\nh(1) = 0 0"])
def test_broken_basis(tmp_path, text):
    (tmp_path / "emor.txt").write_text(text)
    with pytest.raises(HdrbenchError, match=r"emor\.txt: expected equally long blocks E, f0"):
        response.read_basis(tmp_path / "emor.txt")


@REAL
def test_measured_curves():
    curves = response.read_dorf(CURVES / "201_CRF_data.mat")
    assert len(curves) == 201
    for curve in curves:
        brightness = curve.evaluate(GRID)
        assert (brightness[0], brightness[-1]) == (0, 1)
        assert np.diff(brightness).min() >= 0
        np.testing.assert_allclose(curve.evaluate(curve.invert(GRID)), GRID, atol=1e-12)


@REAL
def test_inverse_agrees_with_the_published_inverse_table():
    """dorfCurvesInv.mat was made by others, by picking samples: it may differ by one step of its grid, 1/1023."""
    table = loadmat(CURVES / "dorfCurvesInv.mat")
    rows = zip(response.read_dorf(CURVES / "201_CRF_data.mat"), table["invB"], table["invI"], strict=True)
    worst = max(np.abs(curve.invert(b) - i)[:-1].max() for curve, b, i in rows)
    assert worst < 1.01 / 1023


# Root mean square error of the fit of the worst and of the average curve, measured: 0.0324, 0.0142, 0.0028, 0.0012 and
# 0.0057, 0.0023, 0.0005, 0.0001 by least squares.
@REAL
@pytest.mark.parametrize(
    ("count", "worst", "average"), [(3, 0.033, 0.006), (5, 0.015, 0.0025), (11, 0.003, 0.0006), (25, 0.0012, 0.0001)]
)
def test_few_directions_describe_every_measured_curve(count, worst, average):
    basis = response.read_basis(CURVES / "emor.txt")
    np.testing.assert_allclose(basis.vectors @ basis.vectors.T, np.eye(25), atol=1e-7)
    samples = np.stack([c.evaluate(basis.grid) for c in response.read_dorf(CURVES / "201_CRF_data.mat")])
    fitted = response.fit(basis, samples, count)
    errors = np.sqrt(((np.stack([basis.curve(row) for row in fitted]) - samples) ** 2).mean(axis=1))
    assert errors.max() < worst
    assert errors.mean() < average
    tame = np.stack([basis.curve(response.monotone(basis, row)) for row in fitted])
    assert np.diff(tame, axis=1).min() >= 0
    tame_errors = np.sqrt(((tame - samples) ** 2).mean(axis=1))
    assert (tame_errors >= errors - 1e-9).all(), "the least-squares fit is the best there is"
    assert tame_errors.mean() < 1.6 * errors.mean()


@REAL
def test_three_directions_hold_the_published_share_of_the_energy():
    """Grossberg2004: three eigenvalues explain more than 99.5 % of the energy."""
    basis = response.read_basis(CURVES / "emor.txt")
    samples = np.stack([c.evaluate(basis.grid) for c in response.read_dorf(CURVES / "201_CRF_data.mat")])
    left = samples - np.stack([basis.curve(row) for row in response.fit(basis, samples, 3)])
    assert 1 - (left**2).sum() / ((samples - basis.mean) ** 2).sum() > 0.995


@REAL
def test_inverse_model():
    basis = response.read_basis(CURVES / "invemor.txt")
    assert basis.inverse
    curves = response.read_dorf(CURVES / "201_CRF_data.mat")
    samples = np.stack([curve.invert(basis.grid) for curve in curves])
    fitted = response.fit(basis, samples, 11)
    errors = np.abs(np.stack([basis.curve(row) for row in fitted]) - samples).mean(axis=1)
    assert errors.mean() < 0.0006
    for curve, row in zip(curves[::40], fitted[::40], strict=True):
        near = basis.response(response.monotone(basis, row), "fit")
        assert np.abs(near.evaluate(GRID) - curve.evaluate(GRID)).mean() < 0.01
