"""Level maps: every mean equally often, clean where nothing was painted."""

from __future__ import annotations

import torch

from training.objectives.levels import brush_masks, sample_level_maps, stratified_uniform


def test_stratified_levels_fall_into_every_interval_once() -> None:
    values = stratified_uniform(64, torch.Generator().manual_seed(0))
    assert sorted((values * 64).long().tolist()) == list(range(64))


def test_maps_stay_in_range_and_the_rest_is_constant() -> None:
    maps = sample_level_maps(64, 28, 28, 0.5, torch.Generator().manual_seed(0))
    assert maps.shape == (64, 28, 28)
    assert maps.min() >= 0
    assert maps.max() <= 1
    spread = maps.amax((1, 2)) - maps.amin((1, 2))
    assert (spread[32:] == 0).all()
    assert (spread[:32] > 0).float().mean() > 0.8


def test_many_brush_maps_are_exactly_clean_outside_the_stroke() -> None:
    maps = sample_level_maps(256, 28, 28, 1.0, torch.Generator().manual_seed(1))[:128]
    clean = (maps == 0).flatten(1).any(1)
    assert 0.3 < clean.float().mean() < 0.7


def test_masks_have_an_inside_and_an_outside() -> None:
    masks = brush_masks(200, 28, 28, torch.Generator().manual_seed(2))
    share = masks.mean((1, 2))
    assert share.min() < 0.05
    assert share.max() > 0.3
    assert ((masks > 0) & (masks < 1)).any()


def test_the_mean_is_uniform_over_many_batches() -> None:
    """Of constant maps, exactly; the maps that vary do not crowd around one half."""
    generator = torch.Generator().manual_seed(3)
    maps = torch.cat([sample_level_maps(64, 28, 28, 0.5, generator) for _ in range(40)])
    constant = (maps == maps[:, :1, :1]).all(2).all(1)
    shares = torch.histc(maps[constant][:, 0, 0], 4, 0, 1) / constant.sum()
    assert (shares - 0.25).abs().max() < 0.05
    strokes = torch.histc(maps[~constant].amax((1, 2)), 4, 0, 1) / (~constant).sum()
    assert strokes.min() > 0.1


def test_no_share_of_maps_gives_classic_diffusion() -> None:
    maps = sample_level_maps(8, 28, 28, 0.0, torch.Generator().manual_seed(0))
    assert (maps == maps[:, :1, :1]).all()
