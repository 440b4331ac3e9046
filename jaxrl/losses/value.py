"""Losses and targets for value functions. All are element-wise on ``[B]`` and take no mean."""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp

Array = jax.Array


def huber(error: Array, delta: Array | float = 1.0) -> Array:
    """``error^2 / 2`` for ``|error| <= delta``, else ``delta (|error| - delta / 2)``.

    Source: Huber 1964; Mnih et al. 2015 clip the error's gradient to [-1, 1], which is this loss.
    """
    absolute = jnp.abs(error)
    quadratic = jnp.minimum(absolute, delta)
    return 0.5 * quadratic**2 + delta * (absolute - quadratic)


def select(values: Array, action: Array) -> Array:
    """``values[b, action[b]]``: the values ``[B, A]`` of the actions ``[B]``, as ``[B]``."""
    chex.assert_rank([values, action], [2, 1])
    chex.assert_equal_shape_prefix([values, action], 1)
    return jnp.take_along_axis(values, action[:, None].astype(jnp.int32), axis=-1)[:, 0]


def one_step_target(reward: Array, terminated: Array, next_value: Array, discount: Array | float) -> Array:
    """``r + gamma (1 - terminated) V(s')``, all ``[B]``; a truncated step bootstraps like any other.

    Source: Sutton & Barto 2018, section 6.1; Pardo et al. 2018 (arXiv 1712.00378) for truncation.
    """
    chex.assert_equal_shape([reward, terminated, next_value])
    return reward + discount * jnp.where(terminated, 0.0, next_value)


def q_learning_target(
    reward: Array,
    terminated: Array,
    next_q: Array,
    discount: Array | float,
    *,
    next_q_selector: Array | None = None,
) -> Array:
    """The target of (double) Q-learning: ``r + gamma (1 - terminated) Q(s', argmax_a Q'(s', a))``.

    Args:
        reward: ``[B]``.
        terminated: ``[B]`` booleans.
        next_q: ``[B, A]`` values of the successors by the target network.
        discount: gamma.
        next_q_selector: ``[B, A]`` values ``Q'`` that choose the action: the online network's for double
            Q-learning; None chooses with ``next_q`` itself.

    Returns:
        ``[B]`` targets.

    Source: Mnih et al. 2015, equation 2; van Hasselt et al. 2016 (arXiv 1509.06461), equation 4.
    """
    if next_q_selector is None:
        next_value = jnp.max(next_q, axis=-1)
    else:
        chex.assert_equal_shape([next_q, next_q_selector])
        next_value = select(next_q, jnp.argmax(next_q_selector, axis=-1))
    return one_step_target(reward, terminated, next_value, discount)


def clipped_value_loss(value: Array, old_value: Array, target: Array, clip: Array | float) -> Array:
    """``max((V - R)^2, (V_old + clamp(V - V_old, -c, c) - R)^2) / 2``, element-wise.

    Source: the value clipping of OpenAI baselines' ppo2; Huang et al. 2022, detail 9.
    """
    chex.assert_equal_shape([value, old_value, target])
    clipped = old_value + jnp.clip(value - old_value, -clip, clip)
    return 0.5 * jnp.maximum((value - target) ** 2, (clipped - target) ** 2)
