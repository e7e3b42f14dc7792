"""The panels of the figures, for a product of your own: on axes that you give, or on new ones.

Needs matplotlib (extra ``figures``). Each function returns the Axes. `style` is the house style, as
a context; without it the panels take what matplotlib is set to.
"""

from lth_sketch import extras

try:
    import matplotlib as _matplotlib  # noqa: F401
except ModuleNotFoundError as error:
    raise extras.missing("lth_sketch.plots", "figures", "matplotlib") from error

from lth_sketch.plots.drawing import designs, errors, layers, sharpness, style

__all__ = ["designs", "errors", "layers", "sharpness", "style"]
