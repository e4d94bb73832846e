"""The diffusion mathematics, elementwise, so that every formula holds for a map of levels.

Notation (Ho et al. 2020; Song et al. 2021): `x0` the clean image, `x_t` the noisy one,
`eps` standard Gaussian noise, `a = √ᾱ` and `s = √(1−ᾱ)`. Noise levels are `u` in [0, 1] with
`ᾱ = cos²(π·u/2)`, hence `a = cos θ`, `s = sin θ` with the angle `θ = π·u/2`; a step goes from the
level `u` to `u_prev ≤ u`, a forward increment from `u` to `u_next ≥ u`. Levels are scalars or
tensors that broadcast against the image; a scalar is the constant map.

Every step, in either direction, has one form, `x' = A·x0_hat + B·x + C·z`: an `Update`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Update:
    """The coefficients of `x' = A·x0_hat + B·x + C·z`, each of the levels' shape.

    `moves` is False where the level does not change; there `x` is copied, bit for bit.
    """

    A: Tensor
    B: Tensor
    C: Tensor
    moves: Tensor

    def apply(self, x: Tensor, x0_hat: Tensor, z: Tensor) -> Tensor:
        """The updated image, of `x`'s shape; exactly `x` where nothing moves."""
        return torch.where(self.moves, self.A * x0_hat + self.B * x + self.C * z, x)

    def apply_forward(self, x: Tensor, z: Tensor) -> Tensor:
        """The same for an update without a prediction (A = 0)."""
        return torch.where(self.moves, self.B * x + self.C * z, x)

    def gain(self, g: Tensor) -> Tensor:
        """What becomes of the gain `g` in `x ≈ g·x0 + n·eps`: `A + B·g`."""
        return torch.where(self.moves, self.A + self.B * g, g)

    def noise_variance(self, n2: Tensor) -> Tensor:
        """What becomes of the noise variance `n²`: `B²·n² + C²`."""
        return torch.where(self.moves, self.B**2 * n2 + self.C**2, n2)


def angle(u: Tensor) -> Tensor:
    """θ = π·u/2."""
    return u * (torch.pi / 2)


def signal(u: Tensor) -> Tensor:
    """a = √ᾱ = cos(π·u/2); exactly 1 at u = 0 and exactly 0 at u = 1.

    Taken as the sine of what is missing to pure noise, since cos(π/2 − δ) in float32 loses δ.
    """
    return torch.sin(angle(1 - u))


def noise(u: Tensor) -> Tensor:
    """s = √(1−ᾱ) = sin(π·u/2); exactly 0 at u = 0 and exactly 1 at u = 1."""
    return torch.sin(angle(u))


def _sine_of_sum(u_low: Tensor, u_high: Tensor) -> Tensor:
    """sin(p + t) of the two angles, accurate at both ends, where it goes to 0."""
    to_clean, to_noise = u_low + u_high, (1 - u_low) + (1 - u_high)
    return torch.sin(angle(torch.minimum(to_clean, to_noise)))  # sin(π − α) = sin α


def _one_minus_ratio(u_low: Tensor, u_high: Tensor) -> Tensor:
    """1 − ᾱ(u_high)/ᾱ(u_low), without the cancellation of the literal form in float32.

    cos²p − cos²t = sin(t−p)·sin(t+p), of differences that float32 takes exactly (levels first,
    then the angle). Defined as 1 where both are pure noise.
    """
    a_low = signal(u_low)
    safe = torch.where(a_low > 0, a_low, 1.0)
    ratio = torch.sin(angle(u_high - u_low)) * _sine_of_sum(u_low, u_high) / safe**2
    return torch.where(a_low > 0, ratio, 1.0).clamp(0, 1)


def _signal_ratio(u_low: Tensor, u_high: Tensor) -> Tensor:
    """√(ᾱ(u_high)/ᾱ(u_low)); exactly 0 where u_high is pure noise."""
    a_low = signal(u_low)
    return torch.where(a_low > 0, signal(u_high) / torch.where(a_low > 0, a_low, 1.0), 0.0)


def q_sample(x0: Tensor, u: Tensor, eps: Tensor) -> Tensor:
    """x_t ~ q(x_t | x_0): `a·x0 + s·eps` (Ho et al. 2020, eq. 4)."""
    return signal(u) * x0 + noise(u) * eps


def velocity(x0: Tensor, eps: Tensor, u: Tensor) -> Tensor:
    """v = `a·eps − s·x0` (Salimans & Ho 2022, section 4)."""
    return signal(u) * eps - noise(u) * x0


def x0_of_velocity(x: Tensor, v: Tensor, u: Tensor) -> Tensor:
    """x0 = `a·x − s·v`; finite at every level, unlike the form that divides by `a`."""
    return signal(u) * x - noise(u) * v


def eps_of_velocity(x: Tensor, v: Tensor, u: Tensor) -> Tensor:
    """eps = `s·x + a·v`."""
    return noise(u) * x + signal(u) * v


def eps_of_x0(x: Tensor, x0: Tensor, u: Tensor) -> Tensor:
    """eps = `(x − a·x0)/s`; 0 where u = 0, where it is not defined."""
    s = noise(u)
    return torch.where(s > 0, (x - signal(u) * x0) / torch.where(s > 0, s, 1.0), 0.0)


def forward_increment(u: Tensor, u_next: Tensor) -> Update:
    """Noising further, by just what is missing: `x' = √ρ·x + √(1−ρ)·z`, ρ = ᾱ(u_next)/ᾱ(u).

    Follows from composing Ho et al. 2020, eq. 2. At u = u_next nothing moves, also at u = 1,
    where ρ reads 0/0.
    """
    one_minus_rho = _one_minus_ratio(u, u_next)
    return Update(
        A=torch.zeros_like(one_minus_rho),
        B=_signal_ratio(u, u_next),
        C=one_minus_rho.sqrt(),
        moves=u_next > u,
    )


def naive_injection(u: Tensor, u_next: Tensor) -> Update:
    """The common mistake: `q(x_t' | x_0)` applied to the already noisy x (B = a', C = s')."""
    a, s = signal(u_next), noise(u_next)
    return Update(A=torch.zeros_like(a), B=a, C=s, moves=u_next > u)


def _beta_over_noise(u: Tensor, u_prev: Tensor, safe_s: Tensor) -> Tensor:
    """β/(1−ᾱ_t) with β = 1 − ᾱ_t/ᾱ_p, in factors that neither cancel nor underflow; 0…1."""
    safe_a_prev = torch.where(u_prev < u, signal(u_prev), 1.0)
    difference = torch.sin(angle(u - u_prev)) / safe_s
    return (difference * (_sine_of_sum(u_prev, u) / safe_s) / safe_a_prev**2).clamp(0, 1)


def ddim_update(u: Tensor, u_prev: Tensor, eta: Tensor | float) -> Update:
    """The DDIM step (Song et al. 2021, eq. 12 and 16); η = 0 deterministic, η = 1 is DDPM.

    `ε̂` is the one that agrees with the clamped `x0_hat`, so it needs no argument of its own.
    """
    s_prev, a, s = noise(u_prev), signal(u), noise(u)
    moves = u_prev < u
    safe_s = torch.where(moves, s, 1.0)
    share = _beta_over_noise(u, u_prev, safe_s)
    # √(s_prev² − σ²) = s_prev·k, multiplied out so that nothing cancels where σ is nearly s_prev
    k = (1 - eta**2 + (eta * _signal_ratio(u_prev, u) * s_prev / safe_s) ** 2).sqrt()
    # A = a_prev − a·s_prev·k/s, likewise: sin(t−p) = a_prev·s − a·s_prev, and 1 − k = (1 − k²)/(1 + k)
    one_minus_k = eta**2 * share / (1 + k)
    return Update(
        A=torch.sin(angle(u - u_prev)) / safe_s + a * (s_prev / safe_s) * one_minus_k,
        B=s_prev / safe_s * k,
        C=eta * s_prev * share.sqrt(),
        moves=moves,
    )


def ddpm_update(u: Tensor, u_prev: Tensor) -> Update:
    """The ancestral step with the posterior's variance (Ho et al. 2020, eq. 6 and 7).

    Holds for any stride: β is that of the whole step. No noise where u_prev = 0.
    """
    a_prev, s_prev = signal(u_prev), noise(u_prev)
    moves = u_prev < u
    safe_s = torch.where(moves, noise(u), 1.0)
    share = _beta_over_noise(u, u_prev, safe_s)
    return Update(
        A=a_prev * share,
        B=_signal_ratio(u_prev, u) * (s_prev / safe_s) ** 2,
        C=s_prev * share.sqrt(),
        moves=moves,
    )


def actual_level(g: Tensor, n2: Tensor) -> Tensor:
    """The level that a picture `x ≈ g·x0 + n·eps` really has: that of ᾱ = g²/(g²+n²)."""
    return torch.atan2(n2.clamp(min=0).sqrt(), g.clamp(min=0)) * (2 / torch.pi)


def guided_velocity(v_null: Tensor, v_label: Tensor, weight: Tensor | float) -> Tensor:
    """Classifier-free guidance (Ho & Salimans 2022): `v_∅ + w·(v_y − v_∅)`; w = 1 is v_y."""
    return v_null + weight * (v_label - v_null)
