"""Options from a dataclass: command line, variables, ranges and help follow from one declaration."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pytest

from diffusion_toy.errors import InvalidValueError
from diffusion_toy.options import REQUIRED, add_options, option, parse, read_options


class Level(Enum):
    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True)
class Flags:
    port: int = option(50051, "TCP port", low=0, high=65535)
    rate: float = option(60.0, "steps", low=0, high=240, open_low=True, unit="a second", flag="--tick-rate")
    model: tuple[Path, ...] = option((), "a model file", metavar="FILE", told="those of the package")
    out: Path | None = option(None, "folder for 100 % of the results", metavar="DIR")
    quiet: bool = option(False, "say nothing", group="what is said")
    tour: bool | None = option(None, "begin with the tour")
    level: Level = option(Level.LOW, "how much")
    kind: str = option("text", "how lines look", choices=("text", "json"))
    token: str = option("", "what lets in", variable="TOKEN")


def flags(*argv: str, prefix: str | None = "TOY_", **environment: str) -> Flags:
    parser = argparse.ArgumentParser("toy", allow_abbrev=False)
    return parse(Flags, parser, argv, prefix=prefix, environment=environment)


def test_without_anything_the_defaults_are_in_force() -> None:
    assert flags() == Flags()


def test_the_command_line_sets_each_kind_of_option() -> None:
    given = flags(
        "--port", "0", "--tick-rate", "30", "--model", "a", "--model", "b", "--out", "c", "--quiet",
        "--no-tour", "--level", "high", "--kind", "json", "--token", "secret",
    )  # fmt: skip
    expected = Flags(0, 30.0, (Path("a"), Path("b")), Path("c"), True, False, Level.HIGH, "json", "secret")
    assert given == expected


def test_a_variable_sets_each_kind_of_option_and_the_command_line_wins() -> None:
    variables = {
        "TOY_PORT": "7", "TOY_TICK_RATE": "30", "TOY_MODEL": "a:b", "TOY_OUT": "c", "TOY_QUIET": "Yes",
        "TOY_TOUR": "off", "TOY_LEVEL": "high", "TOY_KIND": "json", "TOKEN": "secret",
    }  # fmt: skip
    expected = Flags(7, 30.0, (Path("a"), Path("b")), Path("c"), True, False, Level.HIGH, "json", "secret")
    assert flags(**variables) == expected
    assert flags("--port", "8", "--model", "z", **variables).port == 8
    assert flags("--model", "z", **variables).model == (Path("z"),)


def test_an_empty_variable_counts_as_unset_and_without_a_prefix_only_named_ones_count() -> None:
    assert flags(TOY_PORT="", TOY_QUIET="") == Flags()
    assert flags(prefix=None, TOY_PORT="7", TOKEN="secret") == Flags(token="secret")


@pytest.mark.parametrize(
    ("argv", "variables", "said"),
    [
        (["--port", "99999"], {}, "--port 99999 is outside 0…65535"),
        (["--tick-rate", "0"], {}, "--tick-rate 0 is outside 0…240, 0 excluded"),
        (["--tick-rate", "nan"], {}, "--tick-rate nan is outside"),
        ([], {"TOY_PORT": "-1"}, "environment variable TOY_PORT -1 is outside 0…65535"),
    ],
)
def test_a_number_out_of_range_names_where_it_came_from(
    argv: list[str], variables: Mapping[str, str], said: str
) -> None:
    with pytest.raises(InvalidValueError) as caught:
        flags(*argv, **variables)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("argv", "variables", "said"),
    [
        (["--port", "many"], {}, "argument --port: invalid int value: 'many'"),
        (["--level", "middle"], {}, "argument --level: invalid choice"),
        (["--por", "3"], {}, "unrecognized arguments"),
        ([], {"TOY_PORT": "many"}, "environment variable TOY_PORT: invalid int value: 'many'"),
        ([], {"TOY_LEVEL": "middle"}, "environment variable TOY_LEVEL: invalid choice: 'middle' (choose"),
        ([], {"TOY_QUIET": "maybe"}, "environment variable TOY_QUIET: 'maybe' is not one of 1, true"),
    ],
)
def test_a_value_of_another_type_ends_the_program_in_words(
    capsys: pytest.CaptureFixture[str], argv: list[str], variables: Mapping[str, str], said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        flags(*argv, **variables)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_the_help_says_range_unit_default_and_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        flags("--help")
    said = " ".join(capsys.readouterr().out.split())
    for part in (
        "--port PORT TCP port (0…65535, default: 50051) [env: TOY_PORT]",
        "steps (above 0…240 a second, default: 60) [env: TOY_TICK_RATE]",
        "--model FILE a model file (default: those of the package) [env: TOY_MODEL]",
        "--out DIR folder for 100 % of the results [env: TOY_OUT]",
        "--tour, --no-tour begin with the tour [env: TOY_TOUR]",
        "--level {low,high} how much (default: low) [env: TOY_LEVEL]",
        "--token TOKEN what lets in [env: TOKEN]",
        "what is said: --quiet say nothing [env: TOY_QUIET]",
    ):
        assert part in said


def test_a_type_that_no_text_stands_for_is_refused() -> None:
    @dataclass(frozen=True)
    class Bad:
        many: complex = option(0j, "many")

    with pytest.raises(TypeError, match="--many"):
        parse(Bad, argparse.ArgumentParser("toy"), [])


@dataclass(frozen=True, kw_only=True)
class Merge:
    files: tuple[Path, ...] = option(REQUIRED, "what to merge", metavar="FILE", several=True, positional=True)
    out: Path = option(REQUIRED, "where to")
    weights: tuple[float, ...] = option((0.5, 1.0), "of each", low=0, high=1, several=True)


def merged(*argv: str) -> Merge:
    parser = argparse.ArgumentParser("toy")
    command = parser.add_subparsers(required=True).add_parser("merge")
    add_options(Merge, command)
    return read_options(Merge, parser.parse_args(argv), command)


def test_a_command_takes_values_by_place_and_several_of_an_option() -> None:
    given = merged("merge", "a", "b", "--out", "c", "--weights", "0.25", "0.75")
    assert given == Merge(files=(Path("a"), Path("b")), out=Path("c"), weights=(0.25, 0.75))
    assert merged("merge", "a", "--out", "c").weights == (0.5, 1.0)
    with pytest.raises(InvalidValueError, match=r"--weights 1\.5 is outside 0…1"):
        merged("merge", "a", "--out", "c", "--weights", "0.5", "1.5")


@pytest.mark.parametrize(("argv", "missing"), [(["merge", "a"], "--out"), (["merge", "--out", "c"], "FILE")])
def test_what_is_required_is_asked_for(
    argv: list[str], missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        merged(*argv)
    assert f"the following arguments are required: {missing}" in capsys.readouterr().err
