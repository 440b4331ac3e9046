"""Presets of Brax (Freeman et al. 2021, arXiv 2106.13281) and of MuJoCo Playground, which trains with Brax's SAC."""

from __future__ import annotations

from typing import Any

from jaxrl.experiment.presets.preset import Preset

COMMIT = "google/brax@0b96d05"
PLAYGROUND_COMMIT = "google-deepmind/mujoco_playground@d5e6b47"
_CODE = "brax/training/agents/sac/train.py, losses.py and networks.py"
_DIFFERS = (
    "the policy's deviation is a softplus and at least 0.001 there, the exponential of a bounded number here",
    "the buffer is filled by the first policy there, by random actions here",
    "truncated transitions are left out of the critics' loss there, here they bootstrap",
    "the critics' losses are averaged there, added up here, so that Adam's epsilon counts for half as much here",
    "weights begin uniform there (LeCun), normal here",
    "evaluations sample actions there",
    "an environment begins all its episodes in the same state there",
)

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
        source=f"Brax, notebooks/training.ipynb, {env}, and {_CODE}",
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
        commit=COMMIT,
        differs=_DIFFERS,
    )


PRESETS = [
    _notebook("hopper", num_timesteps=6_553_600, reward_scaling=30.0, batch_size=512, grad_updates_per_step=64),
    _notebook("walker2d", num_timesteps=7_864_320, reward_scaling=5.0, batch_size=128, grad_updates_per_step=32),
    Preset(
        name="sac/playground-dm_control",
        algorithm="sac",
        env="CartpoleBalance",
        source=(
            "MuJoCo Playground, mujoco_playground/config/dm_control_suite_params.py, brax_sac_config, for Brax, "
            f"{_CODE}"
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
        commit=f"{PLAYGROUND_COMMIT}, {COMMIT}",
        differs=(
            *_DIFFERS,
            "twice the steps for the harder tasks there, and 4 frames an action for PendulumSwingUp",
            "layer normalisation comes after activations there, before them here",
        ),
    ),
]
