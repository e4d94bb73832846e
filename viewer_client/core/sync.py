"""What a viewer does once for each picture it draws, with a window or without."""

from __future__ import annotations

import time
from collections.abc import Callable

from diffusion_toy.contract import messages as m
from viewer_client.core.view_model import ViewModel
from viewer_client.link.session_link import SessionLink


def synchronize(
    connection: SessionLink, model: ViewModel, clock: Callable[[], float] = time.monotonic
) -> m.Frame | None:
    """Take in what has arrived and send what is to be sent; never waits.

    Args:
        connection: the window's connection.
        model: what the window shows.
        clock: returns the time in seconds, of any origin.

    Returns:
        The newest frame, to be acknowledged (`Connection.drawn`) once it is drawn; None without a
        new one.
    """
    fresh: m.Frame | None = None
    status = connection.status  # before what has arrived: the welcome of a live session is in it
    for response in connection.take():
        model.receive(response)
        if isinstance(response, m.Frame):
            fresh = response
    now = clock()
    model.pass_time(status, now)
    for command in model.take_commands():
        sequence = connection.send(command)
        if sequence is not None:
            model.sent(command, sequence, now)
    while (replayed := model.next_replayed(now)) is not None:
        sequence = connection.send(replayed, ahead=True)
        if sequence is None:
            break
        model.sent(replayed, sequence, now)
    if model.try_again:
        model.try_again = False
        connection.try_again()
    return fresh
