"""The twin of a session on a real server: bit equal until strokes part it, and gone when it is closed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from diffusion_toy.contract import messages as m
from tests.inference_server.faults import gauges
from tests.models import tiny_flags
from tests.tools import free_port, running_server, wait_for
from viewer_client.core.strokes import MouseMode
from viewer_client.core.sync import synchronize
from viewer_client.core.view_model import ViewModel
from viewer_client.experiments.difference import Difference
from viewer_client.experiments.twin import Twin
from viewer_client.link.address import Endpoint
from viewer_client.link.connection import Connection


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    port = free_port()
    flags = [*tiny_flags(tmp_path_factory.mktemp("model")), "--fixed-batch", "8"]
    with running_server(*flags, "--metrics-port", str(port)) as server:
        yield server.address, port


def test_a_twin_that_differs_in_nothing_yet_is_bit_equal_and_strokes_part_it_only_as_chosen(
    address: tuple[str, int],
) -> None:
    endpoint, metrics_port = Endpoint(address[0]), address[1]
    model = ViewModel(start=m.Start(seed=5))
    model.brush.mode = MouseMode.BRUSH
    own = Connection(endpoint, model.next_start)
    opened: list[Connection] = []
    twin: Twin | None = None

    def open_link(start: m.Start) -> Connection:
        opened.append(Connection(endpoint, lambda: start))
        opened[-1].open()
        return opened[-1]

    def run(until: Callable[[], object], what: str) -> None:
        def there() -> bool:
            fresh = synchronize(own, model)
            if fresh is not None:
                own.drawn(fresh)
            if twin is not None:
                twin.update(time.monotonic())
            return bool(until())

        wait_for(there, what)

    def scribble() -> None:
        assert twin is not None
        twin.mouse_at(None)
        for n in range(40):
            step = twin.pair[0].step if twin.pair else 0
            twin.mouse_at((0.2 + n / 80, 0.3 + (n % 7) / 20))
            run(lambda: (twin.pair is not None and twin.pair[0].step != step) or n % 2, "a step")  # noqa: B023

    def healed() -> bool:
        assert twin is not None
        pair = twin.pair
        return (
            pair is not None and all(one.idle and one.time_step.max == 0 for one in pair) and not twin.waiting
        )

    own.open()
    try:
        run(lambda: model.frame is not None and model.frame.step > 5, "the session")
        twin = Twin(model, own, open_link)
        twin.other = twin.treatment  # no change at all
        run(lambda: twin.pair is not None and twin.pair[0].step > 20, "the pair")
        scribble()
        run(healed, "both to heal")
        assert not twin.diverged
        assert twin.pair is not None
        first, second = twin.pair
        assert first.applied_sequence > 10
        assert first.x_t.tobytes() == second.x_t.tobytes()
        assert first.x0_hat.tobytes() == second.x0_hat.tobytes()
        twin.choose(Difference.RULE)
        run(lambda: twin.pair is not None and 20 < twin.pair[0].step < 100, "both to restart")
        assert twin.pair[0].x_t.tobytes() == twin.pair[1].x_t.tobytes()
        scribble()
        run(healed, "both to heal again")
        assert not twin.diverged
        assert twin.pair[0].x_t.tobytes() != twin.pair[1].x_t.tobytes()
        assert gauges(metrics_port)["sessions"] == 2
        twin.close()
        wait_for(lambda: gauges(metrics_port)["sessions"] == 1, "the twin's session to end")
    finally:
        if twin is not None:
            twin.close()
        own.close()
    wait_for(lambda: gauges(metrics_port)["sessions"] == 0, "the last session to end")
