"""Contender: rejax's SAC or TD3 on Pendulum-v1, without evaluations; its networks are 64-64 relu."""

import jax
import rejax
from protocol import compiled, parameters, serve

wanted = parameters()
total_steps = wanted["steps"]
# Its SAC has relu and 64-64 by itself, its TD3 swish.
parts = {"sac": ["agent"], "td3": ["actor", "critic"]}[wanted["algorithm"]]
networks = {f"{part}_kwargs": {"activation": "relu"} for part in parts}
algorithm = (
    getattr(rejax, wanted["algorithm"].upper())
    .create(
        env="Pendulum-v1",
        num_envs=1,
        batch_size=256,
        num_epochs=1,
        buffer_size=wanted["buffer_size"],
        fill_buffer=1_000,
        learning_rate=wanted["learning_rate"],
        gamma=wanted["discount"],
        polyak=0.995,
        total_timesteps=total_steps,
        eval_freq=total_steps,
        skip_initial_evaluation=True,
        **networks,
    )
    .replace(eval_callback=lambda algorithm, state, key: ())
)
key = jax.random.PRNGKey(0)
program, compile_seconds = compiled(lambda key: algorithm.train(key)[0].actor_ts.params, key)


def work() -> int:
    jax.block_until_ready(program(key))
    return total_steps


serve(work, compile_seconds=compile_seconds, packages=("rejax", "jax", "jaxlib", "flax", "optax", "gymnax"))
