"""A sum-tree on the device: drawing items in proportion to their values in logarithmic time.

A parent is always computed anew as the sum of its children, never changed by a difference: totals do not
drift, an item of value zero is never drawn, and an index that occurs twice in a batch does no harm.
Usable alone, under ``jit``, ``vmap`` and in a scan, where it is written in place if an iteration writes before
it reads (``set`` and then ``find``; the other order makes XLA copy it).

Source: Schaul et al. 2016 (arXiv 1511.05952), appendix B.2.1.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.buffers.ring import write_at
from jaxrl.types import Array
from jaxrl.validation import require

FAN_OUT = 16
"""Children of a node: they fill one cache line, and a million items need five levels."""
LARGEST = 2**30
"""Also the index that means no item."""
NEAR = 4096
"""Nodes of a level, 16 KiB, that stays in a processor's innermost cache."""


class SumTree(NamedTuple):
    """Levels from the root's children to the items; the children of node ``i`` lie together, at ``FAN_OUT * i``."""

    levels: tuple[Array, ...]


def init(capacity: int) -> SumTree:
    """A tree of ``capacity`` items of value zero.

    Raises:
        ValueError: if the capacity is out of range.
    """
    require(0 < capacity <= LARGEST, "capacity", capacity, "must be positive and at most 2^30")
    widths = []
    nodes = capacity
    while nodes > 1 or not widths:
        parents = -(-nodes // FAN_OUT)
        widths.append(parents * FAN_OUT)
        nodes = parents
    return SumTree(tuple(jnp.zeros((width,)) for width in reversed(widths)))


def total(tree: SumTree) -> Array:
    """The sum of all values."""
    return jnp.sum(tree.levels[0])


def extremes(tree: SumTree) -> tuple[Array, Array]:
    """The least value above zero (infinity if there is none) and the greatest: of all items, so ``O(capacity)``."""
    items = tree.levels[-1]
    return jnp.min(items, where=items > 0, initial=jnp.inf), jnp.max(items)


def get(tree: SumTree, indices: Array) -> Array:
    """The values ``[B]`` of the items ``[B]``."""
    return jnp.take(tree.levels[-1], indices, mode="clip")


def set(tree: SumTree, indices: Array, values: Array) -> SumTree:
    """Give the items ``[B]`` the values ``[B]``, which must not be negative.

    An index that is negative or beyond the items (``LARGEST`` always is) is passed over; the items are the capacity
    rounded up to a multiple of ``FAN_OUT``. Of an index that occurs twice one value remains, on the CPU the last.
    """
    levels = list(tree.levels)
    # No total is negative; but so nothing is written before an earlier call has read all that it needs, and XLA has
    # no reason to keep a copy for it.
    node = indices + (total(tree) < 0)
    node = jnp.where((indices >= 0) & (indices < levels[-1].shape[0]), node, LARGEST)
    for depth in reversed(range(len(levels))):
        if depth + 1 < len(levels) and levels[depth + 1].size <= node.size * FAN_OUT:
            levels[depth] = _sums(levels[depth + 1], levels[depth].size)
            continue
        levels[depth] = write_at(levels[depth], node, values.astype(jnp.float32))
        node = jnp.where(node < LARGEST, node // FAN_OUT, LARGEST)
        if depth > 0:
            values = jnp.sum(_children(levels[depth], node), axis=1)
    return SumTree(tuple(levels))


def find(tree: SumTree, mass: Array) -> Array:
    """The items ``[B]`` in whose share of the total the ``mass`` ``[B]`` falls, in ``[0, total)``.

    Item ``i`` is found for a mass from the sum of the values before it up to that sum plus its own. A mass
    beyond the end, as rounding may make it, finds an item near the end, but never one of value zero (unless
    all are).
    """
    child = jnp.arange(FAN_OUT)
    up_to = (child[:, None] <= child).astype(jnp.float32)
    node = jnp.zeros((1,), jnp.int32)
    for level in tree.levels:
        if level.size > NEAR:
            # One child of each family first, for nothing (none is negative): so little is done for each that the
            # processor waits for all the families at once, and not for one after the other.
            node = node + (jnp.take(level, FAN_OUT * node, mode="clip") < 0)
        # Where each child's share ends. Each is a sum of the same numbers in the same order, but for zeros: an empty
        # child ends where the one before it does.
        ends = jnp.dot(_children(level, node), up_to, precision=jax.lax.Precision.HIGHEST)
        mass = jnp.minimum(mass, jnp.nextafter(ends[:, -1], 0.0))
        before = jnp.sum(ends <= mass[:, None], axis=1, dtype=jnp.int32)
        begin = jnp.take_along_axis(ends, jnp.maximum(before - 1, 0)[:, None], axis=1, mode="clip")[:, 0]
        mass = mass - jnp.where(before > 0, begin, 0.0)
        node = node * FAN_OUT + before
    return jnp.minimum(node, tree.levels[-1].size - 1)


def stratified(tree: SumTree, uniforms: Array) -> Array:
    """One item ``[B]`` from each of ``B`` equal shares of the total, at the place that ``uniforms`` ``[B]`` in
    ``[0, 1)`` give within the share: proportional sampling with less variance."""
    batch_size = uniforms.shape[0]
    return find(tree, (jnp.arange(batch_size) + uniforms) / batch_size * total(tree))


def _children(level: Array, node: Array) -> Array:
    """``[B, FAN_OUT]`` values of the children of nodes."""
    return jnp.take(level.reshape(-1, FAN_OUT), node, axis=0, mode="clip")


def _sums(level: Array, width: int) -> Array:
    """The totals of all families of a level, with zeros up to ``width`` of them: a small level is summed whole, which
    takes less time than to look for the families that changed."""
    sums = jnp.sum(level.reshape(-1, FAN_OUT), axis=1)
    return jnp.pad(sums, (0, width - sums.size))
