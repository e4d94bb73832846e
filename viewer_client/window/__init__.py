"""The window: its loop, panes, rail and time line."""
