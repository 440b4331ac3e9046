"""Steps within a trust region: products with the Fisher matrix, conjugate gradients and backtracking."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array


def fisher_vector_product(kl: Callable[[Array], Array], params: Array, vector: Array) -> Array:
    """``H v``, with ``H`` the matrix of second derivatives of the mean divergence: the Fisher matrix, where it is 0.

    Forward over reverse: the derivative of the gradient in the direction ``v``; no matrix is made.

    Args:
        kl: ``kl(params) -> scalar``, the mean divergence of the policy from that of ``params``.
        params: ``[n]`` where it is zero.
        vector: ``[n]``.

    Source: Schulman et al. 2015 (arXiv 1502.05477), appendix C.1; Pearlmutter 1994.
    """
    return jax.jvp(jax.grad(kl), (params,), (vector,))[1]


def conjugate_gradient(product: Callable[[Array], Array], b: Array, iterations: int, tolerance: float = 1e-10) -> Array:
    """Solve ``A x = b`` for a positive definite ``A`` that is known by its products, from ``x = 0``.

    Args:
        product: ``product(v) -> A v``.
        b: ``[n]``.
        iterations: at most so many products; n of them are exact but for rounding.
        tolerance: stop where the squared residual is below it.

    Source: Hestenes & Stiefel 1952; Schulman et al. 2015 (arXiv 1502.05477), appendix C.
    """

    def step(_, state):
        x, residual, direction, square = state
        go = square > tolerance
        along = product(direction)
        length = square / jnp.where(go, direction @ along, 1.0)
        new_residual = residual - length * along
        new_square = new_residual @ new_residual
        new = (
            x + length * direction,
            new_residual,
            new_residual + new_square / jnp.where(go, square, 1.0) * direction,
            new_square,
        )
        return jax.tree.map(lambda n, o: jnp.where(go, n, o), new, state)

    return jax.lax.fori_loop(0, iterations, step, (jnp.zeros_like(b), b, b, b @ b))[0]


def natural_step(product: Callable[[Array], Array], gradient: Array, max_kl: Array | float, iterations: int) -> Array:
    """The largest step down a gradient that a quadratic divergence allows.

    ``s = sqrt(2 delta / (x^T H x + 1e-8)) x`` with ``x = H^{-1} g``: the parameters become ``params - s``.

    Args:
        product: ``product(v) -> H v``, damped.
        gradient: ``[n]`` of the loss.
        max_kl: delta, in nats.
        iterations: of conjugate gradients.

    Source: Schulman et al. 2015 (arXiv 1502.05477), appendix C; Kakade 2001 for the natural gradient.
    """
    x = conjugate_gradient(product, gradient, iterations)
    return jnp.sqrt(2.0 * max_kl / (jnp.maximum(x @ product(x), 0.0) + 1e-8)) * x


class LineSearch(NamedTuple):
    """Where a line search ended."""

    params: Array
    accepted: Array
    """Whether a step was taken."""
    fraction: Array
    """Of the full step; 0 if none was taken."""


def backtrack(
    acceptable: Callable[[Array], Array], params: Array, step: Array, factor: Array | float, max_steps: int
) -> LineSearch:
    """Try ``params - factor^j step`` for ``j = 0, 1, ...``, and take the first that is acceptable.

    Args:
        acceptable: ``acceptable(params) -> bool``.
        params: ``[n]``; they are returned if no step is acceptable.
        step: ``[n]`` the full step.
        factor: in (0, 1).
        max_steps: steps that are tried.

    Source: Schulman et al. 2015 (arXiv 1502.05477), appendix C.
    """

    def unfinished(state):
        j, result = state
        return (j < max_steps) & ~result.accepted

    def attempt(state):
        j, _ = state
        fraction = jnp.asarray(factor, params.dtype) ** j
        candidate = params - fraction * step
        ok = acceptable(candidate)
        return j + 1, LineSearch(jnp.where(ok, candidate, params), ok, jnp.where(ok, fraction, 0.0))

    start = LineSearch(params, jnp.array(False), jnp.zeros((), params.dtype))
    return jax.lax.while_loop(unfinished, attempt, (jnp.int32(0), start))[1]
