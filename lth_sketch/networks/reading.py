"""What each layer reads: its inputs as rows, caught while a network runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from lth_sketch.networks.layers import CONVOLUTIONS, EMBEDDINGS, RECURRENT, TRANSPOSED, sites

# Numbers of unfolded windows that are alive at a time.
WINDOWS = 2**24


class Read(NamedTuple):
    """Inputs of some outputs of a weight: rows in parts, or how often each row is looked up."""

    attribute: str
    rows: Callable[[], Iterator[Any]]
    size: int
    start: int = 0
    stop: int | None = None
    counts: Any = None


Take = Callable[[nn.Module, Read], None]


@contextmanager
def reader(module: nn.Module, layers: Sequence[nn.Module], take: Take) -> Iterator[None]:
    """Hand what layers read to `take`, while the module is run by the caller.

    Fused kernels of PyTorch pass by the layers inside an encoder; they are off meanwhile.
    """
    wanted = {id(layer) for layer in layers}
    known = {(id(site.layer), site.attribute): site for site in sites(module)}
    with ExitStack() as stack:
        fast = torch.backends.mha.get_fastpath_enabled()
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        torch.backends.mha.set_fastpath_enabled(False)
        for layer in module.modules():
            if isinstance(layer, nn.MultiheadAttention):
                inside = {id(layer), id(layer.out_proj)}
                if inside & wanted:
                    _attention(layer, take, stack)
                continue
            if id(layer) not in wanted or _is_projection(module, layer):
                continue
            if isinstance(layer, CONVOLUTIONS):
                _hook(layer, _convolution, take, stack)
            elif isinstance(layer, TRANSPOSED):
                _hook(layer, _transposed, take, stack)
            elif isinstance(layer, EMBEDDINGS):
                _hook(layer, _embedding, take, stack)
            elif isinstance(layer, nn.RNNCellBase):
                _hook(layer, _cell, take, stack)
            elif isinstance(layer, RECURRENT):
                raise ValueError(
                    f"there is no rule for the inputs of {type(layer).__name__}, whose steps run "
                    "inside one kernel: leave its weights out with exclude=, or use cells "
                    "(nn.LSTMCell, nn.GRUCell)"
                )
            else:
                for site in known.values():
                    if site.layer is layer and site.kind == "other":
                        raise ValueError(
                            f"there is no rule for the inputs of {site.name}: register its layer "
                            "with networks.register, or leave it out with exclude="
                        )
                    if site.layer is layer:
                        _hook(layer, _linear(site.attribute), take, stack)
        yield


def _is_projection(module: nn.Module, layer: nn.Module) -> bool:
    attentions = (m for m in module.modules() if isinstance(m, nn.MultiheadAttention))
    return any(attention.out_proj is layer for attention in attentions)


def _hook(
    layer: nn.Module, rule: Callable[[nn.Module, Any], Any], take: Take, stack: ExitStack
) -> None:
    def seen(_: nn.Module, arguments: Any, named: Any) -> None:
        given = (*arguments, *named.values())
        for read in rule(layer, given):
            take(layer, read)

    stack.callback(layer.register_forward_pre_hook(seen, with_kwargs=True).remove)


def _flat(x: Any) -> tuple[Callable[[], Iterator[Any]], int]:
    """Return vectors along the last axis as rows, in parts, and how many there are."""
    flat = x.detach().reshape(-1, x.shape[-1])
    step = max(1, WINDOWS // flat.shape[1])
    return lambda: iter(flat.split(step)), len(flat)


def _linear(attribute: str) -> Callable[[nn.Module, Any], Iterator[Read]]:
    def rule(layer: nn.Module, given: Any) -> Iterator[Read]:
        yield Read(attribute, *_flat(given[0]))

    return rule


def _cell(layer: Any, given: Any) -> Iterator[Read]:
    x = given[0]
    yield Read("weight_ih", *_flat(x))
    state = given[1] if len(given) > 1 and given[1] is not None else None
    hidden = state[0] if isinstance(state, tuple) else state
    if hidden is None:
        hidden = x.new_zeros((*x.shape[:-1], layer.hidden_size))
    yield Read("weight_hh", *_flat(hidden))


def _embedding(layer: Any, given: Any) -> Iterator[Read]:
    tokens = given[0].reshape(-1)
    counts = torch.bincount(tokens, minlength=layer.num_embeddings)
    yield Read("weight", lambda: iter(()), len(tokens), counts=counts)


def _convolution(layer: Any, given: Any) -> Iterator[Read]:
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    x = functional.pad(_batched(layer, given[0]), layer._reversed_padding_repeated_twice, mode=mode)
    yield from _windows(layer, x, layer.stride, layer.out_channels, flip=False)


def _transposed(layer: Any, given: Any) -> Iterator[Read]:
    x = _batched(layer, given[0])
    for axis, step in enumerate(layer.stride, 2):
        # Zeros between the inputs: the layer is then a plain convolution of step one.
        wide = x.new_zeros((*x.shape[:axis], (x.shape[axis] - 1) * step + 1, *x.shape[axis + 1 :]))
        wide[(slice(None),) * axis + (slice(None, None, step),)] = x
        x = wide
    pads: list[int] = []
    for size, dilation, padding, more in zip(
        layer.kernel_size, layer.dilation, layer.padding, layer.output_padding, strict=True
    ):
        reach = dilation * (size - 1) - padding
        pads = [reach, reach + more, *pads]
    ones = (1,) * len(layer.stride)
    yield from _windows(layer, functional.pad(x, pads), ones, layer.out_channels, flip=True)


def _batched(layer: Any, x: Any) -> Any:
    return x.detach() if x.ndim == len(layer.kernel_size) + 2 else x.detach()[None]


def _windows(layer: Any, x: Any, strides: Any, outputs: int, *, flip: bool) -> Iterator[Read]:
    """Yield the windows of padded inputs as rows (channels of the group times kernel)."""
    axes = len(layer.kernel_size)
    groups = layer.groups
    channels, width = x.shape[1] // groups, outputs // groups
    shapes = zip(layer.kernel_size, layer.dilation, strict=True)
    reach = [(size - 1) * dilation + 1 for size, dilation in shapes]
    for axis in range(axes):
        x = x.unfold(2 + axis, reach[axis], strides[axis])[..., :: layer.dilation[axis]]
    if flip:
        x = x.flip(tuple(range(-axes, 0)))
    positions = 1
    for n in x.shape[2 : 2 + axes]:
        positions *= n
    kernel = 1
    for n in layer.kernel_size:
        kernel *= n
    step = max(1, WINDOWS // (positions * channels * kernel))
    for group in range(groups):
        part = x[:, group * channels : (group + 1) * channels]

        def rows(part: Any = part) -> Iterator[Any]:
            for some in part.split(step):
                # (samples, channels, positions, kernel) to (samples, positions, channels, kernel).
                moved = some.movedim(1, 1 + axes)
                yield moved.reshape(-1, channels * kernel)

        yield Read("weight", rows, len(x) * positions, group * width, (group + 1) * width)


def _attention(layer: Any, take: Take, stack: ExitStack) -> None:
    """Read query, key and value before, and the joined heads in place of the output projection."""
    width = layer.embed_dim
    projection = layer.out_proj
    kept: dict[str, Any] = {}

    def before(_: nn.Module, arguments: Any, named: Any) -> None:
        given = dict(zip(("query", "key", "value"), arguments, strict=False)) | named
        if layer._qkv_same_embed_dim:
            for place, name in enumerate(("query", "key", "value")):
                start = place * width
                read = Read("in_proj_weight", *_flat(given[name]), start, start + width)
                take(layer, read)
        else:
            for letter, name in (("q", "query"), ("k", "key"), ("v", "value")):
                take(layer, Read(f"{letter}_proj_weight", *_flat(given[name])))
        kept.update(weight=projection.weight, bias=projection.bias)
        eye = torch.eye(width, dtype=projection.weight.dtype, device=projection.weight.device)
        projection._parameters["weight"] = nn.Parameter(eye, requires_grad=False)
        projection._parameters["bias"] = None

    def after(_: nn.Module, arguments: Any, outputs: Any) -> Any:
        restore()
        if outputs is None:
            return None
        take(projection, Read("weight", *_flat(outputs[0])))
        return functional.linear(outputs[0], projection.weight, projection.bias), *outputs[1:]

    def restore() -> None:
        if kept:
            projection._parameters["weight"] = kept.pop("weight")
            projection._parameters["bias"] = kept.pop("bias")

    stack.callback(restore)
    stack.callback(layer.register_forward_pre_hook(before, with_kwargs=True).remove)
    stack.callback(layer.register_forward_hook(after).remove)
