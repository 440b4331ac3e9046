"""Returns and advantages: time-major ``[T, ...]`` of rollouts, and windows ``[B, n]`` of a replay."""

from __future__ import annotations

from typing import NamedTuple

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
        discount: gamma, a scalar or an array that broadcasts to ``[T, ...]``.
        gae_lambda: lambda, likewise.

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


def lambda_returns(
    reward: Array,
    next_value: Array,
    terminated: Array,
    truncated: Array,
    discount: Array | float,
    lambda_: Array | float,
) -> Array:
    """TD(lambda) targets, or those of Q(lambda) with ``V(s') = max_a Q(s', a)``, right at both kinds of end.

    ``G_t = r_t + gamma (1 - terminated_t) [(1 - lambda) V(s'_t) + lambda G_{t+1}]``, where
    ``r_t + gamma V(s'_t)`` takes its place on a truncated step and on the last one: nothing leaks from the
    next episode, and what lies beyond the rollout has the value of its true successor.

    Args:
        reward: ``[T, ...]``.
        next_value: ``[T, ...]`` values of the true successors (never those after a reset).
        terminated: ``[T, ...]`` booleans.
        truncated: ``[T, ...]`` booleans.
        discount: gamma, a scalar or an array that broadcasts to ``[T, ...]``.
        lambda_: lambda, likewise; per step, that of step t weighs ``G_{t+1}``.

    Returns:
        ``[T, ...]`` targets.

    Source: Sutton & Barto 2018, equation 12.18; Gallici et al. 2024 (arXiv 2407.04811) for PQN.
    """
    reward, next_value = (jnp.asarray(x, jnp.float32) for x in (reward, next_value))
    terminated, truncated = jnp.asarray(terminated, bool), jnp.asarray(truncated, bool)
    chex.assert_equal_shape([reward, next_value, terminated, truncated])
    chex.assert_is_broadcastable(jnp.shape(discount), reward.shape)
    chex.assert_is_broadcastable(jnp.shape(lambda_), reward.shape)
    trace = jnp.where(terminated | truncated, 0.0, lambda_).at[-1].set(0.0)
    increment = reward + discount * (1.0 - trace) * jnp.where(terminated, 0.0, next_value)
    return linear_recurrence(discount * trace, increment)


class NStepReturn(NamedTuple):
    """One long step made of k short ones, all ``[B]``: bootstrap from the successor of step ``last``."""

    reward: Array
    """``sum_{i<k} gamma^i r_i``."""
    terminated: Array
    """Whether the k-th step terminated: the value of its successor is zero."""
    discount: Array
    """``gamma^k``, what that successor's value is multiplied by."""
    last: Array
    """``k - 1``, the index in the window of the last step used."""


def n_step_return(
    reward: Array,
    terminated: Array,
    truncated: Array,
    discount: Array | float,
    length: Array | None = None,
) -> NStepReturn:
    """Sum the discounted rewards of up to n consecutive steps, stopping where the episode does.

    ``R = sum_{i<k} gamma^i r_i`` where k is the number of steps really taken: up to and with the first that
    is terminated or truncated, and at most ``length``. The target is ``R + gamma^k (1 - terminated) V(s')``
    with ``s'`` the true successor of step ``k - 1``. Whatever a window holds after that is not read.

    Args:
        reward: ``[B, n]``, the oldest step first.
        terminated: ``[B, n]`` booleans.
        truncated: ``[B, n]`` booleans.
        discount: gamma, a scalar or ``[B]``.
        length: ``[B]`` steps of each window that exist (the newest items of a replay have fewer successors
            than n); None if all do. Taken as 1 to n.

    Returns:
        The k steps as one: reward, terminated, discount ``gamma^k`` and the index of the last, ``[B]`` each.

    Source: Sutton & Barto 2018, equation 7.1; Hessel et al. 2018 (arXiv 1710.02298), section "Multi-step
    learning".
    """
    reward = jnp.asarray(reward, jnp.float32)
    terminated, truncated = jnp.asarray(terminated, bool), jnp.asarray(truncated, bool)
    discount = jnp.asarray(discount, jnp.float32)
    chex.assert_rank(reward, 2)
    chex.assert_equal_shape([reward, terminated, truncated])
    batch_size, n = reward.shape
    chex.assert_is_broadcastable(discount.shape, (batch_size,))
    steps = jnp.arange(n)
    ended = (terminated | truncated).astype(jnp.int32)
    taken = jnp.cumsum(ended, axis=1) - ended == 0
    if length is not None:
        chex.assert_shape(length, (batch_size,))
        taken &= steps < jnp.maximum(length, 1)[:, None]
    count = jnp.sum(taken, axis=1, dtype=jnp.int32)
    return NStepReturn(
        reward=jnp.sum(jnp.where(taken, reward, 0.0) * discount[..., None] ** steps, axis=1),
        terminated=jnp.any(taken & terminated, axis=1),
        discount=discount**count,
        last=count - 1,
    )
