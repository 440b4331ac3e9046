"""Running statistics of observations, rewards and values, as pure functions of a pytree.

A normaliser is part of an algorithm's state: it is vmapped over seeds, saved and restored like parameters, and does not
change in evaluation, which has no update.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from jaxrl.counters import Counter

Array = jax.Array
PyTree = Any

EPSILON = 1e-8
"""Added to a variance before its root."""
CLIP = 10.0
"""The usual bound of a normalised observation or reward, in deviations."""
LARGE = 2048
"""Numbers of an item from which on items are added up one by one."""


class Statistics(NamedTuple):
    """Mean and variance of all that was seen so far; of a pytree, each leaf has its own."""

    count: Counter
    """Items seen."""
    mean: PyTree
    variance: PyTree
    """Population variance: the mean square of the distances to the mean."""


def init(example: PyTree) -> Statistics:
    """Statistics of nothing: mean 0 and deviation 1, with which ``apply`` changes nothing; of bytes, deviation 255.

    Args:
        example: one item, arrays or shapes ``[...]``; every element has statistics of its own.
    """
    full = lambda x, value: jnp.full(jnp.shape(x), value, jnp.float32)
    variance = lambda x: 255.0**2 if getattr(x, "dtype", None) == jnp.uint8 else 1.0
    return Statistics(
        Counter.zero(),
        jax.tree.map(lambda x: full(x, 0.0), example),
        jax.tree.map(lambda x: full(x, variance(x)), example),
    )


def update(
    statistics: Statistics,
    batch: PyTree,
    mask: Array | None = None,
    axis_name: str | None = None,
    weight: Array | float | None = None,
) -> Statistics:
    """Merge the statistics of a batch into the running ones.

    With ``w = n_b / (n + n_b)`` and ``d = mean_b - mean``: ``mean + w d`` and
    ``(1 - w) variance + w (variance_b + (1 - w) d^2)``. That is exact, in any order of batches; the sum of squares
    itself, which outgrows float32, is never kept.

    Args:
        statistics: of what was seen before.
        batch: leaves ``[*batch, ...]``, with any number of leading axes, the same in all of them.
        mask: ``[*batch]``, true where an item counts; None if all do.
        axis_name: merge the batches of all devices along this axis, as if they were one.
        weight: ``w``; by default the batch's share of all that was seen. A constant makes moving averages of the
            moments, which begin with the first batch's.

    Source: Chan, Golub & LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances",
    equation 2.1; Welford 1962 for single items.
    """
    leaves, means = jax.tree.leaves(batch), jax.tree.leaves(statistics.mean)
    if not leaves:
        return statistics
    axes = tuple(range(leaves[0].ndim - means[0].ndim))
    shape = tuple(leaves[0].shape[i] for i in axes)
    if mask is None:
        new = jnp.uint32(math.prod(shape))
    else:
        chex.assert_shape(mask, shape)
        new = jnp.sum(mask, dtype=jnp.uint32)
        mask = mask.reshape(-1)
    across = (lambda x: x) if axis_name is None else (lambda x: jax.lax.psum(x, axis_name))
    new = across(new)
    seen, count = statistics.count.add(new), new.astype(jnp.float32)
    divisor = jnp.maximum(count, 1.0)
    share = count / jnp.maximum(seen.as_float(), 1.0)
    if weight is None:
        weight = share
    else:
        weight = jnp.where(statistics.count.as_float() > 0, jnp.where(count > 0, weight, 0.0), share)

    def merge(x: Array, mean: Array, variance: Array) -> tuple[Array, Array]:
        x = x.reshape(-1, *mean.shape)
        batch_mean = across(_sum(lambda x: x, x, mask)) / divisor
        batch_variance = across(_sum(lambda x: (x - batch_mean) ** 2, x, mask)) / divisor
        distance = batch_mean - mean
        return mean + weight * distance, (1 - weight) * variance + weight * (
            batch_variance + (1 - weight) * distance**2
        )

    merged = [merge(*item) for item in zip(leaves, means, jax.tree.leaves(statistics.variance), strict=True)]
    rebuild = lambda i: jax.tree.unflatten(jax.tree.structure(statistics.mean), [m[i] for m in merged])
    return Statistics(seen, rebuild(0), rebuild(1))


def _sum(function: Callable[[Array], Array], x: Array, mask: Array | None) -> Array:
    """The sum over ``[N, ...]`` items of a function of them as floats, of those that a mask ``[N]`` leaves.

    Large items are added one after the other: of images that takes a fiftieth of the time of XLA's reduction on the
    CPU, and nothing as large as the batch is made. They are added in groups, which keeps the sums as exact.
    """

    def of(x: Array, mask: Array | None) -> Array:
        y = function(x.astype(jnp.float32))
        return y if mask is None else jnp.where(mask.reshape(mask.shape + (1,) * (y.ndim - mask.ndim)), y, 0.0)

    if math.prod(x.shape[1:]) < LARGE:
        return jnp.sum(of(x, mask), axis=0)
    size = next(n for n in range(math.isqrt(x.shape[0]), 0, -1) if x.shape[0] % n == 0)
    zero = jnp.zeros(x.shape[1:])
    group = lambda total, items: (total + jax.lax.scan(add, zero, items)[0], None)
    add = lambda total, item: (total + of(*item), None)
    grouped = jax.tree.map(lambda x: x.reshape(-1, size, *x.shape[1:]), (x, mask))
    return jax.lax.scan(group, zero, grouped)[0]


def apply(statistics: Statistics, x: PyTree, clip: float | None = None) -> PyTree:
    """``(x - mean) / sqrt(variance + 1e-8)``, within ``[-clip, clip]`` if a bound is given.

    Args:
        statistics: frozen here; only ``update`` changes them.
        x: leaves ``[*batch, ...]``.
        clip: in units of the deviation.
    """

    def one(x: Array, mean: Array, variance: Array) -> Array:
        y = (x.astype(jnp.float32) - mean) * jax.lax.rsqrt(variance + EPSILON)
        return y if clip is None else jnp.clip(y, -clip, clip)

    return jax.tree.map(one, x, statistics.mean, statistics.variance)


def undo(statistics: Statistics, x: PyTree, clip: float | None = None) -> PyTree:
    """``mean + x sqrt(variance + 1e-8)``: the inverse of ``apply`` within the bound, and of no more than the bound."""
    bounded = (lambda x: x) if clip is None else (lambda x: jnp.clip(x, -clip, clip))
    one = lambda x, mean, variance: mean + bounded(x) * jnp.sqrt(variance + EPSILON)
    return jax.tree.map(one, x, statistics.mean, statistics.variance)


def discounted_sums(sums: Array, reward: Array, ended: Array, discount: Array | float) -> tuple[Array, Array]:
    """``R_t = gamma R_{t-1} + r_t`` forwards in time, started anew where an episode begins.

    The deviation of these sums is what rewards are divided by: it is on the scale of the returns that are learned.

    Args:
        sums: ``[B]`` sums before the first step; zero where it begins an episode.
        reward: ``[T, B]``.
        ended: ``[T, B]`` booleans, terminated or truncated.
        discount: gamma, the algorithm's own.

    Returns:
        The sums to go on from ``[B]``, and all of them ``[T, B]``.

    Source: Engstrom et al. 2020 (arXiv 2005.12729), section 2, "reward scaling".
    """

    def step(total, x):
        reward, ended = x
        total = discount * total + reward
        return jnp.where(ended, 0.0, total), total

    return jax.lax.scan(step, sums, (reward, ended))
