"""Presets of the value-based family on features; they are taken by themselves."""

from __future__ import annotations

import dataclasses

from jaxrl.experiment.presets import purejaxql
from jaxrl.experiment.presets.preset import Preset
from jaxrl.ramps import linear

VALUE_HYPERPARAMETERS = {
    "learning_rate": linear(1e-3, 0.0, fraction=1.0),
    "discount": 0.99,
    "epsilon": linear(1.0, 0.05, fraction=0.2),
    "tau": 0.02,
    "max_grad_norm": 10.0,
}
VALUE_CONFIG = {
    "num_envs": 8,
    "hidden_sizes": (128, 128),
    "layer_norm": True,
    "target_update": "polyak",
    "buffer_size": 50_000,
    "batch_size": 64,
    "prefill": 1_000,
    "n_step": 3,
    "updates_per_iteration": 8,
}
"""Of classic control: an update for each step. Layer normalisation keeps the values from being overestimated, three
steps make them precise enough to tell the actions of a balanced pole apart."""
MOUNTAIN_CAR_CONFIG = VALUE_CONFIG | {"buffer_size": 120_000}

PRESETS = [
    Preset(
        name="dqn/CartPole-v1",
        algorithm="dqn",
        env="CartPole-v1",
        source="tuned here",
        hyperparameters=VALUE_HYPERPARAMETERS,
        config=VALUE_CONFIG | {"double_q": False, "loss": "mse"},
        total_steps=50_000,
    ),
    Preset(
        name="dqn/MountainCar-v0",
        algorithm="dqn",
        env="MountainCar-v0",
        source="dqn/CartPole-v1, double",
        hyperparameters=VALUE_HYPERPARAMETERS,
        config=MOUNTAIN_CAR_CONFIG | {"double_q": True, "loss": "mse"},
        total_steps=120_000,
    ),
    Preset(
        name="qr_dqn/MountainCar-v0",
        algorithm="qr_dqn",
        env="MountainCar-v0",
        source="qr_dqn/CartPole-v1",
        hyperparameters=VALUE_HYPERPARAMETERS,
        config=MOUNTAIN_CAR_CONFIG | {"num_quantiles": 21},
        total_steps=120_000,
    ),
    Preset(
        name="munchausen_dqn/CartPole-v1",
        algorithm="munchausen_dqn",
        env="CartPole-v1",
        source="dqn/CartPole-v1",
        hyperparameters=VALUE_HYPERPARAMETERS,
        config=VALUE_CONFIG | {"loss": "mse"},
        total_steps=50_000,
    ),
    Preset(
        name="c51/CartPole-v1",
        algorithm="c51",
        env="CartPole-v1",
        source="dqn/CartPole-v1, with the atoms between the least and the greatest return",
        hyperparameters=VALUE_HYPERPARAMETERS,
        config=VALUE_CONFIG | {"v_min": 0.0, "v_max": 100.0},
        total_steps=50_000,
    ),
    Preset(
        name="qr_dqn/CartPole-v1",
        algorithm="qr_dqn",
        env="CartPole-v1",
        source="dqn/CartPole-v1",
        hyperparameters=VALUE_HYPERPARAMETERS,
        config=VALUE_CONFIG | {"num_quantiles": 21},
        total_steps=50_000,
    ),
    Preset(
        name="iqn/CartPole-v1",
        algorithm="iqn",
        env="CartPole-v1",
        source="dqn/CartPole-v1, with few samples",
        hyperparameters=VALUE_HYPERPARAMETERS,
        config=VALUE_CONFIG | {"policy_samples": 8, "online_samples": 8, "target_samples": 8},
        total_steps=50_000,
    ),
    Preset(
        name="rainbow/CartPole-v1",
        algorithm="rainbow",
        env="CartPole-v1",
        source="c51/CartPole-v1, with half the updates",
        hyperparameters=VALUE_HYPERPARAMETERS,
        config=VALUE_CONFIG | {"v_min": 0.0, "v_max": 100.0, "updates_per_iteration": 4},
        total_steps=50_000,
    ),
    dataclasses.replace(
        purejaxql.CARTPOLE,
        name="pqn/CartPole-v1",
        source="pqn/paper-cartpole, with He's initial weights",
        config=purejaxql.CARTPOLE.config | {"kernel_init": "kaiming_normal"},
        changed="",
    ),
]
