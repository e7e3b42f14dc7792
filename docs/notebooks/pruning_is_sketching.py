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
# # Pruning is sketching
#
# A linear model multiplies data by weights: `X @ w`. To prune it is to put a mask m between the
# two, `X @ (m * w)`, with most entries of m zero. How much does the output change, which features
# should be kept, and what can be promised before anything is measured?
#
# Statisticians and numerical analysts have asked this about any matrix product for twenty years:
# how well is `A @ B` approximated from a few columns of A and the matching rows of B? This notebook
# walks from a mask to that question and back. The labels in brackets, such as (S2), are those of
# `docs/theory.md`, where each statement is proved. Every claim below is asserted, so that this page
# fails when one of them is wrong.

# %%
import matplotlib.pyplot as plt
import numpy as np

from lth_sketch import (
    Product,
    bounds,
    datasets,
    moments,
    montecarlo,
    plots,
    probabilities,
    sampling,
)

# %% [markdown]
# ## A model at initialization
#
# The digits that come with scikit-learn: 1797 images of 64 pixels. The weights are fresh from a
# Gaussian; nothing has been trained. `Product` holds the two factors and what all later questions
# need of them: the norm u_i of each feature's share of the output, their sum U, and the norm of the
# output itself.

# %%
X = datasets.load("digits").X
d = X.shape[1]
w = np.random.default_rng(0).standard_normal(d)
product = Product(X, w)
product

# %% [markdown]
# ## A random mask
#
# Draw s features, with replacement, each with probability p_i. A feature that is drawn c times gets
# the weight c / (s p_i), the others get zero. The weights see to it that the masked output is right
# on average.

# %%
p = probabilities.optimal(product)
s = 32
m = sampling.mask(p, s, rng=1)
print(f"{np.count_nonzero(m)} of {d} features kept by {s} draws")
assert 0 < np.count_nonzero(m) <= s

average = sampling.masks(p, s, 20_000, rng=2).mean(axis=0)
# Pixels that are zero in every image have p_i = 0 and are never drawn.
assert np.allclose(average[p > 0.001], 1.0, atol=0.1)
assert (average[p == 0] == 0).all()

# %% [markdown]
# ## The mask is a sketch (S1)
#
# Write the same draws as a thin matrix S with one column a draw: in column t a single entry
# 1/sqrt(s p_i), in the row of the feature that was drawn. Then the pruned model is `(X S)(S.T w)`:
# data and weights are both compressed from 64 to 32 coordinates, and multiplied there. This is the
# sampling sketch of Drineas, Kannan and Mahoney (2006), letter by letter. To look for a good mask
# *is* to look for a good sketch.

# %%
kept = np.flatnonzero(m)
times_drawn = np.rint(m[kept] * s * p[kept]).astype(int)
drawn = np.repeat(kept, times_drawn)
S = np.zeros((d, s))
S[drawn, np.arange(s)] = 1 / np.sqrt(s * p[drawn])

pruned = X @ (m * w)
assert len(drawn) == s
assert np.allclose((X @ S) @ (S.T @ w), pruned)

# %% [markdown]
# ## Its error is known exactly (S2)
#
# The mean square of the error is a formula, not an inequality. Simulation agrees with it, as it
# must; `squared_errors` simulates thousands of masks in the time that a loop takes for a few.

# %%
sizes = np.array([8, 16, 32, 64, 128, 256])
trials = 20_000
exact = moments.multinomial(product, p, sizes)
measured = montecarlo.squared_errors(product, p, sizes, trials=trials, rng=3)
standard_error = measured.std(axis=1) / np.sqrt(trials)

print("    s  exact  measured   (root mean square over the norm of the output)")
relative = np.sqrt([exact / product.norm2, measured.mean(axis=1) / product.norm2])
for size, first, second in zip(sizes, *relative, strict=True):
    print(f"{size:5d}  {first:5.3f}  {second:8.3f}")
# Six standard errors: by chance alone this fails once in fifty million seeds.
assert (abs(measured.mean(axis=1) - exact) < 6 * standard_error).all()

# %% [markdown]
# ## Which probabilities? One number tells (S3)
#
# The best p is proportional to u_i, which asks for the data and the weights. Any other p costs
# exactly U^2 chi2 / s more, with chi2 its chi-square distance from the best: the quality of a
# pruning score is this one number.

# %%
draws = {
    "optimal": probabilities.optimal(product),
    "data-free": probabilities.data_free(w),
    "squared": probabilities.squared(w),
    "uniform": probabilities.uniform(d),
}
best = moments.optimal(product, s)
for name, q in draws.items():
    chi2 = probabilities.chi2(p, q)
    second_moment = moments.multinomial(product, q, s)
    print(f"{name:10s} chi2 = {chi2:5.2f}   mean square error x {second_moment / best:.2f}")
    assert np.isclose(second_moment, best + product.total**2 * chi2 / s)
    assert second_moment >= best * (1 - 1e-12)

# %% [markdown]
# *Data-free* uses |w_i| alone. If all pixels had the same norm it would be optimal (D1). Raw pixels
# are far from that; give every pixel the same norm, and not looking at the data costs nothing.

# %%
standardised = Product(datasets.load("digits", preprocess="standardise").X, w)
live = standardised.term_norms > 0
free = np.where(live, np.abs(w), 0)
assert probabilities.chi2(probabilities.optimal(standardised), free) < 1e-12

# %% [markdown]
# ## When is any of this useful?
#
# A mask with nothing in it has the error ||X w||. A draw that does worse than that is no help. With
# random signs the shares of the features mostly cancel in the output, the output is small beside U,
# and the best draw needs s > U^2/||X w||^2 - 1 draws to beat the empty mask. Where the shares add
# up, as they do for |w|, a handful is enough.
#
# Keeping the k largest terms as they are ("top-k") is the deterministic rival. With random signs it
# wins on average, whatever p (R1); where the shares add up, it loses while few features
# are kept, because what it drops adds up as well.

# %%
coherent = Product(X, np.abs(w))
k = 8
for name, this in {"random signs": product, "coherent": coherent}.items():
    enough = int(this.total**2 / this.norm2)
    q = probabilities.optimal(this)
    # As many draws as keep k features on average: designs are compared at equal kept fraction.
    same = int(np.searchsorted(moments.distinct(q, np.arange(1, 500)), k)) + 1
    draw = np.sqrt(moments.multinomial(this, q, same) / this.norm2)
    top = np.sqrt(moments.top(this, q, k) / this.norm2)
    print(f"{name}: s = {enough} beats the empty mask; error with {k} features kept: ", end="")
    print(f"draw {draw:.2f}, top-k {top:.2f}")
    assert moments.optimal(this, enough) <= this.norm2 * (1 + 1e-12)
    assert (draw < top) == (name == "coherent")

# %% [markdown]
# ## What can be promised
#
# A bound holds with probability 1 - delta for the one mask that is drawn. None of B3, B4, B6 and B7
# is best everywhere; `bounds.sharpest` takes the least of them and of B9. A bound above 1, the
# error of the empty mask, is true and says nothing: it is *vacuous*.

# %%
delta = 0.05
q = probabilities.optimal(coherent)
norm = np.sqrt(coherent.norm2)
curves = {
    "B2, the classical bound": bounds.dkm(coherent, sizes, delta) / norm,
    "B3, bounded differences": bounds.mcdiarmid(coherent, q, sizes, delta, sharp=True) / norm,
    "B6, radial martingale": bounds.radial(coherent, q, sizes, delta) / norm,
    "B7, fourth moment": bounds.cantelli(coherent, q, sizes, delta) / norm,
}
sharpest = bounds.sharpest(coherent, q, sizes, delta) / norm
errors = np.sqrt(montecarlo.squared_errors(coherent, q, sizes, trials=trials, rng=4)) / norm
low, high = np.quantile(errors, [delta, 1 - delta], axis=1)
for curve in curves.values():
    assert (high <= curve).all()
assert (high <= sharpest).all()
assert (sharpest <= curves["B7, fourth moment"]).all()
vacuous = {name: int((curve >= 1).sum()) for name, curve in curves.items()}
print("vacuous at how many of", len(sizes), "sizes:", vacuous)

# %% [markdown]
# The same in a picture: the band holds nine masks in ten, its upper edge is what the bounds bound.

# %%
with plots.style():
    fig, ax = plt.subplots(layout="constrained")
    ax.fill_between(sizes, low, high, color="#0060A8", alpha=0.2, linewidth=0, label="measured")
    ax.plot(sizes, np.sqrt(moments.optimal(coherent, sizes)) / norm, color="#0060A8", label="exact")
    for (name, curve), look in zip(curves.items(), (":", "--", "-.", "-"), strict=True):
        ax.plot(sizes, curve, look, color="black", label=name)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_ylim(0.03, 10)
    ax.axhspan(1, 10, color="0.92", zorder=0)
    ax.text(256, 9, "vacuous", ha="right", va="top", color="0.3")
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.set_xlabel("number of draws s (the model has 64 features)")
    ax.set_ylabel("error / error of the empty mask")
    ax.set_title("A coherent product: bounds that bite")
    fig.legend(loc="outside lower center", ncols=2)
# The picture of this cell: a figure that pyplot keeps would be shown a second time.
plt.close(fig)
fig

# %% [markdown]
# ## To take along
#
# - A random mask is a sampling sketch; its mean square error is a formula.
# - The best probabilities are u_i / U, and chi-square prices any other score.
# - Everything hangs on whether the shares of the features add up. If they do, few features are
#   enough and bounds bite. If they cancel, top-k is better, and bounds are vacuous until most
#   features are kept.
#
# `make figures` draws this for four draws, both kinds of weights, and larger data sets.
