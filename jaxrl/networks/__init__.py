"""Shapes: torsos, heads and the distributions of policies."""

from jaxrl.networks.activations import ACTIVATIONS
from jaxrl.networks.actor_critic import Actor, Critic, Layers
from jaxrl.networks.batch_renorm import BatchRenorm
from jaxrl.networks.distributions import (
    Beta,
    Categorical,
    DiagonalGaussian,
    MultiCategorical,
    Product,
    SquashedGaussian,
)
from jaxrl.networks.ensemble import Ensemble
from jaxrl.networks.heads import QHead, QuantileEmbedding, ValueHead, ValuesHead
from jaxrl.networks.images import Convolutions, ConvSettings, ImpalaResNet, MinAtarCNN, NatureCNN
from jaxrl.networks.initializers import orthogonal
from jaxrl.networks.noisy import Noise, NoisyDense
from jaxrl.networks.policies import (
    BetaHead,
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    MultiCategoricalHead,
    ProductHead,
    SquashedGaussianHead,
    policy_head,
)
from jaxrl.networks.recurrent import Recurrent, RecurrentTorso
from jaxrl.networks.torsos import MLP, Torso, torso_input, torso_kind

__all__ = [
    "ACTIVATIONS", "MLP", "Actor", "BatchRenorm", "Beta", "BetaHead", "Categorical", "CategoricalHead", "ConvSettings",
    "Convolutions", "Critic", "DeterministicHead", "DiagonalGaussian", "Ensemble", "GaussianHead", "ImpalaResNet",
    "Layers", "MinAtarCNN", "MultiCategorical", "MultiCategoricalHead", "NatureCNN", "Noise", "NoisyDense", "Product",
    "ProductHead", "QHead", "QuantileEmbedding", "Recurrent", "RecurrentTorso", "SquashedGaussian",
    "SquashedGaussianHead", "Torso", "ValueHead", "ValuesHead", "orthogonal", "policy_head", "torso_input",
    "torso_kind",
]  # fmt: skip
