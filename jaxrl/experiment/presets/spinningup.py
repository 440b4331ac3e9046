"""Presets of Spinning Up (Achiam 2018): its PyTorch implementations, with the values that they begin with.

The benchmark (docs/spinningup/bench.rst) takes them as they are: 3,000,000 steps, networks of 256-256, batches of 100.
Learning begins after 1,000 steps, with 50 updates after each 50 steps, while the first 10,000 actions are random.
MuJoCo is of version 3 there.
"""

from __future__ import annotations

from typing import Any

from jaxrl.experiment.presets.preset import Preset
from jaxrl.ramps import linear

_HYPERPARAMETERS = {
    "actor_learning_rate": 1e-3,
    "critic_learning_rate": 1e-3,
    "discount": 0.99,
    "tau": 0.005,
    "epsilon": linear(1.0, 0.0, steps=1, delay=10_000),
}
_CONFIG = {
    "num_envs": 1,
    "hidden_sizes": (256, 256),
    "activation": "relu",
    "buffer_size": 1_000_000,
    "batch_size": 100,
    "prefill": 1_000,
    "steps_per_update": 50,
    "updates_per_iteration": 50,
}
_MUJOCO: dict[str, Any] = {"env": "HalfCheetah-v5", "total_steps": 3_000_000}

PRESETS = [
    Preset(
        name="ddpg/spinningup-mujoco",
        algorithm="ddpg",
        source="Spinning Up, spinup/algos/pytorch/ddpg/ddpg.py, and its benchmark on HalfCheetah-v3",
        hyperparameters={**_HYPERPARAMETERS, "noise_scale": 0.1},
        config={**_CONFIG, "exploration": "gaussian"},
        **_MUJOCO,
    ),
    Preset(
        name="td3/spinningup-mujoco",
        algorithm="td3",
        source="Spinning Up, spinup/algos/pytorch/td3/td3.py, and its benchmark on HalfCheetah-v3",
        hyperparameters={**_HYPERPARAMETERS, "noise_scale": 0.1, "smoothing_scale": 0.2, "smoothing_clip": 0.5},
        config={**_CONFIG, "exploration": "gaussian", "policy_delay": 2, "target_update_period": 2},
        **_MUJOCO,
    ),
    Preset(
        name="sac/spinningup-mujoco",
        algorithm="sac",
        source="Spinning Up, spinup/algos/pytorch/sac/sac.py, and its benchmark on HalfCheetah-v3",
        hyperparameters={**_HYPERPARAMETERS, "temperature": 0.2},
        config={**_CONFIG, "learn_temperature": False, "log_std_bounds": (-20.0, 2.0)},
        **_MUJOCO,
    ),
    Preset(
        name="sac/spinningup-2018",
        algorithm="sac",
        source=(
            "Spinning Up as it was in 2018, spinup/algos/sac: with a network of state values, and updates at the end "
            "of each episode, which on HalfCheetah has 1,000 steps; the number of steps is that of the later benchmark"
        ),
        hyperparameters={**_HYPERPARAMETERS, "temperature": 0.2},
        config={
            **_CONFIG,
            "hidden_sizes": (400, 300),
            "learn_temperature": False,
            "state_value": True,
            "log_std_bounds": (-20.0, 2.0),
            "steps_per_update": 1_000,
            "updates_per_iteration": 1_000,
        },
        **_MUJOCO,
    ),
]
