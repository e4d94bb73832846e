"""A viewer on a bad network: every message is late, nothing comes for a while, the line is cut."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from diffusion_toy.contract import messages as m
from tests.inference_server.faults import Relay
from tests.models import write_model
from tests.tools import ServerProcess, running_server, wait_for
from viewer_client.core.sync import synchronize
from viewer_client.core.view_model import ViewModel
from viewer_client.link.address import Endpoint
from viewer_client.link.connection import Connection
from viewer_client.link.status import Phase

DELAY_S = 0.15
LONG = m.Start(seed=5, settings=m.SettingsChange(num_time_steps=1000))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    model = write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")
    with running_server("--model", str(model), "--threads", "1", "--capacity", "100000") as process:
        yield process


class Viewer:
    """What a window does, sixty times a second, without the window."""

    def __init__(self, address: str) -> None:
        self.model = ViewModel(start=LONG)
        self.connection = Connection(Endpoint(address), self.model.next_start)
        self.connection.open()

    def draw(self) -> m.Frame | None:
        """One picture."""
        frame = synchronize(self.connection, self.model)
        if frame is not None:
            self.connection.drawn(frame)
        time.sleep(1 / 60)
        return frame

    def until(self, condition: object, what: str) -> None:
        """Draw until it holds."""

        def holds() -> bool:
            self.draw()
            return bool(condition())  # type: ignore[operator]

        wait_for(holds, 30, what)

    @property
    def step(self) -> int:
        return self.model.frame.step if self.model.frame is not None else -1


@pytest.fixture
def relay(server: ServerProcess) -> Iterator[Relay]:
    with Relay(server.port, DELAY_S) as relay:
        yield relay


@pytest.fixture
def viewer(relay: Relay) -> Iterator[Viewer]:
    viewer = Viewer(relay.address)
    yield viewer
    viewer.connection.close()


def test_a_long_round_trip_gets_a_wide_window_and_all_frames(viewer: Viewer) -> None:
    viewer.until(lambda: viewer.step >= 60, "steps")
    welcome = viewer.model.welcome
    assert welcome is not None
    assert welcome.window >= 2 * DELAY_S * 60  # or the server would wait for acknowledgements
    round_trip_ms = viewer.connection.statistics.round_trip_ms
    assert round_trip_ms is not None
    assert round_trip_ms >= 2000 * DELAY_S


def test_noise_is_seen_at_once_and_lands_after_the_round_trip(viewer: Viewer) -> None:
    viewer.until(lambda: viewer.step >= 10, "steps")
    viewer.model.mouse_at((0.3, 0.3))
    viewer.model.mouse_at((0.6, 0.6))
    viewer.draw()
    assert viewer.model.feedback.speckles  # drawn before the server has heard of it
    sequence = viewer.model.feedback.speckles[-1].sequence
    began = time.monotonic()
    viewer.until(lambda: viewer.model.frame.applied_sequence >= sequence, "the noise")  # type: ignore[union-attr]
    assert time.monotonic() - began >= 2 * DELAY_S


def test_a_stall_ends_with_a_fresh_picture(viewer: Viewer, relay: Relay) -> None:
    viewer.until(lambda: viewer.step >= 10, "steps")
    relay.stalled.set()
    began, step = time.monotonic(), viewer.step
    while time.monotonic() < began + 1.5:
        viewer.draw()
    relay.stalled.clear()
    assert viewer.model.status.live
    # While nothing came the session has gone on; what is drawn soon is not a minute-old film.
    viewer.until(lambda: viewer.step >= step + 60, "the present")
    assert viewer.model.frame is not None
    assert viewer.connection.statistics.dropped > 0


def test_a_cut_is_said_and_the_session_goes_on(viewer: Viewer, relay: Relay) -> None:
    viewer.until(lambda: viewer.step >= 90, "steps")  # more than a second: a token has come
    name, step = viewer.model.welcome.session_id, viewer.step  # type: ignore[union-attr]
    relay.cut()
    viewer.until(lambda: viewer.model.status.phase is Phase.LOST, "the loss")
    assert viewer.model.status.sentence
    viewer.until(lambda: viewer.model.status.live and viewer.step > step + 10, "the return")
    assert viewer.model.welcome.session_id == name  # type: ignore[union-attr]
    assert viewer.connection.statistics.resumed == 1
