"""Contender: PPO of stable-baselines3, or of sbx (the same in JAX), on Gymnasium's CartPole-v1."""

import importlib

from protocol import parameters, serve
from stable_baselines3.common.env_util import make_vec_env

wanted = parameters()
total_steps = wanted["steps"]
library = wanted.get("library", "stable_baselines3")
settings = {
    "n_steps": 128,
    "n_epochs": 4,
    "batch_size": 128,
    "learning_rate": lambda remaining: 2.5e-4 * remaining,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "clip_range": 0.2,
    "ent_coef": 0.01,
    "vf_coef": 0.5,
    "max_grad_norm": 0.5,
    "policy_kwargs": {"net_arch": {"pi": [64, 64], "vf": [64, 64]}},
    "device": "cpu",
    "seed": 0,
}
if library == "stable_baselines3":  # sbx does not clip the value
    settings["clip_range_vf"] = 0.2
if "threads" in wanted:
    import torch

    torch.set_num_threads(wanted["threads"])
# The model is kept from one run to the next, since sbx would compile again for another one.
model = importlib.import_module(library).PPO("MlpPolicy", make_vec_env("CartPole-v1", n_envs=4, seed=0), **settings)


def work() -> int:
    model.learn(total_steps)
    return model.num_timesteps


packages = ["stable-baselines3", "torch", "gymnasium"] + (["sbx-rl", "jax"] if library == "sbx" else [])
serve(work, packages=packages)
