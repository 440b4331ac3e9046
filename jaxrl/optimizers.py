"""Optimisers whose tunable numbers are arguments: nothing closes over a learning rate."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

Array = jax.Array
PyTree = Any


class Optimized(NamedTuple):
    """The outcome of one step of gradient descent."""

    params: PyTree
    opt_state: PyTree
    grad_norm: Array
    """Global norm of the gradient before it was clipped."""


def apply_gradients(
    optimizer: optax.GradientTransformation,
    params: PyTree,
    opt_state: PyTree,
    gradients: PyTree,
    *,
    learning_rate: Array | float,
    max_grad_norm: Array | float | None = None,
    weight_decay: Array | float | None = None,
) -> Optimized:
    """Clip the gradients to a global norm, transform them and take a step of ``learning_rate``.

    ``g <- g min(1, max_grad_norm / |g|)``, then ``params - learning_rate * optimizer(g)``.

    Args:
        optimizer: a direction without a learning rate, such as ``optax.scale_by_adam()``.
        params: parameters.
        opt_state: the optimiser's state.
        gradients: like the parameters.
        learning_rate: step size; a leaf of the hyper-parameters.
        max_grad_norm: bound of the global norm (all leaves together, not each element); None for none.
        weight_decay: multiple of the parameters added to the clipped gradient (the L2 penalty of PyTorch's Adam, not
            the decoupled one of AdamW); None for none.
    """
    norm = optax.global_norm(gradients)
    if max_grad_norm is not None:
        scale = jnp.minimum(1.0, max_grad_norm / jnp.maximum(norm, 1e-12))
        gradients = jax.tree.map(lambda g: g * scale, gradients)
    if weight_decay is not None:
        gradients = jax.tree.map(lambda g, p: g + weight_decay * p, gradients, params)
    updates, opt_state = optimizer.update(gradients, opt_state, params)
    params = jax.tree.map(lambda p, u: p - (learning_rate * u).astype(p.dtype), params, updates)
    return Optimized(params, opt_state, norm)
