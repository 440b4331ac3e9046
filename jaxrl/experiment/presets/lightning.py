"""Presets of PyTorch Lightning: the tutorial's DQN, and that of lightning-bolts.

Both make one update for each step, and decay epsilon with the updates, which begin after the warm start.
"""

from __future__ import annotations

from jaxrl.experiment.presets.preset import UNCLIPPED, Preset
from jaxrl.ramps import linear

PRESETS = [
    Preset(
        name="dqn/lightning-cartpole",
        algorithm="dqn",
        env="CartPole-v1",
        source=(
            "PyTorch Lightning, tutorials, lightning_examples/reinforce-learning-DQN/dqn.py: CartPole-v0, so 200 steps "
            "an episode; 150 epochs of 13 updates, whose batches are drawn at the epoch's beginning there"
        ),
        hyperparameters={
            "learning_rate": 1e-2,
            "discount": 0.99,
            "epsilon": linear(1.0, 0.01, steps=1_000, delay=1_000),
            "max_grad_norm": UNCLIPPED,
        },
        config={
            "num_envs": 1,
            "hidden_sizes": (128,),
            "double_q": False,
            "loss": "mse",
            "target_update": "hard",
            "target_update_period": 10,
            "buffer_size": 1_000,
            "replacement": False,
            "batch_size": 16,
            "prefill": 1_000,
            "steps_per_update": 1,
        },
        total_steps=2_950,
        env_parameters={"max_episode_steps": 200},
    ),
    Preset(
        name="dqn/bolts-pong",
        algorithm="dqn",
        env="Pong",
        source=(
            "lightning-bolts, pl_bolts/models/rl/dqn_model.py; the number of steps is ours (its documentation reports "
            "21 after about 450,000), and the picture is cropped there"
        ),
        hyperparameters={
            "learning_rate": 1e-4,
            "discount": 0.99,
            "epsilon": linear(1.0, 0.02, steps=150_000, delay=10_000),
            "max_grad_norm": UNCLIPPED,
        },
        config={
            "num_envs": 1,
            "hidden_sizes": (512,),
            "double_q": False,
            "loss": "mse",
            "target_update": "hard",
            "target_update_period": 1_000,
            "buffer_size": 100_000,
            "replacement": False,
            "batch_size": 32,
            "prefill": 10_000,
            "n_step": 1,
            "steps_per_update": 1,
        },
        total_steps=500_000,
        env_parameters={"protocol": "classic", "noop_max": 0, "episodic_life": False},
    ),
]
