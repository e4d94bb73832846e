"""The gauge: nominal, actual and measured noise of each row's picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from diffusion_toy.diffusion import process
from diffusion_toy.diffusion.arrays import Array, clip, flat, mean_of_rows, namespace

PIXELS_LEAST = 64  # for a reading
RESIDUAL_RANGE = (0.05, 0.92)  # mean levels between which the residual tells how much noise there is
EVENNESS = 0.02  # levels may differ by so much and still count as one
NORMAL_MAD = 1.4826  # standard deviation of a normal variable over its median absolute deviation


@dataclass(frozen=True, eq=False)
class Gauge:
    """Hold what measuring needs to know of a model; see `read`.

    Attributes:
        calibration: (K,) float32, root mean square of what the model leaves over, (x − a·x̂0)/s, on real
            pictures of the levels 0…1 in K even steps; None where it was never measured.
        border_value: of the training pictures' outermost pixels, in [−1, 1]; None where not constant.
    """

    calibration: Array | None
    border_value: float | None


class Readings(NamedTuple):
    """What the gauge shows, (R,) float32 each, NaN where a reading would say nothing.

    The least, mean and greatest of the nominal level, of the actual one and of the time step; the level
    measured by the residual and by the border; the excess kurtosis of ε̂.
    """

    nominal_min: Array
    nominal_mean: Array
    nominal_max: Array
    actual_min: Array
    actual_mean: Array
    actual_max: Array
    time_step_min: Array
    time_step_mean: Array
    time_step_max: Array
    measured_by_residual: Array
    measured_by_border: Array
    excess_kurtosis: Array

    @property
    def even(self) -> Array:
        """Tell which rows have one level for all their pixels: (R,) bool."""
        return self.nominal_min == self.nominal_max


def _extent(values: Array) -> tuple[Array, Array, Array]:
    xp, rows = namespace(values), flat(values)
    if rows.shape[1] == 1:
        return (rows[:, 0],) * 3
    return xp.min(rows, axis=1), mean_of_rows(rows), xp.max(rows, axis=1)


def _border(values: Array) -> Array:
    """Return the outermost pixels of (R, ..., H, W) as (R, N)."""
    sides = (values[..., 0, :], values[..., -1, :], values[..., 1:-1, 0], values[..., 1:-1, -1])
    return namespace(values).concat([flat(side) for side in sides], axis=1)


def _median(values: Array) -> Array:
    """Return the lower median of (R, N) as (R, 1)."""
    middle = (values.shape[1] - 1) // 2
    return namespace(values).sort(values, axis=1)[:, middle : middle + 1]


def _kurtosis_and_square(x: Array, x0_hat: Array, u: Array) -> tuple[Array, Array]:
    """Return the excess kurtosis of ε̂ (NaN where too few pixels are noisy), and its mean square: (R,)."""
    xp, pixels = namespace(x), math.prod(x.shape[1:])
    eps = flat(process.eps_of_x0(x, x0_hat, u[:, None], process.NOISY_SIGMA))
    noisy = xp.astype(flat(process.sigma(u) > process.NOISY_SIGMA), xp.float32)
    share = mean_of_rows(noisy)
    per_noisy = 1 / clip(share, 1 / pixels)
    square = eps * eps
    first, second = mean_of_rows(eps) * per_noisy, mean_of_rows(square) * per_noisy
    third, fourth = mean_of_rows(square * eps) * per_noisy, mean_of_rows(square * square) * per_noisy
    mean_square = first * first
    variance = second - mean_square
    central = fourth - 4 * first * third + 6 * mean_square * second - 3 * mean_square * mean_square
    safe = clip(variance, 1e-3)
    usable = (share * pixels >= PIXELS_LEAST) & (variance > 1e-3)
    return xp.where(usable, central / (safe * safe) - 3, math.nan), second


def _by_residual(extent: tuple[Array, Array, Array], mean_square: Array, calibration: Array) -> Array:
    least, nominal, greatest = extent
    xp, steps = namespace(nominal), calibration.shape[0] - 1
    place = nominal * steps
    below = xp.astype(clip(xp.floor(place), 0, steps - 1), xp.int64)
    low, high = xp.take(calibration, below, axis=0), xp.take(calibration, below + 1, axis=0)
    usual = low + (place - xp.astype(below, xp.float32)) * (high - low)
    ratio = xp.sqrt(mean_square) / clip(usual, 1e-3)  # 1 where the level told and the picture agree
    level = xp.atan2(ratio * process.sigma(nominal), process.alpha(nominal)) * (2 / math.pi)
    low_end, high_end = RESIDUAL_RANGE
    # Beside clean pixels, noise that nobody told of goes into the prediction, not into the residual.
    usable = (greatest - least < EVENNESS) & (nominal > low_end) & (nominal < high_end)
    return xp.where(usable, level, math.nan)


def _by_border(x: Array, u: Array, border_value: float) -> Array:
    xp, border = namespace(x), _border(x)
    signal = mean_of_rows(border) / border_value
    spread = _median(xp.abs(border - _median(border)))[:, 0] * NORMAL_MAD
    level = xp.atan2(spread, clip(signal, 0.0)) * (2 / math.pi)
    if u.shape[-1] == 1:
        return level
    along = _border(u)
    return xp.where(xp.max(along, axis=1) - xp.min(along, axis=1) < EVENNESS, level, math.nan)


def read(x: Array, x0_hat: Array, u: Array, g: Array, n2: Array, t: Array, gauge: Gauge) -> Readings:
    """Return what the gauge shows of R rows.

    Args:
        x: (R, C, H, W) float32, the noisy pictures.
        x0_hat: (R, C, H, W) float32, the predictions.
        u: (R, H, W) nominal levels, or (R, 1, 1) where a row has one for all pixels.
        g: (R, H, W), the gain.
        n2: (R, H, W), the noise variance.
        t: time steps, shaped as the levels.
        gauge: what is known of the model.
    """
    nominal = _extent(u)
    kurtosis, mean_square = _kurtosis_and_square(x, x0_hat, u)
    nothing = namespace(x).full_like(kurtosis, math.nan)
    return Readings(
        *nominal,
        *_extent(process.actual_level(g, n2)),
        *_extent(t),
        nothing if gauge.calibration is None else _by_residual(nominal, mean_square, gauge.calibration),
        _by_border(x, u, gauge.border_value) if gauge.border_value else nothing,
        kurtosis,
    )
