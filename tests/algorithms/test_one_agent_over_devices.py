"""One agent over eight devices by ``pmap`` and ``shard_map``: the shards' update is that of one device with all of the
rollout."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import dataclasses, sys
import jax, jax.numpy as jnp, numpy as np
from gymnasium import spaces
from jax.sharding import Mesh, PartitionSpec as P
from jaxrl.algorithms import a2c, impala, npg, ppo, rnd, trpo
from jaxrl.types import Rollout, Spec, Transition

T, B = 4, 16
assert jax.device_count() == 8
rng = np.random.default_rng(0)
spec = Spec("test", spaces.Box(-9, 9, (2,), np.float32), spaces.Discrete(3))
observation, successor = rng.normal(size=(2, T, B, 2)).astype(np.float32)
ended = rng.random((T, B)) < 0.2
batch = Rollout(
    Transition(
        observation, rng.integers(0, 3, (T, B)), rng.normal(size=(T, B)).astype(np.float32), ended, 0 * ended, successor
    ),
    {"log_prob": rng.normal(-1, 0.1, (T, B)).astype(np.float32)}, (),
)
key = jax.random.key(0)
mesh = Mesh(np.array(jax.devices()), ("devices",))
close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def same(module, maps, **settings):
    config = module.Config(num_envs=B, rollout_length=T, hidden_sizes=(4,), **settings)
    whole = module.make(spec, config)
    shard = module.make(spec, dataclasses.replace(config, num_envs=B // 8, axis_name="devices"))
    hp = whole.hyperparameters
    start, small = whole.init(key, hp), shard.init(key, hp)
    want, told = jax.jit(whole.update)(start, batch, key, hp)
    update = lambda state, batch: shard.update(state, batch, key, hp)
    sums = lambda path: jax.tree_util.keystr(path).endswith("sums")
    parts = jax.tree.map_with_path(lambda path, x: P("devices") if sums(path) else P(), start)
    own = lambda state: state.ppo if module is rnd else state
    for kind in maps:
        if kind == "pmap":
            shards = jax.tree.map(lambda x: jnp.stack(jnp.split(x, 8, axis=1)), batch)
            got, info = jax.pmap(update, axis_name="devices", in_axes=(None, 0))(small, shards)
            for i in range(8):
                jax.tree.map(lambda a, b: close(a[i], b), own(got).params, own(want).params)
            continue
        sharded = jax.shard_map(
            update, mesh=mesh, in_specs=(parts, P(None, "devices")), out_specs=(parts, P()), check_vma=kind == "checked"
        )
        got, info = jax.jit(sharded)(start, batch)
        jax.tree.map(close, own(got).params, own(want).params)
        jax.tree.map(close, own(got).normalizers, own(want).normalizers)
        if module is rnd:
            jax.tree.map(close, got[2:], want[2:])
        # Adam hides a factor of the gradient, so what is told of it counts too.
        told_of = {"loss", "grad_norm", "kl", "value_loss", "intrinsic_reward", "predictor_loss"}
        for name in told_of & told.metrics.keys():
            close(info.metrics[name], told.metrics[name])
        print(module.__name__, kind, sorted(told.metrics))


normalized = {"normalize_observation": True, "normalize_reward": True, "normalize_value": True}
CASES = {
    "ppo": lambda: same(
        ppo, ("pmap", "checked", "unchecked"), num_epochs=2, num_minibatches=1, **normalized
    ),
    "microbatches": lambda: same(
        ppo, ("checked",), num_epochs=2, num_minibatches=1, microbatch_size=4, kl_penalty=True, kl_stop="k3",
        separate_optimizers=True, adaptive_learning_rate="epoch", **normalized
    ),
    "trpo": lambda: same(trpo, ("checked", "unchecked"), normalize_observation=True),
    "npg": lambda: same(npg, ("checked",)),
    "a2c": lambda: same(a2c, ("checked",)),
    "impala": lambda: same(impala, ("checked",)),
    "rnd": lambda: same(
        rnd, ("pmap", "checked", "unchecked"), num_epochs=2, num_minibatches=1, microbatch_size=4, **normalized
    ),
}
CASES[sys.argv[1]]()
print("the same")
"""


@pytest.mark.slow
@pytest.mark.parametrize("case", ["ppo", "microbatches", "trpo", "npg", "a2c", "impala", "rnd"])
def test_shards_give_the_numbers_of_one_device(case):
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "NPROC": "16", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", SCRIPT, case]
    run = subprocess.run(command, env={**os.environ, **flags}, capture_output=True, text=True)
    assert "the same" in run.stdout, run.stderr
