"""PPO as four projects have it. What each adds up is compared with ours in ``tests/algorithms/test_dialects.py``.

Advantages are divided by a deviation that is the population's here, and in the projects on PyTorch the sample's; that
is a factor of ``sqrt(1 - 1 / n)``.
"""

from __future__ import annotations

from jaxrl.experiment.presets.preset import UNCLIPPED, Preset
from jaxrl.ramps import linear

PRESETS = [
    Preset(
        name="ppo/spinningup",
        algorithm="ppo",
        env="CartPole-v1",
        source=(
            "Spinning Up, spinup/algos/pytorch/ppo/ppo.py: the whole rollout at once, an early stop of the policy "
            "at a KL divergence, and a value that is fitted by itself; four environments where it has one "
            "process; a deviation of continuous actions that starts at exp(-0.5)"
        ),
        hyperparameters={
            "learning_rate": 3e-4,
            "critic_learning_rate": 1e-3,
            "discount": 0.99,
            "gae_lambda": 0.97,
            "clip": 0.2,
            "target_kl": 0.01,
            "entropy_coefficient": 0.0,
            "max_grad_norm": UNCLIPPED,
            "critic_max_grad_norm": UNCLIPPED,
        },
        config={
            "num_envs": 4,
            "rollout_length": 1_000,
            "num_epochs": 80,
            "num_minibatches": 1,
            "separate_optimizers": True,
            "critic_epochs": 80,
            "reward_to_go": True,
            "kl_stop": "k1",
            "clip_value_loss": False,
            "hidden_sizes": (64, 64),
            "activation": "tanh",
            "initial_std": 0.6065306597126334,
            "adam_epsilon": 1e-8,
        },
        # 50 epochs of 4,000 steps.
        total_steps=200_000,
    ),
    Preset(
        name="ppo/rllib",
        algorithm="ppo",
        env="CartPole-v1",
        source=(
            "RLlib, rllib/algorithms/ppo/ppo.py and tuned_examples/ppo/cartpole-ppo.yaml: a KL penalty beside the "
            "clip, squared errors that count up to a bound, lambda 1; rollouts of 4,096 steps, where it has 4,000 "
            "and a last minibatch that is not full; observations normalised as by its MeanStdFilter, but between "
            "rollouts"
        ),
        hyperparameters={
            "learning_rate": 3e-4,
            "discount": 0.99,
            "gae_lambda": 1.0,
            "clip": 0.3,
            "kl_coefficient": 0.2,
            "target_kl": 0.01,
            "value_loss_bound": 10.0,
            "entropy_coefficient": 0.0,
            # 0.01 there, of squares without the half.
            "value_coefficient": 0.02,
            "max_grad_norm": UNCLIPPED,
        },
        config={
            "num_envs": 8,
            "rollout_length": 512,
            "num_epochs": 6,
            # Of 128 steps.
            "num_minibatches": 32,
            "kl_penalty": True,
            "clip_value_loss": False,
            "bound_value_loss": True,
            "advantage_scope": "rollout",
            "normalize_observation": True,
            "observation_clip": None,
            "shared_torso": True,
            "hidden_sizes": (32,),
            "activation": "identity",
            "adam_epsilon": 1e-8,
        },
        total_steps=200_000,
    ),
    Preset(
        name="ppo/rl_games",
        algorithm="ppo",
        env="Pendulum-v1",
        source=(
            "rl_games, configs/mujoco/halfcheetah_envpool.yaml: a learning rate that adapts to a KL divergence "
            "after each minibatch, normalised observations, values and advantages, a smooth clamp. The bounds' loss, "
            "off in that file, has the coefficient of its others. Its statistics begin with one item of mean 0 and "
            "variance 1, and add 1e-5 to a variance; ours do not, and the last layer of our policy begins small"
        ),
        hyperparameters={
            "learning_rate": 5e-4,
            "discount": 0.99,
            "gae_lambda": 0.95,
            "clip": 0.2,
            "target_kl": 0.008,
            "entropy_coefficient": 0.0,
            "value_coefficient": 4.0,
            "bound_coefficient": 1e-4,
            "max_grad_norm": 1.0,
        },
        config={
            "num_envs": 64,
            "rollout_length": 256,
            "num_epochs": 5,
            "num_minibatches": 8,
            "adaptive_learning_rate": "minibatch",
            "kl_reference": "last_epoch",
            "bootstrap": "current_value",
            "kernel_init": "kaiming_normal",
            "normalize_observation": True,
            "observation_clip": 5.0,
            "normalize_value": True,
            "value_clip": 5.0,
            "advantage_scope": "rollout",
            "smooth_clamp": True,
            "bound_loss": "bound",
            "clip_value_loss": False,
            "shared_torso": True,
            "hidden_sizes": (128, 64, 32),
            "activation": "elu",
            "adam_epsilon": 1e-8,
        },
        total_steps=500_000,
    ),
    Preset(
        name="ppo/cleanrl-classic-control",
        algorithm="ppo",
        env="CartPole-v1",
        source="CleanRL, cleanrl/ppo.py",
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
            "adam_epsilon": 1e-5,
        },
        total_steps=500_000,
    ),
    Preset(
        name="ppo/zoo-cartpole",
        algorithm="ppo",
        env="CartPole-v1",
        source="RL Baselines3 Zoo, hyperparams/ppo.yml, CartPole-v1, for Stable-Baselines3",
        hyperparameters={
            "learning_rate": linear(1e-3, 0.0, fraction=1.0),
            "discount": 0.98,
            "gae_lambda": 0.8,
            "clip": linear(0.2, 1e-5, fraction=1.0),
            "entropy_coefficient": 0.0,
            # 0.5 there, of squares without the half.
            "value_coefficient": 1.0,
            "max_grad_norm": 0.5,
        },
        config={
            "num_envs": 8,
            "rollout_length": 32,
            "num_epochs": 20,
            "num_minibatches": 1,
            "clip_value_loss": False,
            "hidden_sizes": (64, 64),
            "activation": "tanh",
            "adam_epsilon": 1e-5,
        },
        total_steps=100_000,
    ),
]
