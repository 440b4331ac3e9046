"""Presets of RLcycle (github.com/cyoon1729/RLcycle).

Its target network follows softly at each update, by ``tau``, and chooses the next action itself. Training goes on for a
number of episodes there: where they are bounded in length, the steps are the product. The exponent beta grows with each
update, so the length of its ramp is ``per_beta_total_steps * train_freq`` steps. Not held: actions are epsilon-greedy
before learning starts, where ours are random, the hidden layer of a dueling network's value stream is linear, and the
deviations of a noisy layer's biases begin at 0.5 / sqrt(outputs), ours at the paper's 0.5 / sqrt(inputs).
"""

from __future__ import annotations

from jaxrl.experiment.presets.preset import Preset
from jaxrl.ramps import linear

_CLASSIC = {"protocol": "classic"}

_REACHER = "PyBullet's Reacher there, 50,000 episodes; the number of steps is ours (300,000 in RL Baselines3 Zoo)"
_CONTINUOUS = {
    "discount": 0.99,
    "tau": 0.005,
    "actor_learning_rate": 1e-3,
    "critic_learning_rate": 1e-3,
    # Of each critic by itself there.
    "actor_max_grad_norm": 10.0,
    "critic_max_grad_norm": 10.0,
}
_CONTINUOUS_CONFIG = {
    "num_envs": 1,
    "num_critics": 2,
    "buffer_size": 1_000_000,
    "prefill": 64,
    "n_step": 1,
    "prioritized": False,
    "steps_per_update": 1,
}

PRESETS = [
    Preset(
        name="dqn/rlcycle-pong",
        algorithm="dqn",
        env="Pong",
        source=(
            "RLcycle, configs/atari/dqn.yaml with hyper_params/dqn_mnih2015.yaml and models/dqn.yaml; the number of "
            "steps is ours (10,000 episodes there)"
        ),
        hyperparameters={
            "learning_rate": 3e-4,
            "discount": 0.99,
            "epsilon": linear(1.0, 0.01, steps=1_000_000),
            "tau": 0.005,
            "max_grad_norm": 10.0,
            "priority_exponent": 0.4,
            "importance_exponent": linear(0.6, 1.0, steps=40_000, delay=40_000),
        },
        config={
            "num_envs": 1,
            "hidden_sizes": (128, 128),
            "double_q": False,
            "loss": "huber",
            "target_update": "polyak",
            "buffer_size": 100_000,
            "batch_size": 64,
            "prefill": 40_000,
            "n_step": 3,
            "prioritized": False,
            "steps_per_update": 4,
            "adam_epsilon": 1e-8,
        },
        total_steps=2_000_000,
        env_parameters=_CLASSIC,
        reward_clip=1.0,
    ),
    Preset(
        name="rainbow/rlcycle-pong",
        algorithm="rainbow",
        env="Pong",
        source=(
            "RLcycle, configs/atari/rainbow_dqn.yaml with hyper_params/rainbow.yaml and models/duelingC51.yaml; the "
            "number of steps is ours (5,000 episodes there)"
        ),
        hyperparameters={
            "learning_rate": 6.25e-5,
            "discount": 0.99,
            "epsilon": linear(1.0, 0.0, steps=100_000),
            "tau": 0.005,
            "max_grad_norm": 10.0,
            "priority_exponent": 0.5,
            "importance_exponent": linear(0.4, 1.0, steps=1_200_000, delay=40_000),
            "q_regularization": 0.0,
            "weight_decay": 0.0,
        },
        config={
            "num_envs": 1,
            "hidden_sizes": (),
            "head_sizes": (512,),
            "double_q": False,
            # Every selector is wrapped in an epsilon-greedy one there, that of noisy layers too.
            "exploration": "epsilon_greedy",
            "dueling": True,
            "noise": "factorised",
            "noise_sigma": 0.5,
            "num_atoms": 51,
            "v_min": -10.0,
            "v_max": 10.0,
            "target_update": "polyak",
            "buffer_size": 100_000,
            "batch_size": 64,
            "prefill": 40_000,
            "n_step": 3,
            "prioritized": False,
            "steps_per_update": 4,
            "adam_epsilon": 1.5e-4,
        },
        total_steps=2_000_000,
        env_parameters=_CLASSIC,
        reward_clip=1.0,
    ),
    Preset(
        name="dqn/rlcycle-lunarlander",
        algorithm="dqn",
        env="LunarLander-v3",
        source=(
            "RLcycle, configs/hyper_params/dqn_lunarlander.yaml, with model/duelingdqn.yaml as in configs/dqn.yaml: "
            "LunarLander-v2, 1,500 episodes of at most 300 steps"
        ),
        hyperparameters={
            "learning_rate": 2.5e-4,
            "discount": 0.99,
            "epsilon": linear(1.0, 0.01, steps=100_000),
            "tau": 0.005,
            "max_grad_norm": 10.0,
            "q_regularization": 0.0,
        },
        config={
            "num_envs": 1,
            "hidden_sizes": (512,),
            "head_sizes": (512,),
            "double_q": False,
            "dueling": True,
            "loss": "huber",
            "target_update": "polyak",
            "buffer_size": 1_000_000,
            "batch_size": 64,
            "prefill": 10_000,
            "n_step": 3,
            "prioritized": False,
            "steps_per_update": 1,
        },
        total_steps=450_000,
        env_parameters={"max_episode_steps": 300},
    ),
    Preset(
        name="dqn/rlcycle-lunarlander-per",
        algorithm="dqn",
        env="LunarLander-v3",
        source=(
            "RLcycle, configs/lunarlander/dqn.yaml with hyper_params/dqn_mnih2015.yaml and models/dqn.yaml: "
            "LunarLander-v2, 2,000 episodes of at most 300 steps; priorities are losses there, absolute errors here"
        ),
        # Learning rate, start of learning and train frequency are those of the file of this name in configs/atari at
        # commit fd7e275, whose other values are these.
        hyperparameters={
            "learning_rate": 2.5e-4,
            "discount": 0.99,
            "epsilon": linear(1.0, 0.1, steps=10_000),
            "tau": 0.005,
            "max_grad_norm": 10.0,
            "priority_exponent": 0.4,
            "importance_exponent": linear(0.6, 1.0, steps=40_000, delay=10_000),
            "q_regularization": 0.0,
        },
        config={
            "num_envs": 1,
            "hidden_sizes": (128, 128),
            "double_q": False,
            "loss": "huber",
            "target_update": "polyak",
            "buffer_size": 10_000,
            "batch_size": 32,
            "prefill": 10_000,
            "n_step": 5,
            "prioritized": True,
            "steps_per_update": 4,
        },
        total_steps=600_000,
        env_parameters={"max_episode_steps": 300},
    ),
    Preset(
        name="ddpg/rlcycle-lillicrap2015",
        algorithm="ddpg",
        env="Reacher-v5",
        source=(
            "RLcycle, configs/pybullet/hyper_params/ddpg_lillicrap2015.yaml: the action joins at the second layer of "
            f"both critics; {_REACHER}"
        ),
        hyperparameters={
            **_CONTINUOUS,
            "noise_theta": 0.15,
            "noise_scale": 0.3,
            "epsilon": linear(1.0, 0.0, steps=1, delay=1_000),
        },
        config={
            **_CONTINUOUS_CONFIG,
            "hidden_sizes": (400, 300),
            "action_layers": (1,),
            "exploration": "ornstein_uhlenbeck",
            "loss": "huber",
            "batch_size": 64,
        },
        total_steps=300_000,
    ),
    Preset(
        name="ddpg/rlcycle-fujimoto2018",
        algorithm="ddpg",
        env="Reacher-v5",
        source=(
            "RLcycle, configs/pybullet/hyper_params/fujimoto.yaml: the action joins at both layers of both critics; "
            "the 10,000 random starts are steps here, episodes by mistake there, and each dimension has its own noise; "
            f"{_REACHER}"
        ),
        hyperparameters={
            **_CONTINUOUS,
            "noise_scale": 0.1,
            "epsilon": linear(1.0, 0.0, steps=1, delay=10_000),
        },
        config={
            **_CONTINUOUS_CONFIG,
            "hidden_sizes": (400, 300),
            "action_layers": (0, 1),
            "exploration": "gaussian",
            "loss": "huber",
            "batch_size": 100,
        },
        total_steps=300_000,
    ),
    Preset(
        name="sac/rlcycle-haarnoja2019",
        algorithm="sac",
        env="Reacher-v5",
        source=(
            "RLcycle, configs/pybullet/hyper_params/sac_haarnoja2019.yaml with model/sac.yaml; its temperature of 2 is "
            f"that of the first update alone, since what is learnt begins at 1; {_REACHER}"
        ),
        hyperparameters={
            **_CONTINUOUS,
            "temperature": 2.0,
            "temperature_learning_rate": 3e-4,
            "target_entropy": -1.0,
            "epsilon": linear(1.0, 0.0, steps=1, delay=1_000),
        },
        config={
            **_CONTINUOUS_CONFIG,
            "hidden_sizes": (256, 256),
            "log_std_bounds": (-20.0, 2.0),
            "output_bound": 0.003,
            "batch_size": 64,
        },
        total_steps=300_000,
    ),
]
