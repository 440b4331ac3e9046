"""Noise on continuous actions ``[B, n]`` in ``[-1, 1]``: an independent draw for each row and each dimension."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxrl.types import Array, Key


def gaussian_noise(key: Key, action: Array, scale: Array | float) -> Array:
    """``clip(a + N(0, scale^2), -1, 1)``.

    Args:
        key: consumed.
        action: ``[B, n]`` in ``[-1, 1]``.
        scale: standard deviation, where 1 is half of an action's range.

    Returns:
        ``[B, n]``.

    Source: Fujimoto et al. 2018 (arXiv 1802.09477), algorithm 1.
    """
    return jnp.clip(action + scale * jax.random.normal(key, action.shape), -1.0, 1.0)


def smoothing_noise(key: Key, action: Array, scale: Array | float, clip: Array | float) -> Array:
    """``clip(a + clip(N(0, scale^2), -clip, clip), -1, 1)``: the target policy smoothing of TD3.

    Args:
        key: consumed.
        action: ``[B, n]`` in ``[-1, 1]``, of the target policy.
        scale: standard deviation before clipping.
        clip: the largest noise.

    Returns:
        ``[B, n]``.

    Source: Fujimoto et al. 2018 (arXiv 1802.09477), section 5.3 and algorithm 1.
    """
    noise = jnp.clip(scale * jax.random.normal(key, action.shape), -clip, clip)
    return jnp.clip(action + noise, -1.0, 1.0)


def ornstein_uhlenbeck(key: Key, noise: Array, theta: Array | float, scale: Array | float) -> Array:
    """The next step ``x - theta x + N(0, scale^2)`` of a process that returns to zero, to be added to an action.

    Its state is the noise itself. Start it at zero with each episode; as the carry of ``act``, the loops do so.

    Args:
        key: consumed.
        noise: ``[B, n]``, of the step before.
        theta: how much of the noise is lost in a step.
        scale: standard deviation of what is added in a step.

    Returns:
        ``[B, n]`` the new noise.

    Source: Uhlenbeck & Ornstein 1930; Lillicrap et al. 2016 (arXiv 1509.02971), section 7.
    """
    return noise - theta * noise + scale * jax.random.normal(key, noise.shape)


def random_action(key: Key, action: Array, probability: Array | float) -> Array:
    """A uniform action instead, with some probability for each row.

    With a schedule that falls from 1 to 0 it is a random start that goes on while learning has begun.

    Args:
        key: consumed.
        action: ``[B, n]`` in ``[-1, 1]``.
        probability: of a random action.

    Returns:
        ``[B, n]``.
    """
    choice_key, action_key = jax.random.split(key)
    uniform = jax.random.uniform(action_key, action.shape, minval=-1.0, maxval=1.0)
    chosen = jax.random.uniform(choice_key, action.shape[:1]) < probability
    return jnp.where(chosen[:, None], uniform, action)
