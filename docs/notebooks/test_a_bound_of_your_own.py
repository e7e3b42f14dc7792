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
# # Test a bound of your own
#
# You have an idea for a bound. Before you prove it, let a machine try to refute it: on products
# with ties, zeros, duplicates and every scale, where the law of each draw is exact, so that
# nothing hangs on luck. Labels such as (S2) are those of the theory pages.

# %%
import matplotlib.pyplot as plt
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lth_sketch import Product, bounds, intervals, moments, probabilities, testing, verify
from lth_sketch.statements import Statement

# %% [markdown]
# ## The idea
#
# The mean square error of s draws is at most U^2 / (s beta), where U is the sum of the norms of
# all terms, and beta says how near the draw is to the best one: p is at least beta times it.


# %%
def my_bound(product, p, s):
    return product.total**2 / (s * bounds.nearness(product, p))


# %% [markdown]
# ## Property test
#
# `products()` thinks of products, `probabilities(product)` of draws. `assert_bound` enumerates
# every outcome of two draws, and compares.


# %%
@settings(max_examples=50, deadline=None, database=None, derandomize=True)
@given(testing.products(), st.data())
def check(product, data):
    testing.assert_bound(product, data.draw(testing.probabilities(product)), 2, my_bound)


check()
print("not refuted")

# %% [markdown]
# ## A false one
#
# It is easy to forget that terms may cancel or add up. This one adds their squares.


# %%
def forgetful(product, p, s):
    return (product.term_norms**2).sum() / s


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(testing.products(), st.data())
def check_forgetful(product, data):
    testing.assert_bound(product, data.draw(testing.probabilities(product)), 2, forgetful)


try:
    check_forgetful()
except AssertionError as error:
    print(str(error)[:400])
else:
    raise SystemExit("a false bound was not refuted")

# %% [markdown]
# ## How close can it get?
#
# A bound that is true may be far from sharp. `worst_case` hunts for the product on which it is
# closest to the exact mean square (S2).

# %%
worst = testing.worst_case(my_bound, moments.multinomial, budget=200)
print(worst)
assert worst.ratio <= 1 + 1e-9

# %% [markdown]
# ## In a picture
#
# The ratio of the exact mean square to the bound, for random products whose terms add up more and
# more.

# %%
rng = np.random.default_rng(0)
coherence, ratio = [], []
for mixture in np.linspace(0, 1, 60):
    A = (1 - mixture) * rng.standard_normal((30, 20)) + mixture
    product = Product(A, abs(rng.standard_normal(20)))
    p = probabilities.optimal(product)
    coherence.append(product.coherence)
    ratio.append(float(moments.multinomial(product, p, 10) / my_bound(product, p, 10)))
assert max(ratio) <= 1

fig, panel = plt.subplots(figsize=(5, 3), layout="constrained")
panel.plot(coherence, ratio, "o", color="#0060A8", markerfacecolor="white")
panel.set_xlabel("coherence: 1 for terms at right angles, 20 where all agree")
panel.set_ylabel("exact / bound")
panel.set_ylim(0, 1)
plt.close(fig)
fig

# %% [markdown]
# It is sharp where the terms cancel, and loses what `||AB||^2` takes away where they add up: the
# next thing to try is `bounds.frobenius`, which subtracts it (B1).
#
# ## A verdict
#
# Put it beside the statements of the library, judged on data with a stated risk of a false
# verdict.

# %%
mine = Statement(
    label="M1",
    claim="E||err||^2 <= U^2 / s for the optimal draw",
    status="bound",
    value=lambda case: case.product.total**2 / case.s,
    measure=lambda case, risk: intervals.mean(case.squared_errors(), risk),
    products=("initial", "coherent"),
)
report = verify.run([mine], trials=100_000)
print(report.table())
assert not report.refuted
