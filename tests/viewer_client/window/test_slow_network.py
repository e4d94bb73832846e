"""A viewer on a bad network: every message is late, nothing comes for a while, the line is cut."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from diffusion_toy.contract import messages as m
from tests.inference_server.faults import Relay
from tests.models import tiny_flags
from tests.tools import ServerProcess, running_server
from tests.viewer_client.window.viewers import Viewer
from viewer_client.link.status import Phase

DELAY_S = 0.15
LONG = m.Start(seed=5, settings=m.SettingsChange(num_time_steps=1000))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_server(*tiny_flags(tmp_path_factory.mktemp("model"))) as process:
        yield process


@pytest.fixture
def relay(server: ServerProcess) -> Iterator[Relay]:
    with Relay(server.port, DELAY_S) as relay:
        yield relay


@pytest.fixture
def viewer(relay: Relay) -> Iterator[Viewer]:
    with Viewer(relay.address, LONG) as viewer:
        yield viewer


def test_a_long_round_trip_gets_a_wide_window_and_all_frames(viewer: Viewer) -> None:
    viewer.until(lambda: viewer.frame.step >= 60, "steps")
    welcome = viewer.model.welcome
    assert welcome is not None
    assert welcome.window >= 2 * DELAY_S * 60  # or the server would wait for acknowledgements
    round_trip_ms = viewer.connection.statistics.round_trip_ms
    assert round_trip_ms is not None
    assert round_trip_ms >= 2000 * DELAY_S


def test_noise_is_seen_at_once_and_lands_after_the_round_trip(viewer: Viewer) -> None:
    viewer.until(lambda: viewer.frame.step >= 10, "steps")
    viewer.model.mouse_at((0.3, 0.3))
    viewer.model.mouse_at((0.6, 0.6))
    viewer.synchronize()
    assert viewer.model.feedback.speckles  # drawn before the server has heard of it
    sequence = viewer.model.feedback.speckles[-1].sequence
    began = time.monotonic()
    viewer.until(lambda: viewer.model.frame.applied_sequence >= sequence, "the noise")  # type: ignore[union-attr]
    assert time.monotonic() - began >= 2 * DELAY_S


def test_a_stall_ends_with_a_fresh_picture(viewer: Viewer, relay: Relay) -> None:
    viewer.until(lambda: viewer.frame.step >= 10, "steps")
    relay.stalled.set()
    began, step = time.monotonic(), viewer.frame.step
    while time.monotonic() < began + 1.5:
        viewer.synchronize()
        time.sleep(1 / 60)
    relay.stalled.clear()
    assert viewer.model.status.live
    # While nothing came the session has gone on; what is drawn soon is not a minute-old film.
    viewer.until(lambda: viewer.frame.step >= step + 60, "the present")
    assert viewer.model.frame is not None
    assert viewer.connection.statistics.dropped > 0


def test_a_cut_is_said_and_the_session_goes_on(viewer: Viewer, relay: Relay) -> None:
    viewer.until(lambda: viewer.frame.step >= 90, "steps")  # more than a second: a token has come
    name, step = viewer.model.welcome.session_id, viewer.frame.step  # type: ignore[union-attr]
    relay.cut()
    viewer.until(lambda: viewer.model.status.phase is Phase.LOST, "the loss")
    assert viewer.model.status.sentence
    viewer.until(lambda: viewer.model.status.live and viewer.frame.step > step + 10, "the return")
    assert viewer.model.welcome.session_id == name  # type: ignore[union-attr]
    assert viewer.connection.statistics.resumed == 1
