"""`python -m benchmarks.sharpness`: bounds over measured quantiles, as docs/theory.md has them.

Without arguments the small study of B6 is printed; with names of data sets the table of B9. Its
masks are simulated by the library, or with ``--device cuda`` by PyTorch, which takes seconds for
what takes hours on two cores: a second route, for not one line of the simulation is the library's.
"""

from __future__ import annotations

import argparse

import numpy as np

from lth_sketch import Product, bounds, datasets, montecarlo, probabilities
from lth_sketch.validation import Floats, Integers

RISKS = (0.1, 0.05, 0.01, 1e-3, 1e-4)
# Draws, as shares of d.
SHARES = (0.1, 0.5, 2.0)
# Masks that exceed a quantile before it is believed.
ENOUGH = 50
# Entries of what PyTorch holds at a time.
CHUNK = 1 << 26


def simulated(
    product: Product, p: Floats, sizes: Integers, trials: int, seed: int, device: str
) -> Floats:
    """Return squared errors of draws with replacement, (sizes, trials), simulated by PyTorch."""
    import torch

    rng = torch.Generator(device).manual_seed(seed)
    factor = torch.from_numpy(product.unit_factor * product.total).to(device)
    given = torch.from_numpy(np.asarray(p, np.float64)).to(device)
    ends = torch.cumsum(given, 0)
    squares = np.empty((len(sizes), trials))
    for row, s in zip(squares, sizes.tolist(), strict=True):
        step = max(1, CHUNK // max(s, product.d))
        shares = torch.where(given > 0, 1.0 / (s * given), 0.0)
        for start in range(0, trials, step):
            count = min(step, trials - start)
            v = torch.rand((count, s), generator=rng, device=device, dtype=torch.float64)
            drawn = torch.searchsorted(ends, v * ends[-1], right=True).clamp(max=product.d - 1)
            gaps = torch.zeros((count, product.d), device=device, dtype=torch.float64)
            gaps.scatter_add_(1, drawn, torch.ones_like(v))
            gaps = gaps * shares - 1.0
            row[start : start + count] = (gaps @ factor).square().sum(1).cpu().numpy()
    return squares


def ratios(
    product: Product, draws: dict[str, Floats], trials: int, device: str | None
) -> list[dict[str, float]]:
    """Return one row for each draw, size and risk: bounds over the measured quantile."""
    rows = []
    for number, p in enumerate(draws.values()):
        sizes = np.unique([max(1, round(share * product.d)) for share in SHARES])
        if device is None:
            squares = montecarlo.squared_errors(product, p, sizes, trials=trials, rng=number)
        else:
            squares = simulated(product, p, sizes, trials, number, device)
        errors = np.sqrt(squares)
        for delta in RISKS:
            if delta * trials < ENOUGH:
                continue
            quantiles = np.quantile(errors, 1.0 - delta, axis=1)
            before = np.min(
                [
                    bounds.mcdiarmid(product, p, sizes, delta, sharp=True),
                    bounds.bousquet(product, p, sizes, delta),
                    bounds.radial(product, p, sizes, delta),
                    bounds.cantelli(product, p, sizes, delta),
                ],
                axis=0,
            )
            four = bounds.moment(product, p, sizes, delta, order=4)
            six = bounds.moment(product, p, sizes, delta)
            rows += [
                {"delta": delta, "before": b / q, "four": f / q, "six": x / q}
                for b, f, x, q in zip(before, four, six, quantiles, strict=True)
            ]
    return rows


def main(names: list[str], trials: int, device: str | None) -> None:
    """Print medians and worst cases over weights, draws and sizes: of each data set, and of all."""
    everything = []
    for name in names:
        data = datasets.load(name)
        w = np.random.default_rng(0).standard_normal(data.X.shape[1])
        rows = []
        for weights in (w, np.abs(w)):
            product = Product(data.X, weights)
            draws = {
                "optimal": probabilities.optimal(product),
                "data-free": probabilities.data_free(weights),
                "uniform": probabilities.uniform(product.d),
            }
            rows += ratios(product, draws, trials, device)
        table(name, rows)
        everything += rows
    if len(names) > 1:
        table("all", everything)


def table(name: str, rows: list[dict[str, float]]) -> None:
    """Print median and largest of each bound over the measured quantile."""
    print(f"\n{name}\n")
    print("| delta | rows | best of B3, B4, B6, B7 | four moments | six moments | six above |")
    print("| --- | --- | --- | --- | --- | --- |")
    for delta in RISKS:
        part = [row for row in rows if row["delta"] == delta]
        if part:
            cells = [
                f"{np.median([row[key] for row in part]):.2f} / {max(row[key] for row in part):.2f}"
                for key in ("before", "four", "six")
            ]
            above = sum(row["six"] > row["before"] * (1 + 1e-9) for row in part)
            print(f"| {delta:g} | {len(part)} | {' | '.join(cells)} | {above} |", flush=True)


def study() -> None:
    """Print the table of B6: a few products of 200 terms, values over the root mean square."""
    rng = np.random.default_rng(0)
    A, w = rng.standard_normal((60, 200)), rng.standard_normal(200)
    factors = np.exp(rng.standard_normal(200))
    pareto = (1.0 + rng.pareto(1.1, 200)) * rng.choice([-1.0, 1.0], 200)
    equal = probabilities.uniform(200)
    small = equal.copy()
    small[0] *= 1e-4
    cases = [
        ("equal factors, best p", Product(A, w), None, 100),
        ("coherent, best p", Product(np.abs(A), np.abs(w)), None, 100),
        ("log-normal factors, data-free p", Product(A * factors, w), np.abs(w), 100),
        ("log-normal factors, uniform p", Product(A * factors, w), equal, 100),
        ("Pareto(1.1) weights, uniform p", Product(A, pareto), equal, 100),
        ("the same, s = 10", Product(A, pareto), equal, 10),
        ("equal terms, one p_i too small", Product(np.ones((1, 200)), np.ones(200)), small, 100),
    ]
    print("| case | delta | true | B3 | B4 | B6 | B7 | B9 | B10 |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, product, p, s in cases:
        p = probabilities.optimal(product) if p is None else p
        unit = float(bounds.moment(product, p, s, 0.25, order=1)) / 2.0
        errors = np.sqrt(montecarlo.squared_errors(product, p, s, trials=20_000, rng=0))
        for delta in (0.01, 1e-6):
            values = [
                bounds.mcdiarmid(product, p, s, delta, sharp=True),
                bounds.bousquet(product, p, s, delta),
                bounds.radial(product, p, s, delta),
                bounds.cantelli(product, p, s, delta),
                bounds.moment(product, p, s, delta),
                bounds.centred(product, p, s, delta),
            ]
            true = f"{np.quantile(errors, 1 - delta) / unit:.3g}" if delta == 0.01 else ""
            cells = " | ".join(f"{float(value) / unit:.3g}" for value in values)
            print(f"| {name} | {delta:g} | {true} | {cells} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="*")
    parser.add_argument("--trials", type=int, default=1_000_000)
    parser.add_argument("--device", help="where PyTorch simulates; by default the library does")
    chosen = parser.parse_args()
    if chosen.data:
        main(chosen.data, chosen.trials, chosen.device)
    else:
        study()
