"""Recipes as text: one JSON document with a command on each line, to be read, compared and shared."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from diffusion_toy.contract import messages as m
from diffusion_toy.contract.wire_json import request_from_json, request_to_json
from diffusion_toy.errors import DiffusionToyError
from viewer_client.recipes.recipe import Entry, Recipe, Undone

FORMAT, VERSION = "diffusion_toy_recipe", 1
TEXT_MAX_BYTES = 2**20
START_FIELDS = ("seed", "origin", "settings")
KINDS = ("inject", "configure", "jump", "play", "step", "undone")


class RecipeError(DiffusionToyError):
    """There is no recipe, or none that this release can read."""


def to_text(recipe: Recipe) -> str:
    """Return a recipe as text.

    Raises:
        RecipeError: it would be larger than 1 MiB.
    """
    start = request_to_json(m.Request(replace(recipe.start, model="")))["start"]
    head = {
        FORMAT: VERSION,
        "model": recipe.start.model,
        "fingerprint": recipe.fingerprint,
        "start": {name: start[name] for name in START_FIELDS if name in start},
        "steps": recipe.steps,
        "exact": not recipe.inexact,
    }
    if recipe.inexact:
        head["reason"] = recipe.inexact
    lines = [f"{_json(name)}: {_json(value)}" for name, value in head.items()]
    commands = ",\n".join("    " + _json(_entry_to_json(entry)) for entry in recipe.entries)
    lines.append(f'"commands": [\n{commands}\n  ]' if commands else '"commands": []')
    text = "{\n  " + ",\n  ".join(lines) + "\n}\n"
    if len(text.encode()) > TEXT_MAX_BYTES:
        raise RecipeError(
            f"{len(recipe.entries)} commands are too many for a recipe of at most 1 MiB; R begins a new one"
        )
    return text


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _entry_to_json(entry: Entry) -> dict[str, Any]:
    if isinstance(entry.what, Undone):
        return {"at_step": entry.step, "undone": {"injections": entry.what.injections}}
    return request_to_json(m.Request(entry.what, at_step=entry.step))


def from_text(text: str | bytes) -> Recipe:
    """Return the recipe that a text holds.

    Raises:
        RecipeError: this is none, or a bad one; one sentence says what is wrong with it.
    """
    content = text.encode(errors="replace") if isinstance(text, str) else text
    if len(content) > TEXT_MAX_BYTES:
        raise RecipeError("this is no recipe: it is larger than 1 MiB")
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise RecipeError("this is no recipe: it is not a JSON document") from None
    if not isinstance(document, dict) or FORMAT not in document:
        raise RecipeError(f"this is no recipe: it does not begin with {FORMAT!r}")
    if document[FORMAT] != VERSION:
        raise RecipeError(
            f"this recipe is of version {document[FORMAT]!r}, and this viewer reads version {VERSION}; "
            "update the viewer"
        )
    try:
        return _from_document(document)
    except RecipeError:
        raise
    except DiffusionToyError as error:
        raise RecipeError(f"this recipe cannot be used: {error}") from None


def _from_document(document: dict[str, Any]) -> Recipe:
    fields: dict[str, type] = {
        FORMAT: int, "model": str, "fingerprint": str, "start": dict, "steps": int, "exact": bool,
        "reason": str, "commands": list,
    }  # fmt: skip
    _check_fields("this recipe", document, fields, optional=("reason",))
    _check_fields("start", document["start"], dict.fromkeys(START_FIELDS, object), optional=START_FIELDS)
    start = request_from_json({"start": {**document["start"], "model": document["model"]}}).body
    assert isinstance(start, m.Start)
    reason = document.get("reason", "it is not said why")
    return Recipe(
        start=start,
        fingerprint=document["fingerprint"],
        entries=tuple(_entry_from_json(n, one) for n, one in enumerate(document["commands"])),
        steps=document["steps"],
        inexact="" if document["exact"] else reason,
    )


def _check_fields(
    path: str, given: dict[str, Any], fields: dict[str, type], optional: tuple[str, ...] = ()
) -> None:
    for name, value in given.items():
        if name not in fields:
            raise RecipeError(f"{path} has the unknown field {name!r}")
        if not isinstance(value, fields[name]) or (fields[name] is int and isinstance(value, bool)):
            raise RecipeError(f"{path} has a field {name!r} that is not of the kind {fields[name].__name__}")
        if isinstance(value, int):
            m.check_range(f"{path}.{name}", min(max(value, -1), 2**63), 0, m.SEQUENCE_MAX)
    for name in fields:
        if name not in given and name not in optional:
            raise RecipeError(f"{path} lacks the field {name!r}")


def _entry_from_json(number: int, document: Any) -> Entry:
    path = f"commands[{number}]"
    if not isinstance(document, dict):
        raise RecipeError(f"{path} is not a command")
    kinds = [name for name in document if name != "at_step"]
    if len(kinds) != 1 or kinds[0] not in KINDS:
        raise RecipeError(
            f"{path} has {' and '.join(kinds) or 'no command'}; it must have one of {', '.join(KINDS)}"
        )
    _check_fields(path, document, {"at_step": int, kinds[0]: dict})
    try:
        if kinds == ["undone"]:
            _check_fields("undone", document["undone"], {"injections": int})
            return Entry(document["at_step"], Undone(**document["undone"]))
        body = request_from_json({kinds[0]: document[kinds[0]]}).body
    except DiffusionToyError as error:
        raise RecipeError(f"{path} of this recipe cannot be used: {error}") from None
    assert isinstance(body, m.Inject | m.Configure | m.Jump | m.Play | m.Step)
    return Entry(document["at_step"], body)
