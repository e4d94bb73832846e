/** The samplers' rules in one table, as in `diffusion_toy/diffusion/samplers.py`. */

import { Sampler } from "../contract/messages.ts";

interface SamplerRule {
  /** The randomness of its steps, 0…1, from the η that a user has set. */
  eta: (eta: number) => number;
  /** Whether it needs the prediction of the step before. */
  remembers: boolean;
}

const RULES: Record<Sampler, SamplerRule> = {
  [Sampler.UNSPECIFIED]: { eta: () => 1, remembers: false }, // the protocol's default, DDPM
  [Sampler.DDPM]: { eta: () => 1, remembers: false },
  [Sampler.DDIM]: { eta: (eta) => eta, remembers: false },
  [Sampler.DPMPP]: { eta: () => 0, remembers: true },
  [Sampler.SDE_DPMPP]: { eta: () => 1, remembers: true },
};

/** Say whether the next step needs the prediction of the step before. */
export function remembers(sampler: Sampler): boolean {
  return RULES[sampler].remembers;
}

/** Say whether steps at this η add noise, so that the seed matters after the start. */
export function isStochastic(sampler: Sampler, eta: number): boolean {
  return RULES[sampler].eta(eta) > 0;
}
