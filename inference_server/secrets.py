"""The server's secrets: the bearer token and the key of resume tokens, from files and variables."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from diffusion_toy.errors import DiffusionToyError
from inference_server.options import RESUME_KEY_VARIABLE, TOKEN_VARIABLE, ServerOptions

SECRET_BYTES_MAX = 4096
RESUME_KEY_BYTES_MIN, TOKEN_BYTES_MIN = 16, 16
REMEDY = "openssl rand -hex 32"


class SecretError(DiffusionToyError):
    """A secret is missing, too short, or cannot be read."""


def read_secret(path: Path, what: str, minimum: int = 1) -> bytes:
    """Return a secret from a file, without the line ends at its end.

    Args:
        path: the file.
        what: how errors name it, as the flag that gave the path.
        minimum: the least length, bytes.

    Raises:
        SecretError: the file cannot be read, or is empty, too short or larger than 4 KiB.
    """
    try:
        with path.open("rb") as file:
            content = file.read(SECRET_BYTES_MAX + 1)
    except OSError as error:
        raise SecretError(f"{what}: {path} cannot be read ({error.strerror or error})") from error
    if len(content) > SECRET_BYTES_MAX:
        raise SecretError(f"{what}: {path} is larger than {SECRET_BYTES_MAX} bytes; is it the right file?")
    secret = content.rstrip(b"\r\n")
    if not secret.strip():
        raise SecretError(f"{what}: {path} is empty; write a secret into it: {REMEDY} > {path}")
    if len(secret) < minimum:
        raise SecretError(
            f"{what}: {path} holds {len(secret)} bytes and at least {minimum} are needed; "
            f"write a longer secret: {REMEDY} > {path}"
        )
    return secret


def bearer_token(options: ServerOptions, environment: Mapping[str, str]) -> str:
    """Return the bearer token that clients have to know; "" if they need none.

    Raises:
        SecretError: it cannot be read, is too short, or has characters that a header cannot carry.
    """
    given = environment.get(TOKEN_VARIABLE, "")
    if options.token_file is not None:
        source = f"--token-file: the token in {options.token_file}"
        token = _token_of(options.token_file, "--token-file")
    elif given:
        source = f"{TOKEN_VARIABLE}: the token"
        if len(given) < TOKEN_BYTES_MIN:
            raise SecretError(_too_short(TOKEN_VARIABLE, len(given), TOKEN_BYTES_MIN))
        token = given
    else:
        return secrets.token_urlsafe(TOKEN_BYTES_MIN) if options.make_token else ""
    return _plain(token, source)


def wall_token(options: ServerOptions) -> str:
    """Return the token of the class wall; "" if there is no wall.

    Raises:
        SecretError: there is no page for it, or the token cannot be read, is too short or not plain ASCII.
    """
    if not options.wall:
        if options.wall_token_file is not None:
            raise SecretError("--wall-token-file is of use with --wall alone; give both, or neither")
        return ""
    if options.web_port is None:
        raise SecretError("--wall is a part of the page, which is not served; give --web-port too")
    if options.wall_token_file is None:
        return secrets.token_urlsafe(TOKEN_BYTES_MIN)
    source = f"--wall-token-file: the token in {options.wall_token_file}"
    return _plain(_token_of(options.wall_token_file, "--wall-token-file"), source)


def _token_of(path: Path, flag: str) -> str:
    return read_secret(path, flag, TOKEN_BYTES_MIN).decode("utf-8", "replace")


def _plain(token: str, source: str) -> str:
    if not re.fullmatch(r"[!-~]+", token):
        raise SecretError(
            f"{source} has characters that a header cannot carry; "
            "use ASCII letters, digits and punctuation, without blanks"
        )
    return token


def resume_key(options: ServerOptions, environment: Mapping[str, str]) -> bytes:
    """Return the key of resume tokens; empty if one is to be made up for this process alone.

    Raises:
        SecretError: it cannot be read or is too short, or one of several servers has none.
    """
    given = os.fsencode(environment.get(RESUME_KEY_VARIABLE, ""))  # the very bytes, whatever they are
    if options.resume_key_file is not None:
        return read_secret(options.resume_key_file, "--resume-key-file", RESUME_KEY_BYTES_MIN)
    if given and len(given) < RESUME_KEY_BYTES_MIN:
        raise SecretError(_too_short(RESUME_KEY_VARIABLE, len(given), RESUME_KEY_BYTES_MIN))
    if not given and options.one_of_several:
        raise SecretError(
            "one of several servers needs the key that the others have, or viewers lose their sessions when "
            f"they change servers; give --resume-key-file FILE, or set {RESUME_KEY_VARIABLE}"
        )
    return given


def _too_short(variable: str, length: int, minimum: int) -> str:
    return (
        f"{variable} holds {length} bytes and at least {minimum} are needed; set it to a longer secret, as "
        f"{REMEDY} prints"
    )
