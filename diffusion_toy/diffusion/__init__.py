"""The mathematics of diffusion on NumPy's or torch's arrays: schedules, steps, samplers, kinds of noise."""
