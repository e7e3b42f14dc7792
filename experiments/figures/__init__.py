"""The figures that need PyTorch, in the form of those in `figures`: `compute` and `draw`."""
