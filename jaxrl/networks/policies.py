"""Policy heads: from features to a distribution over the actions of a space.

Every head is called with features ``[..., n]`` and, where actions may be forbidden, with a mask ``[..., num_choices]``
of booleans (see ``jaxrl.observations``). A forbidden action has probability zero, in the entropy and the divergence
too.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from gymnasium import spaces

from jaxrl import observations
from jaxrl import spaces as jax_spaces
from jaxrl.networks.activations import ACTIVATIONS, RISES, undone
from jaxrl.networks.distributions import (
    Beta,
    Categorical,
    DiagonalGaussian,
    MultiCategorical,
    Product,
    SquashedGaussian,
)
from jaxrl.networks.initializers import Initializer, orthogonal
from jaxrl.validation import require

Array = jax.Array

CONTINUOUS = ("gaussian", "squashed_gaussian", "beta")
"""Distributions of a ``Box``."""
STD_PARAMETRIZATIONS = ("exp", "softplus", "linear")
"""How a standard deviation is made of a number without bounds (``std_from``)."""


class CategoricalHead(nn.Module):
    """A categorical distribution over ``num_actions``, from features ``[..., n]``."""

    num_actions: int
    kernel_init: Initializer = orthogonal(0.01)

    @nn.compact
    def __call__(self, x: Array, mask: Array | None = None) -> Categorical:
        return Categorical(_masked(nn.Dense(self.num_actions, kernel_init=self.kernel_init)(x), mask))


class MultiCategoricalHead(nn.Module):
    """Independent categorical distributions of ``sizes`` choices, from features ``[..., n]``."""

    sizes: Sequence[int]
    kernel_init: Initializer = orthogonal(0.01)

    @nn.compact
    def __call__(self, x: Array, mask: Array | None = None) -> MultiCategorical:
        logits = _masked(nn.Dense(sum(self.sizes), kernel_init=self.kernel_init)(x), mask)
        largest, start, rows = max(self.sizes), 0, []
        for size in self.sizes:
            row = logits[..., start : start + size]
            missing = jnp.full((*row.shape[:-1], largest - size), -jnp.inf)
            rows.append(jnp.concatenate([row, missing], axis=-1))
            start += size
        return MultiCategorical(jnp.stack(rows, axis=-2))


class GaussianHead(nn.Module):
    """A diagonal Gaussian over ``[size]`` actions.

    Attributes:
        size: dimensions.
        initial_log_std: logarithm of the deviation at the start.
        kernel_init: of the layers.
        state_dependent: whether the deviation is an output of the network; else it is a free parameter.
        parametrization: one of ``STD_PARAMETRIZATIONS``.
        min_std: the floor of ``softplus`` and ``linear``.
        squashed: whether actions are ``tanh`` of what is drawn.
        mean_activation: of the layer that makes the mean, a key of ``ACTIVATIONS``.
        std_activation: of the number that the deviation is made of, before the parametrisation; the deviation starts
            the same whatever it is.

    Source: Schulman et al. 2015 (TRPO), appendix D, for the free parameter; the common choice of PPO implementations.
    rl_games, ``mu_activation`` and ``sigma_activation``.
    """

    size: int
    initial_log_std: float = 0.0
    kernel_init: Initializer = orthogonal(0.01)
    state_dependent: bool = False
    parametrization: str = "exp"
    min_std: float = 0.0
    squashed: bool = False
    mean_activation: str = "identity"
    std_activation: str = "identity"

    @nn.compact
    def __call__(self, x: Array, mask: Array | None = None) -> DiagonalGaussian | SquashedGaussian:
        del mask
        mean = ACTIVATIONS[self.mean_activation](nn.Dense(self.size, kernel_init=self.kernel_init)(x))
        exp = self.parametrization == "exp"
        start = raw_std(math.exp(self.initial_log_std), self.parametrization, self.min_std, self.std_activation)
        exact = exp and self.std_activation == "identity"
        start = nn.initializers.constant(self.initial_log_std if exact else start)
        if self.state_dependent:
            raw = nn.Dense(self.size, kernel_init=self.kernel_init, bias_init=start)(x)
        else:
            raw = jnp.broadcast_to(self.param("log_std", start, (self.size,)), mean.shape)
        raw = ACTIVATIONS[self.std_activation](raw)
        log_std = raw if exp else jnp.log(std_from(raw, self.parametrization, self.min_std))
        return (SquashedGaussian if self.squashed else DiagonalGaussian)(mean, log_std)


LOG_STD_BOUNDS = ("clip", "tanh")


class SquashedGaussianHead(nn.Module):
    """A squashed Gaussian over ``[size]`` actions, mean and log standard deviation both of the features.

    The deviation is kept within bounds: ``clip`` cuts what the layer says, ``tanh`` maps it to them smoothly,
    ``low + (high - low) (tanh(x) + 1) / 2``.

    Source: Haarnoja et al. 2018 (arXiv 1812.05905), appendix C.
    """

    size: int
    log_std_bounds: tuple[float, float] = (-20.0, 2.0)
    bounding: str = "clip"
    kernel_init: Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Array) -> SquashedGaussian:
        mean, log_std = jnp.split(nn.Dense(2 * self.size, kernel_init=self.kernel_init)(x), 2, axis=-1)
        low, high = self.log_std_bounds
        if self.bounding == "clip":
            return SquashedGaussian(mean, jnp.clip(log_std, low, high))
        return SquashedGaussian(mean, low + 0.5 * (high - low) * (jnp.tanh(log_std) + 1.0))


class DeterministicHead(nn.Module):
    """One action ``[size]`` in ``(-1, 1)``, by tanh.

    Source: Lillicrap et al. 2016 (arXiv 1509.02971), section 7.
    """

    size: int
    kernel_init: Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        return jnp.tanh(nn.Dense(self.size, kernel_init=self.kernel_init)(x))


class BetaHead(nn.Module):
    """A Beta distribution over ``[size]`` actions in ``[-1, 1]``, with ``alpha = 1 + softplus(.)``, and so ``beta``.

    Source: Chou, Maturana & Scherer 2017, section 4.
    """

    size: int
    kernel_init: Initializer = orthogonal(0.01)

    @nn.compact
    def __call__(self, x: Array, mask: Array | None = None) -> Beta:
        del mask
        raw = nn.Dense(2 * self.size, kernel_init=self.kernel_init)(x)
        return Beta(*jnp.split(1 + jax.nn.softplus(raw), 2, axis=-1))


class ProductHead(nn.Module):
    """Independent distributions of the parts of a ``Dict`` or ``Tuple`` action, all from the same features.

    Attributes:
        parts: for each part its key, what makes its head, and how many entries of the mask are its own.
        named: whether the action is a dictionary; else it is a tuple.
    """

    parts: Sequence[tuple[Any, Callable[[], nn.Module], int]]
    named: bool

    @nn.compact
    def __call__(self, x: Array, mask: Array | None = None) -> Product:
        made, start = {}, 0
        for name, head, choices in self.parts:
            own = None if mask is None or choices == 0 else mask[..., start : start + choices]
            made[name] = head()(x, own)
            start += choices
        return Product(made if self.named else tuple(made.values()))


def policy_head(
    space: spaces.Space, continuous: str = "gaussian", kernel_init: Initializer = orthogonal(0.01), **gaussian: Any
) -> nn.Module:
    """The stochastic policy head for an action space.

    Args:
        space: ``Discrete``, ``MultiDiscrete`` or ``MultiBinary`` with one axis, a one-dimensional ``Box``, or a
            ``Dict`` or ``Tuple`` of such spaces.
        continuous: the distribution of a ``Box``, one of ``CONTINUOUS``.
        kernel_init: of the head's layers, whatever the distribution.
        **gaussian: further attributes of ``GaussianHead``.

    Raises:
        ValueError: for another space, or a ``Box`` without bounds and a distribution that has some.
    """
    match space:
        case spaces.Discrete():
            return CategoricalHead(int(space.n), kernel_init)
        case spaces.MultiDiscrete(shape=(_,)):
            return MultiCategoricalHead(tuple(int(n) for n in space.nvec), kernel_init)
        case spaces.MultiBinary(shape=(size,)):
            return MultiCategoricalHead((2,) * size, kernel_init)
        case spaces.Box(shape=(size,)):
            bounded = continuous == "gaussian" or space.is_bounded()
            require(bounded, "continuous", continuous, f"needs an action space with bounds, got {space}")
            if continuous == "beta":
                return BetaHead(size, kernel_init)
            squashed = continuous == "squashed_gaussian"
            return GaussianHead(size, kernel_init=kernel_init, squashed=squashed, **gaussian)
        case spaces.Dict() | spaces.Tuple():
            parts = []
            for name, s in jax_spaces.children(space).items():
                make = functools.partial(policy_head, s, continuous, kernel_init, **gaussian)
                make()  # refuse an unsupported space now
                parts.append((name, make, observations.num_choices(s)))
            return ProductHead(tuple(parts), isinstance(space, spaces.Dict))
    raise ValueError(
        "a stochastic policy needs a Discrete or one-dimensional Box, MultiDiscrete or MultiBinary action space, or a "
        f"Dict or Tuple of such, got {space}"
    )


def std_from(raw: Array, parametrization: str, min_std: float = 0.0) -> Array:
    """A standard deviation of a number without bounds; below the floor there still is a gradient.

    ``exp``: ``exp(r)``; ``softplus``: ``softplus(r) + min_std``; ``linear``: ``floor + softplus(r - floor)`` with
    ``floor = max(min_std, 1e-3)``, which is nearly ``r`` itself above it.

    Source: rl_games, ``sigma_parametrization``.
    """
    if parametrization == "exp":
        return jnp.exp(raw)
    if parametrization == "softplus":
        return jax.nn.softplus(raw) + min_std
    floor = max(min_std, 1e-3)
    return floor + jax.nn.softplus(raw - floor)


def raw_std(std: float, parametrization: str, min_std: float = 0.0, activation: str = "identity") -> float:
    """The number without bounds, on the host, that an activation and then ``std_from`` make a deviation of.

    Raises:
        ValueError: if the deviation is not above the floor, or the activation never gives what it needs, or only where
            there is no gradient.
    """
    if parametrization == "exp":
        raw = math.log(std)
    else:
        floor = min_std if parametrization == "softplus" else max(min_std, 1e-3)
        require(std > floor, "initial_std", std, f"must be above the floor of {floor:g} (min_std)")
        # log(exp(x) - 1), which does not overflow where x is large.
        above = std - floor
        raw = above + math.log(-math.expm1(-above)) + (0.0 if parametrization == "softplus" else floor)
    start = undone(activation, raw)
    if start is None:
        low, high = RISES[activation].low, RISES[activation].high
        raise ValueError(
            f"initial_std={std!r}: must be {'larger' if raw <= low else 'smaller'}: std_activation={activation!r} "
            f"rises from {low:g} to {high:g}, and std_parametrization={parametrization!r} makes this deviation of "
            f"{raw:.3g}"
        )
    return start


def _masked(logits: Array, mask: Array | None) -> Array:
    return logits if mask is None else jnp.where(mask, logits, -jnp.inf)
