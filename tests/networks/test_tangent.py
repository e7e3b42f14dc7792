"""The Jacobian against backward passes one by one, N1 and N2 on real networks, lazy training."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn

from lth_sketch import Product, bounds, moments, montecarlo, networks, probabilities, tolerances


def row_by_row(net, X):
    """One backward pass for each sample and output."""
    net.eval()
    weights = [layer.weight for layer in net.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    rows = []
    for sample in X:
        for output in net(sample[None]).reshape(-1):
            slopes = torch.autograd.grad(output, weights, retain_graph=True)
            rows.append(torch.cat([g.reshape(-1) for g in slopes]).numpy())
    return np.array(rows)


@pytest.mark.parametrize("kind", [2, 4, "residual"])
@pytest.mark.parametrize("memory", [1, 20_000, 2**28])
def test_the_jacobian_is_that_of_single_backward_passes(network, batch, kind, memory):
    net = network(kind)
    X, _ = batch(4, (2, 3, 3) if kind == "residual" else (5,))
    modes = [layer.training for layer in net.modules()]
    state = {name: value.clone() for name, value in net.state_dict().items()}
    J = networks.jacobian(net, X, memory=memory)
    assert [layer.training for layer in net.modules()] == modes
    for name, value in net.state_dict().items():
        assert torch.equal(value, state[name])
    expected = row_by_row(net, X)
    scale = tolerances.ROUNDING * np.abs(expected).max()
    np.testing.assert_allclose(J, expected, rtol=0, atol=scale)
    norms = networks.jacobian_norms(net, X, memory=memory)
    np.testing.assert_allclose(norms, np.linalg.norm(expected, axis=0), atol=scale)


@pytest.mark.parametrize("depth", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_n1_euler_for_networks_without_biases(network, batch, depth, kind):
    net, (X, _) = network(depth, width=20).to(kind), batch(8)
    product = networks.tangent_product(net, X)
    output = net(X.to(kind)).detach().numpy().ravel()
    gap = np.linalg.norm(product.value - depth * output) / np.linalg.norm(depth * output)
    assert gap < (tolerances.ROUNDING if kind == torch.float64 else 1e-5)


def test_n1_a_bias_breaks_it(network, batch):
    net = nn.Sequential(nn.Linear(5, 9), nn.ReLU(), nn.Linear(9, 3)).double()
    X, _ = batch(8)
    product = networks.tangent_product(net, X)
    output = net(X).detach().numpy().ravel()
    assert np.linalg.norm(product.value - 2 * output) > 1e-3 * np.linalg.norm(output)


def test_n1_the_product_is_the_linearised_mask(network, batch):
    net, (X, _) = network(3), batch(5)
    product = networks.tangent_product(net, X)
    masks = networks.find(net, 0.8, score="magnitude")
    step = networks.vector(masks) - 1
    # A small step: the network itself moves as the product says, up to second order.
    small = 1e-6
    weights = networks.prunable(net)
    moved = {
        name: weight * (1 + small * (torch.as_tensor(masks[name]) - 1))
        for name, weight in weights.items()
    }
    change = (torch.func.functional_call(net, moved, (X,)) - net(X)).detach().numpy().ravel()
    linear = small * product.A @ (step * product.B)
    assert np.linalg.norm(linear) > 0
    assert np.linalg.norm(change - linear) < 1e-4 * np.linalg.norm(linear)


@pytest.mark.parametrize("which", ["tangent", "kernel"])
def test_s2_is_certified_on_a_real_network(network, batch, which):
    """Mean of simulated squared errors within 6.2 standard errors (two-sided risk below 1e-9)."""
    net, (X, _) = network("residual"), batch(6, (2, 4, 4))
    make = networks.tangent_product if which == "tangent" else networks.kernel_product
    product = make(net, X)
    for p in (probabilities.optimal(product), probabilities.uniform(product.d)):
        for s in (5, 80):
            errors = montecarlo.squared_errors(product, p, s, trials=20_000, rng=3)
            exact = moments.multinomial(product, p, s)
            spread = errors.std(ddof=1) / np.sqrt(len(errors))
            assert abs(errors.mean() - exact) < scipy.stats.norm.isf(5e-10) * spread


def test_n2_moment_by_hand_and_its_best_draw(network, batch):
    net, (X, _) = network(2), batch(4)
    product = networks.kernel_product(net, X)
    J = row_by_row(net, X)
    K = J @ J.T
    np.testing.assert_allclose(product.value, K, rtol=0, atol=tolerances.ROUNDING * K.max())
    squares = (J**2).sum(axis=0)
    p = squares / squares.sum()
    np.testing.assert_allclose(probabilities.optimal(product), p, rtol=tolerances.ROUNDING)
    exact = (squares.sum() ** 2 - (K**2).sum()) / 7
    np.testing.assert_allclose(moments.multinomial(product, p, 7), exact, rtol=tolerances.ROUNDING)


def test_lazy_training_is_kernel_ridge_and_obeys_e4(network, batch):
    net, (X, labels) = network(3), batch(6)
    y = np.eye(3)[labels]
    J, start, penalty = row_by_row(net, X), net(X).detach().numpy().ravel(), 0.3
    rng = np.random.default_rng(0)
    d = J.shape[1]
    masks = np.stack([np.ones(d), rng.random(d) < 0.5, rng.gamma(2.0, 0.5, d)]).astype(float)
    trained, predicted = networks.lazy(net, X, y, penalty=penalty, masks=masks, X_test=X[:2])
    rest = y.ravel() - start
    whole = None
    for mask, outputs, seen in zip(masks, trained, predicted, strict=True):
        kernel = (J * mask) @ J.T
        fit = start + kernel @ np.linalg.solve(kernel + penalty * np.eye(len(J)), rest)
        np.testing.assert_allclose(outputs.ravel(), fit, atol=tolerances.QUADRATURE)
        np.testing.assert_allclose(seen, outputs[:2], atol=tolerances.QUADRATURE)
        if whole is None:
            whole = outputs
        base = J @ J.T + penalty * np.eye(len(J))
        root = np.linalg.inv(np.linalg.cholesky(base))
        epsilon = np.linalg.norm(root @ (kernel - J @ J.T) @ root.T, 2)
        if epsilon < 1:
            limit = bounds.retrained(epsilon, J, rest, penalty=penalty)
            assert np.linalg.norm(outputs - whole) <= limit * (1 + tolerances.ROUNDING)
    single = networks.lazy(net, X, y, penalty=penalty)
    np.testing.assert_allclose(single, trained[0], atol=tolerances.QUADRATURE)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"y": np.zeros((5, 2))}, r"y must have shape \(6, 3\)"),
        ({"masks": np.ones(4)}, "masks must have"),
        ({"masks": -np.ones(85)}, "masks must have"),
        ({"penalty": 0.0}, "penalty"),
    ],
)
def test_lazy_refuses_what_does_not_fit(network, batch, options, words):
    net, (X, labels) = network(2, width=10, inputs=5), batch(6)
    chosen = {"y": np.eye(3)[labels], "penalty": 1.0, **options}
    with pytest.raises(ValueError, match=words):
        networks.lazy(net, X, chosen.pop("y"), **chosen)


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (torch.full((2, 5), torch.nan), "X must be finite"),
        (torch.ones(5), "samples along its first axis"),
        (torch.ones(0, 5), "samples along its first axis"),
    ],
)
def test_samples_are_checked(network, X, words):
    with pytest.raises(ValueError, match=words):
        networks.jacobian(network(2), X)
    with pytest.raises(ValueError, match="memory"):
        networks.jacobian(network(2), torch.ones(2, 5), memory=0)


def test_every_statement_runs_on_the_product(network, batch):
    product = networks.tangent_product(network(2), batch(6)[0])
    assert isinstance(product, Product)
    p = probabilities.optimal(product)
    assert moments.multinomial(product, p, 9) <= bounds.frobenius(product, 9) * (1 + 1e-9)
    assert bounds.spectral(product.A, p, 50, 0.1) > 0
    assert bounds.mcdiarmid(product, p, 50, 0.1) > 0


def test_a_bar_is_shown_when_asked_for(network, batch, capsys):
    networks.jacobian(network(2), batch(3)[0], progress=True)
    assert "Jacobian" in capsys.readouterr().err
    networks.jacobian(network(2), batch(3)[0])
    assert capsys.readouterr().err == ""
