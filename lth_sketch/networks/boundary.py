"""The boundary around the user's module and data: runs that change nothing, errors with a mend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from lth_sketch.networks.weights import Patterns, Tensors

# Which part of the outputs counts: an index, a key, or a function of them.
Output = int | str | Callable[[Any], Any] | None


class Options(NamedTuple):
    """Which weights are pruned, and which part of the outputs counts."""

    include: Patterns = ()
    exclude: Patterns = ()
    output: Output = None


# What PyTorch says when numbers of two types meet.
MISMATCH = ("dtype", "scalar type", "should be the same")
COMMON = (RuntimeError, TypeError, ValueError)
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.bool)


def tensor(argument: str, value: Any, *, device: Any = None) -> Any:
    """Return a copy of an array, tensor or data frame as a tensor; integers as int64."""
    if isinstance(value, torch.Tensor):
        if value.layout != torch.strided:
            raise TypeError(f"{argument} must be dense; got layout {value.layout}: call to_dense()")
        with torch.inference_mode(False):
            numbers = value.detach().clone().to(device)
    else:
        if not hasattr(value, "__array__") and not isinstance(value, list | tuple):
            part = "[x for x, _ in loader]" if argument == "X" else "[y for _, y in loader]"
            raise TypeError(
                f"{argument} must be an array or a tensor; got {type(value).__name__}: pass what "
                f"some batches hold, for instance torch.cat({part})"
            )
        try:
            array = np.array(value)
        except ValueError:
            raise ValueError(
                f"{argument} must be a rectangular array; got samples of different shapes: pad or "
                "cut them to one shape"
            ) from None
        if array.dtype.kind not in "biuf":
            raise TypeError(
                f"{argument} must hold real numbers; got dtype {array.dtype}: encode what is no "
                "number, or leave these columns out"
            )
        if array.dtype.kind == "u" and array.dtype.itemsize > 1:
            array = array.astype(np.int64)
        with torch.inference_mode(False):
            numbers = torch.as_tensor(array, device=device)
    if numbers.is_complex():
        raise TypeError(f"{argument} must hold real numbers; got dtype {numbers.dtype}")
    return numbers.long() if numbers.dtype in INTEGERS else numbers


def inputs(weights: Tensors, X: Any, kind: Any = None) -> Any:
    """Return X as a tensor of its own, on the weights' device; real numbers in their type."""
    weight = next(iter(weights.values()))
    samples = tensor("X", X, device=weight.device)
    if samples.is_floating_point():
        samples = samples.to(kind or weight.dtype)
        if not bool(torch.isfinite(samples).all()):
            raise ValueError(
                "X must be finite; it has NaN or infinite entries: remove these samples"
            )
    if samples.ndim < 2 or len(samples) == 0:
        raise ValueError(
            f"X must hold samples along its first axis, each of at least one axis; got shape "
            f"{tuple(samples.shape)}"
        )
    return samples


@contextmanager
def differentiable() -> Iterator[None]:
    """Let gradients be taken, whatever mode the caller is in; attention in plain operations.

    Fused attention has no second derivative, and no rule for a batch of gradients.
    """
    with torch.inference_mode(False), torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        yield


@contextmanager
def evaluating(module: nn.Module, *, batch_statistics: bool = False) -> Iterator[Tensors]:
    """Run a module in evaluation mode, normalisation optionally by the batch; then put it back.

    Yields copies of the buffers, to be used in place of the module's, which so stay as they are.
    """
    modes = {layer: layer.training for layer in module.modules()}
    compiled = [layer for layer in modes if getattr(layer, "_compiled_call_impl", None) is not None]
    calls = [layer._compiled_call_impl for layer in compiled]
    if not batch_statistics:
        _with_statistics(module)
    try:
        module.eval()
        for layer in compiled:
            layer._compiled_call_impl = None
        if batch_statistics:
            for layer in module.modules():
                if isinstance(layer, _NormBase):
                    layer.training = True
        yield {name: buffer.clone() for name, buffer in module.named_buffers()}
    finally:
        for layer, training in modes.items():
            layer.training = training
        for layer, call in zip(compiled, calls, strict=True):
            layer._compiled_call_impl = call


def held(module: nn.Module, buffers: Tensors) -> Tensors:
    """Return all tensors of a module, with copies of those that gradients cannot pass by."""
    everything = (*module.named_parameters(), *buffers.items())
    return {
        name: value.detach().clone() if value.is_inference() else value.detach()
        for name, value in everything
    }


def pick(outputs: Any, output: Output) -> Any:
    """Return the tensor of a module's outputs that counts."""
    if callable(output):
        picked = output(outputs)
    elif output is None:
        picked = outputs
    else:
        try:
            picked = outputs[output]
        except (IndexError, KeyError, TypeError):
            has = list(outputs) if hasattr(outputs, "keys") else _shape(outputs)
            raise ValueError(
                f"output = {output!r} is not among the module's outputs; it returns {has}"
            ) from None
    if not isinstance(picked, torch.Tensor):
        hint = "a key" if hasattr(picked, "keys") else "an index"
        raise TypeError(
            f"module must return a tensor; it returns {_shape(picked)}: say which part counts with "
            f"output=, {hint} or a function of the outputs"
        )
    if not picked.is_floating_point():
        raise TypeError(
            f"module must return real numbers; it returns dtype {picked.dtype}: scores need "
            "outputs that can be differentiated, logits and not classes"
        )
    return picked


def probe(
    module: nn.Module, samples: Any, output: Output, *, batch_statistics: bool = False
) -> Any:
    """Return the outputs for one or two samples, after seeing that they are no matter of chance."""
    few = samples[:2]
    devices = [samples.device] if samples.device.type == "cuda" else []
    mode = evaluating(module, batch_statistics=batch_statistics)
    with mode as buffers, torch.no_grad(), torch.random.fork_rng(devices):
        twice = [pick(call(module, few, few, dict(buffers)), output) for _ in range(2)]
    if not torch.equal(twice[0].nan_to_num(), twice[1].nan_to_num()):
        raise ValueError(
            "module gives other outputs for the same samples: it draws random numbers in forward, "
            "such as a dropout that is always on; in evaluation mode it must not: pass "
            "training=self.training to functional.dropout, or use nn.Dropout"
        )
    if twice[0].ndim == 0 or len(twice[0]) != len(few):
        raise ValueError(
            f"module must return a row for each sample; it returns shape {tuple(twice[0].shape)} "
            f"for {len(few)} samples: put the samples along the first axis (batch_first=True)"
        )
    return twice[0]


def call(module: nn.Module, samples: Any, shown: Any, state: Tensors | None = None) -> Any:
    """Return the module's outputs for a copy of samples; errors tell the layer and the mend."""
    try:
        if state is None:
            return module(samples.clone())
        return torch.func.functional_call(module, state, (samples.clone(),))
    except (ArithmeticError, AssertionError, AttributeError, LookupError, *COMMON) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise ValueError(_told(module, shown, error)) from error


def is_type_mismatch(error: BaseException) -> bool:
    """Whether an error of `call` comes from numbers of two types that meet."""
    text = str(error.__cause__ or error)
    return any(words in text for words in MISMATCH)


def targets(outputs: Any, y: Any) -> Any:
    """Return labels or targets that fit the outputs, as a tensor."""
    given = tensor("y", y, device=outputs.device)
    if given.ndim == 0 or len(given) != len(outputs):
        raise ValueError(
            f"X and y must have one length; got {len(outputs)} and "
            f"{len(given) if given.ndim else 'a number'}"
        )
    return _reals(outputs, given) if given.is_floating_point() else _labels(outputs, given)


def _labels(outputs: Any, labels: Any) -> Any:
    if outputs.ndim < 2:
        raise ValueError(
            f"y holds labels (integers), but the module returns shape {tuple(outputs.shape)}, one "
            "number a sample: pass real targets (y.astype(float)), or a loss of your own"
        )
    if labels.ndim == 2 and labels.shape[1] == 1 and outputs.ndim == 2:
        labels = labels[:, 0]
    first, last = (outputs.shape[0], *outputs.shape[2:]), tuple(outputs.shape[:-1])
    if tuple(labels.shape) not in (first, last):
        raise ValueError(
            f"y must hold one label for each row of classes; the module returns shape "
            f"{tuple(outputs.shape)}, and y has shape {tuple(labels.shape)}: one-hot targets must "
            "be real numbers"
        )
    if first == last and outputs.ndim > 2:
        raise ValueError(
            f"y fits outputs of shape {tuple(outputs.shape)} with the classes along axis 1 and "
            "along the last: pass a loss that says which"
        )
    classes = outputs.shape[1] if tuple(labels.shape) == first else outputs.shape[-1]
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise ValueError(
            f"y must hold labels from 0 to {classes - 1}, for the module returns {classes} "
            f"classes; got labels from {low} to {high}: number the classes from 0 on"
        )
    return labels


def _reals(outputs: Any, values: Any) -> Any:
    if not bool(torch.isfinite(values).all()):
        raise ValueError("y must be finite; it has NaN or infinite entries: remove these samples")
    if values.numel() == 1 and len(outputs) == 1 and not bool(values.any()):
        # The target zero of source(..., "ones"), whatever the number of outputs.
        return torch.zeros_like(outputs)
    squeezed = [tuple(n for n in x.shape[1:] if n != 1) for x in (outputs, values)]
    if squeezed[0] != squeezed[1] or (values.ndim > 2 and values.shape != outputs.shape):
        raise ValueError(
            f"y must have the shape of the outputs, {tuple(outputs.shape)}; got "
            f"{tuple(values.shape)}: classes are integers, and targets have a column for each "
            "output"
        )
    return values.reshape(outputs.shape).to(outputs.dtype)


def _with_statistics(module: nn.Module) -> None:
    for name, layer in module.named_modules():
        if isinstance(layer, _BatchNorm) and layer.running_mean is None:
            raise ValueError(
                f"module.{name} normalises by the batch and stores no statistics, so that outputs "
                "hang on the other samples; make it with track_running_stats=True and run the "
                "module in training mode on some batches, or use GroupNorm"
            )


def _told(module: nn.Module, shown: Any, error: BaseException) -> str:
    """Return what an error in forward means: the layer it came from, what it got, and a mend."""
    names = {id(layer): name for name, layer in module.named_modules()}
    where, trace = "", error.__traceback__
    while trace is not None:
        layer = trace.tb_frame.f_locals.get("self")
        where = names.get(id(layer), where) if isinstance(layer, nn.Module) else where
        trace = trace.tb_next
    layer = module.get_submodule(where)
    kind = type(layer).__name__
    at = f"its layer {where!r} ({kind}) fails" if where else f"its forward ({kind}) fails"
    got = f"X of shape {tuple(shown.shape)} and dtype {str(shown.dtype).removeprefix('torch.')}"
    if is_type_mismatch(error) and not shown.is_floating_point():
        mend = "where this layer needs real numbers: pass images as such, for instance X / 255.0"
    elif isinstance(error, IndexError) and not shown.is_floating_point():
        mend = f"where X has entries up to {int(shown.max())}: tokens must be below num_embeddings"
    elif is_type_mismatch(error) and isinstance(layer, nn.Embedding):
        mend = "for it looks up integers: pass tokens as integers"
    else:
        mend = "pass samples of the shape that the network was made for, along the first axis"
    return f"module cannot take {got}; {at}; {mend}"


def _shape(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if hasattr(value, "keys"):
        return f"a {type(value).__name__} of {', '.join(map(str, value))}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"
