"""Data sets: digits (bundled with scikit-learn), MNIST, Fashion-MNIST and CIFAR-10."""

from lth_sketch.datasets.loading import Dataset, load

__all__ = ["Dataset", "load"]
