"""Optimisers whose tunable numbers are arguments: nothing closes over a learning rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

Array = jax.Array
PyTree = Any
Pair = tuple[Array | float | None, Array | float | None]

OPTIMIZERS: dict[str, Callable[[float], optax.GradientTransformation]] = {
    "adam": lambda epsilon: optax.scale_by_adam(eps=epsilon),
    "rmsprop": lambda epsilon: optax.scale_by_rms(decay=0.99, eps=epsilon, eps_in_sqrt=True),
    "rmsprop_torch": lambda epsilon: optax.scale_by_rms(decay=0.99, eps=epsilon, eps_in_sqrt=False),
}
"""Directions without a learning rate by name, each a function of epsilon.

``adam``: ``m / (sqrt(v) + epsilon)``, with bias correction. RMSProp without: ``g / sqrt(v + epsilon)`` as ``rmsprop``,
``g / (sqrt(v) + epsilon)`` as ``rmsprop_torch``. With an epsilon of 1e-5 the first has a denominator of at least 0.003,
so small gradients stay small.

Source: Kingma & Ba 2015 (arXiv 1412.6980), algorithm 1; Mnih et al. 2016 (arXiv 1602.01783), section 4, for RMSProp;
``torch.optim.RMSprop`` for the other place of epsilon.
"""


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
    learning_rate: Array | float | Pair,
    max_grad_norm: Array | float | Pair | None = None,
    weight_decay: Array | float | None = None,
    apart: PyTree | None = None,
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
        apart: booleans like the parameters, true where they have a step size of their own and are clipped by
            themselves. Then ``learning_rate`` and ``max_grad_norm`` are pairs: the others', and theirs. As optimisers
            here go element by element, that is two optimisers in one.
    """
    norm = optax.global_norm(gradients)
    if apart is not None:
        of_each = lambda pair: jax.tree.map(lambda own: jnp.where(own, pair[1], pair[0]), apart)
        learning_rate = of_each(learning_rate)
        if max_grad_norm is not None:
            alone = lambda which: jax.tree.map(lambda g, own: jnp.where(own == which, g, 0.0), gradients, apart)
            scales = [_clip_scale(optax.global_norm(alone(side)), max_grad_norm[side]) for side in (False, True)]
            gradients = jax.tree.map(jnp.multiply, gradients, of_each(scales))
    elif max_grad_norm is not None:
        scale = _clip_scale(norm, max_grad_norm)
        gradients = jax.tree.map(lambda g: g * scale, gradients)
    if weight_decay is not None:
        gradients = jax.tree.map(lambda g, p: g + weight_decay * p, gradients, params)
    updates, opt_state = optimizer.update(gradients, opt_state, params)
    step = lambda p, u, rate: p - (rate * u).astype(p.dtype)
    if apart is None:
        params = jax.tree.map(lambda p, u: step(p, u, learning_rate), params, updates)
    else:
        params = jax.tree.map(step, params, updates, learning_rate)
    return Optimized(params, opt_state, norm)


def _clip_scale(norm: Array, bound: Array | float | None) -> Array:
    return jnp.ones(()) if bound is None else jnp.minimum(1.0, bound / jnp.maximum(norm, 1e-12))
