"""Compiled loops: plain C-contiguous arrays in, `out` last; no validation and no policy."""
