"""Shapes: torsos, heads and the distributions of policies."""

from jaxrl.networks.actor_critic import Actor, Critic, Layers
from jaxrl.networks.batch_renorm import BatchRenorm
from jaxrl.networks.distributions import Categorical, DiagonalGaussian, SquashedGaussian
from jaxrl.networks.ensemble import Ensemble
from jaxrl.networks.heads import QHead, QuantileEmbedding, ValueHead
from jaxrl.networks.noisy import Noise, NoisyDense
from jaxrl.networks.policies import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    SquashedGaussianHead,
    policy_head,
)
from jaxrl.networks.torsos import ACTIVATIONS, MLP, ImpalaResNet, MinAtarCNN, NatureCNN, Torso, torso_input, torso_kind

__all__ = [
    "ACTIVATIONS", "MLP", "Actor", "BatchRenorm", "Categorical", "CategoricalHead", "Critic", "DeterministicHead",
    "DiagonalGaussian", "Ensemble", "GaussianHead", "ImpalaResNet", "Layers", "MinAtarCNN", "NatureCNN", "Noise",
    "NoisyDense", "QHead", "QuantileEmbedding", "SquashedGaussian", "SquashedGaussianHead", "Torso", "ValueHead",
    "policy_head", "torso_input", "torso_kind",
]  # fmt: skip
