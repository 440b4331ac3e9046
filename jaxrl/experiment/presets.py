"""Presets: settings that were tuned for an algorithm on an environment, each with its source."""

from __future__ import annotations

import dataclasses
from typing import Any

from jaxrl.experiment.values import unknown_name
from jaxrl.schedules import linear


@dataclasses.dataclass(frozen=True)
class Preset:
    """What differs from the algorithm's defaults."""

    name: str
    algorithm: str
    env: str
    """The id without the prefix of a suite."""
    source: str
    """Where the values come from."""
    hyperparameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    config: dict[str, Any] = dataclasses.field(default_factory=dict)
    total_steps: int | None = None
    """Steps for which it was tuned; taken when none are given."""
    reward_scale: float = 1.0
    """What the reward is multiplied with before it is learned from; reports keep the raw one."""


_ALL = [
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
        source=(
            "rejax, configs/gymnax/cartpole.yaml, DQN; tuned here: wider network, learning rate doubled and annealed, "
            "more exploration at the end, no gradient clipping"
        ),
        hyperparameters={
            "learning_rate": linear(2e-3, 0.0, fraction=1.0),
            "discount": 0.99,
            "epsilon": linear(1.0, 0.1, fraction=0.5),
            "tau": 0.02,
            "max_grad_norm": 1e6,
        },
        config={
            "num_envs": 10,
            "hidden_sizes": (128, 128),
            "activation": "silu",
            "double_q": True,
            "dueling": True,
            "loss": "mse",
            "target_update": "polyak",
            "buffer_size": 50_000,
            "batch_size": 100,
            "prefill": 5_000,
            "steps_per_update": 1,
            "updates_per_iteration": 5,
        },
        total_steps=100_000,
    ),
]

PRESETS: dict[str, Preset] = {preset.name: preset for preset in _ALL}

NONE = "none"
"""The name that asks for the algorithm's own defaults."""


def get(name: str, algorithm: str) -> Preset:
    """A preset by its name, which may leave out the algorithm (``CartPole-v1``).

    Raises:
        UserError: for an unknown name (it names the nearest), or one of another algorithm.
    """
    preset = PRESETS.get(name) or PRESETS.get(f"{algorithm}/{name}")
    if preset is None:
        raise unknown_name("preset", name, [*PRESETS, NONE])
    if preset.algorithm != algorithm:
        raise unknown_name(
            "preset", name, [p.name for p in _ALL if p.algorithm == algorithm] + [NONE], f" for {algorithm}"
        )
    return preset


def tuned_for(algorithm: str, env: str) -> Preset | None:
    """The preset of this algorithm on this environment, whose id may have the prefix of a suite, or None."""
    return PRESETS.get(f"{algorithm}/{env.rpartition(':')[2]}")
