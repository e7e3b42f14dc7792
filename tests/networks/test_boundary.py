"""What a network or its data cannot do is told by argument, layer and mend; nothing is changed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from lth_sketch import networks
from lth_sketch.tolerances import EXACT, NETWORK, SINGLE

DATA = ("snip", "grasp", "sketch", "synflow", "layer")


def small(*layers):
    torch.manual_seed(0)
    return nn.Sequential(*layers, nn.Linear(4, 3))


X = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
Y = np.arange(6) % 3


def same(one, other):
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("score", DATA)
def test_scores_without_gradients_in_the_caller(mode, score):
    net = small()
    expected = networks.scores(net, score, X, Y)
    with mode():
        same(networks.scores(net, score, X, Y), expected)
        made = small()
        same(networks.scores(made, score, torch.as_tensor(X), Y), expected)
        same({"J": networks.jacobian(net, X)}, {"J": networks.jacobian(made, X)})


@pytest.mark.parametrize("score", DATA)
@pytest.mark.parametrize("form", [np.array, torch.tensor])
def test_layers_in_place_leave_the_callers_data_alone(score, form):
    net = small(nn.ReLU(inplace=True), nn.Hardtanh(inplace=True))
    data, labels = form(X), form(Y)
    before, y_before = form(X), form(Y)
    networks.scores(net, score, data, labels)
    networks.jacobian(net, data)
    networks.lazy(net, data, np.eye(3)[Y], penalty=1.0, X_test=data)
    assert (data == before).all()
    assert (labels == y_before).all()


@pytest.mark.parametrize("score", ["snip", "grasp"])
@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.zeros((6, 2)), r"y must have the shape of the outputs, \(6, 3\); got \(6, 2\)"),
        (np.zeros((6, 1)), r"y must have the shape of the outputs"),
        (np.zeros(6), r"y must have the shape of the outputs"),
        (np.eye(3)[Y].astype(int), r"y must hold one label.*one-hot targets must be real"),
        (Y + 1, r"labels from 0 to 2, .*got labels from 1 to 3: number the classes from 0"),
        (Y - 1, r"labels from 0 to 2, .*got labels from -1 to 1"),
        (Y[:4], r"X and y must have one length; got 6 and 4"),
        (3, r"y must be an array or a tensor; got int"),
        (np.where(Y == 0, np.nan, 1.0)[:, None] * np.ones(3), "y must be finite"),
        (list("abcabc"), "y must hold real numbers"),
    ],
)
def test_labels_and_targets_that_do_not_fit(score, y, words):
    with pytest.raises((TypeError, ValueError), match=words):
        networks.scores(small(), score, X, y)


def test_a_column_and_a_vector_are_one():
    torch.manual_seed(0)
    net = nn.Linear(4, 1)
    vector = np.linspace(-1, 1, 6)
    same(networks.snip(net, X, vector), networks.snip(net, X, vector[:, None]))
    flat = nn.Sequential(net, nn.Flatten(0))
    for one, other in zip(
        networks.snip(flat, X, vector[:, None]).values(),
        networks.snip(net, X, vector).values(),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    same(networks.snip(small(), X, Y), networks.snip(small(), X, Y[:, None]))
    with pytest.raises(ValueError, match="y holds labels"):
        networks.snip(flat, X, Y)


def test_classes_along_the_last_axis():
    torch.manual_seed(0)
    net = nn.Linear(4, 3)
    data = np.random.default_rng(1).standard_normal((2, 5, 4))
    y = np.arange(10).reshape(2, 5) % 3
    scores = networks.snip(net, data, y)
    flat = networks.snip(net, data.reshape(10, 4), y.reshape(10))
    np.testing.assert_allclose(scores["weight"], flat["weight"], rtol=EXACT)
    with pytest.raises(ValueError, match="pass a loss that says which"):
        networks.snip(net, data[:, :3], y[:, :3])


def test_normalisation_without_statistics():
    net = small(nn.BatchNorm1d(4, track_running_stats=False))
    words = r"module\.0 normalises by the batch.*track_running_stats=True"
    for score in ("sketch", "synflow", "layer"):
        with pytest.raises(ValueError, match=words):
            networks.scores(net, score, X, Y)
    with pytest.raises(ValueError, match=words):
        networks.jacobian(net, X)
    # SNIP and GraSP look at the batch anyway.
    assert networks.snip(net, X, Y)["1.weight"].any()


class AlwaysOn(nn.Module):
    def __init__(self, noise):
        super().__init__()
        self.inner = nn.Linear(4, 3)
        self.noise = noise

    def forward(self, x):
        if self.noise == "dropout":
            return self.inner(functional.dropout(x))
        return self.inner(x) + torch.randn(len(x), 3)


@pytest.mark.parametrize("noise", ["dropout", "numbers"])
@pytest.mark.parametrize("score", [name for name in DATA if name != "layer"])
def test_random_numbers_in_forward(noise, score):
    net = AlwaysOn(noise)
    state = torch.random.get_rng_state()
    with pytest.raises(ValueError, match=r"other outputs for the same samples.*always on"):
        networks.scores(net, score, X, Y)
    with pytest.raises(ValueError, match="other outputs for the same samples"):
        networks.jacobian(net, X)
    assert torch.equal(torch.random.get_rng_state(), state)
    net = small(nn.Dropout(0.5))
    state = torch.random.get_rng_state()
    networks.scores(net, score, X, Y)
    assert torch.equal(torch.random.get_rng_state(), state)


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 3)

    def forward(self, x):
        return self.inner(x) if x.sum() > 0 else -self.inner(x)


def test_control_flow_that_looks_at_data_is_followed():
    torch.manual_seed(0)
    net = Branching()
    signs = np.sign(X.sum(1))
    expected = np.concatenate([s * np.kron(np.eye(3), x) for s, x in zip(signs, X, strict=True)])
    np.testing.assert_allclose(networks.jacobian(net, X), expected, rtol=SINGLE)
    scores = networks.sketch(net, X)["inner.weight"]
    norms = np.linalg.norm(X.astype(float), axis=0)
    np.testing.assert_allclose(scores, abs(net.inner.weight.detach().numpy()) * norms, rtol=EXACT)


@pytest.mark.parametrize("score", DATA)
def test_images_as_integers(score):
    net = small(nn.Conv2d(1, 1, 1), nn.Flatten())
    image = np.arange(24, dtype=np.uint8).reshape(6, 1, 2, 2)
    with pytest.raises(ValueError, match=r"dtype int64.*'0' \(Conv2d\).*X / 255\.0"):
        networks.scores(net, score, image, Y)
    assert networks.scores(net, score, image / 255.0, Y)


def test_samples_of_another_shape_name_the_layer():
    net = small(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 4))
    with pytest.raises(ValueError, match=r"X of shape \(2, 4\).*layer '0' \(Linear\) fails"):
        networks.snip(net, X, Y)
    net = small(nn.Linear(4, 5))
    with pytest.raises(ValueError, match=r"its layer '1' \(Linear\) fails; pass samples"):
        networks.layer_products(net, X)


def test_tokens_beyond_the_vocabulary():
    net = small(nn.Embedding(5, 4), nn.Flatten(0, 1))
    with pytest.raises(ValueError, match=r"'0' \(Embedding\).*entries up to 9.*num_embeddings"):
        networks.jacobian(net, np.full((2, 1), 9))
    with pytest.raises(ValueError, match="it looks up integers"):
        networks.jacobian(net, np.full((2, 1), 1.0))


class Frame:
    """What pandas hands on: an object with columns that becomes an array."""

    def __init__(self, values):
        self.values, self.columns = values, list("abcd")

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


def test_data_frames_are_arrays_and_loaders_are_told():
    net = small()
    same(networks.snip(net, Frame(X), Y), networks.snip(net, X, Y))
    mixed = Frame(np.array([["a", 1, 2, 3]] * 6, dtype=object))
    with pytest.raises(TypeError, match=r"X must hold real numbers; got dtype object.*columns"):
        networks.snip(net, mixed, Y)
    pairs = torch.utils.data.TensorDataset(torch.as_tensor(X), torch.as_tensor(Y))
    loader = torch.utils.data.DataLoader(pairs, batch_size=4)
    for score in ("snip", "sketch"):
        with pytest.raises(TypeError, match=r"got DataLoader.*torch\.cat\("):
            networks.scores(net, score, loader, Y)
    # Layer by layer, batches are streamed.
    for one, other in zip(
        networks.layer(net, loader).values(), networks.layer(net, X).values(), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=EXACT)
    with pytest.raises(ValueError, match="X has no batches"):
        networks.layer(net, iter([]))
    with pytest.raises(TypeError, match="X must be an array"):
        networks.layer(net, 3)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([[1.0, 2.0], [3.0]], "X must be a rectangular array"),
        (np.ones(4, np.float32), "X must hold samples along its first axis"),
        (np.ones((0, 4), np.float32), "X must hold samples"),
        (np.ones((6, 4), complex), "X must hold real numbers"),
        (torch.ones(6, 4).to_sparse(), "X must be dense"),
        ("photo.png", "X must be an array or a tensor; got str"),
    ],
)
@pytest.mark.parametrize("score", DATA)
def test_data_that_are_no_samples(data, words, score):
    with pytest.raises((TypeError, ValueError), match=words):
        networks.scores(small(), score, data, Y)


@pytest.mark.parametrize("score", [name for name in DATA if name != "synflow"])
@pytest.mark.parametrize("entry", [np.nan, np.inf])
def test_samples_that_are_not_finite(score, entry):
    data = X.copy()
    data[3, 1] = entry
    with pytest.raises(ValueError, match="X must be finite"):
        networks.scores(small(), score, data, Y)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_scripted_modules_anywhere():
    scripted = torch.jit.script(nn.Linear(4, 4))
    with pytest.raises(TypeError, match=r"module is scripted.*before torch\.jit\.script"):
        networks.prune(scripted, 0.5)
    with pytest.raises(TypeError, match=r"module\.0 is scripted"):
        networks.snip(small(scripted), X, Y)


class Several(nn.Module):
    def __init__(self, form):
        super().__init__()
        self.inner, self.form = nn.Linear(4, 3), form

    def forward(self, x):
        out = self.inner(x)
        return {"logits": out, "hidden": x} if self.form == "dictionary" else (out, x)


@pytest.mark.parametrize(("form", "key"), [("dictionary", "logits"), ("tuple", 0)])
def test_outputs_in_several_parts(form, key):
    torch.manual_seed(0)
    net = Several(form)
    for score in ("snip", "grasp", "synflow", "sketch"):
        with pytest.raises(TypeError, match=r"must return a tensor.*output="):
            networks.scores(net, score, X, Y)
        scores = networks.scores(net, score, X, Y, output=key)
        same(networks.scores(net, score, X, Y, output=lambda parts, key=key: parts[key]), scores)
        assert networks.find(net, 0.5, score=score, X=X, y=Y, output=key)
        with pytest.raises(ValueError, match="output = 'loss' is not among"):
            networks.scores(net, score, X, Y, output="loss")
    product = networks.tangent_product(net, X, output=key)
    assert product.A.shape == (18, 12)
    assert networks.lazy(net, X, np.eye(3)[Y], penalty=1.0, output=key).shape == (6, 3)
    # The layers' own inputs do not hang on what is returned.
    assert networks.layer(net, X)["inner.weight"].any()


def test_outputs_that_are_no_rows_of_real_numbers():
    with pytest.raises(TypeError, match=r"real numbers.*logits and not classes"):
        networks.sketch(small(), X, output=lambda outputs: outputs.argmax(1))
    with pytest.raises(ValueError, match=r"row for each sample.*batch_first=True"):
        networks.sketch(small(), X, output=torch.sum)


class Insists(nn.LayerNorm):
    """As in large language models: normalises in float32 whatever comes, and gives that back."""

    def forward(self, x):
        return functional.layer_norm(x.float(), (4,), self.weight.float()).to(self.weight.dtype)


class Casts(nn.Module):
    def forward(self, x):
        return x.float()


def test_layers_that_insist_on_their_numbers():
    net = small(Insists(4))
    assert networks.snip(net, X, Y)["1.weight"].any()
    net = small(Casts())
    for score in ("snip", "grasp", "sketch"):
        with pytest.warns(UserWarning, match=r"insists.*computed in float32"):
            scores = networks.scores(net, score, X, Y)
        expected = networks.scores(net[1:], score, X, Y)
        np.testing.assert_allclose(
            scores["1.weight"], expected["1.weight"], rtol=NETWORK, atol=SINGLE
        )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("score", DATA)
def test_half_precision_is_scored_in_double(dtype, score):
    net = small(nn.Linear(4, 4), nn.ReLU()).to(dtype)
    scores = networks.scores(net, score, X, Y)
    assert next(net.parameters()).dtype == dtype
    wide = small(nn.Linear(4, 4), nn.ReLU())
    wide.load_state_dict(net.float().state_dict())
    expected = networks.scores(wide.double(), score, X, Y)
    # The layers' inputs are read in the network's own numbers.
    loose = {"rtol": 0.05, "atol": 0.05} if score == "layer" else {"rtol": 1e-9, "atol": 1e-12}
    for name in scores:
        np.testing.assert_allclose(scores[name], expected[name], **loose)


def test_a_module_that_fails_in_its_own_way_is_told():
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(4, 3)

        def forward(self, x):
            raise KeyError("attention_mask")

    with pytest.raises(ValueError, match=r"its forward \(Broken\) fails"):
        networks.snip(Broken(), X, Y)
