"""Contender: rejax's DQN on CartPole-v1 (double, mean squared error, hard target), without evaluations."""

import jax
from protocol import compiled, parameters, serve
from rejax import DQN

total_steps = parameters()["steps"]
algorithm = DQN.create(
    env="CartPole-v1",
    agent="QNetwork",
    agent_kwargs={"activation": "relu"},  # its hidden layers are 64-64
    num_envs=1,
    batch_size=256,
    num_epochs=1,
    buffer_size=parameters()["buffer_size"],
    fill_buffer=1_000,
    ddqn=True,
    learning_rate=1e-3,
    gamma=0.99,
    max_grad_norm=10.0,
    eps_start=1.0,
    eps_end=0.05,
    exploration_fraction=0.1,
    target_update_freq=100,
    polyak=0.0,
    total_timesteps=total_steps,
    eval_freq=total_steps,
    skip_initial_evaluation=True,
).replace(eval_callback=lambda algorithm, state, key: ())
key = jax.random.PRNGKey(0)
program, compile_seconds = compiled(lambda key: algorithm.train(key)[0].q_ts.params, key)


def work() -> int:
    jax.block_until_ready(program(key))
    return total_steps


serve(work, compile_seconds=compile_seconds, packages=("rejax", "jax", "jaxlib", "flax", "optax", "gymnax"))
