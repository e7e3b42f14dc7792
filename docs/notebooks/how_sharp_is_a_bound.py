# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How sharp is a bound?
#
# A bound promises that the error of a random mask stays below a number, with a stated risk. Here
# we measure the error itself, many thousand times, and see how far each bound lies above it. The
# ratio is the *tightness* of a bound: 1 would be perfect. Labels such as (B7) are those of the
# theory pages.

# %%
import matplotlib.pyplot as plt
import numpy as np

from lth_sketch import Product, bounds, datasets, montecarlo, probabilities

# %% [markdown]
# ## Two products
#
# The same pixels, twice: with Gaussian weights, whose shares of the output cancel for the most
# part, and with their absolute values, whose shares add up.

# %%
X = datasets.load("digits").X
w = np.random.default_rng(0).standard_normal(X.shape[1])
products = {"cancelling": Product(X, w), "adding up": Product(X, abs(w))}
for name, product in products.items():
    print(f"{name:10s} coherence {product.coherence:5.2f} of at most {product.d}")
assert products["adding up"].coherence > 5 * products["cancelling"].coherence

# %% [markdown]
# ## Measured quantiles and five bounds
#
# For each number of draws s the error that 95% of all masks stay below, measured on 20,000 masks,
# and what the bounds promise for the same 95%.

# %%
delta = 0.05
s = np.array([4, 8, 16, 32, 64, 128, 256])
NAMES = {
    "B2, classical": lambda product, p: bounds.dkm(product, s, delta),
    "B3, bounded differences": lambda product, p: bounds.mcdiarmid(
        product, p, s, delta, sharp=True
    ),
    "B4, Bousquet": lambda product, p: bounds.bousquet(product, p, s, delta),
    "B6, radial martingale": lambda product, p: bounds.radial(product, p, s, delta),
    "B7, fourth moment": lambda product, p: bounds.cantelli(product, p, s, delta),
}
tightness, vacuous = {}, {}
for kind, product in products.items():
    p = probabilities.optimal(product)
    errors = np.sqrt(montecarlo.squared_errors(product, p, s, trials=20_000, rng=1))
    measured = np.quantile(errors, 1 - delta, axis=1)
    for name, bound in NAMES.items():
        values = bound(product, p)
        # A bound that the measured quantile exceeded would be false.
        assert (values > measured).all()
        tightness[kind, name] = values / measured
        vacuous[kind, name] = int((values >= product.norm2**0.5).sum())

for (kind, name), ratio in tightness.items():
    print(f"{kind:10s} {name:24s} {ratio.min():5.2f} to {ratio.max():5.2f} times the truth")

# %% [markdown]
# The fourth moment (B7) is exact in what it uses, and is the closest of the five at this risk.

# %%
for kind in products:
    best = tightness[kind, "B7, fourth moment"]
    for name in NAMES:
        assert (best <= tightness[kind, name] * (1 + 1e-9)).all()

# %% [markdown]
# ## In a picture

# %%
fig, panels = plt.subplots(1, 2, figsize=(7, 3.2), sharey=True, layout="constrained")
for panel, kind in zip(panels, products, strict=True):
    for name, look in zip(NAMES, (":", "--", "-.", (0, (9, 2)), "-"), strict=True):
        panel.plot(s, tightness[kind, name], linestyle=look, color="black", label=name)
    panel.axhline(1, color="0.6")
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.set_xticks(s, [str(size) for size in s])
    panel.set_title(f"shares {kind}")
    panel.set_xlabel("draws s")
panels[0].set_ylabel("bound / measured 95% quantile")
fig.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
plt.close(fig)
fig

# %% [markdown]
# ## Sharp is not the same as useful
#
# The error of the empty mask is the yardstick: a bound above it is *vacuous*. The tightness of a
# bound hardly depends on whether the shares cancel. Its use does.

# %%
for (kind, name), count in vacuous.items():
    print(f"{kind:10s} {name:24s} vacuous at {count} of {len(s)} sizes")
assert vacuous["cancelling", "B7, fourth moment"] > vacuous["adding up", "B7, fourth moment"]

# %% [markdown]
# ## Smaller risks
#
# The smaller the risk, the more a bound from moments loses, and the better the exponential ones
# become. `bounds.sharpest` takes the least of all, at no cost.

# %%
product = products["adding up"]
p = probabilities.optimal(product)
risks = 10.0 ** -np.arange(1, 9)
seventh = np.array([float(bounds.cantelli(product, p, 64, risk)) for risk in risks])
sixth = np.array([float(bounds.radial(product, p, 64, risk)) for risk in risks])
for risk, first, second in zip(risks, seventh, sixth, strict=True):
    print(
        f"risk {risk:.0e}: B7 {first / product.norm2**0.5:7.2f}   "
        f"B6 {second / product.norm2**0.5:5.2f}"
    )
assert seventh[0] < sixth[0]
assert seventh[-1] > sixth[-1]
