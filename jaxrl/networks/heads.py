"""Heads: from features to values, action values and distributions' parameters."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.networks.torsos import Initializer

Array = jax.Array


class ValueHead(nn.Module):
    """A state value: features ``[..., n]`` to ``[...]`` (no trailing axis that could broadcast)."""

    kernel_init: Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        return nn.Dense(1, kernel_init=self.kernel_init)(x)[..., 0]


class QHead(nn.Module):
    """Action values ``[..., num_actions]``, plain or dueling.

    Dueling: ``Q(s, a) = V(s) + A(s, a) - mean_a A(s, a)``, the mean taken over the actions.

    Source: Wang et al. 2016 (arXiv 1511.06581), equation 9.
    """

    num_actions: int
    dueling: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        advantage = nn.Dense(self.num_actions, name="advantage" if self.dueling else "q")(x)
        if not self.dueling:
            return advantage
        value = nn.Dense(1, name="value")(x)
        return value + advantage - jnp.mean(advantage, axis=-1, keepdims=True)
