"""Presets of CleanRL (Huang et al. 2022, JMLR 23): one-file implementations, with the values that they begin with.

Steps between two updates of the target network are divided by ``train_frequency``. Until learning starts, actions are
epsilon-greedy there and random here; epsilon is almost 1 then.
"""

from __future__ import annotations

from jaxrl.experiment.presets.preset import UNCLIPPED, Preset
from jaxrl.schedules import linear

_CLASSIC_CONTROL = {
    "num_envs": 1,
    "hidden_sizes": (120, 84),
    "double_q": False,
    "target_update": "hard",
    "target_update_period": 50,
    "buffer_size": 10_000,
    "batch_size": 128,
    "prefill": 10_000,
    "steps_per_update": 10,
}
_ATARI = {
    "num_envs": 1,
    "hidden_sizes": (512,),
    "double_q": False,
    "target_update": "hard",
    "buffer_size": 1_000_000,
    "batch_size": 32,
    "prefill": 80_000,
    "steps_per_update": 4,
}

PRESETS = [
    Preset(
        name="dqn/cleanrl-classic-control",
        algorithm="dqn",
        env="CartPole-v1",
        source="CleanRL, cleanrl/dqn.py",
        hyperparameters={
            "learning_rate": 2.5e-4,
            "discount": 0.99,
            "epsilon": linear(1.0, 0.05, fraction=0.5),
            "max_grad_norm": UNCLIPPED,
        },
        config={**_CLASSIC_CONTROL, "loss": "mse"},
        total_steps=500_000,
    ),
    Preset(
        name="c51/cleanrl-classic-control",
        algorithm="c51",
        env="CartPole-v1",
        source="CleanRL, cleanrl/c51.py",
        hyperparameters={
            "learning_rate": 2.5e-4,
            "discount": 0.99,
            "epsilon": linear(1.0, 0.05, fraction=0.5),
            "max_grad_norm": UNCLIPPED,
        },
        config={
            **_CLASSIC_CONTROL,
            "num_atoms": 101,
            "v_min": -100.0,
            "v_max": 100.0,
            "adam_epsilon": 0.01 / 128,
        },
        total_steps=500_000,
    ),
    Preset(
        name="dqn/cleanrl-atari",
        algorithm="dqn",
        env="Atari",
        source="CleanRL, cleanrl/dqn_atari.py",
        hyperparameters={
            "learning_rate": 1e-4,
            "discount": 0.99,
            "epsilon": linear(1.0, 0.01, fraction=0.1),
            "max_grad_norm": UNCLIPPED,
        },
        config={**_ATARI, "loss": "mse", "target_update_period": 250},
        total_steps=10_000_000,
        env_parameters={"protocol": "classic"},
        reward_clip=1.0,
    ),
    Preset(
        name="c51/cleanrl-atari",
        algorithm="c51",
        env="Atari",
        source="CleanRL, cleanrl/c51_atari.py",
        hyperparameters={
            "learning_rate": 2.5e-4,
            "discount": 0.99,
            "epsilon": linear(1.0, 0.01, fraction=0.1),
            "max_grad_norm": UNCLIPPED,
        },
        config={
            **_ATARI,
            "target_update_period": 2_500,
            "num_atoms": 51,
            "v_min": -10.0,
            "v_max": 10.0,
            "adam_epsilon": 0.01 / 32,
        },
        total_steps=10_000_000,
        env_parameters={"protocol": "classic"},
        reward_clip=1.0,
    ),
]
