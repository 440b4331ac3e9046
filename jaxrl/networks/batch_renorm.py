"""Batch normalisation that trains as it will be evaluated."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

Array = jax.Array


class BatchRenorm(nn.Module):
    """Batch renormalisation over all axes but the last.

    With the batch's mean ``m`` and deviation ``s``, and the running ones ``M`` and ``S``, it returns
    ``(x - m) / s * r + d``, where ``r = clip(s / S, 1 / r_max, r_max)`` and ``d = clip((m - M) / S, -d_max, d_max)``
    count as constants: within the bounds that is what the running statistics would give. In the first
    ``warmup_steps`` training calls ``r = 1`` and ``d = 0``, which is batch normalisation. A scale and an offset are
    learnt. Running statistics are the collection ``batch_stats``; only calls with ``train=True`` change them.

    Attributes:
        momentum: how much of the running statistics stays, in a training call.
        epsilon: added to variances.
        warmup_steps: training calls before renormalisation begins.
        r_max: bound of the ratio of deviations.
        d_max: bound of the distance of means.

    Source: Ioffe 2017 (arXiv 1702.03275), algorithm 1. The defaults are those of CrossQ's implementation (Bhatt et al.
    2024, arXiv 1902.05605).
    """

    momentum: float = 0.99
    epsilon: float = 1e-3
    warmup_steps: int = 100_000
    r_max: float = 3.0
    d_max: float = 5.0

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        size = x.shape[-1:]
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, size)
        running_variance = self.variable("batch_stats", "variance", jnp.ones, size)
        steps = self.variable("batch_stats", "steps", jnp.zeros, ())
        scale = self.param("scale", nn.initializers.ones, size)
        bias = self.param("bias", nn.initializers.zeros, size)
        running_deviation = jnp.sqrt(running_variance.value + self.epsilon)
        if not train:
            return (x - running_mean.value) / running_deviation * scale + bias
        axes = tuple(range(x.ndim - 1))
        mean, variance = jnp.mean(x, axes), jnp.var(x, axes)
        deviation = jnp.sqrt(variance + self.epsilon)
        r = jnp.clip(deviation / running_deviation, 1.0 / self.r_max, self.r_max)
        d = jnp.clip((mean - running_mean.value) / running_deviation, -self.d_max, self.d_max)
        warm = steps.value >= self.warmup_steps
        r, d = jax.lax.stop_gradient((jnp.where(warm, r, 1.0), jnp.where(warm, d, 0.0)))
        if not self.is_initializing():
            move = lambda old, new: self.momentum * old + (1.0 - self.momentum) * jax.lax.stop_gradient(new)
            running_mean.value = move(running_mean.value, mean)
            running_variance.value = move(running_variance.value, variance)
            steps.value = steps.value + 1.0
        return ((x - mean) / deviation * r + d) * scale + bias
