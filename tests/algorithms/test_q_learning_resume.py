"""Whatever the value-based family keeps between two iterations, a checkpoint brings back."""

import jax
import numpy as np
import pytest

from jaxrl import training
from jaxrl.algorithms import c51, dqn, iqn, munchausen_dqn, pqn, qr_dqn, rainbow
from jaxrl.envs.gymnax_adapter import make
from jaxrl.experiment.checkpoints import Checkpoints

# The target is copied at updates 3 and 6 of 7: the count of updates since matters.
REPLAY = {
    "num_envs": 2, "hidden_sizes": (4,), "buffer_size": 32, "batch_size": 4, "prefill": 8, "n_step": 2,
    "target_update_period": 3,
}  # fmt: skip
ATOMS = {"num_atoms": 5}
SAMPLES = {"policy_samples": 2, "online_samples": 3, "target_samples": 4, "num_cosines": 4}
MEMBERS = {
    "dqn": (dqn, {}),
    "c51": (c51, ATOMS),
    "qr_dqn": (qr_dqn, {"num_quantiles": 3}),
    "iqn": (iqn, SAMPLES),
    "munchausen_dqn": (munchausen_dqn, {}),
    "rainbow": (rainbow, ATOMS),
}
CASES = {f"{name}-{'prioritized' if p else 'uniform'}": (name, p) for name in MEMBERS for p in (True, False)}
QUICK = ("rainbow-prioritized",)


def agent_of(case, spec):
    if case == "pqn":
        sizes = {"num_envs": 2, "rollout_length": 4, "num_minibatches": 2, "hidden_sizes": (4,)}
        return pqn.make(spec, pqn.Config(**sizes))
    name, prioritized = CASES[case]
    module, sizes = MEMBERS[name]
    return module.make(spec, module.Config(**REPLAY, **sizes, prioritized=prioritized))


def data(tree):
    unwrapped = lambda x: jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x
    return {jax.tree_util.keystr(p): np.array(unwrapped(x)) for p, x in jax.tree.leaves_with_path(tree)}


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=[] if c in QUICK else pytest.mark.slow) for c in [*CASES, "pqn"]]
)
def test_a_restored_run_goes_on_bit_for_bit(case, tmp_path):
    env = make("CartPole-v1")
    run = training.make_runner(agent_of(case, env.spec), env, 1_000, seeds=(0,))
    state, _ = run.advance(run.init(), 4)
    saved = data(state)
    if case.endswith("prioritized"):
        assert np.all(saved[".buffer.pending[0]"] >= 0)
    Checkpoints(tmp_path).save(run.steps_after(4), state, {})
    straight, metrics = run.advance(state, 3)
    straight = data(straight)
    restored = Checkpoints(tmp_path).restore(run.template()).state
    resumed, same_metrics = run.advance(run.restored(restored), 3)
    resumed = data(resumed)
    assert resumed.keys() == straight.keys()
    for name, x in straight.items():
        np.testing.assert_array_equal(resumed[name], x, err_msg=name, strict=True)
    np.testing.assert_equal(same_metrics, metrics)
    learned = [name for name in saved if name.startswith(".agent.params")]
    assert any(np.any(straight[name] != saved[name]) for name in learned)
