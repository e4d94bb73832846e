"""Data sets by name or from a folder, checked, as uint8 images and labels."""
