"""Which runs make an experiment."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from experiments.architectures import INITS
from experiments.runs import Run

DENSITIES = (0.2, 0.05, 0.01, 0.003)
# The draw of the experiments keeps exactly as many weights as top-k does.
DESIGNS = ("top", "priority")
# Of a pattern: systematic within each group, the only draw that there is.
PATTERNED = ("top", "systematic")
SCORES = (
    ("magnitude", "none", 1),
    ("synflow", "none", 1),
    ("synflow", "none", 100),
    ("snip", "real", 1),
    ("snip", "random", 1),
    ("snip", "none", 1),
    ("grasp", "real", 1),
    ("grasp", "random", 1),
    ("grasp", "none", 1),
    ("sketch", "real", 1),
    ("sketch", "random", 1),
    ("sketch", "none", 1),
)
# The scores whose masks the controls disturb.
CONTROLLED = (("magnitude", "none", 1), ("snip", "real", 1), ("synflow", "none", 1))
TRIAL = (
    ("snip", "random", 1),
    ("snip", "real", 1),
    ("synflow", "none", 1),
    ("synflow", "none", 100),
    ("magnitude", "none", 1),
)


class Setting(NamedTuple):
    """Network, data and training that all runs of an experiment share."""

    architecture: str
    dataset: str
    width: int
    n_train: int
    n_test: int
    epochs: int
    rate: float
    init: str = "he"
    batch: int = 64


# Networks and images of the experiment at paper size: hours on a GPU.
PAPER = tuple(
    Setting(architecture, dataset, width, n_train, 10_000, epochs, 0.05)
    for dataset, n_train in (("fashion_mnist", 60_000), ("cifar10", 50_000))
    for architecture, width, epochs in (("fc", 300, 20), ("vgg", 32, 30), ("resnet", 32, 30))
)
# About a minute on two cores: enough to see that all of it runs, and nothing more.
SMOKE = tuple(
    Setting(architecture, "digits", width, 1000, 500, 3, 0.05)
    for architecture, width in (("fc", 60), ("vgg", 4), ("resnet", 4))
)

# The network, the images and the epochs of the first trial.
FC = Setting("fc", "fashion_mnist", 300, 12_000, 10_000, 4, 0.05)


def trial(seeds: int, setting: Setting = FC) -> Iterator[Run]:
    """Yield the trial: 1% kept, and the network without a mask."""
    for seed in range(seeds):
        yield _run(setting, 1.0, ("unpruned", "none", 1), "top", "none", seed)
        for score, design in product(TRIAL, DESIGNS):
            yield _run(setting, 0.01, score, design, "none", seed)


def grid(
    seeds: int,
    setting: Setting,
    densities: tuple[float, ...] = DENSITIES,
    scores: tuple[tuple[str, str, int], ...] = SCORES,
    controls: bool = True,
) -> Iterator[Run]:
    """Yield scores, data and designs at each density, then the controls; seed by seed."""
    for seed in range(seeds):
        yield _run(setting, 1.0, ("unpruned", "none", 1), "top", "none", seed)
        for density in densities:
            for score, design in product(scores, DESIGNS):
                yield _run(setting, density, score, design, "none", seed)
            if not controls:
                continue
            yield _run(setting, density, ("random", "none", 1), "priority", "uniform", seed)
            for score, design in product(CONTROLLED, DESIGNS):
                for control in ("shuffle", "inverted"):
                    yield _run(setting, density, score, design, control, seed)


# What decides who wins: initial weights, on small networks that train in a second.
MLP = Setting("mlp", "digits", 128, 1297, 500, 10, 0.05)
ROWS = Setting("transformer", "digits", 32, 1297, 500, 10, 0.05)
WHO = (
    ("magnitude", "none", 1),
    ("synflow", "none", 1),
    ("snip", "real", 1),
    ("snip", "random", 1),
    ("grasp", "real", 1),
    ("layer", "real", 1),
)


def who(seeds: int) -> Iterator[Run]:
    """Yield the grid over initial weights, densities and scores, and then `sequences`; by seed."""
    for seed in range(seeds):
        for init in INITS:
            setting = MLP._replace(init=init)
            yield _run(setting, 1.0, ("unpruned", "none", 1), "top", "none", seed)
            for density, score, design in product((0.1, 0.03), WHO, DESIGNS):
                yield _run(setting, density, score, design, "none", seed)
        for density, design in product((0.1, 0.03), DESIGNS):
            for score in (("magnitude", "none", 1), ("random", "none", 1)):
                yield _run(MLP._replace(init="default"), density, score, design, "erk", seed)
    yield from sequences(seeds)


# Cells that the rule of `networks.advise` was not chosen on: other images, sizes and depth.
UNSEEN = Setting("shallow", "fashion_mnist", 64, 2000, 2000, 8, 0.05)


def unseen(seeds: int) -> Iterator[Run]:
    """Yield two kinds of initial weights, four densities and the scores of `who`; by seed."""
    for seed, init in product(range(seeds), ("he", "default")):
        setting = UNSEEN._replace(init=init)
        yield _run(setting, 1.0, ("unpruned", "none", 1), "top", "none", seed)
        for density, score, design in product((0.1, 0.03, 0.01, 0.003), WHO, DESIGNS):
            yield _run(setting, density, score, design, "none", seed)


def patterns(seeds: int) -> Iterator[Run]:
    """Yield masks that keep two of every four inputs, beside as many weights anywhere; by seed."""
    for seed, init in product(range(seeds), ("he", "default")):
        setting = MLP._replace(init=init)
        yield _run(setting, 1.0, ("unpruned", "none", 1), "top", "none", seed)
        for score in (("magnitude", "none", 1), ("layer", "real", 1)):
            for design in DESIGNS:
                yield _run(setting, 0.5, score, design, "none", seed)
            for design in PATTERNED:
                yield _run(setting, 0.5, score, design, "2:4", seed)


def sequences(seeds: int) -> Iterator[Run]:
    """Yield a small transformer with PyTorch's own initial weights, 10% kept; by seed."""
    setting = ROWS._replace(init="default")
    for seed in range(seeds):
        yield _run(setting, 1.0, ("unpruned", "none", 1), "top", "none", seed)
        scores = [score for score in WHO if score[0] != "synflow"]
        for score, design in product(scores, DESIGNS):
            yield _run(setting, 0.1, score, design, "none", seed)


def smoke() -> Iterator[Run]:
    """Yield the scores of the trial at one density on the digits; two seeds where it is cheap."""
    scores = tuple(score for score in TRIAL if score[2] == 1)
    fc, *convolutional = SMOKE
    yield from grid(2, fc, (0.1,), scores, controls=False)
    yield from grid(1, fc, (0.1,), (), controls=True)
    for setting in convolutional:
        yield from grid(1, setting, (0.1,), scores, controls=False)


def paper() -> Iterator[Run]:
    """Yield the whole experiment, five seeds."""
    for setting in PAPER:
        yield from grid(5, setting)


def _run(
    setting: Setting,
    density: float,
    score: tuple[str, str, int],
    design: str,
    control: str,
    seed: int,
) -> Run:
    name, data, rounds = score
    return Run(
        setting.architecture, setting.dataset, density, name, data, design, rounds, control, seed,
        *setting[2:],
    )  # fmt: skip
