"""One agent over eight devices: the shards' update is that of one device with all of the rollout."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import dataclasses, functools
import jax, jax.numpy as jnp, numpy as np
from gymnasium import spaces
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, PartitionSpec as P
from jaxrl.algorithms import ppo
from jaxrl.types import Rollout, Spec, Transition

T, B = 4, 16
assert jax.device_count() == 8
rng = np.random.default_rng(0)
spec = Spec("test", spaces.Box(-9, 9, (2,), np.float32), spaces.Discrete(3))
config = ppo.Config(
    num_envs=B, rollout_length=T, hidden_sizes=(4,), num_epochs=2, num_minibatches=1,
    normalize_observation=True, normalize_reward=True, normalize_value=True,
)
observation, successor = rng.normal(size=(2, T, B, 2)).astype(np.float32)
ended = rng.random((T, B)) < 0.2
batch = Rollout(
    Transition(
        observation, rng.integers(0, 3, (T, B)), rng.normal(size=(T, B)).astype(np.float32), ended, 0 * ended, successor
    ),
    {"log_prob": rng.normal(-1, 0.1, (T, B)).astype(np.float32)}, (),
)
key = jax.random.key(0)
whole = ppo.make(spec, config)
shard = ppo.make(spec, dataclasses.replace(config, num_envs=B // 8, axis_name="devices"))
hp = whole.hyperparameters
want = jax.jit(whole.update)(whole.init(key, hp), batch, key, hp)[0]
small = shard.init(key, hp)
update = lambda batch: shard.update(small, batch, key, hp)[0]

shards = jax.tree.map(lambda x: jnp.stack(jnp.split(x, 8, axis=1)), batch)
mapped = jax.pmap(update, axis_name="devices")(shards)

mesh = Mesh(np.array(jax.devices()), ("devices",))
out = jax.tree.map(lambda x: P(), jax.eval_shape(lambda: small))
out = out._replace(normalizers=out.normalizers._replace(sums=P("devices")))
sharded = jax.jit(jax.shard_map(update, mesh=mesh, in_specs=P(None, "devices"), out_specs=out, check_vma=False))(batch)

close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
for i in range(8):
    jax.tree.map(lambda a, b: close(a[i], b), mapped.params, want.params)
jax.tree.map(close, sharded.params, want.params)
jax.tree.map(close, sharded.normalizers, want.normalizers)
print("the same")
"""


@pytest.mark.slow
def test_pmap_and_shard_map_give_the_numbers_of_one_device():
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "NPROC": "16", "JAX_PLATFORMS": "cpu"}
    run = subprocess.run([sys.executable, "-c", SCRIPT], env={**os.environ, **flags}, capture_output=True, text=True)
    assert "the same" in run.stdout, run.stderr
