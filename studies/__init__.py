"""Measured tables of docs/theory.md, each made by one command: `python -m studies NAME`."""
