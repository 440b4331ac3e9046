"""Presets of the paper of PQN (Gallici et al. 2024, arXiv 2407.04811), from its code, purejaxql."""

from __future__ import annotations

from jaxrl.experiment.presets.preset import Preset
from jaxrl.ramps import linear

CARTPOLE = Preset(
    name="pqn/paper-cartpole",
    algorithm="pqn",
    env="CartPole-v1",
    source="purejaxql, config/alg/pqn_cartpole.yaml (Gallici et al. 2024)",
    hyperparameters={
        "learning_rate": linear(1e-4, 0.0, fraction=1.0),
        "discount": 0.99,
        "q_lambda": 0.95,
        "epsilon": linear(1.0, 0.2, fraction=0.2),
        "max_grad_norm": 10.0,
    },
    config={
        "num_envs": 32,
        "rollout_length": 64,
        "num_epochs": 4,
        "num_minibatches": 16,
        "hidden_sizes": (256, 256),
        "layer_norm": True,
    },
    total_steps=500_000,
    reward_scale=0.1,
)

MINATAR = Preset(
    name="pqn/paper-minatar",
    algorithm="pqn",
    env="MinAtar",
    source=(
        "purejaxql, config/alg/pqn_minatar.yaml and pqn_minatar.py (Gallici et al. 2024); observations, of zeros "
        "and ones, are divided by 255 there"
    ),
    hyperparameters={
        "learning_rate": linear(5e-4, 0.0, fraction=1.0),
        "discount": 0.99,
        "q_lambda": 0.65,
        "epsilon": linear(1.0, 0.05, fraction=0.1),
        "max_grad_norm": 10.0,
    },
    config={
        "num_envs": 128,
        "rollout_length": 32,
        "num_epochs": 2,
        "num_minibatches": 32,
        "torso": "minatar_cnn",
        "hidden_sizes": (128,),
        "layer_norm": True,
    },
    total_steps=10_000_000,
)

PRESETS = [
    CARTPOLE,
    MINATAR,
]
