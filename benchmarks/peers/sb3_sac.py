"""Contender: SAC of stable-baselines3, or of sbx (the same in JAX), on Gymnasium's HalfCheetah-v5."""

import importlib

from protocol import parameters, serve
from stable_baselines3.common.env_util import make_vec_env

wanted = parameters()
total_steps = wanted["steps"]
library = wanted.get("library", "stable_baselines3")
if "threads" in wanted:
    import torch

    torch.set_num_threads(wanted["threads"])
# The model is kept from one run to the next, since sbx would compile again for another one.
model = importlib.import_module(library).SAC(
    "MlpPolicy",
    make_vec_env("HalfCheetah-v5", n_envs=1, seed=0),
    learning_rate=wanted["learning_rate"],
    gamma=wanted["discount"],
    batch_size=256,
    buffer_size=wanted["buffer_size"],
    learning_starts=1_000,
    train_freq=1,
    gradient_steps=1,
    policy_kwargs={"net_arch": [256, 256]},
    device="cpu",
    seed=0,
)


def work() -> int:
    model.learn(total_steps)
    return model.num_timesteps


packages = ["stable-baselines3", "torch", "gymnasium", "mujoco"] + (["sbx-rl", "jax"] if library == "sbx" else [])
serve(work, packages=packages)
