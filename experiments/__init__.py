"""Experiments on networks that need training: top-k against a draw, each run kept as it ends.

They need the extras ``networks`` and ``figures``. ``python -m experiments --help``.
"""
