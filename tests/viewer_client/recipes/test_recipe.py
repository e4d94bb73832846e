"""Recipes as values and as text."""

from __future__ import annotations

import json
import string
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import InvalidValueError
from viewer_client.files.recipe_text import TEXT_MAX_BYTES, RecipeError, from_text, to_text
from viewer_client.recipes.recipe import NOTHING, STEPS_MAX, Entry, Recipe, Undone

INJECT = m.Inject(m.Disc(0.5, 0.25, 0.125), 40.0)
REVERSE, FORWARD = m.Motion.REVERSE, m.Motion.FORWARD


def recipe(*entries: Entry, steps: int = 10, **changes: Any) -> Recipe:
    return Recipe(m.Start(model="mnist", seed=7, **changes), "0123456789abcdef", entries, steps)


def parts(text: str) -> dict[str, Any]:
    document = json.loads(text)
    assert isinstance(document, dict)
    return document


# --- round trip ---


def floats(low: float, high: float, *, above: bool = False) -> st.SearchStrategy[float]:
    """float32 values, which is what travels on the wire."""
    low, high = float(np.float32(low)), float(np.float32(high))
    return st.floats(low, high, exclude_min=above, width=32, allow_subnormal=False)


discs = st.builds(m.Disc, floats(0, 1), floats(0, 1), floats(0, 1, above=True))
labels = st.none() | st.integers(-1, 20)
changes = st.builds(
    m.SettingsChange,
    label=labels,
    guidance=st.none() | floats(0, 8),
    stride=st.none() | st.integers(1, 1000),
    schedule=st.none() | st.sampled_from(m.ScheduleName),
    num_time_steps=st.none() | st.integers(2, 1000),
    sampler=st.none() | st.sampled_from(m.Sampler),
    eta=st.none() | floats(0, 1),
)
sources = (
    st.just(m.PureNoise())
    | st.builds(m.Pixels, st.binary(max_size=40))
    | st.builds(m.Example, st.none() | st.integers(0, 20))
)
injections = st.builds(
    m.Inject,
    st.none() | discs,
    floats(0, 1000, above=True),
    st.sampled_from(m.NoiseKind),
    st.sampled_from([m.InjectionRule.TRUTH, m.InjectionRule.NAIVE]),
) | st.builds(
    m.Inject, discs, floats(-1000, -0.5), st.sampled_from(m.NoiseKind), st.just(m.InjectionRule.LIE)
)
directions = st.sampled_from([REVERSE, FORWARD])
ingredients = st.one_of(
    injections,
    st.builds(m.Configure, changes),
    st.builds(m.Jump, time_step=floats(0, 1000)),
    st.builds(m.Play, directions),
    st.builds(m.Step, directions, discs),
    st.builds(Undone, st.integers(1, STEPS_MAX)),
)


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    step, entries = 0, []
    for what in draw(st.lists(ingredients, max_size=12)):
        step += draw(st.integers(0, 50))
        entries.append(Entry(step, what))
        step += isinstance(what, m.Step)
    time_step = draw(st.none() | floats(0, 1000))
    return Recipe(
        m.Start(
            model=draw(st.text(string.printable, max_size=9)),
            seed=draw(st.integers(0, m.SEED_MAX)),
            origin=m.Origin(draw(sources), time_step),
            settings=draw(changes),
        ),
        fingerprint=draw(st.text(max_size=16)),
        entries=tuple(entries),
        steps=step + draw(st.integers(0, 300)),
        inexact=draw(st.sampled_from(["", "it is not known when 3 commands …"])),
    )


@given(recipes())
def test_a_recipe_survives_its_text(recipe: Recipe) -> None:
    text = to_text(recipe)
    assert from_text(text) == recipe
    assert from_text(b"\xef\xbb\xbf" + text.encode()) == recipe  # as some editors save it
    assert to_text(from_text(text)) == text


def test_the_text_is_short_and_has_a_command_on_each_line() -> None:
    text = to_text(recipe(Entry(2, INJECT), Entry(2, Undone(3)), Entry(5, m.Play(FORWARD))))
    assert text.splitlines() == [
        "{",
        '  "diffusion_toy_recipe": 1,',
        '  "model": "mnist",',
        '  "fingerprint": "0123456789abcdef",',
        '  "start": {"seed": 7, "origin": {"noise": {}}, "settings": {}},',
        '  "steps": 10,',
        '  "exact": true,',
        '  "commands": [',
        '    {"at_step": 2, "inject": {"disc": {"x": 0.5, "y": 0.25, "radius": 0.125}, "amount": 40.0}},',
        '    {"at_step": 2, "undone": {"injections": 3}},',
        '    {"at_step": 5, "play": {"direction": "MOTION_FORWARD"}}',
        "  ]",
        "}",
    ]


def test_one_that_would_be_too_large_is_refused_in_words() -> None:
    large = recipe(*(Entry(0, INJECT) for _ in range(20_000)))
    with pytest.raises(RecipeError, match=r"20000 commands are too many .* R begins a new one"):
        to_text(large)


# --- what is refused ---


def test_bad_texts_are_refused_with_one_sentence() -> None:
    good = to_text(recipe(Entry(2, INJECT)))
    for text, said in (
        ("", "not a JSON document"),
        ("hello", "not a JSON document"),
        ("[" * 100_000, "not a JSON document"),
        ("[]", "does not begin with 'diffusion_toy_recipe'"),
        ('{"a": 1}', "does not begin with 'diffusion_toy_recipe'"),
        (" " * (TEXT_MAX_BYTES + 1), "larger than 1 MiB"),
        (good.replace('recipe": 1', 'recipe": 2'), "version 2, and this viewer reads version 1"),
        (good.replace('"steps": 10', '"steps": 10, "colour": 1'), "unknown field 'colour'"),
        (good.replace('"steps": 10,', ""), "lacks the field 'steps'"),
        (good.replace('"steps": 10', '"steps": "x"'), "'steps' that is not of the kind int"),
        (good.replace('"steps": 10', f'"steps": {10**300}'), "steps"),
        (good.replace('"steps": 10', '"steps": 1'), "commands[0].at_step 2 is outside 0…1"),
        (
            good.replace('"x": 0.5', '"x": 1.5'),
            "commands[0] of this recipe cannot be used: inject.disc.x 1.5",
        ),
        (good.replace('"x": 0.5', '"z": 0.5'), "inject.disc has no field 'z'"),
        (good.replace('"amount": 40.0', '"amount": "much"'), "amount"),
        (good.replace('"inject": {', '"wipe": {'), "commands[0] has wipe; it must have one of inject"),
        (good.replace('"at_step": 2, ', ""), "commands[0] lacks the field 'at_step'"),
        (good.replace('"seed": 7', '"seed": -7'), "seed"),
        (good.replace('"seed": 7, ', ""), "start.seed (unset)"),
        (good.replace('"settings": {}', '"settings": {"stride": 0}'), "settings.stride 0 is outside 1…1000"),
        (good.replace('"settings": {}', '"settings": {"steps_per_second": 5}'), "steps_per_second 5"),
        (good.replace('"seed": 7', '"seed": 7, "watch": "x"'), "start has the unknown field 'watch'"),
    ):
        assert text != good
        with pytest.raises(RecipeError) as caught:
            from_text(text)
        assert said in str(caught.value), text[:200]
        assert "\n" not in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(recipes(), st.randoms(use_true_random=False), json_values)
def test_a_text_with_any_value_in_it_is_read_or_refused(recipe: Recipe, random: Any, value: Any) -> None:
    document = parts(to_text(recipe))
    place: Any = document
    while True:
        key = random.choice(range(len(place)) if isinstance(place, list) else list(place))
        if isinstance(place[key], dict | list) and place[key] and random.random() < 0.8:
            place = place[key]
            continue
        place[key] = value
        break
    try:
        from_text(json.dumps(document))
    except RecipeError as error:
        if "\n" in str(error):
            raise


@pytest.mark.parametrize(
    "entries",
    [
        (Entry(3, INJECT), Entry(2, INJECT)),
        (Entry(11, INJECT),),
        (Entry(10, m.Step(REVERSE, m.Disc(0.5, 0.5, 0.1))),),
        (Entry(3, m.Step(REVERSE, m.Disc(0.5, 0.5, 0.1))), Entry(3, INJECT)),
        (Entry(3, m.Step(REVERSE)),),
        (Entry(3, m.Jump(step=1)),),
        (Entry(3, m.Configure(m.SettingsChange(steps_per_second=5.0))),),
    ],
)
def test_what_no_session_can_have_done_is_no_recipe(entries: tuple[Entry, ...]) -> None:
    with pytest.raises(InvalidValueError):
        recipe(*entries)


# --- what a replay sends ---


def test_every_step_is_a_command_in_the_direction_that_it_had() -> None:
    disc = m.Disc(0.5, 0.5, 0.1)
    made = recipe(
        Entry(1, INJECT),
        Entry(1, m.Play(FORWARD)),
        Entry(2, m.Step(REVERSE, disc)),
        Entry(4, Undone(2)),
        steps=4,
    )
    assert list(made.commands()) == [
        (0, m.Step(REVERSE)),
        (1, INJECT),
        (1, m.Step(FORWARD)),
        (2, m.Step(REVERSE, disc)),
        (3, m.Step(FORWARD)),
        (4, NOTHING),
        (4, NOTHING),
    ]
    assert made.session("other") == m.Start(model="other", seed=7, motion=m.Motion.PAUSED)
