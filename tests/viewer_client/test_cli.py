"""The flags that keep and replay, alone and with others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from diffusion_toy.contract import messages as m
from tests.models import tiny_flags
from tests.tools import ROOT, running_server
from viewer_client import checks, cli, flags
from viewer_client.files.recipe_text import to_text
from viewer_client.link.transport import list_models
from viewer_client.recipes.recipe import Entry, Recipe


def saved(folder: Path, **changes: object) -> Path:
    """A recipe as a file."""
    whole = {
        "start": m.Start(model="tiny", seed=7),
        "fingerprint": "ffff",
        "entries": (),
        "steps": 30,
        **changes,
    }
    path = folder / "a.recipe.json"
    path.write_text(to_text(Recipe(**whole)), encoding="utf-8")  # type: ignore[arg-type]
    return path


def run(capsys: pytest.CaptureFixture[str], *given: object) -> tuple[int, str, str]:
    """Exit status, and what was printed."""
    status = cli.main([str(flag) for flag in given])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--viewers", 2, "--headless"], "--viewers 2 is outside its use without --replay; a recipe is one"),
        (["--watch", "x"], "--watch x is outside its use without --replay"),
        (["--seed", 0], "--seed 0 is outside its use without --replay; the recipe has one"),
        (["--label", 3], "--label 3 is outside its use without --replay; the recipe has one"),
        (["--headless", "--record", "a.gif", "--seconds", 9], "--seconds 9.0 is outside its use without"),
        (["--headless"], "--headless alone is outside its use; add --record FILE.gif"),
    ],
)  # fmt: skip
def test_flags_that_a_recipe_decides_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, given: list[object], said: str
) -> None:
    status, _, errors = run(capsys, "--replay", saved(tmp_path), *given)
    assert status == flags.STATUS_BAD_FLAG
    assert said in errors
    assert errors.count("\n") == 1


def test_a_folder_that_is_not_there_or_not_for_a_window_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, _, errors = run(capsys, "--out", tmp_path / "gone")
    assert status == flags.STATUS_BAD_FLAG
    assert f"cannot be written (there is no such folder); make {tmp_path / 'gone'} first" in errors
    status, _, errors = run(capsys, "--out", tmp_path, "--headless", "--record", tmp_path / "a.gif")
    assert status == flags.STATUS_BAD_FLAG
    assert "--record names its own file" in errors


@pytest.mark.parametrize(
    "given",
    [["--headless", "--record"], ["--headless", "--viewers", "2", "--json"], ["--out"]],
    ids=lambda given: given[-1],
)
def test_a_place_for_results_is_tried_before_the_server_is(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, given: list[str]
) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "gone" / "a.gif", tmp_path / "file" / "a.gif"):
        status, _, errors = run(capsys, "--server", "127.0.0.1:1", *given, place)
        assert status == flags.STATUS_BAD_FLAG
        assert errors.startswith(f"error: {given[-1]} {place} cannot be written (")
        assert errors.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_recording_says_what_it_waits_for_and_gives_up_when_it_was_told_to(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    given = ["--server", "127.0.0.1:1", "--headless", "--record", tmp_path / "a.gif", "--wait"]
    status, _, errors = run(capsys, *given, 0)
    assert status == flags.STATUS_FAILURE
    assert errors.startswith("error: no server at 127.0.0.1:1")
    status, _, errors = run(capsys, *given, 1.5)
    assert status == flags.STATUS_FAILURE
    assert errors.startswith("waiting up to 1.5 s for 127.0.0.1:1 (--wait SECONDS) …\nerror: no server at")
    status, _, errors = run(capsys, *given, -1)
    assert status == flags.STATUS_BAD_FLAG
    assert "--wait -1 is outside 0…3600" in errors
    status, _, errors = run(capsys, "--wait", 3)
    assert "add --headless --record FILE.gif" in errors


def test_a_file_without_a_recipe_is_refused_before_anything_is_opened(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("milk, bread")
    for name, said in (("none", "cannot be read (No such file"), ("notes.txt", "this is no recipe")):
        path = tmp_path / name
        status, _, errors = run(capsys, "--server", "127.0.0.1:1", "--replay", path)
        assert status == flags.STATUS_FAILURE
        assert errors.startswith(f"error: {path}")
        assert said in errors


def test_a_replay_is_recorded_until_its_picture_is_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    inject = Entry(10, m.Inject(m.Disc(0.5, 0.5, 0.2), 40.0))
    with running_server(*tiny_flags(tmp_path)) as server:
        (served,) = list_models(checks.endpoint_of(flags.parse_flags(["--server", server.address])))
        given = ["--server", server.address, "--headless", "--record", tmp_path / "a.gif", "--replay"]
        path = saved(tmp_path, fingerprint=served.fingerprint, entries=(inject,))
        status, printed, errors = run(capsys, *given, path)
        assert (status, errors) == (0, "")
        assert printed.startswith(f"recorded {tmp_path / 'a.gif'} (")
        assert printed.endswith("\nreplayed 30 steps\n")
        with Image.open(tmp_path / "a.gif") as gif:
            assert gif.n_frames > 8  # type: ignore[attr-defined]

        status, printed, _ = run(capsys, *given, saved(tmp_path))
        assert status == 0
        assert "replayed 30 steps; the recipe was made with other weights (model tiny, ffff)" in printed

        status, _, errors = run(capsys, *given, saved(tmp_path, start=m.Start(model="fashion", seed=7)))
        assert status == flags.STATUS_FAILURE
        assert "there is no model 'fashion'; there is: tiny" in errors
        status, printed, _ = run(capsys, *given, tmp_path / "a.recipe.json", "--model", "tiny")
        assert status == 0
        assert "other weights (model fashion, ffff)" in printed

        status, _, errors = run(capsys, *given, saved(tmp_path, steps=400))  # there are only 300 to take
        assert status == flags.STATUS_FAILURE
        assert "this replay gives another picture" in errors


@pytest.mark.parametrize(
    ("missing", "given"),
    [("pygame", []), ("platformdirs", []), ("PIL", ["--headless", "--record", "a.gif"])],
)
def test_what_is_not_installed_is_said_in_one_sentence(
    tmp_path: Path, missing: str, given: list[str]
) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from viewer_client.cli import main\n"
        f"sys.exit(main(['--server', '127.0.0.1:1', *{given!r}]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SDL_VIDEODRIVER": "dummy"}
    environment.pop("DIFFUSION_TOY_CONFIG", None)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == flags.STATUS_FAILURE
    assert done.stderr.count("\n") == 1
    assert 'is not installed; run: pip install "diffusion-toy[viewer]"' in done.stderr
