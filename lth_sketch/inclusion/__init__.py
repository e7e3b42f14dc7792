"""Weights checked in one pass, and how likely each entry is to be kept."""
