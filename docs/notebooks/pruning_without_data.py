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
# # Can one prune without data?
#
# Several algorithms choose a mask from the weights alone, before they see any data. What is lost?
# For linear models it is a single number. Labels such as (D2) are those of the theory pages.

# %%
import matplotlib.pyplot as plt
import numpy as np

from lth_sketch import Product, bounds, datasets, moments, probabilities, pruning

# %% [markdown]
# ## The price of not looking
#
# The best draw is in proportion to the norm of a feature times the size of its weight. Without
# data there are only the weights. The *price* is the ratio of the two mean square errors, of the
# data-free draw over the best one, in the part that depends on the draw (D2).

# %%
X = datasets.load("digits").X
rng = np.random.default_rng(0)
W = rng.standard_normal((500, X.shape[1]))
a = np.linalg.norm(X, axis=0)
prices = np.array([bounds.price(a, w) for w in W])
print(f"digits: the median price is {np.median(prices):.2f}")
assert (prices >= 1).all()

# %% [markdown]
# The price has nothing to do with the labels, and little with the weights. It is made by features
# of different norms. Give all pixels the same norm, and it vanishes (D1).

# %%
same = datasets.load("digits", preprocess="standardise").X
b = np.linalg.norm(same, axis=0)
live = b > 0
flat = np.array([bounds.price(b[live], w[live]) for w in W])
assert np.allclose(flat, 1)

# %% [markdown]
# ## A limit that holds for any weights
#
# If the largest norm of a feature is kappa times the smallest, the price is at most (kappa + 1)^2
# / (4 kappa) (D3). In the picture, features with norms between 1 and kappa.

# %%
kappas = np.geomspace(1, 30, 25)
limit = np.array([float(bounds.price_limit(kappa)) for kappa in kappas])
of_kappas = []
for kappa in kappas:
    norms = (
        np.exp(rng.uniform(0, np.log(kappa), size=(200, 64))) if kappa > 1 else np.ones((200, 64))
    )
    of_kappas.append([bounds.price(n, w[:64]) for n, w in zip(norms, W, strict=False)])
of_kappas = np.array(of_kappas)
assert (of_kappas <= limit[:, None] * (1 + 1e-9)).all()

# %%
fig, panel = plt.subplots(figsize=(5, 3.2), layout="constrained")
low, middle, high = np.quantile(of_kappas, [0.05, 0.5, 0.95], axis=1)
panel.fill_between(kappas, low, high, color="#0060A8", alpha=0.2, linewidth=0, label="5-95%")
panel.plot(kappas, middle, color="#0060A8", label="median of random norms and weights")
panel.plot(kappas, limit, "--", color="black", label="limit (D3)")
panel.set_xscale("log")
panel.set_yscale("log")
panel.set_xlabel("largest over smallest norm of a feature, kappa")
panel.set_ylabel("price of not looking")
fig.legend(loc="outside lower center", ncols=3)
plt.close(fig)
fig

# %% [markdown]
# ## The best one can do without looking
#
# If the data may be anything of a given size, the worst case decides. The draw that is best there
# is `minimax`, in proportion to the size of the weights when the norm of every feature is given
# (D4).

# %%
w = W[0]
best = bounds.minimax(w, norm="columns")
assert np.allclose(best.p, probabilities.data_free(w))
uniform = bounds.worst_case(probabilities.uniform(64), w, norm="columns").worst
print(
    f"against the worst data the uniform draw costs {uniform / best.worst:.2f} times the best one"
)
assert uniform > best.worst

# %% [markdown]
# ## SNIP without labels
#
# SNIP scores a feature by the gradient of a loss. With labels that are pure noise and a model
# without output, its root mean square is in proportion to the best draw: what matters in it are
# the data, not the labels.

# %%
product = Product(X, w)
p = probabilities.optimal(product)
noisy = np.sqrt(
    np.mean([pruning.snip(X, rng.standard_normal(len(X)) * 1e4, w) ** 2 for _ in range(300)], 0)
)
excess = float(probabilities.chi2(p, noisy))
print(f"distance of SNIP on noise from the best draw: {excess:.3f}; of the uniform draw: ", end="")
print(f"{float(probabilities.chi2(p, probabilities.uniform(64))):.3f}")
assert excess < 0.02

# %% [markdown]
# ## To take along
#
# - Not looking at the data costs the factor (D2), 1.5 on the digits, for any number of draws.
# - It costs nothing where features have the same norm, and standardising makes them so.
# - Scores that need data may not need labels.

# %%
s = 200
exact = moments.multinomial(product, probabilities.data_free(w), s)
assert exact >= moments.optimal(product, s)
