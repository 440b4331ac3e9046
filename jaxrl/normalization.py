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


def update(statistics: RunningStatistics, x: Array) -> RunningStatistics:
    """Take in a batch ``[..., n]``.

    Source: Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance", equation 2.1.
    """
    x = x.reshape(-1, x.shape[-1])
    total = statistics.count + x.shape[0]
    share = x.shape[0] / total
    mean = jnp.mean(x, axis=0)
    delta = mean - statistics.mean
    variance = (1.0 - share) * statistics.variance + share * jnp.mean((x - mean) ** 2, axis=0)
    return RunningStatistics(total, statistics.mean + share * delta, variance + share * (1.0 - share) * delta**2)


def normalize(statistics: RunningStatistics, x: Array, *, clip: float = 10.0, epsilon: float = 1e-8) -> Array:
    """``clip((x - mean) / sqrt(variance + epsilon), -clip, clip)`` of features ``[..., n]``."""
    scaled = (x - statistics.mean) * jax.lax.rsqrt(statistics.variance + epsilon)
    return jnp.clip(scaled, -clip, clip)
