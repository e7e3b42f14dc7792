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
# # The mask of the initialization at the end of training
#
# A mask is found before training, from the weights as they are then. Training moves the weights.
# Is the mask still good at the end? Labels such as (E3) are those of the theory pages.

# %%
import matplotlib.pyplot as plt
import numpy as np

from lth_sketch import Product, bounds, datasets, moments, probabilities
from lth_sketch.regression import Problem

# %% [markdown]
# ## Training in closed form
#
# A linear model on the digits: is this a zero? Gradient flow has a closed form, so that the
# weights at any time cost nothing but a product. Time is told in units of the largest singular
# value.

# %%
data = datasets.load("digits")
X, y = data.X, np.where(data.y == 0, 1.0, -1.0)
d = X.shape[1]
w0 = np.random.default_rng(3).standard_normal(d) / np.sqrt(d)
problem = Problem(X, y, w0)
times = np.geomspace(0.1, 1e5, 25) / problem.singular_values[0] ** 2
weights = problem.gradient_flow(times)
start, end = Product(X, w0), Product(X, weights[-1])
moved = np.linalg.norm(weights[-1] - w0)
print(f"the weights moved by {moved:.2f}; they began with norm {np.linalg.norm(w0):.2f}")

# %% [markdown]
# ## Three draws, fixed before training
#
# The best one at initialization; the uniform one; and the *defensive* one, a mixture of the best
# one with one by the norms of the features, which keeps a floor under every feature (E3).

# %%
draws = {
    "best at initialization": probabilities.optimal(start),
    "defensive": probabilities.defensive(start, 0.5),
    "uniform": probabilities.uniform(d),
}
s = 8 * d


def relative(w, p):
    """Root mean square error of a mask over that of the empty one, at the weights w."""
    product = Product(X, w)
    return np.sqrt(moments.multinomial(product, p, s) / product.norm2)


curves = {name: np.array([relative(w, p) for w in weights]) for name, p in draws.items()}
floor = np.array([relative(w, probabilities.optimal(Product(X, w))) for w in weights])
for name, curve in curves.items():
    print(f"{name:24s} {curve[0]:.2f} at the beginning, {curve[-1]:.2f} at the end")
    # No draw beats the one that has seen the trained weights (S3).
    assert (curve >= floor * (1 - 1e-9)).all()

# %% [markdown]
# The draw that was best at the beginning gives almost no chance to a weight that began near zero
# and grew: at the end it is worse than the defensive one (E2).

# %%
best, defensive = curves["best at initialization"], curves["defensive"]
assert best[0] < defensive[0]
assert best[-1] > defensive[-1]

# %%
fig, panel = plt.subplots(figsize=(5, 3.2), layout="constrained")
unit = problem.singular_values[0] ** 2
for (name, curve), look in zip(curves.items(), ("-", "--", ":"), strict=True):
    panel.plot(times * unit, curve, look, color="#0060A8", label=name)
panel.plot(times * unit, floor, color="0.6", label="best there, which has seen the trained weights")
panel.set_xscale("log")
panel.set_yscale("log")
panel.set_xlabel("training time, in units of the largest singular value")
panel.set_ylabel("error / error of the empty mask")
fig.legend(loc="outside lower center", ncols=2)
plt.close(fig)
fig

# %% [markdown]
# ## A promise before training
#
# The bound (E3) needs only how far the weights can move. `displacement` bounds that from the
# labels, before any step of training; here we take the distance itself.

# %%
alpha = bounds.best_alpha(start, moved)
p = probabilities.defensive(start, alpha)
promise = bounds.end_of_training(start, moved, s, trained_norm2=end.norm2)
truth = moments.multinomial(end, p, s)
print(f"the best floor is alpha = {alpha:.2f}; the bound is {promise / truth:.2f} times the truth")
assert truth <= promise

far = float(bounds.displacement(X, y - X @ w0))
assert moved <= far * (1 + 1e-9)

# %% [markdown]
# ## Better than defensive: anticipate
#
# What the data alone say about the end of training gives a draw that needs no labels (E6).

# %%
ahead = probabilities.anticipated(X, w0)
anticipated = relative(weights[-1], ahead)
print(
    f"at the end: anticipated {anticipated:.2f}, defensive {defensive[-1]:.2f}, "
    f"best {floor[-1]:.2f}"
)
assert floor[-1] <= anticipated < best[-1]
