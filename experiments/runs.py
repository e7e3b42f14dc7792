"""One run: a network of a seed, its mask, training with it, and the accuracy on test images."""

from __future__ import annotations

import platform
import time
import warnings
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from experiments import budgets, predictors
from experiments.architectures import build
from lth_sketch import datasets, networks, pruning

# Samples that SNIP and GraSP look at, and those of the Jacobian, which costs ten times as much.
SCORED, JACOBIAN = 512, 128


class Run(NamedTuple):
    """What tells one run from another."""

    architecture: str
    dataset: str
    density: float
    score: str
    data: str
    design: str
    rounds: int
    control: str
    seed: int
    width: int
    n_train: int
    n_test: int
    epochs: int
    rate: float
    init: str = "he"
    batch: int = 64

    @property
    def steps(self) -> int:
        """Steps of training, over all epochs."""
        return self.epochs * max(1, self.n_train // self.batch)


class Images(NamedTuple):
    """Training and test images, standardised by the training mean and deviation of each channel."""

    X: Any
    y: Any
    X_test: Any
    y_test: Any


def device() -> str:
    """Return "cuda" where there is one, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def machine() -> str:
    """Return what the runs were computed on, in words."""
    where = torch.cuda.get_device_name() if device() == "cuda" else f"CPU {platform.machine()}"
    return f"{where}; {torch.get_num_threads()} threads; torch {torch.__version__.split('+')[0]}"


@cache
def images(name: str, n_train: int, n_test: int) -> Images:
    """Return images of a data set; where only its test part lies here, both are cut from it."""
    train = datasets.load(name, dtype=np.float32)
    shape = train.feature_shape if len(train.feature_shape) == 3 else (1, *train.feature_shape)
    if train.split == "train":
        test = datasets.load(name, dtype=np.float32, split="test")
        X, y, X_test, y_test = train.X, train.y, test.X, test.y
    else:
        X, X_test = train.X[:-n_test], train.X[-n_test:]
        y, y_test = train.y[:-n_test], train.y[-n_test:]
    if len(X) < n_train or len(X_test) < n_test:
        raise ValueError(
            f"{name} has {len(X)} training and {len(X_test)} test images here ({train.source}); "
            f"{n_train} and {n_test} were asked for"
        )
    X, X_test = (part.reshape(-1, *shape) for part in (X[:n_train], X_test[:n_test]))
    centre, spread = X.mean((0, 2, 3), keepdims=True), X.std((0, 2, 3), keepdims=True)
    X, X_test = ((part - centre) / spread for part in (X, X_test))
    return Images(*(torch.as_tensor(a) for a in (X, y[:n_train], X_test, y_test[:n_test])))


def masks(module: nn.Module, run: Run, data: Images) -> dict[str, Any]:
    """Return the masks of a run. Mask and data of a score depend on its seed only."""
    return scored(module, run, data)[0]


def scored(module: nn.Module, run: Run, data: Images) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the masks of a run, and the scores of its first round."""
    rng = np.random.default_rng([run.seed, 1])
    size = JACOBIAN if run.score in ("layer", "sketch") else SCORED
    kind = {"none": "ones"}.get(run.data, run.data)
    X, y = networks.source(data.X[:size], data.y[:size], kind, rng=rng)
    first: dict[str, Any] = {}

    def score(net: nn.Module, earlier: Any) -> dict[str, Any]:
        values = networks.scores(net, run.score, X, y, masks=earlier, rng=rng)
        if run.control == "inverted":
            values = {name: -value for name, value in values.items()}
        if not first:
            first.update(values)
        return values

    if run.control == "erk":
        return budgets.erk(score(module, None), run.density, run.design, rng), first
    with warnings.catch_warnings():
        # Each row counts the layers that are emptied.
        warnings.simplefilter("ignore", networks.EmptyLayer)
        result = networks.find(
            module,
            run.density,
            score=score,
            design=run.design,
            rounds=run.rounds,
            pattern=(2, 4) if run.control == "2:4" else None,
            rng=rng,
        )
    if run.control == "shuffle":
        order = list(result)
        shuffled = dict(zip(order, pruning.shuffle([result[n] for n in order], rng), strict=True))
        if all((shuffled[name] == result[name]).all() for name in order):
            raise RuntimeError(f"the shuffle changed no mask entry: {run}")
        return shuffled, first
    return result, first


def train(module: nn.Module, data: Images, run: Run) -> None:
    """Train by SGD with momentum and a cosine schedule; batches depend on the seed only."""
    rng = np.random.default_rng([run.seed, 2])
    batches = run.steps // run.epochs
    optimiser = torch.optim.SGD(module.parameters(), lr=run.rate, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, run.epochs * batches)
    module.train()
    for _ in range(run.epochs):
        order = torch.as_tensor(rng.permutation(run.n_train), device=data.X.device)
        for index in order[: batches * run.batch].reshape(batches, -1):
            optimiser.zero_grad()
            nn.functional.cross_entropy(module(data.X[index]), data.y[index]).backward()
            optimiser.step()
            schedule.step()


def accuracy(module: nn.Module, data: Images) -> float:
    """Return the share of test images whose class is the largest output."""
    module.eval()
    with torch.no_grad():
        hits = [
            int((module(X).argmax(1) == y).sum())
            for X, y in zip(data.X_test.split(1000), data.y_test.split(1000), strict=True)
        ]
    return sum(hits) / len(data.y_test)


def perform(run: Run) -> dict[str, Any]:
    """Return the results of a run as a row: accuracy, weights kept in each layer, seconds."""
    start = time.perf_counter()
    data = Images(*(part.to(device()) for part in images(run.dataset, run.n_train, run.n_test)))
    module = build(run.architecture, tuple(data.X.shape[1:]), run.width, run.seed, run.init)
    module.to(device())
    known: dict[str, Any] = {}
    if run.density < 1:
        chosen, scores = scored(module, run, data)
        known = predictors.known(module, chosen, data.X[:JACOBIAN])
        known["concentration"] = predictors.concentration(scores, run.density)
        networks.apply(module, chosen)
        counts = list(networks.kept(module).values())
    else:
        counts = [networks.Kept(w.numel(), w.numel()) for w in networks.prunable(module).values()]
    train(module, data, run)
    return {
        **run._asdict(),
        "accuracy": accuracy(module, data),
        "kept": sum(k for k, _ in counts),
        "weights": sum(n for _, n in counts),
        "kept_by_layer": " ".join(f"{k}/{n}" for k, n in counts),
        "emptied_layers": sum(k == 0 for k, _ in counts),
        "seconds": round(time.perf_counter() - start, 2),
        "machine": machine(),
        **{name: float(f"{value:.5g}") for name, value in known.items()},
    }
