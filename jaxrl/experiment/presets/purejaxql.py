"""Presets of the paper of PQN (Gallici et al. 2024, arXiv 2407.04811), from its code, purejaxql."""

from __future__ import annotations

from jaxrl.experiment.presets.preset import Preset
from jaxrl.ramps import linear

COMMIT = "mttga/purejaxql@47af6d7"
_DIFFERS = ("the learning rate falls with each gradient step there, with each rollout here",)

CARTPOLE = Preset(
    name="pqn/paper-cartpole",
    algorithm="pqn",
    env="CartPole-v1",
    source="purejaxql (Gallici et al. 2024), purejaxql/config/alg/pqn_cartpole.yaml and purejaxql/pqn_gymnax.py",
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
        # Flax's own, where pqn_minatar.py has He's.
        "kernel_init": "lecun_normal",
        "layer_norm": True,
    },
    total_steps=500_000,
    reward_scale=0.1,
    commit=COMMIT,
    differs=_DIFFERS,
    changed="2026-12-01",
)

MINATAR = Preset(
    name="pqn/paper-minatar",
    algorithm="pqn",
    env="MinAtar",
    source="purejaxql (Gallici et al. 2024), purejaxql/config/alg/pqn_minatar.yaml and purejaxql/pqn_minatar.py",
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
        "kernel_init": "kaiming_normal",
        "layer_norm": True,
    },
    total_steps=10_000_000,
    commit=COMMIT,
    differs=(*_DIFFERS, "observations, of zeros and ones, are divided by 255 there"),
)

PRESETS = [
    CARTPOLE,
    MINATAR,
]
