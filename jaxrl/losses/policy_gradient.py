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


def smooth_clipped_surrogate(ratio: Array, advantage: Array, clip: Array | float) -> Array:
    """PPO's loss with a sigmoid in the place of the clamp: beyond the interval a little gradient is left.

    ``-min(rho A, s(rho) A)`` with ``s(x) = l + (u - l) / (1 + exp(-4 ((x - l) / (u - l) - 1/2)))``, ``l = 1 - c`` and
    ``u = 1 + c``; ``s`` has the slope 1 at 1.

    Source: rl_games, ``use_smooth_clamp``.
    """
    chex.assert_equal_shape([ratio, advantage])
    low, width = 1.0 - clip, 2.0 * clip
    clamped = low + width * jax.nn.sigmoid(4.0 * ((ratio - low) / width - 0.5))
    return -jnp.minimum(ratio * advantage, clamped * advantage)


def bound_penalty(mean: Array, bound: float = 1.1) -> Array:
    """``sum_i max(mu_i - bound, 0)^2 + min(mu_i + bound, 0)^2``: keeps a Gaussian's mean ``[..., n]`` near ``[-1, 1]``.

    Source: rl_games, ``bound_loss_type: bound``.
    """
    return jnp.sum(jnp.maximum(jnp.abs(mean) - bound, 0.0) ** 2, axis=-1)


def mean_penalty(mean: Array) -> Array:
    """``sum_i mu_i^2``: draws a Gaussian's mean ``[..., n]`` to the centre.

    Source: rl_games, ``bound_loss_type: regularisation``.
    """
    return jnp.sum(mean**2, axis=-1)


def adapt_to_kl(value: Array, kl: Array, target: Array | float, *, above: float, below: float) -> Array:
    """``above value`` where ``kl > 2 target``, ``below value`` where ``kl < target / 2``, else ``value``.

    A learning rate shrinks where the policy moved too far (above 1/1.5, below 1.5); the coefficient of a penalty grows
    (above 1.5 or 2, below 1/2). The outcome stays between 1e-8 and 1e8, since nothing leads back from zero or infinity.

    Source: Schulman et al. 2017 (arXiv 1707.06347), section 4, for the coefficient; rl_games, ``AdaptiveScheduler``,
        for the rate.
    """
    adapted = jnp.where(kl > 2.0 * target, value * above, jnp.where(kl < 0.5 * target, value * below, value))
    return jnp.clip(adapted, 1e-8, 1e8)


def approximate_kl(log_ratio: Array) -> Array:
    """``(rho - 1) - log rho``: an unbiased, non-negative estimate of ``KL(pi_old || pi)`` for each sample.

    Source: Schulman 2020, "Approximating KL divergence", estimator k3.
    """
    return jnp.expm1(log_ratio) - log_ratio


def normalize(x: Array, mask: Array | None = None, epsilon: float = 1e-8, axis_name: str | None = None) -> Array:
    """``(x - mean) / (std + epsilon)`` over all axes, counting only where ``mask`` is true, on all devices of an
    axis."""
    across = lambda x: x if axis_name is None else jax.lax.pmean(x, axis_name)
    mean = across(masked_mean(x, mask, axis_name))
    variance = across(masked_mean((x - mean) ** 2, mask, axis_name))
    return (x - mean) / (jnp.sqrt(variance) + epsilon)


def masked_mean(x: Array, mask: Array | None = None, axis_name: str | None = None) -> Array:
    """The mean of ``x`` over all axes, counting only where ``mask`` is true; zero if it never is.

    With ``axis_name`` it is this device's share: the mean of the shares (``pmean``), and so that of their gradients, is
    the mean over all devices along the axis, however many items each of them counts.
    """
    if mask is None:
        return jnp.mean(x)
    chex.assert_equal_shape([x, mask])
    mask = mask.astype(bool)
    count = jnp.sum(mask, dtype=jnp.float32)
    if axis_name is not None:
        count = jax.lax.pmean(count, axis_name)
    return jnp.sum(jnp.where(mask, x, 0)) / jnp.where(count > 0, count, 1)
