"""Recipes: a session as a text of its seed, settings and commands, its recording and its replay."""
