"""Options from environment variables."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest

from inference_server.ops.environment import add_environment


def parser(**environ: str) -> argparse.ArgumentParser:
    p = argparse.ArgumentParser("server", formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("-p", "--port", type=int, default=50051, help="where to listen")
    p.add_argument("--tick-rate", type=float, default=60.0, help="ticks a second")
    p.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    p.add_argument("--model", type=Path, action="append", help="a model file")
    p.add_argument("--size", type=int, action="append", default=[1])
    p.add_argument("--insecure", action="store_true", help="allow everyone")
    p.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    p.add_argument("--hidden", default="x", help=argparse.SUPPRESS)
    p.add_argument("--version", action="version", version="1.2.3")
    add_environment(p, "TOY_", environ)
    return p


def failure(p: argparse.ArgumentParser, capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit) as caught:
        p.parse_args(argv)
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_without_variables_nothing_changes() -> None:
    args = parser(OTHER="1", PORT="2").parse_args([])
    expected = {"port": 50051, "tick_rate": 60.0, "device": "cpu", "model": None, "size": [1]}
    assert vars(args) == {**expected, "insecure": False, "compile": True, "hidden": "x"}


def test_a_variable_goes_through_the_options_type() -> None:
    args = parser(TOY_PORT="7", TOY_TICK_RATE="30", TOY_DEVICE="cuda").parse_args([])
    assert (args.port, args.tick_rate, args.device) == (7, 30.0, "cuda")
    assert isinstance(args.tick_rate, float)


def test_the_command_line_wins() -> None:
    environ = {"TOY_PORT": "7", "TOY_MODEL": "a", "TOY_SIZE": "4", "TOY_INSECURE": "no", "TOY_COMPILE": "yes"}
    argv = ["-p", "8", "--model", "b", "--model", "c", "--size", "5", "--insecure", "--no-compile"]
    args = parser(**environ).parse_args(argv)
    assert (args.port, args.model, args.insecure, args.compile) == (8, [Path("b"), Path("c")], True, False)
    assert args.size == [5]  # what is repeated replaces the variable's values, it does not join them


def test_the_command_line_wins_even_with_the_default() -> None:
    assert parser(TOY_PORT="7").parse_args(["--port", "50051"]).port == 50051


def test_what_may_be_repeated_is_split() -> None:
    args = parser(TOY_MODEL=os.pathsep.join(["a.st", "/b c.st", ""]), TOY_SIZE="3").parse_args([])
    assert args.model == [Path("a.st"), Path("/b c.st")]
    assert args.size == [3]


@pytest.mark.parametrize(
    ("words", "expected"), [(["1", "TRUE", "yes", "On"], True), (["0", "false", "No", "off"], False)]
)
def test_flags_are_switched_by_words(words: list[str], expected: bool) -> None:
    for word in words:
        args = parser(TOY_INSECURE=word, TOY_COMPILE=word).parse_args([])
        assert args.insecure is expected
        assert args.compile is expected


def test_an_empty_variable_counts_as_unset() -> None:
    args = parser(TOY_PORT="", TOY_MODEL="", TOY_INSECURE="").parse_args([])
    assert (args.port, args.model, args.insecure) == (50051, None, False)


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("TOY_PORT", "abc", "invalid int value: 'abc'"),
        ("TOY_DEVICE", "tpu", "invalid choice: 'tpu' (choose from cpu, cuda)"),
        ("TOY_SIZE", os.pathsep.join(["3", "x"]), "invalid int value: 'x'"),
        ("TOY_INSECURE", "maybe", "'maybe' is not one of 1, true, yes, on, 0, false, no, off"),
    ],
)
def test_a_bad_value_names_the_variable(
    variable: str, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"error: environment variable {variable}: {said}" in failure(parser(**{variable: text}), capsys)


def test_a_bad_variable_does_not_matter_where_it_is_not_used(capsys: pytest.CaptureFixture[str]) -> None:
    p = parser(TOY_PORT="abc")
    assert p.parse_args(["--port", "1"]).port == 1
    for flag in ("--help", "--version"):
        with pytest.raises(SystemExit) as caught:
            p.parse_args([flag])
        assert caught.value.code == 0
    assert "1.2.3" in capsys.readouterr().out


def test_a_bad_option_is_still_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "unrecognized arguments: --nonsense" in failure(parser(TOY_PORT="1"), capsys, "--nonsense")


def test_a_variable_is_enough_for_a_required_option(capsys: pytest.CaptureFixture[str]) -> None:
    p = argparse.ArgumentParser()
    p.add_argument("--data", required=True)
    environ = {"TOY_DATA": "d"}
    add_environment(p, "TOY_", environ)
    assert p.parse_args([]).data == "d"
    environ.clear()
    assert "required: --data" in failure(p, capsys)


def test_the_help_names_the_variables() -> None:
    text = " ".join(parser(TOY_PORT="7").format_help().split())
    assert "where to listen [env: TOY_PORT] (default: 50051)" in text
    assert "[env: TOY_TICK_RATE]" in text
    assert "--device {cpu,cuda} [env: TOY_DEVICE]" in text
    assert "[env: TOY_MODEL]" in text
    assert "TOY_HIDDEN" not in text
    assert "TOY_HELP" not in text
    assert "TOY_VERSION" not in text


def test_an_option_that_no_text_stands_for_is_refused_at_once() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("--verbose", action="count")
    with pytest.raises(TypeError, match="--verbose"):
        add_environment(p)


def test_the_processs_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    p = argparse.ArgumentParser()
    p.add_argument("--max-sessions", type=int, default=32)
    add_environment(p)
    monkeypatch.setenv("DIFFUSION_TOY_MAX_SESSIONS", "64")
    assert p.parse_args([]).max_sessions == 64
