"""The figures: one script each, `compute` (numbers) and `draw` (panels), no numerics of their own.

A new figure is one module beside this one and its name in `figures.gallery.SCRIPTS`.
"""
