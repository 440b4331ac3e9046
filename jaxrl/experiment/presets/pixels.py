"""Presets for images that were tuned here, or taken over and found good; they are taken by themselves."""

from __future__ import annotations

import dataclasses

from jaxrl.experiment.presets import purejaxql
from jaxrl.experiment.presets.preset import Preset
from jaxrl.ramps import linear

MINATAR_HYPERPARAMETERS = {
    "learning_rate": 2.5e-4,
    "discount": 0.99,
    "epsilon": linear(1.0, 0.01, steps=100_000),
}
MINATAR_CONFIG = {
    "num_envs": 4,
    "hidden_sizes": (128,),
    "target_update": "hard",
    "target_update_period": 250,
    "buffer_size": 100_000,
    "batch_size": 32,
    "prefill": 5_000,
    "adam_epsilon": 3.125e-4,
}
"""The same network and as many updates for DQN and Rainbow, so that they can be compared."""
MINATAR_RAINBOW = MINATAR_CONFIG | {
    "v_min": 0.0, "v_max": 20.0, "adam_epsilon": 1e-5, "exploration": "epsilon_greedy",
}  # fmt: skip
"""Gradients of a cross-entropy are smaller than those of a squared error, and so is what is added to their root. The
games are deterministic: where noise alone explores, Breakout is left with the same few returns for long. Random actions
at the start help against that; later ones, beside the noise, end games early."""
MINATAR_RAINBOW_HYPERPARAMETERS = MINATAR_HYPERPARAMETERS | {"epsilon": linear(1.0, 0.0, steps=100_000)}

PRESETS = [
    Preset(
        name="dqn/MinAtar",
        algorithm="dqn",
        env="MinAtar",
        source="Obando-Ceron & Castro 2021 (arXiv 2011.14826), DQN with Adam and MSE; exploration shortened here",
        hyperparameters=MINATAR_HYPERPARAMETERS,
        config=MINATAR_CONFIG | {"double_q": False, "loss": "mse"},
        total_steps=1_000_000,
    ),
    Preset(
        name="rainbow/MinAtar",
        algorithm="rainbow",
        env="MinAtar",
        source="dqn/MinAtar, with atoms for returns of a game without punishments; noise takes over from epsilon",
        hyperparameters=MINATAR_RAINBOW_HYPERPARAMETERS,
        config=MINATAR_RAINBOW,
        total_steps=1_000_000,
    ),
    Preset(
        name="rainbow/SpaceInvaders-MinAtar",
        algorithm="rainbow",
        env="SpaceInvaders-MinAtar",
        source="rainbow/MinAtar, with atoms for greater returns",
        hyperparameters=MINATAR_RAINBOW_HYPERPARAMETERS,
        config=MINATAR_RAINBOW | {"v_max": 40.0},
        total_steps=1_000_000,
    ),
    dataclasses.replace(
        purejaxql.MINATAR,
        name="pqn/MinAtar",
        source="pqn/paper-minatar",
        total_steps=5_000_000,
    ),  # fmt: skip
    Preset(
        name="dqn/Pong",
        algorithm="dqn",
        env="Pong",
        source=(
            "dqn/bolts-pong with three steps, double and dueling; tuned here for two cores: the network of Mnih et al. "
            "2013 (arXiv 1312.5602), an update for two steps, learning rate doubled and annealed, exploration shortened"
        ),
        hyperparameters={
            "learning_rate": linear(2e-4, 0.0, fraction=1.0),
            "discount": 0.99,
            "epsilon": linear(1.0, 0.01, steps=50_000),
            "max_grad_norm": 10.0,
        },
        config={
            "num_envs": 4,
            "torso": "conv",
            "convolutions": ((16, 8, 4), (32, 4, 2)),
            "hidden_sizes": (),
            "head_sizes": (256,),
            "double_q": True,
            "dueling": True,
            "n_step": 3,
            "loss": "huber",
            "target_update": "hard",
            "target_update_period": 500,
            "buffer_size": 100_000,
            "batch_size": 32,
            "prefill": 5_000,
            "updates_per_iteration": 2,
        },
        total_steps=400_000,
    ),
    Preset(
        name="ppo/Pong",
        algorithm="ppo",
        env="Pong",
        source=(
            "CleanRL, ppo_atari.py (Huang et al. 2022); tuned here for fewer steps: learning rate doubled, three epochs"
        ),
        hyperparameters={
            "learning_rate": linear(5e-4, 0.0, fraction=1.0),
            "discount": 0.99,
            "gae_lambda": 0.95,
            "clip": 0.1,
            "entropy_coefficient": 0.01,
            "value_coefficient": 0.5,
            "max_grad_norm": 0.5,
        },
        config={
            "num_envs": 8,
            "rollout_length": 128,
            "num_epochs": 3,
            "num_minibatches": 4,
            "shared_torso": True,
            "hidden_sizes": (512,),
            "activation": "relu",
        },
        total_steps=1_200_000,
    ),
]
