"""V-trace: values and advantages from the data of an older policy."""

from __future__ import annotations

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from jaxrl.losses.returns import linear_recurrence

Array = jax.Array


class VTrace(NamedTuple):
    """``[T, ...]`` each."""

    target: Array
    """``v_t``, what the value is regressed upon."""
    advantage: Array
    """What ``log pi(a|s)`` is weighted with."""


def vtrace(
    log_ratio: Array,
    reward: Array,
    value: Array,
    next_value: Array,
    terminated: Array,
    truncated: Array,
    discount: Array | float,
    trace_lambda: Array | float = 1.0,
    *,
    clip_rho: Array | float = 1.0,
    clip_c: Array | float = 1.0,
    clip_policy_rho: Array | float = 1.0,
) -> VTrace:
    """V-trace targets, right at both kinds of episode end; they do not stop gradients.

    ``v_t = V(s_t) + delta_t + gamma c_t (v_{t+1} - V(s_{t+1}))`` with ``delta_t = rho_t (r_t + gamma V(s'_t) -
    V(s_t))``, ``rho_t = min(clip_rho, pi / mu)`` and ``c_t = lambda min(clip_c, pi / mu)``. The trace is cut at either
    end, and a termination has no value behind it. The advantage is ``min(clip_policy_rho, pi / mu) (r_t + gamma v'_t -
    V(s_t))``, where ``v'_t`` is ``v_{t+1}`` within an episode, and ``V(s'_t)`` where the episode or the rollout ends.

    Args:
        log_ratio: ``[T, ...]`` ``log pi(a|s) - log mu(a|s)``: the policy that learns, over the one that acted.
        reward: ``[T, ...]``.
        value: ``[T, ...]`` values of the observations acted on.
        next_value: ``[T, ...]`` values of the true successors (never those after a reset).
        terminated: ``[T, ...]`` booleans.
        truncated: ``[T, ...]`` booleans.
        discount: gamma.
        trace_lambda: lambda; 1 in the paper.
        clip_rho: decides which policy's value is found: mu's at 0, pi's at infinity.
        clip_c: how fast traces fade.
        clip_policy_rho: bound of the weight in the policy's gradient.

    Source: Espeholt et al. 2018 (arXiv 1802.01561), equation 1, remark 2 and section 4.2.
    """
    reward, value, next_value = (jnp.asarray(x, jnp.float32) for x in (reward, value, next_value))
    terminated, truncated = jnp.asarray(terminated, bool), jnp.asarray(truncated, bool)
    chex.assert_equal_shape([log_ratio, reward, value, next_value, terminated, truncated])
    ratio, ended = jnp.exp(log_ratio), terminated | truncated
    next_value = jnp.where(terminated, 0.0, next_value)
    delta = jnp.minimum(clip_rho, ratio) * (reward + discount * next_value - value)
    trace = jnp.where(ended, 0.0, discount * trace_lambda * jnp.minimum(clip_c, ratio))
    correction = linear_recurrence(trace, delta)
    # v_{t+1} = V(s_{t+1}) + correction_{t+1}, and within an episode s_{t+1} is the true successor.
    later = jnp.concatenate([correction[1:], jnp.zeros_like(correction[:1])])
    next_target = next_value + jnp.where(ended, 0.0, later)
    advantage = jnp.minimum(clip_policy_rho, ratio) * (reward + discount * next_target - value)
    return VTrace(value + correction, advantage)
