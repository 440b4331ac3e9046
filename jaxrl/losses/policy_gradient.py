"""Policy-gradient losses, element-wise on ``[B]``; they take no mean."""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp

Array = jax.Array


def clipped_surrogate(ratio: Array, advantage: Array, clip: Array | float) -> Array:
    """PPO's loss: ``-min(rho A, clamp(rho, 1 - c, 1 + c) A)``.

    Args:
        ratio: ``[B]`` probability ratios ``pi(a|s) / pi_old(a|s)``.
        advantage: ``[B]``.
        clip: c.

    Source: Schulman et al. 2017 (arXiv 1707.06347), equation 7.
    """
    chex.assert_equal_shape([ratio, advantage])
    return -jnp.minimum(ratio * advantage, jnp.clip(ratio, 1.0 - clip, 1.0 + clip) * advantage)


def approximate_kl(log_ratio: Array) -> Array:
    """``(rho - 1) - log rho``: an unbiased, non-negative estimate of ``KL(pi_old || pi)`` for each sample.

    Source: Schulman 2020, "Approximating KL divergence", estimator k3.
    """
    return jnp.expm1(log_ratio) - log_ratio


def normalize(x: Array, mask: Array | None = None, epsilon: float = 1e-8) -> Array:
    """``(x - mean) / (std + epsilon)`` over all axes, counting only where ``mask`` is true."""
    mean = masked_mean(x, mask)
    variance = masked_mean((x - mean) ** 2, mask)
    return (x - mean) / (jnp.sqrt(variance) + epsilon)


def masked_mean(x: Array, mask: Array | None = None) -> Array:
    """The mean of ``x`` over all axes, counting only where ``mask`` is true; zero if it never is."""
    if mask is None:
        return jnp.mean(x)
    chex.assert_equal_shape([x, mask])
    mask = mask.astype(bool)
    return jnp.sum(jnp.where(mask, x, 0)) / jnp.maximum(jnp.sum(mask), 1)
