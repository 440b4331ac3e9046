"""Heads: from features to values, action values and distributions' parameters."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.networks.activations import ACTIVATIONS
from jaxrl.networks.initializers import Initializer
from jaxrl.networks.noisy import Noise, NoisyDense, noise_size

Array = jax.Array


class ValueHead(nn.Module):
    """A state value: features ``[..., n]`` to ``[...]`` (no trailing axis that could broadcast)."""

    kernel_init: Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        return nn.Dense(1, kernel_init=self.kernel_init)(x)[..., 0]


class ValuesHead(nn.Module):
    """Several numbers for a state: features ``[..., n]`` to ``[..., outputs]``, such as a value for each reward of a
    vector."""

    outputs: int
    kernel_init: Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        return nn.Dense(self.outputs, kernel_init=self.kernel_init)(x)


class QHead(nn.Module):
    """Action values ``[B, num_actions]``, or ``outputs`` numbers for each action ``[B, num_actions, outputs]``.

    Dueling: ``Q(s, a) = V(s) + A(s, a) - mean_a A(s, a)``, the mean taken over the actions that the state allows; with
    several outputs, for each of them.

    It is called with features ``[B, ..., n]``, ``Noise`` or None, and ``[B, A]`` booleans of the allowed actions; None
    if all are.

    Attributes:
        num_actions: A.
        dueling: whether value and advantage have separate streams.
        outputs: atoms or quantiles of each action; 1 for plain values, without a trailing axis.
        hidden_sizes: widths of the head's own dense layers, each stream's if it is dueling.
        activation: of those layers.
        noise: ``none``, or ``factorised`` or ``independent`` noise on all layers of the head.
        sigma: initial deviation of factorised noise.

    Source: Wang et al. 2016 (arXiv 1511.06581), equation 9; Hessel et al. 2018 (arXiv 1710.02298), section 3.
    """

    num_actions: int
    dueling: bool = False
    outputs: int = 1
    hidden_sizes: Sequence[int] = ()
    activation: str = "relu"
    noise: str = "none"
    sigma: float = 0.5

    @nn.compact
    def __call__(self, x: Array, noise: Noise | None = None, allowed: Array | None = None) -> Array:
        streams = {"advantage": self.num_actions, "value": 1} if self.dueling else {"q": self.num_actions}
        draws = self._draws(x, noise, streams.values())

        def dense(features: int, name: str, x: Array) -> Array:
            if self.noise == "none":
                return nn.Dense(features, name=name)(x)
            return NoisyDense(features, self.noise == "independent", self.sigma, name=name)(x, next(draws))

        def stream(name: str, width: int) -> Array:
            y = x
            for i, size in enumerate(self.hidden_sizes):
                y = ACTIVATIONS[self.activation](dense(size, f"{name}_{i}", y))
            y = dense(width * self.outputs, name, y)
            return y if self.outputs == 1 else y.reshape(*y.shape[:-1], width, self.outputs)

        made = [stream(name, width) for name, width in streams.items()]
        if not self.dueling:
            return made[0]
        advantage, value = made
        action_axis = -1 if self.outputs == 1 else -2
        if allowed is not None:
            between, outputs = (1,) * (x.ndim - 2), () if self.outputs == 1 else (1,)
            allowed = allowed.reshape(-1, *between, self.num_actions, *outputs)
        return value + advantage - jnp.mean(advantage, axis=action_axis, keepdims=True, where=allowed)

    def _draws(self, x: Array, noise: Noise | None, widths: Iterable[int]) -> Iterator[Array | None]:
        """The unit normals of each layer, in order."""
        layers = []
        for width in widths:
            sizes = [x.shape[-1], *self.hidden_sizes, width * self.outputs]
            layers += [noise_size(i, o, self.noise == "independent") for i, o in itertools.pairwise(sizes)]
        if noise is None:
            return iter([None] * len(layers))
        edges = list(itertools.accumulate(layers))[:-1]
        return iter(jnp.split(noise.draw(x.shape[0], sum(layers)), edges, axis=1))


class QuantileEmbedding(nn.Module):
    """Features of a state at sampled quantiles: ``x * relu(W cos(pi i tau) + b)``, ``i = 0 .. num_cosines - 1``.

    Features ``[B, n]`` and quantiles ``[B, N]`` give ``[B, N, n]``.

    Source: Dabney et al. 2018 (arXiv 1806.06923), equation 4.
    """

    num_cosines: int = 64

    @nn.compact
    def __call__(self, x: Array, taus: Array) -> Array:
        cosines = jnp.cos(jnp.pi * jnp.arange(self.num_cosines) * taus[..., None])
        return x[:, None, :] * jax.nn.relu(nn.Dense(x.shape[-1])(cosines))
