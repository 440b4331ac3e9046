"""Distributions of returns: categorical (C51, Rainbow) and quantile (QR-DQN, IQN).

Losses are element-wise on ``[B]`` and take no mean; targets do not stop gradients.
"""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp

Array = jax.Array


def categorical_mean(probabilities: Array, support: Array) -> Array:
    """The expected return ``Q = sum_i p_i z_i``, by which actions are chosen.

    Args:
        probabilities: ``[..., K]``.
        support: ``[K]`` atoms z.

    Returns:
        ``[...]`` expectations: ``[B, A]`` action values for probabilities ``[B, A, K]``.

    Source: Bellemare et al. 2017 (arXiv 1707.06887), algorithm 1, first line.
    """
    chex.assert_shape(support, probabilities.shape[-1:])
    # Not a matrix product, which an accelerator may round to 10 bits.
    return jnp.sum(probabilities * support, axis=-1)


def categorical_projection(support_values: Array, probabilities: Array, support: Array) -> Array:
    """Project a distribution with atoms anywhere on a fixed support, without loss of mass.

    ``m_i = sum_j p_j [1 - |clamp(z'_j, z_1, z_K) - z_i| / delta]_0^1``: an atom's mass is shared by its two
    neighbours on the support in proportion to their nearness. An atom that falls on the support stays whole,
    and one beyond an end goes to that end. The mean is kept where nothing is clamped.

    Args:
        support_values: ``[B, M]`` places z' of the atoms, such as ``r + gamma z``.
        probabilities: ``[B, M]`` their masses.
        support: ``[K]`` atoms z of the result, increasing; their distance delta need not be constant.

    Returns:
        ``[B, K]`` masses.

    Source: Bellemare et al. 2017 (arXiv 1707.06887), equation 7 and algorithm 1.
    """
    chex.assert_rank([support_values, probabilities, support], [2, 2, 1])
    chex.assert_equal_shape([support_values, probabilities])
    # How much of each gap of the support lies below an atom, [B, M, K - 1]: ones, a fraction, zeros. Summed over
    # the atoms, what z_i gets is the difference of the two gaps beside it: it telescopes, so mass is conserved.
    below = jnp.clip((support_values[..., None] - support[:-1]) * (1.0 / jnp.diff(support)), 0.0, 1.0)
    beyond = jnp.sum(below * probabilities[..., None], axis=1)
    total = jnp.sum(probabilities, axis=1, keepdims=True)
    mass = jnp.concatenate([total, beyond], axis=1) - jnp.pad(beyond, ((0, 0), (0, 1)))
    return jnp.maximum(mass, 0.0)


def categorical_target(
    reward: Array, terminated: Array, discount: Array | float, next_probabilities: Array, support: Array
) -> Array:
    """The distribution of ``r + gamma (1 - terminated) Z(s')``, projected on the support of ``Z``.

    Args:
        reward: ``[B]``; with n steps, their discounted sum.
        terminated: ``[B]`` booleans; a truncated step bootstraps like any other.
        discount: gamma, or ``[B]`` gamma^k where a target spans k steps.
        next_probabilities: ``[B, K]`` of the successor's chosen action.
        support: ``[K]`` atoms, increasing.

    Returns:
        ``[B, K]`` probabilities.

    Source: Bellemare et al. 2017 (arXiv 1707.06887), algorithm 1; Hessel et al. 2018 (arXiv 1710.02298),
    section "The Integrated Agent", for n steps.
    """
    chex.assert_rank([reward, terminated, next_probabilities, support], [1, 1, 2, 1])
    chex.assert_equal_shape([reward, terminated])
    chex.assert_is_broadcastable(jnp.shape(discount), reward.shape)
    chex.assert_shape(next_probabilities, (*reward.shape, *support.shape))
    discount = jnp.where(terminated, 0.0, discount)
    return categorical_projection(reward[:, None] + discount[:, None] * support, next_probabilities, support)


def categorical_cross_entropy(logits: Array, target: Array) -> Array:
    """``-sum_i m_i log softmax(logits)_i``: the loss of C51 and Rainbow.

    Args:
        logits: ``[B, K]``.
        target: ``[B, K]`` probabilities m.

    Returns:
        ``[B]``.

    Source: Bellemare et al. 2017 (arXiv 1707.06887), algorithm 1, last line.
    """
    chex.assert_rank([logits, target], 2)
    chex.assert_equal_shape([logits, target])
    return -jnp.sum(target * jax.nn.log_softmax(logits, axis=-1), axis=-1)


def categorical_kl(logits: Array, target: Array) -> Array:
    """``KL(m || softmax(logits))``: the cross-entropy less the target's own entropy; Rainbow's priority.

    Its gradient in the logits is that of the cross-entropy. Zero where the two agree, however spread the
    target is, and never negative.

    Args:
        logits: ``[B, K]``.
        target: ``[B, K]`` probabilities m; zeros are fine.

    Returns:
        ``[B]``.

    Source: Hessel et al. 2018 (arXiv 1710.02298), section "The Integrated Agent".
    """
    entropy = jnp.sum(jax.scipy.special.entr(target), axis=-1)
    return jnp.maximum(categorical_cross_entropy(logits, target) - entropy, 0.0)


def midpoint_taus(n: int) -> Array:
    """``(2 i - 1) / (2 n)`` for i in 1 to n: the fractions whose quantiles QR-DQN learns, as ``[n]``.

    Source: Dabney et al. 2018 (arXiv 1710.10044), lemma 2.
    """
    return (jnp.arange(n, dtype=jnp.float32) + 0.5) / n


def quantile_huber(quantiles: Array, target: Array, taus: Array, kappa: Array | float = 1.0) -> Array:
    """``sum_i mean_j |tau_i - 1{u_ij < 0}| L_kappa(u_ij) / kappa`` with ``u_ij = target_j - quantile_i``.

    ``L_kappa`` is the Huber loss. Divided by kappa, as in IQN's equation 3, the loss tends to plain quantile
    regression ``|tau - 1{u < 0}| |u|`` as kappa tends to 0, and is that at ``kappa = 0``. QR-DQN's equation
    10 (and rlax) does not divide: the same at its ``kappa = 1``, else a factor. Meant for first derivatives.

    Args:
        quantiles: ``[B, N]`` predictions; the loss is summed over them.
        target: ``[B, M]`` samples or quantiles of the target; the loss is averaged over them.
        taus: ``[N]`` or ``[B, N]`` fractions in (0, 1) of the predictions: ``midpoint_taus(N)`` for QR-DQN,
            those drawn for IQN.
        kappa: where the loss turns from quadratic to linear.

    Returns:
        ``[B]``.

    Source: Dabney et al. 2018 (arXiv 1710.10044), equations 9 and 10 and algorithm 1; Dabney et al. 2018b
    (arXiv 1806.06923), equation 3.
    """
    chex.assert_rank([quantiles, target, taus], [2, 2, {1, 2}])
    chex.assert_equal_shape_prefix([quantiles, target], 1)
    chex.assert_shape(taus, quantiles.shape[-taus.ndim :])
    error = target[:, None, :] - quantiles[:, :, None]
    # L_kappa(u) / kappa is the largest of s u - kappa s^2 / 2 over |s| <= 1. Its derivative is the s that is best,
    # so that s can count as a constant: a third of the time of differentiating the cases.
    slope = jax.lax.stop_gradient(jnp.clip(error / jnp.maximum(kappa, jnp.finfo(error.dtype).tiny), -1.0, 1.0))
    weight = jnp.abs(taus[..., None] - (error < 0))
    return jnp.sum(jnp.mean(weight * slope * (error - 0.5 * kappa * slope), axis=2), axis=1)
