"""Contender: rejax's PPO on CartPole-v1, without evaluations."""

import jax
import optax
from protocol import compiled, parameters, serve
from rejax import PPO

total_steps = parameters()["steps"]
num_updates = -(-total_steps // 512)
algorithm = PPO.create(
    env="CartPole-v1",
    agent_kwargs={"hidden_layer_sizes": (64, 64), "activation": "tanh"},
    num_envs=4,
    num_steps=128,
    num_epochs=4,
    num_minibatches=4,
    learning_rate=optax.linear_schedule(2.5e-4, 0.0, num_updates * 16),
    gamma=0.99,
    gae_lambda=0.95,
    clip_eps=0.2,
    ent_coef=0.01,
    vf_coef=0.5,
    max_grad_norm=0.5,
    total_timesteps=total_steps,
    eval_freq=total_steps,
    skip_initial_evaluation=True,
).replace(eval_callback=lambda algorithm, state, key: ())
key = jax.random.PRNGKey(0)
program, compile_seconds = compiled(lambda key: algorithm.train(key)[0].actor_ts.params, key)


def work() -> int:
    jax.block_until_ready(program(key))
    return num_updates * 512


serve(work, compile_seconds=compile_seconds, packages=("rejax", "jax", "jaxlib", "flax", "optax", "gymnax"))
