"""Options from a dataclass: command line, variables, ranges and help follow from one declaration."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pytest

from diffusion_toy.errors import InvalidValueError
from diffusion_toy.options import REQUIRED, add_options, check_options, option, parse, read_options


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
        "--model FILE a model file (default: those of the package) "
        "[env: TOY_MODEL; several with ':' between]",
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


@dataclass(frozen=True)
class Drawn:
    size: int = option(1, "bits a dot", choices=(1, 8))
    between: tuple[float, float] = option((0.0, 1.0), "levels", low=0, high=1, metavar=("LOW", "HIGH"))
    rounds: int = option(3, "how often", low=1)
    rate: float = option(0.5, "how fast", low=0, high=1, open_low=True, open_high=True)
    seed: int = option(0, "of the noise", low=0, high=2**63 - 1)
    levels: tuple[Level, ...] = option((), "which", several=True, metavar="NAME", told="all")

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class Slowly(Drawn):
    """Another default, said as briefly as that."""

    rounds: int = 7


def drawn(*argv: str, cls: type[Drawn] = Drawn, **environment: str) -> Drawn:
    return parse(cls, argparse.ArgumentParser("draw"), argv, prefix="TOY_", environment=environment)


def test_numbers_have_choices_pairs_two_values_and_several_enums_stay_enums() -> None:
    expected = Drawn(8, (0.25, 0.75), levels=(Level.LOW, Level.HIGH))
    argv = ["--size", "8", "--between", "0.25", "0.75", "--levels", "low", "high"]
    assert drawn(*argv) == expected
    assert drawn(TOY_SIZE="8", TOY_BETWEEN="0.25, 0.75", TOY_LEVELS="low high") == expected


@pytest.mark.parametrize(
    ("argv", "variables", "said"),
    [
        (["--size", "2"], {}, "argument --size: invalid choice: 2 (choose from 1, 8)"),
        (["--between", "0.5"], {}, "argument --between: expected 2 arguments"),
        ([], {"TOY_SIZE": "2"}, "environment variable TOY_SIZE: invalid choice: 2 (choose from 1, 8)"),
        ([], {"TOY_SIZE": "two"}, "environment variable TOY_SIZE: invalid int value: 'two'"),
        ([], {"TOY_BETWEEN": "0.5"}, "TOY_BETWEEN: '0.5' is not 2 values with commas or blanks between them"),
    ],
)
def test_a_choice_or_a_pair_that_is_none_ends_the_program_in_words(
    capsys: pytest.CaptureFixture[str], argv: list[str], variables: Mapping[str, str], said: str
) -> None:
    with pytest.raises(SystemExit):
        drawn(*argv, **variables)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--rounds", "0"], "--rounds 0 is outside 1 and above"),
        (["--rate", "1"], "--rate 1 is outside 0…1, both excluded"),
        (["--rate", "inf"], "--rate inf is outside 0…1, both excluded"),
        (["--between", "0.5", "2"], "--between 2 is outside 0…1"),
        (["--seed", "1" + "0" * 400], "is outside 0…9223372036854775807"),
    ],
)
def test_a_range_may_be_open_at_either_end(argv: list[str], said: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        drawn(*argv)
    assert said in str(caught.value)


def test_a_subclass_gives_another_default_and_keeps_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    assert drawn(cls=Slowly) == Slowly(rounds=7)
    with pytest.raises(InvalidValueError, match="--rounds 0 is outside 1 and above"):
        drawn("--rounds", "0", cls=Slowly)
    with pytest.raises(SystemExit):
        drawn("--help", cls=Slowly)
    assert "how often (1 and above, default: 7)" in " ".join(capsys.readouterr().out.split())


def test_the_help_says_open_ranges_pairs_and_the_choices_behind_a_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        drawn("--help")
    said = " ".join(capsys.readouterr().out.split())
    for part in (
        "--size {1,8} bits a dot (default: 1)",
        "--between LOW HIGH levels (0…1, default: 0 1)",
        "how often (1 and above, default: 3)",
        "how fast (above 0 and below 1, default: 0.5)",
        "of the noise (0…2^63−1, default: 0)",
        "which: low, high (default: all)",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("values", "said"),
    [({"rounds": 0}, "rounds 0 is outside 1 and above"), ({"size": 2}, "size 2 is outside 1 or 8")],
)
def test_an_instance_that_no_parser_made_is_checked_alike(values: dict[str, int], said: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        Drawn(**values)  # type: ignore[arg-type]
    assert str(caught.value) == said


def test_values_of_several_types_are_refused() -> None:
    @dataclass(frozen=True)
    class Bad:
        pair: tuple[int, str] = option((1, "a"), "a pair")

    with pytest.raises(TypeError, match="--pair"):
        parse(Bad, argparse.ArgumentParser("toy"), [])
