"""Requests as JSON objects, in protobuf's own mapping with the names of the contract, and back.

What is the protocol's default anyway is left out, and whole numbers are numbers, so that the text of
a recipe is short and can be read and compared.
"""

from __future__ import annotations

import json
import re
from typing import Any

from google.protobuf import json_format

from diffusion_toy.contract import messages as m
from diffusion_toy.contract import wire
from diffusion_toy.v1 import denoise_pb2 as pb

DEFAULTS: dict[str, dict[str, Any]] = {
    "inject": {"kind": "NOISE_KIND_GAUSSIAN", "rule": "INJECTION_RULE_TRUTH"},
    "start": {"window": m.WINDOW_DEFAULT, "motion": "MOTION_REVERSE"},
}


def request_to_json(request: m.Request) -> dict[str, Any]:
    """Return a request as a JSON object.

    One is `{"at_step": 12, "play": {"direction": "MOTION_FORWARD"}}`.
    Floating-point values are those that travel on the wire: float32.
    """
    message = wire.request_to_proto(request)
    document: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    for kind, defaults in DEFAULTS.items():
        body = document.get(kind, {})
        for name, value in defaults.items():
            if body.get(name) == value:
                del body[name]
    for body, name in ((document, "at_step"), (document, "sequence"), (document.get("start", {}), "seed")):
        if name in body:
            body[name] = int(body[name])  # protobuf writes 64-bit numbers as text
    return document


def request_from_json(document: dict[str, Any]) -> m.Request:
    """Return the request of a JSON object.

    Raises:
        WireError: an unknown field, or a value of another kind.
        InvalidValueError: a value out of range.
    """
    message = pb.DenoiseRequest()
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, at which protobuf fails
        raise wire.WireError("a text is no Unicode") from None
    try:
        json_format.ParseDict(document, message)
    except json_format.ParseError as error:
        raise wire.WireError(_sentence(str(error))) from None
    except (
        OverflowError
    ) as error:  # an infinite number for a name or a whole number, which it forgets to catch
        raise wire.WireError(f"a number is infinite ({error})") from None
    return wire.request_from_proto(message)


def _sentence(text: str) -> str:
    """Return what protobuf says about a bad document in the contract's words, in one line."""
    if found := re.search(r'no field named "([^"]*)" at "DenoiseRequest\.?([^"]*)"', text):
        return f"{found[2] or 'the command'} has no field {found[1]!r}"
    return text.splitlines()[0].replace("DenoiseRequest.", "").rstrip(".")
