"""Shapes: torsos, heads and the distributions of policies."""

from jaxrl.networks.distributions import Categorical, DiagonalGaussian
from jaxrl.networks.heads import QHead, QuantileEmbedding, ValueHead
from jaxrl.networks.noisy import Noise, NoisyDense
from jaxrl.networks.policies import CategoricalHead, GaussianHead, policy_head
from jaxrl.networks.torsos import ACTIVATIONS, MLP, ImpalaResNet, MinAtarCNN, NatureCNN, Torso, torso_input, torso_kind

__all__ = [
    "ACTIVATIONS", "MLP", "Categorical", "CategoricalHead", "DiagonalGaussian", "GaussianHead", "ImpalaResNet",
    "MinAtarCNN", "NatureCNN", "Noise", "NoisyDense", "QHead", "QuantileEmbedding", "Torso", "ValueHead", "policy_head",
    "torso_input", "torso_kind",
]  # fmt: skip
