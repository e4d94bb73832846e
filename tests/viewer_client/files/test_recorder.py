"""`--headless --record`, `--list-models`, bad flags, and `play` without a display."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.tools import ROOT, ServerProcess, running_server
from viewer_client.core.view_model import ViewModel
from viewer_client.files.recorder import SCENES, Recorder, RecordingError, along
from viewer_client.link.address import Endpoint
from viewer_client.link.connection import Connection


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running_server() as process:  # the shipped model
        yield process


def run(module: str, *flags: object, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "DIFFUSION_TOY_SERVER")
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    command = [sys.executable, "-m", module, *map(str, flags)]
    environment |= {"PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=150)


def test_a_scripted_session_is_recorded_and_nothing_is_overwritten(
    server: ServerProcess, tmp_path: Path
) -> None:
    target = tmp_path / "r.gif"
    target.write_bytes(b"precious")
    flags = ["--server", server.address, "--headless", "--record", target, "--seconds", 4, "--seed", 7]
    done = run("viewer_client", *flags)
    assert done.returncode == 0, done.stderr
    assert target.read_bytes() == b"precious"
    assert f"recorded {tmp_path / 'r-2.gif'}" in done.stdout
    assert "command to frame: p50" in done.stdout
    with Image.open(tmp_path / "r-2.gif") as gif:
        assert gif.n_frames > 10  # type: ignore[attr-defined]
    assert (tmp_path / "r-2.gif").stat().st_size < 2_000_000


def test_the_servers_models_are_printed(server: ServerProcess) -> None:
    done = run("viewer_client", "--server", server.address, "--list-models")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("mnist ")


@pytest.mark.parametrize(
    ("flags", "status", "said"),
    [
        (["--server", "nowhere"], 2, "--server 'nowhere' lacks a host or a port; it has the form HOST:PORT"),
        (["--size", "10x10"], 2, "--size '10x10' is outside 640x480"),
        (["--seed", "-1"], 2, "--seed -1 is outside 0"),
        (["--label", "-5"], 2, "--label -5"),
        (["--headless"], 2, "--record"),
        (["--headless", "--record", "a.gif", "--seconds", "0.5"], 2, "--seconds 0.5 is outside 4…120"),
        (["--server", "127.0.0.1:1", "--list-models"], 1, "no server at 127.0.0.1:1"),
    ],
)
def test_bad_flags_end_with_one_sentence(flags: list[str], status: int, said: str) -> None:
    done = run("viewer_client", *flags)
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_label_is_refused_by_the_server_in_words(server: ServerProcess, tmp_path: Path) -> None:
    flags = ["--server", server.address, "--headless", "--record", tmp_path / "a.gif", "--label", 12]
    done = run("viewer_client", *flags)
    assert done.returncode == 1
    assert "settings.label 12 is outside −1 (none) and 0…9" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only X can be asked for by name")
def test_a_display_that_does_not_answer_is_an_error_and_no_invisible_window() -> None:
    done = run("viewer_client", "--server", "127.0.0.1:1", DISPLAY=":987")
    assert done.returncode == 1
    assert "no window can be opened" in done.stderr
    assert "--headless --record" in done.stderr


@pytest.mark.slow
def test_play_without_a_display_records_a_demo_and_says_so(tmp_path: Path) -> None:
    done = run("viewer_client.play", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no display" in done.stdout
    assert (tmp_path / "demo.gif").stat().st_size < 2_000_000


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    model = ViewModel()
    connection = Connection(Endpoint("127.0.0.1:1"), model.next_start)
    for record in (Recorder(connection, model, 4.0).record, Recorder(connection, model, 4.0).record_replay):
        with pytest.raises(
            RecordingError, match=r"^the recording .*file/a.gif cannot be written \(there is no"
        ):
            record(tmp_path / "file" / "a.gif")


def test_the_script_covers_the_whole_time() -> None:
    assert sum(scene.share for scene in SCENES) == pytest.approx(1)


def test_a_point_along_a_path_moves_at_even_speed() -> None:
    path = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
    assert along(path, 0.25) == (0.5, 0.0)
    assert along(path, 0.75) == (1.0, 0.5)
    assert along(path, 1.0) == (1.0, 1.0)
