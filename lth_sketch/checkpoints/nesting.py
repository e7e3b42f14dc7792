"""Where the weights are in a checkpoint that holds other things too: found by structure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

# The key of the whole content.
ALL = "."
# Trainers do not nest deeper; a content that holds itself does.
DEPTH = 32
# Nor do they hold millions of parts; a content whose parts repeat each other does.
PARTS = 4_000_000

Weigh = Callable[[Any], int]


class Node(NamedTuple):
    """A mapping or a list of a checkpoint, and the keys that lead to it."""

    path: tuple[str, ...]
    content: Any

    @property
    def key(self) -> str:
        """The keys as one text, which names the node."""
        return ".".join(self.path) or ALL


def locate(file: Path, content: Any, weigh: Weigh, key: str | None = None) -> Node:
    """Return the part of a checkpoint that holds the weights.

    Parameters
    ----------
    file : Path
        Named in errors.
    content : object
        What the file holds.
    weigh : callable
        The number of axes of a leaf that is an array, or -1.
    key : str or None
        The part to take; by default the only one that holds weights (arrays of two axes or more, or
        any where there are none). The state of an optimizer is none.

    Returns
    -------
    Node

    Raises
    ------
    ValueError
        If there is no such part, or more than one.
    """
    root = Node((), content)
    if not _is_container(content):
        raise ValueError(
            f"{file} holds a {type(content).__name__}, no state_dict: save model.state_dict()"
        )
    _check(file, content)
    if key is not None:
        return _by_key(file, root, weigh, key)
    if _is_optimizer(content):
        raise ValueError(
            f"{file} holds the state of an optimizer, no state_dict: save model.state_dict()"
        )
    for axes in (2, 0):
        sets = list(_sets(root, weigh, axes))
        if len(sets) == 1:
            return sets[0]
        if sets:
            raise ValueError(_several(file, root, sets, weigh))
    raise ValueError(
        f"{file} holds no state_dict: there is no array beside "
        f"{_listed(map(str, _keys(content))) or 'nothing'}; save model.state_dict()"
    )


def flatten(file: Path, node: Node, weigh: Weigh) -> dict[str, Any]:
    """Return every array below a node, by the keys that lead to it joined by dots.

    Raises
    ------
    ValueError
        If two arrays would have one name.
    """
    leaves: dict[str, Any] = {}
    for path, leaf in _leaves(node, weigh):
        name = ".".join(path[len(node.path) :])
        if name in leaves:
            raise ValueError(
                f"{file}: two arrays are called {name!r}, because keys that differ are written "
                "alike (0 and '0'); rename one and save again"
            )
        leaves[name] = leaf
    return leaves


def _check(file: Path, content: Any) -> None:
    """Refuse a content that holds itself, or parts without end."""
    rest, parts = [(content, 0)], 0
    while rest:
        value, depth = rest.pop()
        parts += 1
        if depth > DEPTH or parts > PARTS:
            raise ValueError(
                f"{file} is nested without end: more than {DEPTH} levels or {PARTS:,} parts; save "
                "model.state_dict() alone"
            )
        rest += [(child, depth + 1) for child in _values(value) if _is_container(child)]


def _sets(node: Node, weigh: Weigh, axes: int) -> Iterator[Node]:
    """Yield the outermost nodes that hold weights themselves."""
    children = list(_children(node))
    if any(weigh(value) >= axes for value in _values(node.content)):
        yield node
        # Others below are sets of their own, and make the choice the user's.
        children = children if axes else []
    for child in children:
        yield from _sets(child, weigh, axes)


def _children(node: Node) -> Iterator[Node]:
    for key, value in _items(node.content):
        if _is_container(value) and not _is_optimizer(value):
            yield Node((*node.path, _text(key)), value)


def _leaves(node: Node, weigh: Weigh) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in _items(node.content):
        path = (*node.path, _text(key))
        if weigh(value) >= 0:
            yield path, value
        elif _is_container(value) and not _is_optimizer(value):
            yield from _leaves(Node(path, value), weigh)


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for key, value in _items(node.content):
        if _is_container(value):
            yield from _nodes(Node((*node.path, _text(key)), value))


def _by_key(file: Path, root: Node, weigh: Weigh, key: str) -> Node:
    for node in _nodes(root):
        if node.key == key:
            if any(True for _ in _leaves(node, weigh)):
                return node
            break
    known = [node.key for node in _nodes(root) if any(True for _ in _leaves(node, weigh))]
    raise ValueError(
        f"{file} holds no arrays under the key {key!r}; the keys that lead to arrays are "
        f"{_listed(known)}"
    )


def _several(file: Path, root: Node, sets: list[Node], weigh: Weigh) -> str:
    counts = [
        f"{node.key} ({sum(weigh(value) >= 0 for value in _values(node.content))} arrays)"
        for node in sets
    ]
    return (
        f"{file} holds {len(sets)} sets of weights: {_listed(counts)}; pick one with --key, for "
        f"instance --key {sets[-1].key} (key={sets[-1].key!r} in Python), or take all with "
        f"--key {ALL if sets[0] is root else _common(sets)}"
    )


def _common(sets: list[Node]) -> str:
    path: list[str] = []
    for keys in zip(*(node.path for node in sets), strict=False):
        if len(set(keys)) > 1:
            break
        path.append(keys[0])
    return ".".join(path) or ALL


def _is_container(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple)


def _is_optimizer(value: Any) -> bool:
    return isinstance(value, Mapping) and {"state", "param_groups"} <= set(value)


def _items(content: Any) -> Iterator[tuple[Any, Any]]:
    yield from content.items() if isinstance(content, Mapping) else enumerate(content)


def _values(content: Any) -> list[Any]:
    return [value for _, value in _items(content)]


def _keys(content: Any) -> list[Any]:
    return [_text(key) for key, _ in _items(content)]


def _text(key: Any) -> str:
    return key.decode(errors="replace") if isinstance(key, bytes) else str(key)


def _listed(names: Any) -> str:
    every = list(names)
    return ", ".join(every[:12]) + (f" and {len(every) - 12} more" if len(every) > 12 else "")
