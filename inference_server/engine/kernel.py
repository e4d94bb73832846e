"""What a tick computes for its rows once the network has spoken: readings, frames, the next state.

Pure functions of tensors, one row for each session that is due, so that they can be compiled and no
loop runs over sessions. A row's state is (P, H, W) with P = C + 3 planes: the picture x, then the
nominal level u, the actual gain g and noise variance n² of each pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_toy.diffusion import process as diffusion
from diffusion_toy.diffusion.counter_noise import Purpose, standard_normal

SNAP_TIME_STEPS = 1e-3  # float32 levels read as time steps are exact to far less than this
NOISY = 0.02  # √(1−ᾱ) from which a pixel's residual says something
PIXELS_LEAST = 64  # for a reading
RESIDUAL_RANGE = (0.05, 0.92)  # mean levels between which the residual tells how much noise there is
EVENNESS = 0.02  # levels may differ by so much and still count as one
NORMAL_MAD = 1.4826  # standard deviation of a normal variable over its median absolute deviation
NO_LEVEL = -1.0  # stands for "no earlier prediction"
READINGS = 12  # least, mean, greatest of nominal, actual, time step; by residual, by border, kurtosis


@dataclass(frozen=True, eq=False)
class Gauge:
    """What measuring needs to know of a model; see `readings`.

    Attributes:
        calibration: (K,) float32, root mean square of what the model leaves over, (x − a·x̂0)/s, on real
            pictures of the levels 0…1 in K even steps; None where it was never measured.
        border_value: of the training pictures' outermost pixels, in [−1, 1]; None where not constant.
    """

    calibration: Tensor | None
    border_value: float | None


def time_steps(table: Tensor, u: Tensor) -> Tensor:
    """The time step of each level (R, H, W) in its row's table (R, N): (R, H, W) float32."""
    flat = u.flatten(1).contiguous()
    above = torch.searchsorted(table, flat).clamp(min=1, max=table.shape[1] - 1)
    low, high = table.gather(1, above - 1), table.gather(1, above)
    t = above - 1 + (flat - low) / (high - low)
    nearest = t.round()
    return torch.where((t - nearest).abs() < SNAP_TIME_STEPS, nearest, t).reshape(u.shape)


def levels_of(table: Tensor, t: Tensor) -> Tensor:
    """The levels at time steps `t` (R, H, W), each within 0…T of its row's table (R, N)."""
    flat = t.flatten(1)
    below = flat.floor().long().clamp(0, table.shape[1] - 2)
    low, high = table.gather(1, below), table.gather(1, below + 1)
    fraction = flat - below
    return torch.where(fraction > 0, low + fraction * (high - low), low).reshape(t.shape)


def _extent(values: Tensor) -> list[Tensor]:
    flat = values.flatten(1)
    return [flat.amin(1), flat.mean(1), flat.amax(1)]


def _border(values: Tensor) -> Tensor:
    """The outermost pixels of (R, ..., H, W) as (R, N)."""
    sides = (values[..., 0, :], values[..., -1, :], values[..., 1:-1, 0], values[..., 1:-1, -1])
    return torch.cat([side.flatten(1) for side in sides], 1)


def readings(x: Tensor, x0_hat: Tensor, u: Tensor, g: Tensor, n2: Tensor, t: Tensor, gauge: Gauge) -> Tensor:
    """What the gauge shows, (R, 12) float32, NaN where a reading would say nothing.

    Least, mean and greatest of the nominal level, the actual one and the time step; the level
    measured by the residual and by the border; the excess kurtosis of ε̂. `u` and `t` are (R, H, W), or
    (R, 1, 1) where they are the same for all pixels.
    """
    rows = len(x)
    nothing = torch.full((rows,), torch.nan, device=x.device)
    a, s = diffusion.alpha(u), diffusion.sigma(u)
    noisy = s > NOISY
    pixels = x[0].numel()
    mask = noisy[:, None].expand_as(x)
    share = mask.flatten(1).float().mean(1)
    enough = share * pixels >= PIXELS_LEAST
    eps = torch.where(mask, (x - a[:, None] * x0_hat) / torch.where(noisy, s, 1.0)[:, None], 0.0).flatten(1)
    per_noisy = 1 / share.clamp(min=1 / pixels)
    square = eps.square()
    first, second = eps.mean(1) * per_noisy, square.mean(1) * per_noisy
    third, fourth = (square * eps).mean(1) * per_noisy, square.square().mean(1) * per_noisy
    variance = second - first.square()
    central = fourth - 4 * first * third + 6 * first.square() * second - 3 * first**4
    excess = central / variance.clamp(min=1e-3).square() - 3
    kurtosis = torch.where(enough & (variance > 1e-3), excess, nothing)

    by_residual = nothing
    nominal = u.flatten(1)
    least, nominal, greatest = nominal.amin(1), nominal.mean(1), nominal.amax(1)
    even = greatest - least < EVENNESS
    if gauge.calibration is not None:
        place = nominal * (len(gauge.calibration) - 1)
        below = place.floor().long().clamp(max=len(gauge.calibration) - 2)
        low, high = gauge.calibration[below], gauge.calibration[below + 1]
        usual = low + (place - below) * (high - low)
        ratio = second.sqrt() / usual.clamp(min=1e-3)  # 1 where claim and picture agree
        level = torch.atan2(ratio * diffusion.sigma(nominal), diffusion.alpha(nominal)) * (2 / torch.pi)
        low_end, high_end = RESIDUAL_RANGE
        # Beside clean pixels, noise that nobody told of goes into the prediction, not into the residual.
        by_residual = torch.where(even & (nominal > low_end) & (nominal < high_end), level, nothing)

    by_border = nothing
    if gauge.border_value:
        border = _border(x)
        signal = border.mean(1) / gauge.border_value
        spread = (border - border.median(1, keepdim=True).values).abs().median(1).values * NORMAL_MAD
        level = torch.atan2(spread, signal.clamp(min=0)) * (2 / torch.pi)
        if u.shape[-1] > 1:
            along = _border(u)
            even = along.amax(1) - along.amin(1) < EVENNESS
        by_border = torch.where(even, level, nothing)

    actual = diffusion.actual_level(g, n2)
    columns = [least, nominal, greatest, *_extent(actual), *_extent(t), by_residual, by_border, kurtosis]
    return torch.stack(columns, 1)


def _log_snr(u: Tensor) -> Tensor:
    """λ = log(a/s) of levels; −∞ at pure noise, ∞ where clean."""
    value: Tensor = diffusion.alpha(u).log() - diffusion.sigma(u).log()
    return value


def second_order(x0_hat: Tensor, earlier: Tensor, u_earlier: Tensor, u: Tensor, u_prev: Tensor) -> Tensor:
    """What DPM-Solver++(2M) takes for x̂0 (Lu et al. 2022, eq. 16): (R, C, H, W).

    Plain x̂0 in the first and the last step, and where the levels of a row differ. Levels are (R,);
    see `sampling.extrapolated` for one row.
    """
    usable = (u_earlier > u) & (u_prev > 0) & (u_prev < u)
    before, now, after = _log_snr(u_earlier), _log_snr(u), _log_snr(u_prev)
    weight = torch.where(usable, 0.5 * (after - now) / (now - before), 0.0)
    weight = torch.where(weight.isfinite(), weight, 0.0)
    return x0_hat + weight[:, None, None, None] * (x0_hat - earlier)


@dataclass(frozen=True, eq=False)
class Rows:
    """What decides the rows of a tick, tensors of R rows.

    Attributes:
        state: (R, P, H, W) float32.
        earlier: (R, C, H, W) float32, the x̂0 before, for DPM-Solver++.
        earlier_level: (R,) float32, the level that it was made at, `NO_LEVEL` where there is none.
        table: (R, N) float32, the schedule's levels, rising, padded above.
        last: (R,) float32, T.
        seeds, steps: (R,) int64.
        stride, eta: (R,) float32.
        forward, multistep, stepping: (R,) bool: the forward process; DPM-Solver++; whether to step at all.
    """

    state: Tensor
    earlier: Tensor
    earlier_level: Tensor
    table: Tensor
    last: Tensor
    seeds: Tensor
    steps: Tensor
    stride: Tensor
    eta: Tensor
    forward: Tensor
    multistep: Tensor
    stepping: Tensor


@dataclass(frozen=True, eq=False)
class Advanced:
    """What becomes of the rows of a tick.

    Attributes:
        pixels: (R, 2·C·H·W + H·W) float16: x_t, x̂0 and the levels, before the step.
        readings: (R, 12), see `readings`; before the step.
        state: (R, P, H, W) after it; rows that would not be finite, and those not stepping, are as before.
        earlier, earlier_level: for the next step.
        at_end: (R, 2) bool, after it: every pixel clean; every pixel at T.
        finite: (R,) bool.
    """

    pixels: Tensor
    readings: Tensor
    state: Tensor
    earlier: Tensor
    earlier_level: Tensor
    at_end: Tensor
    finite: Tensor


def advance(
    rows: Rows, v: Tensor, gauge: Gauge, *, any_forward: bool, any_multistep: bool, uniform: bool = False
) -> Advanced:
    """Read, show and step the rows.

    Args:
        v: (R, C, H, W) float32, the network's prediction.
        any_forward, any_multistep: whether any row is; False saves work.
        uniform: whether every row has one level for all its pixels; True saves work.
    """
    channels = v.shape[1]
    state = rows.state
    x, levels, g, n2 = state[:, :channels], state[:, channels], state[:, channels + 1], state[:, channels + 2]
    u = levels[:, :1, :1] if uniform else levels
    x0_hat = diffusion.x0_of_velocity(x, v, u[:, None]).clamp(-1, 1)
    t = time_steps(rows.table, u)
    shown = readings(x, x0_hat, u, g, n2, t, gauge)
    pixels = torch.cat([x.flatten(1), x0_hat.flatten(1), levels.flatten(1)], 1).half()

    column = (slice(None), None, None)
    u_prev = levels_of(rows.table, (t - rows.stride[column]).clamp(min=0))
    update = diffusion.ddim_update(u, u_prev, rows.eta[column])
    purpose: int | Tensor = Purpose.SAMPLER
    target, u_new = x0_hat, u_prev
    if any_multistep:
        level = torch.where(shown[:, 0] == shown[:, 2], shown[:, 2], 0.0)  # no second order on maps
        better = second_order(x0_hat, rows.earlier, rows.earlier_level, level, u_prev.flatten(1).amax(1))
        target = torch.where(rows.multistep[:, None, None, None], better, x0_hat)
    if any_forward:
        forth = rows.forward
        t_next = torch.minimum(t + rows.stride[column], rows.last[column])
        u_next = torch.where(t_next == t, u, levels_of(rows.table, t_next))
        noising = diffusion.forward_increment(u, u_next)
        pairs = zip(
            (noising.A, noising.B, noising.C, noising.moves),
            (update.A, update.B, update.C, update.moves),
            strict=True,
        )
        update = diffusion.Update(*(torch.where(forth[column], a, b) for a, b in pairs))
        u_new = torch.where(forth[column], u_next, u_prev)
        purpose = torch.where(forth, int(Purpose.FORWARD), int(Purpose.SAMPLER))
    z = standard_normal(rows.seeds, purpose, rows.steps, tuple(x.shape[1:]))
    image = diffusion.Update(*(c[:, None] for c in (update.A, update.B, update.C, update.moves)))
    x_new = image.apply(x, target, z)
    planes = [u_new.expand_as(levels)[:, None], update.gain(g)[:, None], update.noise_variance(n2)[:, None]]
    new = torch.cat([x_new, *planes], 1)
    finite = torch.isfinite(x_new).flatten(1).all(1)
    moves = finite & rows.stepping
    new = torch.where(moves[:, None, None, None], new, state)
    flat = new[:, channels].flatten(1)
    top = rows.table.gather(1, rows.last.long()[:, None])[:, 0]
    at_end = torch.stack([flat.amax(1) == 0, flat.amin(1) >= top], 1)
    earlier_level = torch.where(moves & (shown[:, 0] == shown[:, 2]), shown[:, 2], NO_LEVEL)
    return Advanced(pixels, shown, new, x0_hat, earlier_level, at_end, finite)
