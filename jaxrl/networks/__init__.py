"""Shapes: torsos, heads and the distributions of policies."""

from jaxrl.networks.distributions import Categorical, DiagonalGaussian
from jaxrl.networks.heads import QHead, ValueHead
from jaxrl.networks.policies import CategoricalHead, GaussianHead, policy_head
from jaxrl.networks.torsos import ACTIVATIONS, MLP

__all__ = [
    "ACTIVATIONS", "MLP", "Categorical", "CategoricalHead", "DiagonalGaussian", "GaussianHead", "QHead", "ValueHead",
    "policy_head",
]  # fmt: skip
