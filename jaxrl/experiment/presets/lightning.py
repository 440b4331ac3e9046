"""Presets of PyTorch Lightning: the tutorial's DQN, and that of lightning-bolts.

Both make one update for each step, and decay epsilon with the updates, which begin after the warm start.
"""

from __future__ import annotations

from jaxrl.experiment.presets.preset import UNCLIPPED, Preset
from jaxrl.ramps import linear

COMMIT = "Lightning-AI/tutorials@1581765"
BOLTS_COMMIT = "Lightning-Universe/lightning-bolts@34958a8"

PRESETS = [
    Preset(
        name="dqn/lightning-cartpole",
        algorithm="dqn",
        env="CartPole-v1",
        source="PyTorch Lightning, tutorials, lightning_examples/reinforce-learning-DQN/dqn.py",
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
        # 1,000 random steps and 150 epochs of 13 updates.
        total_steps=2_950,
        # CartPole-v0.
        env_parameters={"max_episode_steps": 200},
        commit=COMMIT,
        differs=(
            "the batches of an epoch are drawn at its beginning there, 200 transitions without replacement, and its "
            "last one has 8",
        ),
    ),
    Preset(
        name="dqn/bolts-pong",
        algorithm="dqn",
        env="Pong",
        source="lightning-bolts, src/pl_bolts/models/rl/dqn_model.py and common/gym_wrappers.py",
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
        commit=BOLTS_COMMIT,
        differs=(
            "no number of steps there (its documentation reports 21 after about 450,000)",
            "the picture is cropped there",
        ),
    ),
]
