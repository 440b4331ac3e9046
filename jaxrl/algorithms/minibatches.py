"""What algorithms share that learn from each rollout in several passes over minibatches of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from jaxrl.networks.torsos import ACTIVATIONS, TORSOS
from jaxrl.optimizers import apply_gradients
from jaxrl.random import minibatch_indices
from jaxrl.types import Array, Key, PyTree
from jaxrl.validation import require, require_choice, require_positive


@dataclasses.dataclass(frozen=True)
class Config:
    """What changes the program's shape."""

    num_envs: int = 4
    """Environments stepped side by side."""
    rollout_length: int = 128
    """Steps of each environment between two updates."""
    num_epochs: int = 4
    """Passes over each rollout."""
    num_minibatches: int = 4
    """Parts that each pass is split into; must divide ``num_envs * rollout_length``."""
    torso: str = "auto"
    """``mlp``, ``nature_cnn``, ``minatar_cnn`` or ``impala_resnet``; ``auto`` goes by the observation's shape."""
    hidden_sizes: tuple[int, ...] = (64, 64)
    """Widths of the dense layers, after the convolutions of a torso that has some."""
    activation: str = "tanh"
    """Of the dense layers."""

    def __post_init__(self) -> None:
        require_positive(self, "num_envs", "rollout_length", "num_epochs", "num_minibatches")
        require_choice(self, "torso", TORSOS)
        require_choice(self, "activation", ACTIVATIONS)
        require(
            self.rollout_size % self.num_minibatches == 0,
            "num_minibatches",
            self.num_minibatches,
            f"must divide num_envs * rollout_length = {self.num_envs} * {self.rollout_length} = {self.rollout_size}",
        )

    @property
    def rollout_size(self) -> int:
        """Transitions of a rollout."""
        return self.num_envs * self.rollout_length


def descend(
    loss: Callable[[PyTree, PyTree], tuple[Array, dict[str, Array]]],
    optimizer: optax.GradientTransformation,
    params: PyTree,
    opt_state: optax.OptState,
    rollout: PyTree,
    key: Key,
    config: Config,
    hp: Any,
) -> tuple[PyTree, optax.OptState, dict[str, Array]]:
    """``num_epochs`` passes of gradient descent over a rollout, each in minibatches of an order of its own.

    The optimiser sees the parameters as one vector: many small steps are made of fewer, larger operations.

    Args:
        loss: ``loss(params, minibatch) -> value, metrics``.
        optimizer: a direction without a learning rate.
        params: parameters.
        opt_state: ``optimizer.init`` of the parameters as one vector.
        rollout: leaves ``[T, B, ...]``.
        key: consumed.
        config: static configuration.
        hp: with ``learning_rate`` and ``max_grad_norm``.

    Returns:
        The parameters, the optimiser's state, and the means of the metrics over all minibatches.
    """
    size = config.rollout_size
    data = jax.tree.map(lambda x: x.reshape(size, *x.shape[2:]), rollout)
    vector, unravel = ravel_pytree(params)

    def gradient_step(carry, indices):
        vector, opt_state = carry
        minibatch = jax.tree.map(lambda x: x[indices], data)
        gradients, metrics = jax.grad(lambda vector: loss(unravel(vector), minibatch), has_aux=True)(vector)
        vector, opt_state, grad_norm = apply_gradients(
            optimizer, vector, opt_state, gradients, learning_rate=hp.learning_rate, max_grad_norm=hp.max_grad_norm
        )
        return (vector, opt_state), {**metrics, "grad_norm": grad_norm}

    indices = minibatch_indices(key, size, config.num_epochs, config.num_minibatches)
    (vector, opt_state), metrics = jax.lax.scan(gradient_step, (vector, opt_state), indices)
    return unravel(vector), opt_state, jax.tree.map(jnp.mean, metrics)
