"""Presets that were tuned here, or taken over as they are and found good; they are taken by themselves."""

from __future__ import annotations

import dataclasses
from typing import Any

from jaxrl.experiment.presets import purejaxql
from jaxrl.experiment.presets.preset import Preset
from jaxrl.schedules import linear

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
"""Of the value-based family on classic control: an update for each step. Layer normalisation keeps the values from
being overestimated, three steps make them precise enough to tell the actions of a balanced pole apart."""
MOUNTAIN_CAR_CONFIG = VALUE_CONFIG | {"buffer_size": 120_000}

_PENDULUM_RATES = {"actor_learning_rate": 1e-3, "critic_learning_rate": 1e-3, "discount": 0.98, "tau": 0.005}
_PENDULUM: dict[str, Any] = {
    "num_envs": 1,
    "hidden_sizes": (64, 64),
    "buffer_size": 20_000,
    "batch_size": 256,
    "prefill": 1_000,
}
"""Of the actor-critics: an update for each step, after a few episodes of random actions."""
_PENDULUM_CHANGES = "tuned here: smaller networks, a shorter random start, batches of 256, an update for each step"

PRESETS = [
    Preset(
        name="ppo/CartPole-v1",
        algorithm="ppo",
        env="CartPole-v1",
        source="CleanRL, ppo.py (Huang et al. 2022, The 37 implementation details of PPO)",
        hyperparameters={
            "learning_rate": linear(2.5e-4, 0.0, fraction=1.0),
            "discount": 0.99,
            "gae_lambda": 0.95,
            "clip": 0.2,
            "entropy_coefficient": 0.01,
            "value_coefficient": 0.5,
            "max_grad_norm": 0.5,
        },
        config={
            "num_envs": 4,
            "rollout_length": 128,
            "num_epochs": 4,
            "num_minibatches": 4,
            "hidden_sizes": (64, 64),
            "activation": "tanh",
        },
        total_steps=500_000,
    ),
    Preset(
        name="ppo/Pendulum-v1",
        algorithm="ppo",
        env="Pendulum-v1",
        source=(
            "RL Baselines3 Zoo, hyperparams/ppo.yml, Pendulum-v1; tuned here: learning rate annealed, batches of 128, "
            "reward scaled, no state-dependent exploration"
        ),
        hyperparameters={
            "learning_rate": linear(1e-3, 0.0, fraction=1.0),
            "discount": 0.9,
            "gae_lambda": 0.95,
            "clip": 0.2,
            "entropy_coefficient": 0.0,
        },
        config={
            "num_envs": 4,
            "rollout_length": 1024,
            "num_epochs": 10,
            "num_minibatches": 32,
            "clip_value_loss": False,
        },
        total_steps=400_000,
        reward_scale=0.1,
    ),
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
        purejaxql.CARTPOLE, name="pqn/CartPole-v1", source=f"pqn/paper-cartpole: {purejaxql.CARTPOLE.source}"
    ),
    Preset(
        name="ddpg/Pendulum-v1",
        algorithm="ddpg",
        env="Pendulum-v1",
        source=f"RL Baselines3 Zoo, hyperparams/ddpg.yml, Pendulum-v0; {_PENDULUM_CHANGES}",
        hyperparameters={**_PENDULUM_RATES, "noise_scale": 0.1},
        config=_PENDULUM,
        total_steps=20_000,
    ),
    Preset(
        name="td3/Pendulum-v1",
        algorithm="td3",
        env="Pendulum-v1",
        source=f"RL Baselines3 Zoo, hyperparams/td3.yml, Pendulum-v0; {_PENDULUM_CHANGES}",
        hyperparameters={**_PENDULUM_RATES, "noise_scale": 0.1},
        config=_PENDULUM,
        total_steps=20_000,
    ),
    Preset(
        name="sac/Pendulum-v1",
        algorithm="sac",
        env="Pendulum-v1",
        source=f"RL Baselines3 Zoo, hyperparams/sac.yml, Pendulum-v1; {_PENDULUM_CHANGES}",
        hyperparameters={**_PENDULUM_RATES, "temperature_learning_rate": 1e-3},
        config=_PENDULUM,
        total_steps=20_000,
    ),
    Preset(
        name="tqc/Pendulum-v1",
        algorithm="tqc",
        env="Pendulum-v1",
        source="sac/Pendulum-v1",
        hyperparameters={**_PENDULUM_RATES, "temperature_learning_rate": 1e-3},
        config=_PENDULUM,
        total_steps=20_000,
    ),
]
