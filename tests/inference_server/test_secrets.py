"""Secrets from files and variables: what is read, and what is refused by the name of its source."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inference_server.options import ServerOptions
from inference_server.secrets import (
    SECRET_BYTES_MAX,
    SecretError,
    bearer_token,
    read_secret,
    resume_key,
    wall_token,
)

TOKEN = "correct-horse-battery"


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n"])
def test_a_secret_is_read_without_its_line_end(tmp_path: Path, end: bytes) -> None:
    (tmp_path / "secret").write_bytes(TOKEN.encode() + end)
    assert read_secret(tmp_path / "secret", "--token-file", minimum=16) == TOKEN.encode()
    assert bearer_token(ServerOptions(token_file=tmp_path / "secret"), {}) == TOKEN


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"  \n", "is empty"),
        (b"short\n", "holds 5 bytes and at least 16 are needed"),
        (b"x" * (SECRET_BYTES_MAX + 1), "is larger than 4096 bytes"),
    ],
)
def test_a_bad_secret_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(SecretError) as caught:
        read_secret(tmp_path / "secret", "--resume-key-file", minimum=16)
    assert str(caught.value).startswith(f"--resume-key-file: {tmp_path / 'secret'} {said}")


def test_a_missing_secret_is_named(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match=r"--token-file: .*nowhere cannot be read"):
        bearer_token(ServerOptions(token_file=tmp_path / "nowhere"), {})


@pytest.mark.parametrize(
    "content",
    ["zwei Wörter, die lang sind", "two words, and more", "tab\there, and more", "line\nline\nline\nline"],
)
def test_a_token_that_no_header_carries_is_refused_by_its_source(tmp_path: Path, content: str) -> None:
    (tmp_path / "secret").write_text(content, encoding="utf-8")
    for options, environment, source in (
        (ServerOptions(token_file=tmp_path / "secret"), {}, "--token-file: the token in "),
        (ServerOptions(), {"DIFFUSION_TOY_TOKEN": content + "!!"}, "DIFFUSION_TOY_TOKEN: the token "),
    ):
        with pytest.raises(SecretError, match="characters that a header cannot carry") as caught:
            bearer_token(options, environment)
        assert str(caught.value).startswith(source)


def test_a_token_that_can_be_guessed_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x" * 15)
    with pytest.raises(SecretError, match=r"holds 15 bytes and at least 16 are needed; .*openssl rand"):
        bearer_token(ServerOptions(token_file=tmp_path / "secret"), {})
    with pytest.raises(
        SecretError, match=r"^DIFFUSION_TOY_TOKEN holds 1 bytes and at least 16 .*openssl rand"
    ):
        bearer_token(ServerOptions(), {"DIFFUSION_TOY_TOKEN": "x"})
    assert bearer_token(ServerOptions(), {"DIFFUSION_TOY_TOKEN": "x" * 16}) == "x" * 16


def test_the_file_wins_over_the_variable_and_without_both_there_is_no_token(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(TOKEN)
    variable = {"DIFFUSION_TOY_TOKEN": "y" * 20}
    assert bearer_token(ServerOptions(token_file=tmp_path / "secret"), variable) == TOKEN
    assert bearer_token(ServerOptions(), {"DIFFUSION_TOY_TOKEN": ""}) == ""


def test_a_made_up_token_is_another_one_each_time() -> None:
    made = {bearer_token(ServerOptions(make_token=True), {}) for _ in range(4)}
    assert len(made) == 4
    assert min(map(len, made)) >= 16


def test_the_resume_key_comes_from_the_file_the_variable_or_nowhere(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k" * 16)
    variable = {"DIFFUSION_TOY_RESUME_KEY": "v" * 16}
    assert resume_key(ServerOptions(resume_key_file=tmp_path / "key"), variable) == b"k" * 16
    assert resume_key(ServerOptions(one_of_several=True), variable) == b"v" * 16
    assert resume_key(ServerOptions(), {}) == b""
    raw = {"DIFFUSION_TOY_RESUME_KEY": os.fsdecode(b"\xff" * 16)}  # as the environment has what is no text
    assert resume_key(ServerOptions(), raw) == b"\xff" * 16
    with pytest.raises(SecretError, match=r"^DIFFUSION_TOY_RESUME_KEY holds 3 bytes"):
        resume_key(ServerOptions(), {"DIFFUSION_TOY_RESUME_KEY": "abc"})
    with pytest.raises(SecretError, match="--resume-key-file FILE, or set DIFFUSION_TOY_RESUME_KEY"):
        resume_key(ServerOptions(one_of_several=True), {})


def test_the_wall_has_a_token_of_its_own_or_the_file_s_and_needs_the_page(tmp_path: Path) -> None:
    file = tmp_path / "wall"
    file.write_text(TOKEN)
    assert wall_token(ServerOptions()) == ""
    made = [wall_token(ServerOptions(wall=True, web_port=0)) for _ in range(2)]
    assert made[0] != made[1]
    assert wall_token(ServerOptions(wall=True, web_port=0, wall_token_file=file)) == TOKEN
    with pytest.raises(
        SecretError, match="--wall is a part of the page, which is not served; give --web-port"
    ):
        wall_token(ServerOptions(wall=True))
    with pytest.raises(SecretError, match="--wall-token-file is of use with --wall alone"):
        wall_token(ServerOptions(wall_token_file=file))
