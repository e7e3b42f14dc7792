"""The figures: one script each, `compute` (numbers) and `draw` (panels), no numerics of their own.

A new figure is one module beside this one, with the names of `figures.gallery.Script`.
"""
