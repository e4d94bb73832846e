"""The diffusion mathematics, elementwise, so that every formula holds for a map of levels.

Notation (Ho et al. 2020; Song et al. 2021): `x0` the clean image, `x_t` the noisy one,
`eps` standard Gaussian noise, `alpha = √ᾱ` and `sigma = √(1−ᾱ)`. Noise levels are `u` in [0, 1] with
`ᾱ = cos²(π·u/2)`, hence `alpha = cos θ`, `sigma = sin θ` with the angle `θ = π·u/2`; a step goes from
the level `u` to `u_prev ≤ u`, a forward increment from `u` to `u_next ≥ u`. Levels are arrays that
broadcast against the image; one of no dimensions is the constant map.

Every step, in either direction, has one form, `x' = A·x0_hat + B·x + C·z`: an `Update`. Arrays are
NumPy's or torch's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from diffusion_toy.diffusion.arrays import Array, clip, namespace, where

NOISY_SIGMA = 0.02  # sigma above which the noise in a pixel can be told from its picture


@dataclass(frozen=True, eq=False)
class Update:
    """Hold the coefficients of `x' = A·x0_hat + B·x + C·z`, each of the levels' shape.

    `moves` is False where the level does not change; there `x` is copied, bit for bit.
    """

    A: Array
    B: Array
    C: Array
    moves: Array

    def map(self, function: Callable[[Array], Array]) -> Update:
        """Return the update with a function applied to each coefficient and to `moves`."""
        return Update(function(self.A), function(self.B), function(self.C), function(self.moves))

    def apply(self, x: Array, x0_hat: Array, z: Array) -> Array:
        """Return the updated image, of `x`'s shape; exactly `x` where nothing moves."""
        return where(self.moves, self.A * x0_hat + self.B * x + self.C * z, x)

    def apply_forward(self, x: Array, z: Array) -> Array:
        """Return the updated image where there is no prediction (A = 0)."""
        return where(self.moves, self.B * x + self.C * z, x)

    def gain(self, g: Array) -> Array:
        """Return what becomes of the gain `g` in `x ≈ g·x0 + n·eps`: `A + B·g`."""
        return where(self.moves, self.A + self.B * g, g)

    def noise_variance(self, n2: Array) -> Array:
        """Return what becomes of the noise variance `n²`: `B²·n² + C²`."""
        return where(self.moves, self.B * self.B * n2 + self.C * self.C, n2)


def choose(condition: Array, update: Update, other: Update) -> Update:
    """Return the one update where the condition holds, and the other elsewhere."""
    where = namespace(condition).where
    pairs = ((update.A, other.A), (update.B, other.B), (update.C, other.C), (update.moves, other.moves))
    return Update(*(where(condition, a, b) for a, b in pairs))


def angle(u: Array) -> Array:
    """Return θ = π·u/2."""
    return u * (math.pi / 2)


def alpha(u: Array) -> Array:
    """Return √ᾱ = cos(π·u/2); exactly 1 at u = 0 and exactly 0 at u = 1.

    Taken as the sine of what is missing to pure noise, since cos(π/2 − δ) in float32 loses δ.
    """
    return namespace(u).sin(angle(1 - u))


def sigma(u: Array) -> Array:
    """Return √(1−ᾱ) = sin(π·u/2); exactly 0 at u = 0 and exactly 1 at u = 1."""
    return namespace(u).sin(angle(u))


def _sine_of_sum(u_low: Array, u_high: Array) -> Array:
    """Return sin(p + t) of the two angles, accurate at both ends, where it goes to 0."""
    xp = namespace(u_low)
    to_clean, to_noise = u_low + u_high, (1 - u_low) + (1 - u_high)
    return xp.sin(angle(xp.minimum(to_clean, to_noise)))  # sin(π − α) = sin α


def _one_minus_ratio(u_low: Array, u_high: Array) -> Array:
    """Return 1 − ᾱ(u_high)/ᾱ(u_low), without the cancellation of the literal form in float32.

    cos²p − cos²t = sin(t−p)·sin(t+p), of differences that float32 takes exactly (levels first,
    then the angle). Defined as 1 where both are pure noise.
    """
    xp, a_low = namespace(u_low), alpha(u_low)
    safe = xp.where(a_low > 0, a_low, 1.0)
    ratio = xp.sin(angle(u_high - u_low)) * _sine_of_sum(u_low, u_high) / (safe * safe)
    return clip(xp.where(a_low > 0, ratio, 1.0), 0.0, 1.0)


def _alpha_ratio(u_low: Array, u_high: Array) -> Array:
    """Return √(ᾱ(u_high)/ᾱ(u_low)); exactly 0 where u_high is pure noise."""
    xp, a_low = namespace(u_low), alpha(u_low)
    return xp.where(a_low > 0, alpha(u_high) / xp.where(a_low > 0, a_low, 1.0), 0.0)


def q_sample(x0: Array, u: Array, eps: Array) -> Array:
    """Return x_t ~ q(x_t | x_0): `alpha·x0 + sigma·eps` (Ho et al. 2020, eq. 4)."""
    return alpha(u) * x0 + sigma(u) * eps


def velocity(x0: Array, eps: Array, u: Array) -> Array:
    """Return v = `alpha·eps − sigma·x0` (Salimans & Ho 2022, section 4)."""
    return alpha(u) * eps - sigma(u) * x0


def x0_of_velocity(x: Array, v: Array, u: Array) -> Array:
    """Return x0 = `alpha·x − sigma·v`; finite at every level, unlike the form that divides by alpha."""
    return alpha(u) * x - sigma(u) * v


def eps_of_x0(x: Array, x0: Array, u: Array, least_sigma: float = 0.0) -> Array:
    """Return eps = `(x − alpha·x0)/sigma`, and 0 where sigma is not above `least_sigma`.

    At u = 0 it is not defined.
    """
    xp, s = namespace(x), sigma(u)
    noisy = s > least_sigma
    return xp.where(noisy, (x - alpha(u) * x0) / xp.where(noisy, s, 1.0), 0.0)


def forward_increment(u: Array, u_next: Array) -> Update:
    """Noise further, by just what is missing: `x' = √ρ·x + √(1−ρ)·z`, ρ = ᾱ(u_next)/ᾱ(u).

    Follows from composing Ho et al. 2020, eq. 2. At u = u_next nothing moves, also at u = 1,
    where ρ reads 0/0.
    """
    xp, one_minus_rho = namespace(u), _one_minus_ratio(u, u_next)
    return Update(
        A=xp.zeros_like(one_minus_rho),
        B=_alpha_ratio(u, u_next),
        C=xp.sqrt(one_minus_rho),
        moves=u_next > u,
    )


def naive_injection(u: Array, u_next: Array) -> Update:
    """Make the common mistake: apply `q(x_t' | x_0)` to the already noisy x (B = alpha', C = sigma')."""
    a, s = alpha(u_next), sigma(u_next)
    return Update(A=namespace(a).zeros_like(a), B=a, C=s, moves=u_next > u)


def _beta_over_variance(u: Array, u_prev: Array, safe_s: Array) -> Array:
    """Return β/(1−ᾱ_t) with β = 1 − ᾱ_t/ᾱ_p, in factors that neither cancel nor underflow; 0…1."""
    xp = namespace(u)
    safe_a_prev = xp.where(u_prev < u, alpha(u_prev), 1.0)
    difference = xp.sin(angle(u - u_prev)) / safe_s
    return clip(difference * (_sine_of_sum(u_prev, u) / safe_s) / (safe_a_prev * safe_a_prev), 0.0, 1.0)


def ddim_update(u: Array, u_prev: Array, eta: Array | float) -> Update:
    """Return the DDIM step (Song et al. 2021, eq. 12 and 16); η = 0 is deterministic, η = 1 is DDPM.

    `ε̂` is the one that agrees with the clamped `x0_hat`, so it needs no argument of its own.
    """
    xp = namespace(u)
    s_prev, a, s = sigma(u_prev), alpha(u), sigma(u)
    moves = u_prev < u
    safe_s = xp.where(moves, s, 1.0)
    share, shrinking = _beta_over_variance(u, u_prev, safe_s), s_prev / safe_s
    # √(s_prev² − σ²) = s_prev·k, multiplied out so that nothing cancels where σ is nearly s_prev
    remaining = eta * _alpha_ratio(u_prev, u) * shrinking
    k = xp.sqrt(1 - eta * eta + remaining * remaining)
    # A = a_prev − a·s_prev·k/s, likewise: sin(t−p) = a_prev·s − a·s_prev, and 1 − k = (1 − k²)/(1 + k)
    one_minus_k = eta * eta * share / (1 + k)
    return Update(
        A=xp.sin(angle(u - u_prev)) / safe_s + a * shrinking * one_minus_k,
        B=shrinking * k,
        C=eta * s_prev * xp.sqrt(share),
        moves=moves,
    )


def log_snr(u: Array) -> Array:
    """Return λ = log(alpha/sigma) of levels; −∞ at pure noise, ∞ where clean."""
    xp, a, s = namespace(u), alpha(u), sigma(u)
    finite = (a > 0) & (s > 0)
    value = xp.log(xp.where(a > 0, a, 1.0)) - xp.log(xp.where(s > 0, s, 1.0))
    return xp.where(finite, value, xp.where(a > 0, math.inf, -math.inf) * xp.ones_like(value))


def actual_level(g: Array, n2: Array) -> Array:
    """Return the level that a picture `x ≈ g·x0 + n·eps` really has: that of ᾱ = g²/(g²+n²)."""
    xp = namespace(g)
    return xp.atan2(xp.sqrt(clip(n2, 0.0)), clip(g, 0.0)) * (2 / math.pi)


def guided_velocity(v_null: Array, v_label: Array, weight: Array | float) -> Array:
    """Return the classifier-free guided `v_∅ + w·(v_y − v_∅)` (Ho & Salimans 2022); w = 1 is v_y."""
    return v_null + weight * (v_label - v_null)
