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


def squared_error(error: Array) -> Array:
    """``error^2 / 2``."""
    return 0.5 * error**2


ERROR_LOSSES = {"huber": huber, "mse": squared_error}
"""Losses of a temporal-difference error, by the names that configurations give them."""


def select(values: Array, action: Array) -> Array:
    """``values[b, action[b]]``: of values ``[B, A, ...]`` those of the actions ``[B]``, as ``[B, ...]``."""
    chex.assert_rank(action, 1)
    chex.assert_equal_shape_prefix([values, action], 1)
    index = action.astype(jnp.int32).reshape(-1, *(1,) * (values.ndim - 1))
    return jnp.take_along_axis(values, index, axis=1)[:, 0]


def one_step_target(reward: Array, terminated: Array, next_value: Array, discount: Array | float) -> Array:
    """``r + gamma (1 - terminated) V(s')``, all ``[B]``; a truncated step bootstraps like any other.

    ``discount`` is gamma, or ``[B]`` gamma^k where a target spans k steps.

    Source: Sutton & Barto 2018, section 6.1; Pardo et al. 2018 (arXiv 1712.00378) for truncation.
    """
    chex.assert_equal_shape([reward, terminated, next_value])
    chex.assert_is_broadcastable(jnp.shape(discount), reward.shape)
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
        discount: gamma, or ``[B]`` gamma^k where a target spans k steps.
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


def soft_value(q: Array, temperature: Array | float) -> Array:
    """``sum_a pi(a) (Q(a) - tau log pi(a)) = tau log sum_a exp(Q(a) / tau)`` with ``pi = softmax(Q / tau)``.

    The expectation and the log-sum-exp are equal; this is the latter, which is exact at any scale of ``Q``.

    Args:
        q: ``[..., A]`` action values.
        temperature: tau, above 0; the value tends to ``max_a Q(a)`` as it tends to 0.

    Returns:
        ``[...]``.

    Source: Haarnoja et al. 2017 (arXiv 1702.08165), theorem 1.
    """
    highest = jnp.max(q, axis=-1, keepdims=True)
    return highest[..., 0] + temperature * jax.nn.logsumexp((q - highest) / temperature, axis=-1)


def scaled_log_policy(q: Array, temperature: Array | float) -> Array:
    """``tau log softmax(Q / tau) = Q - soft_value(Q)``: ``[..., A]``, in units of ``Q`` and never positive.

    The highest value is taken off before dividing, so that a small temperature costs no precision.

    Args:
        q: ``[..., A]`` action values.
        temperature: tau, above 0.

    Source: Vieillard et al. 2020 (arXiv 2007.14430), appendix B.
    """
    advantage = q - jnp.max(q, axis=-1, keepdims=True)
    return advantage - soft_value(advantage, temperature)[..., None]


def munchausen_target(
    reward: Array,
    terminated: Array,
    q: Array,
    action: Array,
    next_q: Array,
    discount: Array | float,
    *,
    alpha: Array | float,
    temperature: Array | float,
    clip: Array | float = -1.0,
) -> Array:
    """The target of Munchausen-DQN: the soft one, and the log-policy of the action taken as a bonus.

    ``r + alpha [tau log pi(a|s)]_{l0}^0 + gamma (1 - terminated) sum_a' pi(a'|s') (Q(s', a') - tau log pi(a'|s'))``
    with ``pi = softmax(Q / tau)``. Without the bonus, at ``alpha = 0``, it is that of soft DQN. Both values
    are the target network's. Over n steps only the first, whose action is at hand, earns the bonus.

    Args:
        reward: ``[B]``; with n steps, their discounted sum.
        terminated: ``[B]`` booleans.
        q: ``[B, A]`` values of the observations acted on.
        action: ``[B]`` actions taken.
        next_q: ``[B, A]`` values of the successors.
        discount: gamma, or ``[B]`` gamma^k where a target spans k steps.
        alpha: weight of the bonus; 0.9 in the paper.
        temperature: tau, above 0; 0.03 in the paper.
        clip: l0, the least that ``tau log pi`` counts, in units of ``Q``.

    Returns:
        ``[B]`` targets.

    Source: Vieillard et al. 2020 (arXiv 2007.14430), equations 1 and 2, and its clipping by l0.
    """
    chex.assert_equal_shape([q, next_q])
    log_policy = select(scaled_log_policy(q, temperature), action)
    chex.assert_equal_shape([reward, log_policy])
    bonus = alpha * jnp.clip(log_policy, clip, 0.0)
    return one_step_target(reward + bonus, terminated, soft_value(next_q, temperature), discount)


def clipped_value_loss(value: Array, old_value: Array, target: Array, clip: Array | float) -> Array:
    """``max((V - R)^2, (V_old + clamp(V - V_old, -c, c) - R)^2) / 2``, element-wise.

    Source: the value clipping of OpenAI baselines' ppo2; Huang et al. 2022, detail 9.
    """
    chex.assert_equal_shape([value, old_value, target])
    clipped = old_value + jnp.clip(value - old_value, -clip, clip)
    return 0.5 * jnp.maximum((value - target) ** 2, (clipped - target) ** 2)


def bounded_value_loss(value: Array, target: Array, bound: Array | float) -> Array:
    """``min((V - R)^2, bound) / 2``: beyond the bound there is no gradient.

    Source: RLlib's PPO, ``vf_clip_param`` (without the half).
    """
    chex.assert_equal_shape([value, target])
    return 0.5 * jnp.minimum((value - target) ** 2, bound)


def symlog(x: Array) -> Array:
    """``sign(x) log(1 + |x|)``: close to ``x`` near 0, a logarithm far from it.

    Source: Hafner et al. 2023 (arXiv 2301.04104), equation 9.
    """
    return jnp.sign(x) * jnp.log1p(jnp.abs(x))


def symexp(x: Array) -> Array:
    """``sign(x) (exp(|x|) - 1)``, the inverse of ``symlog``."""
    return jnp.sign(x) * jnp.expm1(jnp.abs(x))


def two_hot(x: Array, support: Array) -> Array:
    """Weights on the two atoms beside ``x``, whose mean is ``x``: ``[...]`` to ``[..., K]``; ends take what lies
    beyond.

    Args:
        x: any shape.
        support: ``[K]`` atoms, increasing.

    Source: Hafner et al. 2023 (arXiv 2301.04104), equation 10; Schrittwieser et al. 2020 (arXiv 1911.08265), appendix
        F.
    """
    chex.assert_rank(support, 1)
    below = jnp.clip((x[..., None] - support[:-1]) / jnp.diff(support), 0.0, 1.0)
    ones = jnp.ones((*x.shape, 1))
    return jnp.concatenate([ones, below], axis=-1) - jnp.concatenate([below, 0 * ones], axis=-1)


def two_hot_value(logits: Array, support: Array) -> Array:
    """The value of a distribution ``[..., K]`` over the ``symlog`` of returns: ``symexp(sum_i p_i z_i)``, ``[...]``."""
    return symexp(jnp.sum(jax.nn.softmax(logits, axis=-1) * support, axis=-1))


def two_hot_loss(logits: Array, target: Array, support: Array) -> Array:
    """``-sum_i m_i log softmax(logits)_i`` with ``m = two_hot(symlog(target))``: ``[..., K]`` and ``[...]`` to
    ``[...]``.

    Source: Hafner et al. 2023 (arXiv 2301.04104), equation 11.
    """
    chex.assert_equal_shape_prefix([logits, target], target.ndim)
    return -jnp.sum(two_hot(symlog(target), support) * jax.nn.log_softmax(logits, axis=-1), axis=-1)
