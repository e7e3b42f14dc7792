"""Data sets: digits (bundled with scikit-learn), MNIST, Fashion-MNIST and CIFAR-10."""

from lth_sketch.datasets.loading import Dataset, load
from lth_sketch.datasets.own import given, prepare, read

__all__ = ["Dataset", "given", "load", "prepare", "read"]
