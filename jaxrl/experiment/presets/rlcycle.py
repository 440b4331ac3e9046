"""Presets of RLcycle (github.com/cyoon1729/RLcycle).

Its target network follows softly at each update, by ``tau``, and chooses the next action itself. Training goes on for a
number of episodes there: where they are bounded in length, the steps are the product. The exponent beta grows with each
update, so the length of its ramp is ``per_beta_total_steps * train_freq`` steps.
"""

from __future__ import annotations

from jaxrl.experiment.presets.preset import LOG_TEMPERATURE, Preset
from jaxrl.ramps import linear

COMMIT = "cyoon1729/RLcycle@01e391b"

_CLASSIC = {"protocol": "classic"}
_VALUE_DIFFERS = ("sums of several steps run on across the end of an episode there, by mistake",)
_ATARI_DIFFERS = (*_VALUE_DIFFERS, "pixels are not divided by 255 there")
_DUELING = "the hidden layer of the dueling value stream is linear there"
_STEPS = "{} episodes there; the number of steps is ours"

_CONTINUOUS = {
    "discount": 0.99,
    "tau": 0.005,
    "actor_learning_rate": 1e-3,
    "critic_learning_rate": 1e-3,
    "actor_max_grad_norm": 10.0,
    # 10 there, of squares without the half.
    "critic_max_grad_norm": 5.0,
}
_CONTINUOUS_CONFIG = {
    "num_envs": 1,
    "num_critics": 2,
    "loss": "mse",
    "buffer_size": 1_000_000,
    "prefill": 64,
    "n_step": 1,
    "prioritized": False,
    "steps_per_update": 1,
}
_CONTINUOUS_DIFFERS = (
    "PyBullet's Reacher and 50,000 episodes there; MuJoCo's and 300,000 steps, as in RL Baselines3 Zoo, here",
    "max_exploratory_steps counts episodes there, by mistake, steps here",
)
_DETERMINISTIC_DIFFERS = (
    *_CONTINUOUS_DIFFERS,
    "the first critic's gradient is clipped by itself and the second's not at all there, both together here",
    "targets take the online actor's actions at the present observations there, by mistake",
)

PRESETS = [
    Preset(
        name="dqn/rlcycle-pong",
        algorithm="dqn",
        env="Pong",
        source="RLcycle, configs/atari/dqn.yaml, hyper_params/dqn_mnih2015.yaml and models/dqn.yaml",
        hyperparameters={
            "learning_rate": 3e-4,
            "discount": 0.99,
            "epsilon": linear(1.0, 0.01, steps=1_000_000),
            "tau": 0.005,
            "max_grad_norm": 10.0,
            "priority_exponent": 0.4,
            "importance_exponent": linear(0.6, 1.0, steps=1_200_000, delay=40_000),
            "q_regularization": 0.0,
            "weight_decay": 0.0,
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
        commit=COMMIT,
        differs=(_STEPS.format("10,000"), *_ATARI_DIFFERS),
        changed="2026-12-01",
    ),
    Preset(
        name="rainbow/rlcycle-pong",
        algorithm="rainbow",
        env="Pong",
        source="RLcycle, configs/atari/rainbow_dqn.yaml, hyper_params/rainbow.yaml and models/duelingC51.yaml",
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
        commit=COMMIT,
        differs=(
            _STEPS.format("5,000"),
            *_ATARI_DIFFERS,
            _DUELING,
            "the deviations of a noisy layer's biases begin at 0.5 / sqrt(outputs) there, at 0.5 / sqrt(inputs) here",
            "noise is drawn anew after each update there, for each action here, and stays on in evaluations there",
            "the next action has the greatest mean probability of an atom there, by mistake, the greatest value here",
            "probability that falls exactly on an atom is lost there",
        ),
    ),
    Preset(
        name="dqn/rlcycle-lunarlander",
        algorithm="dqn",
        env="LunarLander-v3",
        source=(
            "RLcycle, configs/hyper_params/dqn_lunarlander.yaml, which no experiment names, with "
            "configs/lunarlander/ddqn.yaml and models/ddqn.yaml"
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
        # 2,000 episodes of at most 300 steps.
        total_steps=600_000,
        env_parameters={"max_episode_steps": 300},
        commit=COMMIT,
        differs=(
            "LunarLander-v2 there",
            *_VALUE_DIFFERS,
            _DUELING,
            "the mean of the dueling advantages goes over the batch too there, by mistake",
        ),
        changed="2026-12-01",
    ),
    Preset(
        name="dqn/rlcycle-lunarlander-per",
        algorithm="dqn",
        env="LunarLander-v3",
        source="RLcycle, configs/lunarlander/dqn.yaml, hyper_params/dqn_mnih2015.yaml and models/dqn.yaml",
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
        # 2,000 episodes of at most 300 steps.
        total_steps=600_000,
        env_parameters={"max_episode_steps": 300},
        commit=COMMIT,
        differs=(
            "LunarLander-v2 there",
            *_VALUE_DIFFERS,
            "priorities are losses there, absolute errors here",
            "weights are divided by the largest of the buffer there, of the batch here",
        ),
    ),
    Preset(
        name="ddpg/rlcycle-lillicrap2015",
        algorithm="ddpg",
        env="Reacher-v5",
        source="RLcycle, configs/pybullet/ddpg.yaml, hyper_params/ddpg_lillicrap2015.yaml and models/ddpg.yaml",
        hyperparameters={
            **_CONTINUOUS,
            "noise_theta": 0.15,
            "noise_scale": 0.3,
            "epsilon": linear(1.0, 0.0, steps=1, delay=1_000),
        },
        config={
            **_CONTINUOUS_CONFIG,
            "hidden_sizes": (400, 300),
            # The action joins at the second layer of both critics.
            "action_layers": (1,),
            "exploration": "ornstein_uhlenbeck",
            "batch_size": 64,
        },
        total_steps=300_000,
        commit=COMMIT,
        differs=(*_DETERMINISTIC_DIFFERS, "the noise goes on from episode to episode there, and begins at zero here"),
        changed="2026-12-01",
    ),
    Preset(
        name="ddpg/rlcycle-fujimoto2018",
        algorithm="ddpg",
        env="Reacher-v5",
        source="RLcycle, configs/pybullet/ddpg.yaml, hyper_params/fujimoto.yaml and models/fujimoto_ddpg.yaml",
        hyperparameters={
            **_CONTINUOUS,
            "noise_scale": 0.1,
            "epsilon": linear(1.0, 0.0, steps=1, delay=10_000),
        },
        config={
            **_CONTINUOUS_CONFIG,
            "hidden_sizes": (400, 300),
            # The action joins at both layers of both critics.
            "action_layers": (0, 1),
            "exploration": "gaussian",
            "batch_size": 100,
        },
        total_steps=300_000,
        commit=COMMIT,
        differs=(*_DETERMINISTIC_DIFFERS, "one draw of noise serves all dimensions of an action there"),
        changed="2026-12-01",
    ),
    Preset(
        name="sac/rlcycle-haarnoja2019",
        algorithm="sac",
        env="Reacher-v5",
        source="RLcycle, configs/pybullet/sac.yaml, hyper_params/sac_haarnoja2019.yaml and models/sac.yaml",
        hyperparameters={
            **_CONTINUOUS,
            # Its alpha of 2 is that of the first update alone: the logarithm that is learnt begins at 0.
            "temperature": 1.0,
            "temperature_learning_rate": 3e-4,
            "target_entropy": -1.0,
            "epsilon": linear(1.0, 0.0, steps=1, delay=10_000),
        },
        config={
            **_CONTINUOUS_CONFIG,
            "hidden_sizes": (256, 256),
            # The action joins at the second layer of both critics.
            "action_layers": (1,),
            "log_std_bounds": (-20.0, 2.0),
            "output_bound": 0.003,
            "batch_size": 64,
        },
        total_steps=300_000,
        commit=COMMIT,
        differs=(
            *_CONTINUOUS_DIFFERS,
            "each critic's gradient is clipped by itself there, both together here",
            "the first update has a temperature of 2 there",
            "the target entropy is minus the product of a tensor that was not filled there, by mistake for minus the "
            "dimension",
            LOG_TEMPERATURE,
            "the biases of last layers begin uniform as well there",
        ),
        changed="2026-12-01",
    ),
]
