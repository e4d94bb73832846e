"""The samplers' rules in one table: what `sampling` and the server's engine ask about each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from diffusion_toy.contract.messages import Sampler


@dataclass(frozen=True)
class SamplerRule:
    """Say how a sampler steps back in time.

    Attributes:
        eta: the randomness of its `process.ddim_update`, 0…1, from the η that a user has set.
        order: 1, or 2 where the prediction before counts too.
        takes_eta: whether the user's η means anything.
    """

    eta: Callable[[float], float]
    order: int = 1
    takes_eta: bool = False

    @property
    def remembers(self) -> bool:
        """Tell whether it needs the prediction of the step before."""
        return self.order > 1

    def is_stochastic(self, eta: float) -> bool:
        """Tell whether its steps add noise at this η, so that the seed matters after the start."""
        return self.eta(eta) > 0


RULES: dict[Sampler, SamplerRule] = {
    Sampler.DDPM: SamplerRule(lambda _: 1.0),  # Ho et al. 2020: DDIM with η = 1
    Sampler.DDIM: SamplerRule(lambda eta: eta, takes_eta=True),  # Song et al. 2021
    Sampler.DPMPP: SamplerRule(lambda _: 0.0, order=2),  # DPM-Solver++(2M), Lu et al. 2022: on η = 0
    Sampler.SDE_DPMPP: SamplerRule(lambda _: 1.0, order=2),  # SDE-DPM-Solver++(2M), likewise: on η = 1
}


def sampler_key(sampler: Sampler) -> str:
    """Return what a command line calls the sampler, `sde-dpmpp` for instance."""
    return sampler.name.lower().replace("_", "-")


def sampler_of_key(key: str) -> Sampler:
    """Return the sampler that a command line calls so; a `KeyError` if there is none."""
    return Sampler[key.upper().replace("-", "_")]
