"""The colours of the window and of recordings, red, green, blue in 0…255."""

from __future__ import annotations

Color = tuple[int, int, int]

BACKGROUND, PANEL, EDGE = (15, 16, 20), (23, 25, 31), (54, 58, 70)
TEXT, DIM, FAINT = (224, 227, 234), (142, 149, 166), (92, 98, 114)
ACCENT, WARNING, CURVE = (255, 190, 92), (255, 128, 110), (120, 172, 255)
AREA, KEPT = (30, 40, 62), (98, 182, 150)
