"""The distributions of policies, as small pytrees with the method names of distrax.

distrax's categorical renormalises its logits and checks them for NaN in every call, which in a rollout's
loop doubles the operations of a step. These are the few lines that a policy needs; distrax's wider choice
works in their place wherever a policy head returns a distribution.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

QUADRATURE_NODES = 24
"""Of the entropy of a squashed Gaussian, in each dimension."""


class Categorical(NamedTuple):
    """A categorical distribution over the last axis of ``logits`` ``[..., A]``, normalised or not."""

    logits: Array

    def sample(self, *, seed: Array) -> Array:
        """``[...]`` integers, by the Gumbel-max trick."""
        return jax.random.categorical(seed, self.logits)

    def mode(self) -> Array:
        """``[...]`` the most probable action."""
        return jnp.argmax(self.logits, axis=-1)

    def log_prob(self, action: Array) -> Array:
        """``[...]``, for integers ``[...]``."""
        log_probs = jax.nn.log_softmax(self.logits)
        return jnp.take_along_axis(log_probs, action[..., None].astype(jnp.int32), axis=-1)[..., 0]

    def entropy(self) -> Array:
        """``[...]`` in nats; actions of probability zero (logit -inf) contribute nothing."""
        log_probs = jax.nn.log_softmax(self.logits)
        return -_expectation(log_probs, log_probs)

    def kl_divergence(self, other: Categorical) -> Array:
        """``[...]`` ``KL(self || other)`` in nats."""
        p, q = jax.nn.log_softmax(self.logits), jax.nn.log_softmax(other.logits)
        return _expectation(p, p - q)


def _expectation(log_probs: Array, x: Array) -> Array:
    """The mean of ``x`` over the last axis. Where the probability is zero, ``x`` is replaced before the
    product, so that an infinite one makes no NaN in the gradient either."""
    probs = jnp.exp(log_probs)
    return jnp.sum(probs * jnp.where(probs > 0, x, 0.0), axis=-1)


class DiagonalGaussian(NamedTuple):
    """Independent Gaussians over the last axis: ``mean`` and ``log_std`` ``[..., n]``."""

    mean: Array
    log_std: Array

    def sample(self, *, seed: Array) -> Array:
        """``[..., n]``."""
        return self.mean + jnp.exp(self.log_std) * jax.random.normal(seed, self.mean.shape)

    def mode(self) -> Array:
        """``[..., n]`` the mean."""
        return self.mean

    def log_prob(self, action: Array) -> Array:
        """``[...]`` joint log-density of ``[..., n]``."""
        chex.assert_equal_shape_suffix([action, self.mean], 1)
        return _standard_log_prob((action - self.mean) * jnp.exp(-self.log_std), self.log_std)

    def entropy(self) -> Array:
        """``[...]`` joint differential entropy in nats."""
        log_std = jnp.broadcast_to(self.log_std, self.mean.shape)
        return jnp.sum(log_std + 0.5 * (1 + math.log(2 * math.pi)), axis=-1)

    def kl_divergence(self, other: DiagonalGaussian) -> Array:
        """``[...]`` ``KL(self || other)`` in nats."""
        ratio = jnp.exp(2 * (self.log_std - other.log_std))
        distance = ((self.mean - other.mean) * jnp.exp(-other.log_std)) ** 2
        return jnp.sum(0.5 * (ratio + distance - 1) - self.log_std + other.log_std, axis=-1)


class SquashedGaussian(NamedTuple):
    """``tanh(u)`` of a diagonal Gaussian ``u``: ``mean`` and ``log_std`` ``[..., n]``, actions in ``(-1, 1)``.

    It has no entropy in closed form: ``entropy`` is a quadrature, and ``-log_prob`` of a sample is an estimate.

    Source: Haarnoja et al. 2018 (arXiv 1812.05905), appendix C.
    """

    mean: Array
    log_std: Array

    def sample(self, *, seed: Array) -> Array:
        """``[..., n]``."""
        return jnp.tanh(DiagonalGaussian(self.mean, self.log_std).sample(seed=seed))

    def mode(self) -> Array:
        """``[..., n]`` the squashed mean: the median of each dimension, and what is usual in evaluation."""
        return jnp.tanh(self.mean)

    def sample_and_log_prob(self, *, seed: Array) -> tuple[Array, Array]:
        """A sample and its log-density, exact however near to a bound the action is."""
        z = jax.random.normal(seed, self.mean.shape)
        u = self.mean + jnp.exp(self.log_std) * z
        return jnp.tanh(u), _standard_log_prob(z, self.log_std) - _log_tanh_slope(u)

    def log_prob(self, action: Array) -> Array:
        """``[...]`` joint log-density of ``[..., n]``; float32 knows actions next to a bound only roughly."""
        largest = 1.0 - jnp.finfo(action.dtype).epsneg
        u = jnp.arctanh(jnp.clip(action, -largest, largest))
        return DiagonalGaussian(self.mean, self.log_std).log_prob(u) - _log_tanh_slope(u)

    def entropy(self) -> Array:
        """``[...]`` joint differential entropy in nats: that of ``u``, and the mean of ``log(1 - tanh(u)^2)`` by
        Gauss-Hermite quadrature, to 1e-3 for deviations up to 2."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(QUADRATURE_NODES)
        gaussian = DiagonalGaussian(self.mean, self.log_std)
        expand = lambda x: x.reshape(-1, *(1,) * self.mean.ndim).astype(np.float32)
        u = self.mean + jnp.exp(self.log_std) * expand(nodes)
        weights = expand(weights / weights.sum())[..., 0]
        return gaussian.entropy() + jnp.sum(weights * _log_tanh_slope(u), axis=0)

    def kl_divergence(self, other: SquashedGaussian) -> Array:
        """``[...]`` ``KL(self || other)`` in nats: that of the Gaussians, since tanh is one-to-one."""
        return DiagonalGaussian(self.mean, self.log_std).kl_divergence(DiagonalGaussian(other.mean, other.log_std))


def _standard_log_prob(z: Array, log_std: Array) -> Array:
    """``[...]`` joint log-density of a Gaussian where it is ``z`` ``[..., n]`` deviations from its mean."""
    return -jnp.sum(0.5 * z**2 + log_std + 0.5 * math.log(2 * math.pi), axis=-1)


def _log_tanh_slope(u: Array) -> Array:
    """``[...]`` sum of ``log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u))`` over the last axis, at any ``u``."""
    return jnp.sum(2.0 * (math.log(2.0) - u - jax.nn.softplus(-2.0 * u)), axis=-1)


class MultiCategorical(NamedTuple):
    """Independent categorical distributions: ``logits`` ``[..., k, n]``, with -inf where one has fewer than ``n``
    choices."""

    logits: Array

    def sample(self, *, seed: Array) -> Array:
        """``[..., k]`` integers."""
        return Categorical(self.logits).sample(seed=seed)

    def mode(self) -> Array:
        """``[..., k]`` the most probable actions."""
        return Categorical(self.logits).mode()

    def log_prob(self, action: Array) -> Array:
        """``[...]`` joint log-probability of integers ``[..., k]``."""
        chex.assert_equal(action.shape[-1], self.logits.shape[-2])
        return jnp.sum(Categorical(self.logits).log_prob(action), axis=-1)

    def entropy(self) -> Array:
        """``[...]`` joint entropy in nats."""
        return jnp.sum(Categorical(self.logits).entropy(), axis=-1)

    def kl_divergence(self, other: MultiCategorical) -> Array:
        """``[...]`` ``KL(self || other)`` in nats."""
        return jnp.sum(Categorical(self.logits).kl_divergence(Categorical(other.logits)), axis=-1)


class Beta(NamedTuple):
    """Independent Beta distributions, stretched to ``[-1, 1]``: ``alpha`` and ``beta`` ``[..., n]``, above 1.

    Unlike a clipped Gaussian's, its density is all within the bounds.

    Source: Chou, Maturana & Scherer 2017, "Improving stochastic policy gradients in continuous control with deep
    reinforcement learning using the Beta distribution", section 4.
    """

    alpha: Array
    beta: Array

    def sample(self, *, seed: Array) -> Array:
        """``[..., n]`` within ``(-1, 1)``."""
        return 2 * _inside(jax.random.beta(seed, self.alpha, self.beta)) - 1

    def mode(self) -> Array:
        """``[..., n]`` the densest action."""
        # Where both are 1 to the last bit, the density is flat.
        total = self.alpha + self.beta - 2
        return jnp.where(total > 0, 2 * (self.alpha - 1) / jnp.where(total > 0, total, 1) - 1, 0.0)

    def log_prob(self, action: Array) -> Array:
        """``[...]`` joint log-density of ``[..., n]``."""
        chex.assert_equal_shape_suffix([action, self.alpha], 1)
        x = _inside((action + 1) / 2)
        each = (self.alpha - 1) * jnp.log(x) + (self.beta - 1) * jnp.log1p(-x) - self._log_normalizer()
        return jnp.sum(each - math.log(2), axis=-1)

    def entropy(self) -> Array:
        """``[...]`` joint differential entropy in nats."""
        a, b, digamma = self.alpha, self.beta, jax.scipy.special.digamma
        each = self._log_normalizer() - (a - 1) * digamma(a) - (b - 1) * digamma(b) + (a + b - 2) * digamma(a + b)
        return jnp.sum(each + math.log(2), axis=-1)

    def kl_divergence(self, other: Beta) -> Array:
        """``[...]`` ``KL(self || other)`` in nats."""
        a, b, digamma = self.alpha, self.beta, jax.scipy.special.digamma
        da, db = a - other.alpha, b - other.beta
        each = da * digamma(a) + db * digamma(b) - (da + db) * digamma(a + b)
        return jnp.sum(each + other._log_normalizer() - self._log_normalizer(), axis=-1)

    def _log_normalizer(self) -> Array:
        log_gamma = jax.scipy.special.gammaln
        return log_gamma(self.alpha) + log_gamma(self.beta) - log_gamma(self.alpha + self.beta)


def _inside(x: Array) -> Array:
    """Off the ends of ``[0, 1]``, where a density has no logarithm."""
    return jnp.clip(x, 1e-6, 1 - 1e-6)


class Product(NamedTuple):
    """Independent distributions of the parts of an action: a dictionary or a tuple of them, and so is the action."""

    parts: dict[str, Any] | tuple[Any, ...]

    def sample(self, *, seed: Array) -> Any:
        """An action in the structure of the parts."""
        seeds = iter(jax.random.split(seed, len(self.parts)))
        return self._each(lambda part: part.sample(seed=next(seeds)))

    def mode(self) -> Any:
        """Each part's most probable action."""
        return self._each(lambda part: part.mode())

    def log_prob(self, action: Any) -> Array:
        """``[...]`` joint log-density."""
        return sum(part.log_prob(action[name]) for name, part in self._items())

    def entropy(self) -> Array:
        """``[...]`` joint entropy in nats."""
        return sum(part.entropy() for _, part in self._items())

    def kl_divergence(self, other: Product) -> Array:
        """``[...]`` ``KL(self || other)`` in nats."""
        return sum(part.kl_divergence(other.parts[name]) for name, part in self._items())

    def _items(self) -> list[tuple[Any, Any]]:
        return list(self.parts.items() if isinstance(self.parts, dict) else enumerate(self.parts))

    def _each(self, function: Callable[[Any], Any]) -> Any:
        made = {name: function(part) for name, part in self._items()}
        return made if isinstance(self.parts, dict) else tuple(made.values())


Distribution = Any
"""Anything with ``sample(seed=)``, ``mode()``, ``log_prob(action)`` and ``entropy()``: the above, or distrax's."""
