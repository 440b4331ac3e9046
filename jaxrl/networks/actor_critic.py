"""Networks of actor-critics with separate actors and critics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.networks.activations import ACTIVATIONS
from jaxrl.networks.batch_renorm import BatchRenorm
from jaxrl.networks.initializers import Initializer
from jaxrl.networks.torsos import Torso

Array = jax.Array

NORMALIZATIONS = ("none", "layer", "batch")


class Layers(nn.Module):
    """Dense layers that an action may join, with normalisation and dropout: ``[B, n]`` to ``[B, hidden_sizes[-1]]``.

    A layer is: action joins, batch renormalisation, dense, dropout, layer normalisation, activation. What comes out of
    the last is batch-renormalised too, so that every dense layer has such an input.

    Dropout is on in calls with an rng ``dropout``.

    Attributes:
        hidden_sizes: width of each layer.
        activation: a key of ``ACTIVATIONS``.
        normalization: ``none``, ``layer`` or ``batch``.
        dropout: the share of outputs that is set to zero.
        action_layers: the layers, from 0 on, whose input the action is appended to.

    Source: Lillicrap et al. 2016 (arXiv 1509.02971), section 7, for an action at layer 1; Hiraoka et al. 2022 (arXiv
    2110.02034), section 3, for dropout before layer normalisation.
    """

    hidden_sizes: Sequence[int]
    activation: str = "relu"
    normalization: str = "none"
    dropout: float = 0.0
    action_layers: Sequence[int] = (0,)

    @nn.compact
    def __call__(self, x: Array, action: Array | None = None, *, train: bool = False) -> Array:
        renormalize = lambda x: BatchRenorm()(x, train) if self.normalization == "batch" else x
        for i, size in enumerate(self.hidden_sizes):
            if action is not None and i in self.action_layers:
                x = jnp.concatenate([x, action], axis=-1)
            x = nn.Dense(size)(renormalize(x))
            if self.dropout > 0.0:
                x = nn.Dropout(self.dropout, deterministic=not self.has_rng("dropout"))(x)
            if self.normalization == "layer":
                x = nn.LayerNorm()(x)
            x = ACTIVATIONS[self.activation](x)
        return renormalize(x)


class Actor(nn.Module):
    """Inputs ``[B, ...]`` to what its head makes of features, and of a mask ``[B, A]`` of actions if there is one.

    Attributes:
        kind: of ``torso_kind``; convolutions, if any, come first.
        layers: makes the ``Layers``.
        head: makes the head.
    """

    kind: str
    layers: Callable[[], Layers]
    head: Callable[[], nn.Module]

    @nn.compact
    def __call__(self, x: Any, allowed: Array | None = None, *, train: bool = False) -> Any:
        features = self.layers()(Torso(self.kind, ())(x), train=train)
        return self.head()(features) if allowed is None else self.head()(features, allowed)


class Critic(nn.Module):
    """Inputs ``[B, ...]``, and actions ``[B, m]`` if it takes them, to values ``[B]`` or ``[B, outputs]``.

    Attributes:
        kind: of ``torso_kind``; convolutions, if any, come first.
        layers: makes the ``Layers``.
        outputs: numbers for each row, such as quantiles or values of all actions; None for a single one, without a
            trailing axis that could broadcast.
        kernel_init: of the last layer.
    """

    kind: str
    layers: Callable[[], Layers]
    outputs: int | None = None
    kernel_init: Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Any, action: Array | None = None, *, train: bool = False) -> Array:
        x = self.layers()(Torso(self.kind, ())(x), action, train=train)
        x = nn.Dense(self.outputs or 1, kernel_init=self.kernel_init)(x)
        return x[..., 0] if self.outputs is None else x
