"""Shapes: torsos, heads and the distributions of policies."""

from jaxrl.networks.distributions import Beta, Categorical, DiagonalGaussian, MultiCategorical, Product
from jaxrl.networks.heads import QHead, QuantileEmbedding, ValueHead, ValuesHead
from jaxrl.networks.noisy import Noise, NoisyDense
from jaxrl.networks.policies import (
    BetaHead,
    CategoricalHead,
    GaussianHead,
    MultiCategoricalHead,
    ProductHead,
    policy_head,
)
from jaxrl.networks.recurrent import Recurrent, RecurrentTorso
from jaxrl.networks.torsos import ACTIVATIONS, MLP, ImpalaResNet, MinAtarCNN, NatureCNN, Torso, torso_input, torso_kind

__all__ = [
    "ACTIVATIONS", "MLP", "Beta", "BetaHead", "Categorical", "CategoricalHead", "DiagonalGaussian", "GaussianHead",
    "ImpalaResNet", "MinAtarCNN", "MultiCategorical", "MultiCategoricalHead", "NatureCNN", "Noise", "NoisyDense",
    "Product", "ProductHead", "QHead", "QuantileEmbedding", "Recurrent", "RecurrentTorso", "Torso", "ValueHead",
    "ValuesHead", "policy_head", "torso_input", "torso_kind",
]  # fmt: skip
