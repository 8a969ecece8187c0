"""The exact arithmetic: right to many digits, and the same bits everywhere."""

import hashlib

import numpy as np
import pytest

from hdrbench.datasets import exact

X = np.random.default_rng(3).uniform(-40, 40, 20000)


def test_elementary_functions():
    np.testing.assert_allclose(exact.exp2(X), np.exp2(X), rtol=1e-13)
    np.testing.assert_allclose(exact.log2(np.exp2(X)), X, atol=1e-12)
    positive = np.abs(X)
    np.testing.assert_allclose(exact.power(positive, 1 / 2.2), positive ** (1 / 2.2), rtol=1e-12)
    assert exact.power(np.array([0.0]), 0.4)[0] == 0
    assert (exact.exp2(np.arange(-9, 10)) == 2.0 ** np.arange(-9, 10)).all(), "powers of two must be exact"


def test_bits_are_the_same_everywhere():
    dice = exact.Dice("golden", 1)
    values = dice.uniforms((64, 64), -8.0, 8.0)
    parts = [
        values,
        dice.normals((64, 64)),
        exact.exp2(values),
        exact.log2(np.abs(values) + 0.1),
        exact.power(np.abs(values), 1 / 2.4),
        exact.fractal(exact.lattice(dice), values, values[::-1], 5, 0.1),
    ]
    digest = hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
    assert digest == "23132445386f83fb7cc6c99e5d2c116cda3af604090edc471c2ad8a538c8b862"


def test_draws():
    dice = exact.Dice("draws")
    uniforms = dice.uniforms((200_000,), 2.0, 4.0)
    assert uniforms.min() >= 2
    assert uniforms.max() < 4
    assert uniforms.mean() == pytest.approx(3, abs=0.01)
    normals = dice.normals((200_000,))
    assert normals.mean() == pytest.approx(0, abs=0.01)
    assert normals.std() == pytest.approx(1, abs=0.01)
    assert {dice.integer(1, 3) for _ in range(100)} == {1, 2, 3}
    assert exact.Dice("draws").uniform() != exact.Dice("draws", 0).uniform()
    assert exact.Dice("draws").uniform() == exact.Dice("draws").uniform()


def test_noise_is_smooth_and_periodic():
    values = exact.lattice(exact.Dice("noise"), 16)
    x = np.linspace(-20, 20, 4001)
    y = np.full_like(x, 0.3)
    line = exact.noise(values, x, y)
    assert np.abs(np.diff(line)).max() < 0.02
    np.testing.assert_allclose(exact.noise(values, x + 16, y - 32), line, atol=1e-12)


def test_fine_octaves_fade_with_the_footprint():
    values = exact.lattice(exact.Dice("noise"))
    x = np.linspace(0, 30, 3000)
    sharp, blurred = (exact.fractal(values, x, x * 0.7, 6, footprint) for footprint in (0.0, 0.6))
    assert np.abs(np.diff(blurred)).mean() < 0.3 * np.abs(np.diff(sharp)).mean()


def test_quantile_is_an_order_statistic():
    values = np.arange(100.0)[::-1]
    assert exact.quantile(values, 0.0) == 0
    assert exact.quantile(values, 0.9) == 90
    assert exact.quantile(values, 1.0) == 99


def test_window_and_halve():
    rows, columns = np.mgrid[0:20, 0:30].astype(float)
    image = np.stack([rows, columns, rows + columns], axis=-1)
    part = exact.window(image, 2.25, 3.5, 8, 10)
    assert part.shape == (8, 10, 3)
    np.testing.assert_allclose(part, image[2:10, 3:13] + [0.25, 0.5, 0.75])
    np.testing.assert_allclose(exact.halve(part)[0, 0], part[:2, :2].mean(axis=(0, 1)))
