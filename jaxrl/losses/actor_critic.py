"""Targets and losses of actor-critics with several critics. None takes a mean over the batch, none stops gradients."""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp

Array = jax.Array


def minimum_of_subset(key: Array, values: Array, size: int) -> Array:
    """``min_{i in M} Q_i`` over a random subset ``M`` of ``size`` critics, the same for the whole batch.

    Of all critics it is the minimum of clipped double Q-learning, and the key is not used.

    Args:
        key: consumed.
        values: ``[N, B, ...]``, of N critics.
        size: critics in the subset, at most N.

    Returns:
        ``[B, ...]``.

    Source: Fujimoto et al. 2018 (arXiv 1802.09477), equation 10; Chen et al. 2021 (arXiv 2101.05982), algorithm 1.
    """
    if size < values.shape[0]:
        values = values[jax.random.permutation(key, values.shape[0])[:size]]
    return jnp.min(values, axis=0)


def truncated_quantiles(quantiles: Array, drop: int) -> Array:
    """The quantiles of all critics in one mixture, without the ``drop * N`` largest of each row.

    Args:
        quantiles: ``[N, B, M]``: M of each of N critics, in any order.
        drop: how many to leave out for each critic, below M.

    Returns:
        ``[B, N (M - drop)]``, sorted.

    Source: Kuznetsov et al. 2020 (arXiv 2005.04269), section 3.
    """
    chex.assert_rank(quantiles, 3)
    critics, batch, atoms = quantiles.shape
    mixture = jnp.moveaxis(quantiles, 0, 1).reshape(batch, critics * atoms)
    # A quarter of the time of sorting all of them, on a CPU.
    return -jax.lax.top_k(-mixture, critics * (atoms - drop))[0]


def entropy_regularized_target(
    reward: Array,
    terminated: Array,
    next_value: Array,
    discount: Array | float,
    log_prob: Array | float = 0.0,
    temperature: Array | float = 0.0,
) -> Array:
    """``r + gamma (1 - terminated) (Q(s', a') - alpha log pi(a'|s'))``; a truncated step bootstraps like any other.

    Args:
        reward: ``[B]``; with n steps, their discounted sum.
        terminated: ``[B]`` booleans.
        next_value: ``[B]`` values of the next action, or ``[B, K]`` quantiles of its return.
        discount: gamma, or ``[B]`` gamma^k where a target spans k steps.
        log_prob: ``[B]`` of the next action; its expectation where all actions are known.
        temperature: alpha; 0 gives the target of DDPG and TD3.

    Returns:
        Of the shape of ``next_value``.

    Source: Haarnoja et al. 2018 (arXiv 1812.05905), equations 2 and 3; Kuznetsov et al. 2020
    (arXiv 2005.04269), section 3, for quantiles.
    """
    chex.assert_equal_shape([reward, terminated])
    chex.assert_equal_shape_prefix([reward, next_value], 1)
    chex.assert_is_broadcastable(jnp.shape(discount), reward.shape)
    chex.assert_is_broadcastable(jnp.shape(log_prob), reward.shape)
    column = lambda x: jnp.broadcast_to(x, reward.shape).reshape(-1, *(1,) * (next_value.ndim - 1))
    soft = next_value - temperature * column(log_prob)
    return column(reward) + column(jnp.where(terminated, 0.0, discount)) * soft


def temperature_loss(log_temperature: Array, log_prob: Array, target_entropy: Array | float) -> Array:
    """``-alpha (log pi(a|s) + H)``, whose gradient raises alpha where the entropy is below the target H.

    Args:
        log_temperature: log alpha, a scalar.
        log_prob: ``[B]`` of actions of the current policy; it should carry no gradient.
        target_entropy: H, in nats; a scalar or ``[B]``, where states allow different actions.

    Returns:
        ``[B]``.

    Source: Haarnoja et al. 2018 (arXiv 1812.05905), equation 18.
    """
    return -jnp.exp(log_temperature) * (log_prob + target_entropy)
