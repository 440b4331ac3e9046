"""Presets of Spinning Up (Achiam 2018), with the values that its functions and scripts begin with.

The off-policy ones are as the benchmark (docs/spinningup/bench.rst) takes them: 3,000,000 steps, networks of 256-256,
batches of 100. Learning begins after 1,000 steps, with 50 updates after each 50 steps, while the first 10,000 actions
are random.
"""

from __future__ import annotations

from typing import Any

from jaxrl.experiment.presets.preset import TORCH_INIT, Preset
from jaxrl.ramps import linear

COMMIT = "openai/spinningup@038665d"

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
_MUJOCO: dict[str, Any] = {"env": "HalfCheetah-v5", "total_steps": 3_000_000, "commit": COMMIT}
_VERSION = "HalfCheetah-v3 there"
_UNITS = "noise is in units of the action there, of half its range here, which are the same on HalfCheetah"
_BENCH = "docs/spinningup/bench.rst"

# One environment a process there, four processes.
_ON_POLICY_CONFIG: dict[str, Any] = {
    "num_envs": 4,
    "rollout_length": 1_000,
    "hidden_sizes": (64, 64),
    "activation": "tanh",
    # exp(-0.5).
    "initial_std": 0.6065306597126334,
    "normalize_advantage": True,
    "reward_to_go": True,
    "value_iterations": 80,
    "value_minibatches": 1,
    "adam_epsilon": 1e-8,
}
_ON_POLICY_DIFFERS = (
    "HalfCheetah-v2 there",
    "four environments in one process instead of four processes of one, whose episodes end with the rollout",
    "the value's last layer begins orthogonal here",
)
_TRPO: dict[str, Any] = {
    "env": "HalfCheetah-v5",
    "total_steps": 200_000,
    "hyperparameters": {
        "critic_learning_rate": 1e-3,
        "discount": 0.99,
        "gae_lambda": 0.97,
        "max_kl": 0.01,
        "damping": 0.1,
    },
    "config": {
        **_ON_POLICY_CONFIG,
        "kernel_init": "glorot_uniform",
        "head_init": "glorot_uniform",
        "cg_iterations": 10,
    },
    "commit": COMMIT,
    "differs": (
        *_ON_POLICY_DIFFERS,
        "TensorFlow adds Adam's epsilon before the bias of the second moment is corrected",
    ),
}

PRESETS = [
    Preset(
        name="ddpg/spinningup-mujoco",
        algorithm="ddpg",
        source=f"Spinning Up, spinup/algos/pytorch/ddpg/ddpg.py and {_BENCH}",
        hyperparameters={**_HYPERPARAMETERS, "noise_scale": 0.1},
        config={**_CONFIG, "exploration": "gaussian"},
        differs=(_VERSION, _UNITS),
        **_MUJOCO,
    ),
    Preset(
        name="td3/spinningup-mujoco",
        algorithm="td3",
        source=f"Spinning Up, spinup/algos/pytorch/td3/td3.py and {_BENCH}",
        hyperparameters={**_HYPERPARAMETERS, "noise_scale": 0.1, "smoothing_scale": 0.2, "smoothing_clip": 0.5},
        config={**_CONFIG, "exploration": "gaussian", "policy_delay": 2, "target_update_period": 2},
        differs=(_VERSION, _UNITS),
        **_MUJOCO,
    ),
    Preset(
        name="sac/spinningup-mujoco",
        algorithm="sac",
        source=f"Spinning Up, spinup/algos/pytorch/sac/sac.py and {_BENCH}",
        hyperparameters={**_HYPERPARAMETERS, "temperature": 0.2},
        config={**_CONFIG, "learn_temperature": False, "log_std_bounds": (-20.0, 2.0)},
        differs=(_VERSION,),
        **_MUJOCO,
    ),
    Preset(
        name="sac/spinningup-2018",
        algorithm="sac",
        source=f"Spinning Up as it was in 2018, spinup/algos/sac/sac.py and core.py, {_BENCH}",
        hyperparameters={**_HYPERPARAMETERS, "temperature": 0.2},
        config={
            **_CONFIG,
            "hidden_sizes": (400, 300),
            "learn_temperature": False,
            "state_value": True,
            "state_value_target": "minimum",
            "actor_value": "first",
            "log_std_bounds": (-20.0, 2.0),
            "log_std_bounding": "tanh",
            # There the updates come at the end of each episode, which on HalfCheetah has 1,000 steps.
            "steps_per_update": 1_000,
            "updates_per_iteration": 1_000,
        },
        differs=(
            "HalfCheetah-v2 there",
            "the actor takes its step before the critics do, here after them",
            "updates come at the end of each episode there, here after 1,000 steps, which is the same on HalfCheetah",
            "TensorFlow adds Adam's epsilon before the bias of the second moment is corrected",
        ),
        changed="2026-12-01",
        **{**_MUJOCO, "commit": "openai/spinningup@07bb739"},
    ),
    Preset(
        name="vpg/spinningup",
        algorithm="vpg",
        env="HalfCheetah-v5",
        source="Spinning Up, spinup/algos/pytorch/vpg/vpg.py and core.py",
        hyperparameters={
            "learning_rate": 3e-4,
            "critic_learning_rate": 1e-3,
            "discount": 0.99,
            "gae_lambda": 0.97,
        },
        config={**_ON_POLICY_CONFIG, "kernel_init": TORCH_INIT, "head_init": TORCH_INIT},
        # 50 epochs of 4,000 steps.
        total_steps=200_000,
        commit=COMMIT,
        differs=_ON_POLICY_DIFFERS,
    ),
    Preset(
        name="trpo/spinningup",
        algorithm="trpo",
        source="Spinning Up, spinup/algos/tf1/trpo/trpo.py and core.py",
        **{
            **_TRPO,
            "hyperparameters": {**_TRPO["hyperparameters"], "backtrack_factor": 0.8},
            "config": {**_TRPO["config"], "backtrack_iterations": 10},
        },
    ),
    Preset(
        name="npg/spinningup",
        algorithm="npg",
        source="Spinning Up, spinup/algos/tf1/trpo/trpo.py with algo='npg', and core.py",
        **_TRPO,
    ),
]
