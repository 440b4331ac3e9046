"""Torsos: from observations to features."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

Array = jax.Array
Initializer = Callable[..., Array]

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "elu": jax.nn.elu,
    "selu": jax.nn.selu,
    "silu": jax.nn.silu,
    "swish": jax.nn.silu,
    "gelu": jax.nn.gelu,
    "softplus": jax.nn.softplus,
    "sigmoid": jax.nn.sigmoid,
    "identity": lambda x: x,
}


class MLP(nn.Module):
    """Dense layers with an activation after each: features ``[..., n]`` to ``[..., hidden_sizes[-1]]``.

    Attributes:
        hidden_sizes: width of each layer; none makes the identity.
        activation: a key of ``ACTIVATIONS``.
        kernel_init: initialiser of the kernels; biases start at zero.
    """

    hidden_sizes: Sequence[int]
    activation: str = "tanh"
    kernel_init: Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for size in self.hidden_sizes:
            x = ACTIVATIONS[self.activation](nn.Dense(size, kernel_init=self.kernel_init)(x))
        return x
