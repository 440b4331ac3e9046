"""Policy heads: from features to a distribution over the actions of a space."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from gymnasium import spaces

from jaxrl.networks.distributions import Categorical, DiagonalGaussian, SquashedGaussian
from jaxrl.networks.torsos import Initializer

Array = jax.Array


class CategoricalHead(nn.Module):
    """A categorical distribution over ``num_actions``, from features ``[..., n]``."""

    num_actions: int
    kernel_init: Initializer = nn.initializers.orthogonal(0.01)

    @nn.compact
    def __call__(self, x: Array) -> Categorical:
        return Categorical(nn.Dense(self.num_actions, kernel_init=self.kernel_init)(x))


class GaussianHead(nn.Module):
    """A diagonal Gaussian over ``[size]`` actions whose log standard deviation is a free parameter.

    Source: Schulman et al. 2015 (TRPO), appendix D; the common choice of PPO implementations.
    """

    size: int
    initial_log_std: float = 0.0
    kernel_init: Initializer = nn.initializers.orthogonal(0.01)

    @nn.compact
    def __call__(self, x: Array) -> DiagonalGaussian:
        mean = nn.Dense(self.size, kernel_init=self.kernel_init)(x)
        log_std = self.param("log_std", nn.initializers.constant(self.initial_log_std), (self.size,))
        return DiagonalGaussian(mean, jnp.broadcast_to(log_std, mean.shape))


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


def policy_head(space: spaces.Space) -> nn.Module:
    """The stochastic policy head for an action space: categorical or diagonal Gaussian.

    Raises:
        ValueError: if the space is neither ``Discrete`` nor a one-dimensional ``Box``.
    """
    match space:
        case spaces.Discrete():
            return CategoricalHead(int(space.n))
        case spaces.Box(shape=(size,)):
            return GaussianHead(size)
    raise ValueError(f"a stochastic policy needs a Discrete or one-dimensional Box action space, got {space}")
