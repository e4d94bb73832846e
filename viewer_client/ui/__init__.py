"""Widgets, text, keyboard and clipboard on PyGame."""
