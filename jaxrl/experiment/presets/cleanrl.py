"""Presets of CleanRL (Huang et al. 2022, JMLR 23): one-file implementations, with the values that they begin with.

Steps between two updates of the target network are divided by ``train_frequency``.
"""

from __future__ import annotations

from jaxrl.experiment.presets.preset import UNCLIPPED, Preset
from jaxrl.ramps import linear

COMMIT = "vwxyzjn/cleanrl@fe8d8a0"
_EVALUATION = "evaluations explore with the last epsilon there"
_GREEDY = (_EVALUATION, "until learning starts, actions are epsilon-greedy there")
_C51 = (*_GREEDY, "probabilities are clipped to [1e-5, 1 - 1e-5] in the loss there")
_VERSION = "Hopper-v4 there"
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

_MUJOCO = {
    "num_envs": 1,
    "hidden_sizes": (256, 256),
    "activation": "relu",
    "buffer_size": 1_000_000,
    "batch_size": 256,
    "steps_per_update": 1,
}
_DETERMINISTIC = {
    "actor_learning_rate": 3e-4,
    "critic_learning_rate": 3e-4,
    "discount": 0.99,
    "tau": 0.005,
    "noise_scale": 0.1,
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
        commit=COMMIT,
        differs=_GREEDY,
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
        commit=COMMIT,
        differs=_C51,
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
        commit=COMMIT,
        differs=_GREEDY,
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
        commit=COMMIT,
        differs=_C51,
        env_parameters={"protocol": "classic"},
        reward_clip=1.0,
    ),
    Preset(
        name="ddpg/cleanrl-mujoco",
        algorithm="ddpg",
        env="Hopper-v5",
        source="CleanRL, cleanrl/ddpg_continuous_action.py",
        hyperparameters=_DETERMINISTIC,
        config={
            **_MUJOCO,
            "prefill": 25_000,
            "exploration": "gaussian",
            "policy_delay": 2,
            "target_update_period": 2,
        },
        total_steps=1_000_000,
        commit=COMMIT,
        differs=(_VERSION, "evaluations explore with noise there"),
    ),
    Preset(
        name="td3/cleanrl-mujoco",
        algorithm="td3",
        env="Hopper-v5",
        source="CleanRL, cleanrl/td3_continuous_action.py",
        hyperparameters={**_DETERMINISTIC, "smoothing_scale": 0.2, "smoothing_clip": 0.5},
        config={
            **_MUJOCO,
            "prefill": 25_000,
            "exploration": "gaussian",
            "policy_delay": 2,
            "target_update_period": 2,
        },
        total_steps=1_000_000,
        commit=COMMIT,
        differs=(_VERSION, "evaluations explore with noise there"),
    ),
    Preset(
        name="sac/cleanrl-mujoco",
        algorithm="sac",
        env="Hopper-v5",
        source="CleanRL, cleanrl/sac_continuous_action.py",
        hyperparameters={
            "actor_learning_rate": 3e-4,
            "critic_learning_rate": 1e-3,
            "temperature_learning_rate": 1e-3,
            "temperature": 1.0,
            "target_entropy": -1.0,
            "discount": 0.99,
            "tau": 0.005,
        },
        config={**_MUJOCO, "prefill": 5_000, "log_std_bounds": (-5.0, 2.0), "log_std_bounding": "tanh"},
        total_steps=1_000_000,
        commit=COMMIT,
        differs=(
            _VERSION,
            "two steps of actor and temperature after every second update there, one after each here",
            "the temperature's step draws actions anew there, after the actor's",
        ),
    ),
    Preset(
        name="sac_discrete/cleanrl-atari",
        algorithm="sac_discrete",
        env="Atari",
        source="CleanRL, cleanrl/sac_atari.py",
        hyperparameters={
            "actor_learning_rate": 3e-4,
            "critic_learning_rate": 3e-4,
            "temperature_learning_rate": 3e-4,
            "temperature": 1.0,
            "target_entropy": 0.89,
            "discount": 0.99,
            "tau": 1.0,
        },
        config={
            "num_envs": 1,
            "hidden_sizes": (512,),
            "buffer_size": 1_000_000,
            "batch_size": 64,
            "prefill": 20_000,
            "steps_per_update": 4,
            # Copies every 8,000 steps.
            "target_update_period": 2_000,
            "adam_epsilon": 1e-4,
        },
        total_steps=5_000_000,
        commit=COMMIT,
        differs=(
            "losses of actor and temperature are means over the actions too there, so that Adam's epsilon counts for "
            "more",
            "weights begin normal as by He et al. there",
        ),
        env_parameters={"protocol": "classic"},
        reward_clip=1.0,
    ),
]
