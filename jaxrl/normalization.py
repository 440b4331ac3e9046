"""Running means and variances, so that what a network sees has mean 0 and variance 1."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array


class RunningStatistics(NamedTuple):
    """Mean and variance of all samples so far, of each of ``n`` features."""

    count: Array
    """Samples seen, as a float."""
    mean: Array
    """``[n]``."""
    variance: Array
    """``[n]``, of the population."""


def init(size: int) -> RunningStatistics:
    """Statistics of no samples: mean 0 and variance 1, which leave ``size`` features as they are."""
    return RunningStatistics(jnp.zeros(()), jnp.zeros((size,)), jnp.ones((size,)))


def update(statistics: RunningStatistics, x: Array, valid: Array | None = None) -> RunningStatistics:
    """Take in a batch ``[..., n]``, or of it what a mask ``[...]`` lets through.

    Source: Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance", equation 2.1.
    """
    taken = jnp.ones(x.shape[:-1]) if valid is None else valid.astype(x.dtype)
    axes = tuple(range(x.ndim - 1))
    count = jnp.sum(taken)
    average = lambda y: jnp.sum(y * taken[..., None], axes) / jnp.maximum(count, 1.0)
    total = statistics.count + count
    share = count / jnp.maximum(total, 1.0)
    mean = average(x)
    delta = mean - statistics.mean
    variance = (1.0 - share) * statistics.variance + share * average((x - mean) ** 2)
    return RunningStatistics(total, statistics.mean + share * delta, variance + share * (1.0 - share) * delta**2)


def normalize(statistics: RunningStatistics, x: Array, *, clip: float = 10.0, epsilon: float = 1e-8) -> Array:
    """``clip((x - mean) / sqrt(variance + epsilon), -clip, clip)`` of features ``[..., n]``."""
    scaled = (x - statistics.mean) * jax.lax.rsqrt(statistics.variance + epsilon)
    return jnp.clip(scaled, -clip, clip)
