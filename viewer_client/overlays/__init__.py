"""What lies over the window: help, branches, twin, canvas, tour."""
