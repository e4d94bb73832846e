"""The overlays that a key opens. A new one is its own module, its action, and a line here."""

from __future__ import annotations

from collections.abc import Callable

from viewer_client.core.keymap import Action
from viewer_client.overlays.branches import BranchesOverlay
from viewer_client.overlays.canvas import CanvasOverlay
from viewer_client.overlays.seed_entry import SeedEntry
from viewer_client.overlays.twin import TwinOverlay
from viewer_client.ui.overlay import Overlay, Surroundings

# Each makes an overlay for a window; it raises a CannotOpenError where there is a reason why not now.
OVERLAYS: dict[Action, Callable[[Surroundings], Overlay]] = {
    Action.CANVAS: CanvasOverlay.open,
    Action.TYPE_SEED: SeedEntry.open,
    Action.BRANCH: BranchesOverlay.open,
    Action.TWIN: TwinOverlay.open,
}
