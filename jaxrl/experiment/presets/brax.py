"""Presets of Brax (Freeman et al. 2021, arXiv 2106.13281) and of MuJoCo Playground, which trains with Brax's SAC.

Not held: the policy's deviation is a softplus with at least 0.001 there, the buffer is prefilled by the first policy
instead of at random, and truncated transitions are left out of the critics' loss, where ours bootstrap.
"""

from __future__ import annotations

from typing import Any

from jaxrl.experiment.presets.preset import Preset

_HYPERPARAMETERS = {
    # Fixed in its code, whatever the learning rate of the networks is.
    "temperature_learning_rate": 3e-4,
    "temperature": 1.0,
    "target_entropy": -0.5,
    "tau": 0.005,
}
_CONFIG: dict[str, Any] = {
    "num_envs": 128,
    "hidden_sizes": (256, 256),
    "activation": "relu",
    "normalize_observation": True,
    "prefill": 8_192,
    "steps_per_update": 1,
}


def _notebook(
    env: str, *, num_timesteps: int, reward_scaling: float, batch_size: int, grad_updates_per_step: int
) -> Preset:
    return Preset(
        name=f"sac/brax-{env}",
        algorithm="sac",
        env=env,
        source=f"Brax, notebooks/training.ipynb, {env}",
        hyperparameters={
            **_HYPERPARAMETERS,
            "actor_learning_rate": 6e-4,
            "critic_learning_rate": 6e-4,
            "discount": 0.997,
        },
        config={
            **_CONFIG,
            "buffer_size": 1_048_576,
            "batch_size": batch_size,
            "updates_per_iteration": grad_updates_per_step,
        },
        total_steps=num_timesteps,
        reward_scale=reward_scaling,
    )


PRESETS = [
    _notebook("hopper", num_timesteps=6_553_600, reward_scaling=30.0, batch_size=512, grad_updates_per_step=64),
    _notebook("walker2d", num_timesteps=7_864_320, reward_scaling=5.0, batch_size=128, grad_updates_per_step=32),
    Preset(
        name="sac/playground-dm_control",
        algorithm="sac",
        env="CartpoleBalance",
        source=(
            "MuJoCo Playground, mujoco_playground/config/dm_control_suite_params.py, brax_sac_config: twice the steps "
            "for the harder tasks; its layer normalisation comes after activations"
        ),
        hyperparameters={
            **_HYPERPARAMETERS,
            "actor_learning_rate": 1e-3,
            "critic_learning_rate": 1e-3,
            "discount": 0.99,
        },
        config={
            **_CONFIG,
            "critic_normalization": "layer",
            "buffer_size": 4 * 1_048_576,
            "batch_size": 512,
            "updates_per_iteration": 8,
        },
        total_steps=5_000_000,
    ),
]
