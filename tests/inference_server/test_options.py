"""The server's options: where their values come from."""

from __future__ import annotations

import argparse
import dataclasses
import errno
import os
from pathlib import Path

import pytest

from diffusion_toy.errors import InvalidValueError
from diffusion_toy.options import parse
from inference_server.options import DEFAULT_MODELS, PREFIX, ServerOptions


def options(*argv: str, **variables: str) -> ServerOptions:
    environment = {PREFIX + name: text for name, text in variables.items()}
    return parse(ServerOptions, argparse.ArgumentParser(), argv, prefix=PREFIX, environment=environment)


def test_every_option_has_a_variable_by_its_own_name() -> None:
    several = os.pathsep.join(["a.safetensors", "b.safetensors"])
    read = options(MODEL=several, TICK_RATE="30", WEB_PORT="0", INSECURE="yes", CACHE_DIR="c", GRACE="1.5")
    assert read.models == read.model_files == (Path("a.safetensors"), Path("b.safetensors"))
    assert (read.tick_rate_hz, read.web_port, read.insecure, read.grace_s) == (30, 0, True, 1.5)
    assert read.cache == Path("c")


@pytest.mark.parametrize("between", [",", " ", ", ", "\n"])
def test_a_variable_takes_several_addresses_which_have_colons_themselves(between: str) -> None:
    origins = ("https://example.org", "http://localhost:8080", "http://[::1]:8080")
    assert options(WEB_ORIGIN=origins[0]).web_origins == origins[:1]
    assert options(WEB_ORIGIN=between.join(origins)).web_origins == origins
    names = ("a.example", "b.example")
    assert options(WEB_HOST_NAME=between.join(names)).web_host_names == names


def test_the_command_line_wins_over_the_variable() -> None:
    assert options("--port", "1", PORT="2").port == 1
    assert options(PORT="2").port == 2
    assert options(PORT="").port == 50051


def test_the_default_models_are_served_without_any_and_a_folder_s_come_after_them(tmp_path: Path) -> None:
    (tmp_path / "b.safetensors").touch()
    (tmp_path / "a.safetensors").touch()
    (tmp_path / "notes.txt").touch()
    files = options("--models-dir", str(tmp_path)).model_files
    assert files == (*DEFAULT_MODELS, tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    with pytest.raises(
        InvalidValueError, match="--models-dir nowhere is outside a folder that exists; make it"
    ):
        _ = options("--models-dir", "nowhere").model_files


@pytest.mark.parametrize(
    ("argv", "variables", "said"),
    [
        (["--web-port", "65536"], {}, "--web-port 65536 is outside 0…65535"),
        (["--tick-rate", "nan"], {}, "--tick-rate nan is outside 1…240"),
        ([], {"IDLE": "0"}, "environment variable DIFFUSION_TOY_IDLE 0"),
    ],
)
def test_a_number_out_of_its_range_is_told_by_its_source(
    argv: list[str], variables: dict[str, str], said: str
) -> None:
    with pytest.raises(InvalidValueError, match=said):
        options(*argv, **variables)


def test_no_secret_is_an_option_that_others_on_the_machine_can_read() -> None:
    """Command lines are public: an option names the file of a secret, never the secret."""
    names = {field.name for field in dataclasses.fields(ServerOptions)}
    assert not {"token", "resume_key"} & names


def test_a_folder_of_models_that_may_not_be_read_is_not_taken_for_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path) -> None:  # the tests may run as root, who may read everything
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))
    with pytest.raises(InvalidValueError, match=r"--models-dir .* permission denied"):
        _ = ServerOptions(models_dir=tmp_path).model_files
