"""Experiments on a trained model, with their results in figures."""
