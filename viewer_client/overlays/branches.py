"""The branches over the screen: the moment they come from, and below it their pictures side by side."""

from __future__ import annotations

import pygame

from diffusion_toy.contract.messages import Frame
from viewer_client.core import labels
from viewer_client.core.appearance import Appearance
from viewer_client.core.colormaps import Pixels, colored, dimmed
from viewer_client.core.geometry import Rect, grid
from viewer_client.core.keymap import Action, action_of, cap
from viewer_client.core.palette import ACCENT, BACKGROUND, DIM, EDGE, PANEL, TEXT, WARNING
from viewer_client.experiments.branches import Branch, Branches, Progress, obstacle
from viewer_client.ui.overlay import Button, CannotOpenError, MouseEvent, MouseKind, Overlay, Surroundings
from viewer_client.ui.widgets import ScaledImage, Text, area

THUMBNAIL = 84  # of the moment they come from
PASSED_ON = (Action.QUIT, Action.COLORS, Action.LARGER_TEXT, Action.SMALLER_TEXT)
ESCAPE = cap(Action.CLOSE_OVERLAY)
KEYS = (
    f"Tab shows {{other}}  ·  a click goes on with one of them  ·  {cap(Action.BRANCH)} or {ESCAPE} closes",
    f"Tab: {{other}}  ·  click: go on with it  ·  {ESCAPE} closes",
    f"Tab  ·  click  ·  {ESCAPE}",
)


class BranchesOverlay(Overlay):
    """Shows branches and lets one of them be chosen."""

    def __init__(self, branches: Branches, appearance: Appearance) -> None:
        self._branches, self._appearance = branches, appearance
        self._noisy = False  # x_t is shown in place of x̂0
        self._pointer: tuple[float, float] | None = None
        self._pictures: dict[int, ScaledImage] = {}
        self._moment = ScaledImage(), ScaledImage()
        self._places: list[tuple[Rect, Branch]] = []

    @classmethod
    def open(cls, surroundings: Surroundings) -> BranchesOverlay:
        model = surroundings.model
        if reason := obstacle(model):
            raise CannotOpenError(reason)
        return cls(Branches(model, surroundings.connection, surroundings.open_link), surroundings.appearance)

    def key(self, key: str, character: str) -> bool:
        action = action_of(key)
        if action is Action.BRANCH:
            self.close()
        elif key == "tab":
            self._noisy = not self._noisy
        return action not in PASSED_ON

    def mouse(self, event: MouseEvent, size: tuple[int, int]) -> bool:
        self._pointer = event.position
        if event.kind is MouseKind.PRESS and event.button is Button.LEFT:
            branch = self._under(event.position)
            if branch is not None:
                self._branches.adopt(branch)
        return True

    def update(self, now: float) -> None:
        self._branches.update(now)
        self.closed = self.closed or self._branches.closed

    def close(self) -> None:
        self._branches.close()
        super().close()

    def _under(self, position: tuple[float, float]) -> Branch | None:
        return next((branch for place, branch in self._places if place.fraction(position) is not None), None)

    def draw(self, surface: pygame.Surface, text: Text, now: float) -> None:
        text.begin(text.scale)
        surface.fill(BACKGROUND)
        width, height = surface.get_size()
        pad = text.px(12)
        top = self._draw_head(surface, text, Rect(pad, pad, width - 2 * pad, 0))
        bottom = self._draw_foot(surface, text, Rect(pad, 0, width - 2 * pad, height - pad))
        branches = self._branches.branches
        caption = text.line(12) + text.px(2)
        room = Rect(pad, top + pad, width - 2 * pad, bottom - top - 2 * pad)
        places = grid(len(branches), room, pad, caption)
        self._places = list(zip(places, branches, strict=False))
        for place, branch in self._places:
            self._draw_branch(surface, text, place, branch)

    # --- what all come from ---

    def _draw_head(self, surface: pygame.Surface, text: Text, place: Rect) -> int:
        """Draw the moment of branching and what can be done; return the y below."""
        side, gap, frame = text.px(THUMBNAIL), text.px(8), self._branches.origin
        x = place.x
        for picture, noisy in zip(self._moment, (True, False), strict=True):
            box = Rect(x, place.y, side, side)
            _draw_picture(surface, picture, box, frame, self._appearance, noisy=noisy, lost=False)
            letter, index = ("x", "t") if noisy else ("x", "0")
            width = text.px(16)
            text.symbol(
                surface, letter, index, x + (side - width) // 2, box.bottom + text.px(1), 12, hat=not noisy
            )
            x += side + gap
        x += gap
        width = place.right - x
        text.put(surface, self._branches.title, x, place.y, 20, ACCENT, width=width)
        y = place.y + text.line(20)
        words = "the same picture, and noise of other seeds from here on"
        y = text.wrap(surface, words, Rect(x, y, width, 0), 13, TEXT)
        if room := self._branches.room:
            y = text.wrap(surface, room, Rect(x, y, width, 0), 13, WARNING)
        keys = [line.format(other="x̂0" if self._noisy else "x_t") for line in KEYS]
        text.put(surface, text.longest(keys, width, 12), x, y + text.px(2), 12, DIM)
        return max(place.y + side + text.line(12) + text.px(6), y + text.px(2) + text.line(12))

    def _draw_foot(self, surface: pygame.Surface, text: Text, place: Rect) -> int:
        """Write what came of the branches at the lower edge of the window; return the y above."""
        finished = self._branches.stage is Progress.FINISHED
        points, color = (16, ACCENT) if finished else (13, DIM)
        height = len(text.lines(self._branches.sentence, place.width, points)) * text.line(points)
        # so much room is kept from the beginning that the pictures do not shrink at the end
        kept = max(height, 2 * text.line(16))
        middle = place.bottom - (kept + height) // 2
        text.wrap(surface, self._branches.sentence, Rect(place.x, middle, place.width, 0), points, color)
        return place.bottom - kept

    # --- one of them ---

    def _draw_branch(self, surface: pygame.Surface, text: Text, place: Rect, branch: Branch) -> None:
        picture = self._pictures.setdefault(branch.seed, ScaledImage())
        lost = branch.joined and branch.failed
        _draw_picture(surface, picture, place, branch.frame, self._appearance, noisy=self._noisy, lost=lost)
        chosen = self._pointer is not None and place.fraction(self._pointer) is not None
        if chosen and branch.frame is not None:
            pygame.draw.rect(surface, ACCENT, area(place), 2)
        y, seed = place.bottom + text.px(2), f"seed {branch.seed}"
        t = "joining" if branch.frame is None else f"t {labels.whole(branch.frame.time_step.max)}"
        apart = text.width(t, 12) + text.px(6)
        text.put(surface, t, place.x, y, 12, ACCENT)
        seed = text.longest((seed, str(branch.seed)), place.width - apart, 12) or str(branch.seed)
        text.put(surface, seed, place.right, y, 12, DIM, width=place.width - apart, align="right")


def _draw_picture(
    surface: pygame.Surface,
    picture: ScaledImage,
    place: Rect,
    frame: Frame | None,
    appearance: Appearance,
    *,
    noisy: bool,
    lost: bool,
) -> None:
    if frame is None:
        pygame.draw.rect(surface, PANEL, area(place))
    else:
        shown = frame

        def pixels() -> Pixels:
            made = colored(shown.x_t if noisy else shown.x0_hat, appearance.color_map)
            return dimmed(made) if lost else made

        picture.draw(surface, place, (frame, noisy, appearance.color_map, lost), pixels)
    pygame.draw.rect(surface, EDGE, area(place), 1)
