"""A network that is being trained: its variables, its optimiser, and a step of descent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import optax

from jaxrl.optimizers import apply_gradients
from jaxrl.types import Array, Key, PyTree


class Variables(NamedTuple):
    """What a network is called with."""

    params: PyTree
    stats: PyTree
    """Running statistics of batch renormalisation; empty without."""


class Learner(NamedTuple):
    """A network's variables and the state of its optimiser."""

    variables: Variables
    opt_state: optax.OptState


class Descent(NamedTuple):
    """The outcome of a step."""

    learner: Learner
    loss: Array
    grad_norm: Array
    """Before it was bounded."""
    aux: Any


def init_learner(
    module: nn.Module, optimizer: optax.GradientTransformation, key: Key, *inputs: Array | None
) -> Learner:
    """A network with fresh weights."""
    made = module.init(key, *inputs)
    return Learner(Variables(made["params"], made.get("batch_stats", {})), optimizer.init(made["params"]))


def call(module: nn.Module, variables: Variables, *inputs: Array | None, key: Key | None = None) -> Any:
    """What a network returns, by its running statistics; with dropout if there is a key."""
    return module.apply({"params": variables.params, "batch_stats": variables.stats}, *inputs, rngs=_rngs(key))


def call_training(
    module: nn.Module, variables: Variables, *inputs: Array | None, key: Key | None = None
) -> tuple[Any, PyTree]:
    """What a network returns by the statistics of this batch, and the running ones after it."""
    both = {"params": variables.params, "batch_stats": variables.stats}
    output, changed = module.apply(both, *inputs, train=True, rngs=_rngs(key), mutable=["batch_stats"])
    return output, changed.get("batch_stats", {})


def descend(
    optimizer: optax.GradientTransformation,
    learner: Learner,
    objective: Callable[[Variables], tuple[Array, tuple[PyTree, Any]]],
    *,
    learning_rate: Array | float,
    max_grad_norm: Array | float | None = None,
    weight_decay: Array | float | None = None,
) -> Descent:
    """A step along the gradient of ``objective(variables) -> loss, (stats, aux)`` in the parameters."""
    of_params = lambda params: objective(learner.variables._replace(params=params))
    (loss, (stats, aux)), gradients = jax.value_and_grad(of_params, has_aux=True)(learner.variables.params)
    params, opt_state, norm = apply_gradients(
        optimizer, learner.variables.params, learner.opt_state, gradients,
        learning_rate=learning_rate, max_grad_norm=max_grad_norm, weight_decay=weight_decay,
    )  # fmt: skip
    return Descent(Learner(Variables(params, stats), opt_state), loss, norm, aux)


def _rngs(key: Key | None) -> dict[str, Key]:
    return {} if key is None else {"dropout": key}
