"""Returns and advantages, time-major ``[T, ...]``."""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp

Array = jax.Array


def linear_recurrence(decay: Array, increment: Array, *, axis: int = 0) -> Array:
    """Solve ``x_t = increment_t + decay_t x_{t+1}`` backwards in time, with ``x_T = 0``.

    An associative scan: ``log2(T)`` vectorised steps instead of ``T`` small ones.

    Args:
        decay: ``[T, ...]``.
        increment: ``[T, ...]``.
        axis: the axis of time.

    Returns:
        ``[T, ...]`` solutions.
    """

    def combine(later, earlier):
        decay_l, x_l = later
        decay_e, x_e = earlier
        return decay_e * decay_l, x_e + decay_e * x_l

    _, x = jax.lax.associative_scan(combine, (decay, increment), reverse=True, axis=axis)
    return x


def generalized_advantage_estimation(
    reward: Array,
    value: Array,
    next_value: Array,
    terminated: Array,
    truncated: Array,
    discount: Array | float,
    gae_lambda: Array | float,
) -> Array:
    """Generalised advantage estimation, right at both kinds of episode end.

    ``delta_t = r_t + gamma (1 - terminated_t) V(s'_t) - V(s_t)`` and
    ``A_t = delta_t + gamma lambda (1 - terminated_t)(1 - truncated_t) A_{t+1}``: targets bootstrap from
    the true successor ``s'_t`` through a truncation, and the trace is cut at either end, so that nothing
    leaks from the next episode.

    Args:
        reward: ``[T, ...]``.
        value: ``[T, ...]`` values of the observations acted on.
        next_value: ``[T, ...]`` values of the true successors (never those after a reset).
        terminated: ``[T, ...]`` booleans.
        truncated: ``[T, ...]`` booleans.
        discount: gamma.
        gae_lambda: lambda.

    Returns:
        ``[T, ...]`` advantages; the lambda-returns are ``advantages + value``.

    Source: Schulman et al. 2016 (arXiv 1506.02438), equations 11 to 16.
    """
    reward, value, next_value = (jnp.asarray(x, jnp.float32) for x in (reward, value, next_value))
    terminated, truncated = jnp.asarray(terminated, bool), jnp.asarray(truncated, bool)
    chex.assert_equal_shape([reward, value, next_value, terminated, truncated])
    delta = reward + discount * jnp.where(terminated, 0.0, next_value) - value
    decay = jnp.where(terminated | truncated, 0.0, discount * gae_lambda)
    return linear_recurrence(decay, delta)
