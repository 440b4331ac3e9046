"""Updates of the policy-gradient family, each against what defines it."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from jax.flatten_util import ravel_pytree

from jaxrl.algorithms import a2c, a3c, appo, impala, npg, policy_value, ppo, trpo, vpg
from jaxrl.losses.v_trace import vtrace
from jaxrl.training import memory
from jaxrl.types import Rollout, Spec, Transition

slow = lambda *of: pytest.param(*of, marks=pytest.mark.slow)
T, B = 6, 8
SPEC = Spec("test", spaces.Box(-9, 9, (2,), np.float32), spaces.Discrete(3))
SIZES = {"num_envs": B, "rollout_length": T, "hidden_sizes": (4,)}


def rollout_of(agent, state, rng, num_envs=B, hp=None):
    """A rollout of random observations, each the successor of the one before within an episode; the agent acts."""
    observation, successor = rng.normal(size=(2, T, num_envs, 2)).astype(np.float32)
    terminated, truncated = rng.random((T, num_envs)) < 0.1, rng.random((T, num_envs)) < 0.1
    reward = rng.normal(size=(T, num_envs)).astype(np.float32)
    inside = ~(terminated | truncated)[:-1, :, None]
    successor[:-1] = np.where(inside, observation[1:], successor[:-1])

    action, extras = playing(agent, num_envs)(state, observation, hp)
    transitions = Transition(observation, action, reward, terminated, truncated, successor)
    return Rollout(transitions, extras, agent.initial_carry(num_envs))


@functools.cache
def playing(agent, num_envs):
    """``play(state, observation [T, B, ...], hp) -> action, extras``."""

    @jax.jit
    def play(state, observation, hp):
        def step(carry, x):
            observation, key = x
            action, carry, extras = agent.act(agent.policy(state), observation, carry, key, hp)
            return carry, (action, extras)

        keys = jax.random.split(jax.random.key(5), T)
        return jax.lax.scan(step, agent.initial_carry(num_envs), (observation, keys))[1]

    return play


def flat(tree):
    return np.asarray(ravel_pytree(tree)[0])


def test_a2c_is_ppo_with_one_epoch_and_one_minibatch(rng, key):
    agent = a2c.make(SPEC, a2c.Config(**SIZES))
    switches = {"num_epochs": 1, "num_minibatches": 1, "normalize_advantage": False, "optimizer": "rmsprop"}
    twin = ppo.make(SPEC, ppo.Config(**SIZES, **switches))
    hp = agent.hyperparameters
    twin_hp = ppo.Hyperparameters(learning_rate=7e-4, gae_lambda=1.0, clip=0.1)
    state, other = agent.init(key, hp), twin.init(key, twin_hp)
    rollout = rollout_of(agent, state, rng)
    new, _ = jax.jit(agent.update)(state, rollout, key, hp)
    same, _ = jax.jit(twin.update)(other, rollout, key, twin_hp)
    np.testing.assert_array_equal(flat(new.params), flat(same.params))

    # And both are A2C as it is written: the gradient of -A log pi + c_v (V - R)^2 / 2 - c_e H.
    value = agent.value
    t = rollout.transitions
    values = np.asarray(jax.vmap(lambda o: value(state, o))(t.observation))
    following = np.asarray(jax.vmap(lambda o: value(state, o))(t.next_observation))
    returns, total = np.zeros((T, B)), following[-1]
    for i in reversed(range(T)):
        total = np.where(t.truncated[i], following[i], total)
        total = t.reward[i] + 0.99 * np.where(t.terminated[i], 0, total)
        returns[i] = total

    def loss(params):
        own = state._replace(params=params)
        log_probs = jax.nn.log_softmax(_logits(params, t.observation))
        log_prob = jnp.take_along_axis(log_probs, t.action[..., None], -1)[..., 0]
        error = returns - jax.vmap(lambda o: value(own, o))(t.observation)
        entropy = -jnp.sum(jnp.exp(log_probs) * log_probs, -1)
        return jnp.mean(-(returns - values) * log_prob + 0.5 * 0.5 * error**2 - 0.01 * entropy)

    gradient = flat(jax.jit(jax.grad(loss))(state.params))
    gradient = gradient * min(1.0, 0.5 / np.linalg.norm(gradient))
    # RMSProp's first step, with statistics that start at zero.
    step = 7e-4 * gradient / np.sqrt(0.01 * gradient**2 + 1e-5)
    np.testing.assert_allclose(flat(new.params), flat(state.params) - step, rtol=1e-3, atol=1e-6)


def _logits(params, x):
    p = params["actor"]["params"]
    for layer in p["MLP_0"].values():
        x = jnp.tanh(x @ layer["kernel"] + layer["bias"])
    head = p["CategoricalHead_0"]["Dense_0"]
    return x @ head["kernel"] + head["bias"]


@pytest.mark.parametrize("module", [npg, trpo])
def test_a_trust_region_step_is_the_natural_gradient_by_the_dense_fisher_matrix(rng, key, module):
    config = module.Config(**SIZES, value_iterations=2, cg_iterations=60)
    agent = module.make(SPEC, config)
    hp = module.Hyperparameters(max_kl=1e-4, damping=0.1)
    state = agent.init(key, hp)
    params = jax.tree.map(lambda p: p + 0.3 * jax.random.normal(key, p.shape), state.params)
    state = state._replace(params=params)
    rollout = rollout_of(agent, state, rng)
    new, info = jax.jit(agent.update)(state, rollout, key, hp)

    t = rollout.transitions
    x, action = t.observation.reshape(-1, 2), t.action.reshape(-1)
    vector, unravel = ravel_pytree(params["actor"])
    log_probs = lambda v: jax.nn.log_softmax(_logits({"actor": unravel(v)}, x))
    score = np.asarray(jax.jacobian(log_probs)(vector))
    fisher = np.einsum("na,nak,nal->kl", np.exp(log_probs(vector)), score, score) / len(x) + 0.1 * np.eye(len(vector))
    value, following = (np.asarray(jax.vmap(lambda o: agent.value(state, o))(o)) for o in (t.observation, t[-1]))
    advantage, last = np.zeros((T, B)), np.zeros(B)
    for i in reversed(range(T)):
        delta = t.reward[i] + 0.99 * np.where(t.terminated[i], 0, following[i]) - value[i]
        last = delta + 0.99 * 0.97 * np.where(t.terminated[i] | t.truncated[i], 0, last)
        advantage[i] = last
    advantage = ((advantage - advantage.mean()) / advantage.std()).reshape(-1)
    gradient = -np.einsum("n,nk->k", advantage, score[np.arange(len(x)), action]) / len(x)
    direction = np.linalg.solve(fisher, gradient)
    step = np.sqrt(2 * 1e-4 / (direction @ fisher @ direction)) * direction
    np.testing.assert_allclose(flat(new.params["actor"]) - vector, -step, rtol=2e-2, atol=2e-5)
    assert info.metrics["kl"] <= 1e-4 or module is npg
    if module is trpo:
        assert info.metrics["step_fraction"] == 1


def test_trpo_keeps_the_old_policy_if_no_step_will_do_but_fits_the_value(rng, key):
    agent = trpo.make(SPEC, trpo.Config(**SIZES, value_iterations=2, cg_iterations=2, backtrack_iterations=1))
    # No divergence is below it, and the step is not even finite.
    hp = trpo.Hyperparameters(max_kl=-1.0)
    state = agent.init(key, hp)
    new, info = jax.jit(agent.update)(state, rollout_of(agent, state, rng), key, hp)
    assert info.metrics["accepted"] == 0
    np.testing.assert_array_equal(flat(new.params["actor"]), flat(state.params["actor"]))
    assert info.metrics["kl"] == 0
    assert np.any(flat(new.params["critic"]) != flat(state.params["critic"]))


def test_kl_early_stop_freezes_parameters_and_optimiser(rng, key):
    config = ppo.Config(**SIZES, num_epochs=6, num_minibatches=1, kl_stop="k3", adam_epsilon=1e-8)
    agent = ppo.make(SPEC, config)
    hp = ppo.Hyperparameters(learning_rate=0.05, target_kl=1e-3)
    state = agent.init(key, hp)
    rollout = rollout_of(agent, state, rng)
    new, info = jax.jit(agent.update)(state, rollout, key, hp)
    count = int(new.opt_state.count)
    assert 0 < count < 5
    # It is where as many epochs without the stop would have been.
    plain = ppo.make(SPEC, dataclasses.replace(config, num_epochs=count, kl_stop="none"))
    same, _ = jax.jit(plain.update)(state, rollout, key, hp)
    np.testing.assert_allclose(flat(new.params), flat(same.params), rtol=1e-5, atol=1e-6)
    # What is reported is of the steps made, and of the one that was not.
    longer = ppo.make(SPEC, dataclasses.replace(config, num_epochs=count + 1, kl_stop="none"))
    reported = jax.jit(longer.update)(state, rollout, key, hp)[1].metrics
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6), info.metrics, reported)


@pytest.mark.parametrize("granularity", ["minibatch", "epoch"])
def test_a_stop_ends_the_adaptation_of_the_learning_rate(rng, key, granularity):
    config = ppo.Config(**SIZES, num_epochs=20, kl_stop="k3", adaptive_learning_rate=granularity, num_minibatches=2)
    agent = ppo.make(SPEC, config)
    hp = ppo.Hyperparameters(learning_rate=0.05, target_kl=1e-3, max_learning_rate=1.0)
    state = agent.init(key, hp)
    new, _ = jax.jit(agent.update)(state, rollout_of(agent, state, rng), key, hp)
    made = int(new.opt_state.count)
    assert 0 < made < 10
    assert 0.05 / 1.5 ** (made + 1) * 0.999 <= float(new.learning_rate) <= 0.05 * 1.5**made


def test_the_policys_early_stop_does_not_stop_a_critic_with_its_own_optimiser(rng, key):
    config = ppo.Config(
        **SIZES, num_epochs=5, num_minibatches=1, kl_stop="k3", separate_optimizers=True, critic_epochs=7
    )
    agent = ppo.make(SPEC, config)
    hp = ppo.Hyperparameters(learning_rate=0.05, target_kl=1e-4)
    state = agent.init(key, hp)
    new, _ = jax.jit(agent.update)(state, rollout_of(agent, state, rng), key, hp)
    assert int(new.opt_state.count) < 5
    assert int(new.critic_opt_state.count) == 7


@pytest.mark.parametrize("separate", [False, True])
def test_a_critic_that_left_the_clip_moves_no_further(rng, key, separate):
    moved = []
    for clips in (True, False):
        config = ppo.Config(
            **SIZES, num_epochs=10, num_minibatches=1, separate_optimizers=separate, critic_epochs=10,
            clip_value_loss=clips,
        )  # fmt: skip
        agent = ppo.make(SPEC, config)
        hp = ppo.Hyperparameters(clip=1e-6, learning_rate=0.01, critic_learning_rate=0.01)
        state = agent.init(key, hp)
        new, _ = jax.jit(agent.update)(state, rollout_of(agent, state, np.random.default_rng(0)), key, hp)
        moved.append(np.abs(flat(new.params["critic"]) - flat(state.params["critic"])).max())
    assert moved[0] < 0.6 * moved[1]


@pytest.mark.parametrize("memory", [slow({}), {"actor_rnn": "gru", "critic_rnn": "gru", "sequence_length": 3}])
def test_a_divergence_from_the_last_epoch_is_that_of_one_step(rng, key, memory):
    told = {}
    for reference in ppo.KL_REFERENCES:
        config = ppo.Config(
            **SIZES, **memory, num_epochs=3, num_minibatches=1, adaptive_learning_rate="iteration",
            kl_reference=reference,
        )  # fmt: skip
        agent = ppo.make(SPEC, config)
        hp = ppo.Hyperparameters(learning_rate=1e-3)
        state = agent.init(key, hp)
        rollout = rollout_of(agent, state, np.random.default_rng(0))
        told[reference] = float(jax.jit(agent.update)(state, rollout, key, hp)[1].metrics["kl"])
    # Like 0, 1, 4 for steps of one length from the policy that acted, and 0, 1, 1 from the one before.
    assert 1.7 < told["acting"] / told["last_epoch"] < 3.3


def test_the_coefficient_and_the_learning_rate_adapt_in_the_state(rng, key):
    config = ppo.Config(**SIZES, num_epochs=2, num_minibatches=2, kl_penalty=True, adaptive_learning_rate="iteration")
    agent = ppo.make(SPEC, config)
    hp = ppo.Hyperparameters(learning_rate=1e-5, kl_coefficient=0.4)
    state = agent.init(key, hp)
    new, info = jax.jit(agent.update)(state, rollout_of(agent, state, rng), key, hp)
    assert info.metrics["old_kl"] < 0.005
    np.testing.assert_allclose(new.kl_coefficient, 0.2, rtol=1e-6)
    np.testing.assert_allclose(new.learning_rate, 1.5e-5, rtol=1e-5)


def test_impalas_actors_lag_behind_by_whole_updates(rng, key):
    agent = impala.make(SPEC, impala.Config(**SIZES, policy_period=3))
    hp = agent.hyperparameters
    state = agent.init(key, hp)
    update, copies = jax.jit(agent.update), []
    for i in range(6):
        state, info = update(state, rollout_of(agent, state, rng), jax.random.fold_in(key, i), hp)
        copies.append(flat(state.acting.params) == flat({"actor": state.params["actor"]}))
        # The weight is 1 exactly where the rollout was that of the parameters themselves.
        assert (abs(info.metrics["importance_weight"] - 1) < 1e-6) == (i % 3 == 0)
    assert [bool(np.all(c)) for c in copies] == [False, False, True, False, False, True]


def test_on_policy_impala_is_the_actor_critic_of_lambda_returns(rng, key):
    switches = {"optimizer": "rmsprop"}
    agent, twin = impala.make(SPEC, impala.Config(**SIZES, **switches)), a2c.make(SPEC, a2c.Config(**SIZES, **switches))
    hp = impala.Hyperparameters(max_grad_norm=1e6)
    state, other = agent.init(key, hp), twin.init(key, twin.hyperparameters)
    rollout = rollout_of(agent, state, rng)
    new, _ = jax.jit(agent.update)(state, rollout, key, hp)
    same, _ = jax.jit(twin.update)(
        other, rollout, key, a2c.Hyperparameters(learning_rate=5e-4, max_grad_norm=1e6)
    )  # fmt: skip
    np.testing.assert_allclose(flat(new.params), flat(same.params), rtol=1e-4, atol=1e-6)


def test_a_surrogate_from_the_learner_itself_has_impalas_gradient(rng, key):
    plain = impala.make(SPEC, impala.Config(**SIZES))
    agent = impala.make(SPEC, impala.Config(**SIZES, surrogate=True, kl_penalty=True))
    hp = agent.hyperparameters
    state, other = agent.init(key, hp), plain.init(key, hp)
    rollout = rollout_of(plain, other, rng)
    new, same = jax.jit(agent.update)(state, rollout, key, hp)[0], jax.jit(plain.update)(other, rollout, key, hp)[0]
    np.testing.assert_allclose(flat(new.params), flat(same.params), rtol=1e-4, atol=1e-6)


def test_the_surrogate_is_measured_from_a_slower_copy(rng, key):
    config = impala.Config(**SIZES, surrogate=True, kl_penalty=True, policy_period=2, target_period=3, num_epochs=1)
    agent = impala.make(SPEC, config)
    hp = impala.Hyperparameters(learning_rate=0.1, clip=0.1, clip_target=1.05)
    state = agent.init(key, hp)
    update = jax.jit(agent.update)
    for i in range(5):
        state, _ = update(state, rollout_of(agent, state, rng), jax.random.fold_in(key, i), hp)
    rollout = rollout_of(agent, state, rng)
    t = rollout.transitions
    networks = policy_value.make_networks(SPEC, config)
    policies = [policy_value.Policy(p, ()) for p in (state.params, state.target)]
    now, old = (networks.actor(p, t.observation, (), None) for p in policies)
    acted = rollout.extras["log_prob"]
    new_log_prob, old_log_prob = now.log_prob(t.action), old.log_prob(t.action)
    assert len({float(x.sum()) for x in (acted, new_log_prob, old_log_prob)}) == 3
    value, next_value = (networks.critic(policies[0], o, (), None) for o in (t.observation, t.next_observation))
    corrected = vtrace(
        old_log_prob - acted, t.reward, value, next_value, t.terminated, t.truncated, hp.discount, hp.trace_lambda,
        clip_rho=1.0, clip_c=1.0, clip_policy_rho=1.0,
    )  # fmt: skip
    ratio = np.minimum(np.exp(acted - old_log_prob), 1.05) * np.exp(new_log_prob - acted)
    surrogate = np.minimum(ratio * corrected.advantage, np.clip(ratio, 0.9, 1.1) * corrected.advantage)
    metrics = update(state, rollout, key, hp)[1].metrics
    np.testing.assert_allclose(metrics["policy_loss"], -surrogate.mean(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(metrics["kl"], old.kl_divergence(now).mean(), rtol=1e-4, atol=1e-6)


def test_a_recurrent_impala_unrolls_the_states_of_the_learner(rng, key):
    """Of the states that an older policy left only the first is used, but where an episode is cut off."""
    recurrent = {"actor_rnn": "gru", "critic_rnn": "gru", "rnn_size": 3}
    agent = impala.make(SPEC, impala.Config(**SIZES, **recurrent))
    hp = agent.hyperparameters
    state = agent.init(key, hp)
    rollout = rollout_of(agent, state, rng)
    rollout = rollout._replace(transitions=rollout.transitions._replace(truncated=np.zeros((T, B), bool)))
    other = jax.tree.map(lambda x: x.at[1:].add(1.0), rollout.extras["carry"])
    other = rollout._replace(extras={**rollout.extras, "carry": other})
    update = jax.jit(agent.update)
    new, same = (update(state, r, key, hp)[0] for r in (rollout, other))
    np.testing.assert_array_equal(flat(new.params), flat(same.params))
    first = jax.tree.map(lambda x: x.at[0].add(1.0), rollout.extras["carry"])
    different = update(state, rollout._replace(extras={**rollout.extras, "carry": first}), key, hp)[0]
    assert np.any(flat(new.params) != flat(different.params))


def test_a3c_with_one_worker_is_a2c(rng, key):
    agent, twin = a3c.make(SPEC, a3c.Config(**SIZES, num_workers=1)), a2c.make(SPEC, a2c.Config(**SIZES))
    hp = a3c.Hyperparameters(max_grad_norm=0.5)
    state, other = agent.init(key, hp), twin.init(key, twin.hyperparameters)
    rollout = rollout_of(twin, other, rng)
    new, _ = jax.jit(agent.update)(state, rollout, key, hp)
    same, _ = jax.jit(twin.update)(other, rollout, key, twin.hyperparameters)
    np.testing.assert_allclose(flat(new.params), flat(same.params), rtol=1e-4, atol=1e-6)


def test_an_evaluation_of_a3c_is_the_learners_whatever_its_size(rng, key):
    agent = a3c.make(SPEC, a3c.Config(**SIZES, num_workers=4))
    state = agent.init(key, agent.hyperparameters)
    broken = state._replace(workers=jax.tree.map(lambda x: jnp.full_like(x, jnp.nan), state.workers))
    act = lambda policy: agent.act(policy, jnp.ones((B, 2)), (), key, agent.hyperparameters, True)[2]["log_prob"]
    assert np.isnan(act(agent.policy(broken))).all()
    assert np.isfinite(act(agent.evaluated(broken))).all()


def test_a3cs_workers_apply_stale_gradients_one_by_one(rng, key):
    agent = a3c.make(SPEC, a3c.Config(**SIZES, num_workers=4))
    hp = agent.hyperparameters
    state = agent.init(key, hp)
    update = jax.jit(agent.update)
    for i in range(2):
        state, _ = update(state, rollout_of(agent, state, rng), jax.random.fold_in(key, i), hp)
    # Every worker has a copy of its own; that of the last in the order is the learner's.
    copies = np.stack([flat(jax.tree.map(lambda x, w=w: x[w], state.workers)) for w in range(4)])
    assert len(np.unique(copies, axis=0)) == 4
    assert sum(np.array_equal(c, flat(state.params)) for c in copies) == 1
    # Each explores its own two environments with it.
    observation = np.repeat(rng.normal(size=(1, 2)).astype(np.float32), B, axis=0)
    log_prob = agent.act(agent.policy(state), observation, (), key, hp)
    log_probs = [
        jax.nn.log_softmax(_logits(jax.tree.map(lambda x, w=w: x[w], state.workers), observation)) for w in range(4)
    ]
    want = [log_probs[i // 2][i, a] for i, a in enumerate(np.asarray(log_prob[0]))]
    np.testing.assert_allclose(log_prob[2]["log_prob"], want, rtol=1e-5)
    again, _ = update(state, rollout_of(agent, state, np.random.default_rng(1)), key, hp)
    twice, _ = update(state, rollout_of(agent, state, np.random.default_rng(1)), key, hp)
    np.testing.assert_array_equal(flat(again), flat(twice))


DIVIDED = {
    "ppo": (ppo, {"num_epochs": 2, "num_minibatches": 2}, 6),
    "ppo-separate": (ppo, {"num_epochs": 1, "num_minibatches": 1, "separate_optimizers": True, "critic_epochs": 2}, 12),
    "ppo-recurrent": (ppo, {"num_epochs": 1, "num_minibatches": 2, "actor_rnn": "gru", "sequence_length": 3}, 2),
    "a2c": (a2c, {"normalize_advantage": True}, 16),
    "impala": (impala, {}, 2),
}


@pytest.mark.parametrize("name", ["ppo-separate", "ppo-recurrent", *map(slow, ("ppo", "a2c", "impala"))])
def test_microbatches_add_up_to_the_step_of_their_minibatch(rng, key, name):
    module, switches, size = DIVIDED[name]
    whole = module.make(SPEC, module.Config(**SIZES, **switches))
    parts = module.make(SPEC, module.Config(**SIZES, **switches, microbatch_size=size))
    hp = dataclasses.replace(whole.hyperparameters, learning_rate=1e-2)
    state = whole.init(key, hp)
    # Parts of which each has another number of real steps.
    rollout = rollout_of(whole, state, rng)._replace(valid=rng.random((T, B)) < np.linspace(0.2, 1.0, B))
    want, info = jax.jit(whole.update)(state, rollout, key, hp)
    got, same = jax.jit(parts.update)(state, rollout, key, hp)
    assert np.abs(flat(want.params) - flat(state.params)).max() > 5e-3
    np.testing.assert_allclose(flat(got.params), flat(want.params), rtol=1e-3, atol=2e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), same.metrics, info.metrics)


def test_microbatches_that_do_not_make_up_a_minibatch():
    with pytest.raises(ValueError, match="microbatch_size=5: must divide the 12 steps of a minibatch"):
        ppo.Config(**SIZES, num_minibatches=4, microbatch_size=5)
    with pytest.raises(ValueError, match="microbatch_size=0: must be a positive integer"):
        ppo.Config(**SIZES, microbatch_size=0)
    with pytest.raises(ValueError, match="microbatch_size=3: must divide the 8 sequences"):
        ppo.Config(**SIZES, actor_rnn="gru", num_minibatches=1, microbatch_size=3)
    with pytest.raises(ValueError, match="microbatch_size=24: must divide the 12 steps"):
        ppo.Config(**SIZES, num_minibatches=1, separate_optimizers=True, critic_minibatches=4, microbatch_size=24)
    with pytest.raises(ValueError, match="microbatch_size=7: must divide the 48 steps"):
        a2c.Config(**SIZES, microbatch_size=7)


PARALLEL = {
    "ppo": (ppo, {"num_epochs": 2, "num_minibatches": 1, "normalize_reward": True, "normalize_value": True}),
    "ppo-microbatches": (ppo, {"num_epochs": 2, "num_minibatches": 1, "microbatch_size": 3}),
    "a2c": (a2c, {"normalize_advantage": True}),
    "vpg": (vpg, {"value_iterations": 2}),
    "trpo": (trpo, {"value_iterations": 2, "cg_iterations": 3}),
    "impala": (impala, {}),
}


@pytest.mark.parametrize("name", ["ppo-microbatches", "trpo", *map(slow, ("ppo", "a2c", "vpg", "impala"))])
def test_eight_shards_are_one_batch(rng, key, name):
    module, switches = PARALLEL[name]
    config = module.Config(**SIZES, **switches, normalize_observation=True)
    whole = module.make(SPEC, config)
    shard = module.make(SPEC, dataclasses.replace(config, num_envs=1, axis_name="i"))
    hp = whole.hyperparameters
    state, small = whole.init(key, hp), shard.init(key, hp)
    # Shards of which each has another number of real steps.
    rollout = rollout_of(whole, state, rng)._replace(valid=rng.random((T, B)) < np.linspace(0.3, 1.0, B))
    want, info = jax.jit(whole.update)(state, rollout, key, hp)
    shards = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0)[:, :, None], rollout)
    run = jax.jit(jax.vmap(lambda batch: shard.update(small, batch, key, hp), axis_name="i"))
    got, shard_info = run(shards)
    for i in (0, 7):
        jax.tree.map(
            lambda g, w, i=i: np.testing.assert_allclose(g[i], w, rtol=2e-3, atol=2e-5), got.params, want.params
        )
    jax.tree.map(
        lambda g, w: np.testing.assert_allclose(g[0], w, rtol=1e-3, atol=1e-5),
        got.normalizers.observation, want.normalizers.observation,
    )  # fmt: skip
    assert set(shard_info.metrics) == set(info.metrics)


@pytest.mark.parametrize(
    ("module", "cell"),
    [(ppo, "lstm"), (impala, "gru")]
    + [slow(ppo, "gru"), slow(impala, "lstm")]
    + [slow(module, cell) for module in (trpo, a3c) for cell in ("lstm", "gru")],
)
def test_recurrent_updates_are_finite_and_change_everything(rng, key, module, cell):
    config = module.Config(**SIZES, actor_rnn=cell, critic_rnn=cell, rnn_size=3)
    agent = module.make(SPEC, config)
    hp = agent.hyperparameters
    state = agent.init(key, hp)
    new, info = jax.jit(agent.update)(state, rollout_of(agent, state, rng), key, hp)
    assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves((new, info)))
    changed = jax.tree.map(lambda a, b: bool(np.any(a != b)), state.params, new.params)
    assert all(jax.tree.leaves(changed))


class Squares(nn.Module):
    """A torso of one's own."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(5)(x) ** 2


@pytest.mark.parametrize("module", [ppo, a2c, a3c, impala, vpg, npg, trpo], ids=lambda m: m.__name__.rpartition(".")[2])
def test_a_torso_of_ones_own(module, key):
    config = module.Config(**SIZES)
    networks = policy_value.make_networks(SPEC, config, torso=lambda side: Squares())
    agent = module.make(SPEC, config, networks=networks)
    state = agent.init(key, agent.hyperparameters)
    assert "Squares_0" in state.params["actor"]["params"] and "Squares_0" in state.params["critic"]["params"]
    observation = jnp.ones((B, 2))
    action, _, extras = agent.act(agent.policy(state), observation, (), key, agent.hyperparameters)
    assert action.shape == extras["log_prob"].shape == agent.value(state, observation).shape == (B,)


@pytest.mark.parametrize("module", [slow(a2c), a3c, impala])
def test_an_optimiser_of_its_own_moves_the_critic_alone(module, rng, key):
    """With the same step sizes and no bound nothing changes; the critic's own then move the critic and nothing else."""
    joint = module.make(SPEC, module.Config(**SIZES))
    apart = module.make(SPEC, module.Config(**SIZES, separate_optimizers=True))
    rate = joint.hyperparameters.learning_rate
    hp = module.Hyperparameters(
        max_grad_norm=1e6, value_coefficient=1.0, critic_learning_rate=rate, critic_max_grad_norm=1e6
    )
    state = joint.init(key, hp)
    rollout = rollout_of(joint, state, rng, hp=hp)

    def moved(agent, **changes):
        new, _ = jax.jit(agent.update)(agent.init(key, hp), rollout, key, dataclasses.replace(hp, **changes))
        return {side: flat(new.params[side]) - flat(state.params[side]) for side in ("actor", "critic")}

    same, twin = moved(joint), moved(apart)
    faster, bound = moved(apart, critic_learning_rate=3 * rate), moved(apart, critic_max_grad_norm=1e-6)
    without_bounds = moved(apart, max_grad_norm=None, critic_max_grad_norm=None)
    unweighted = moved(apart, value_coefficient=0.0)  # what is learned apart needs no weight
    for other in (without_bounds, unweighted):
        np.testing.assert_allclose(other["critic"], twin["critic"], rtol=1e-4, atol=1e-7)
    for other in (twin, faster, bound, without_bounds, unweighted):
        np.testing.assert_allclose(other["actor"], same["actor"], rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(twin["critic"], same["critic"], rtol=1e-3, atol=1e-7)
    if module is not a3c:  # Whose later gradients are of parameters that have moved.
        np.testing.assert_allclose(faster["critic"], 3 * twin["critic"], rtol=1e-3, atol=1e-6)
    assert np.abs(bound["critic"]).sum() < 0.1 * np.abs(twin["critic"]).sum()
    with pytest.raises(ValueError, match="must be false where the torso is shared"):
        module.Config(**SIZES, separate_optimizers=True, shared_torso=True)


def test_the_policys_gradient_can_be_bound(rng, key):
    agent = vpg.make(SPEC, vpg.Config(**SIZES))
    state = agent.init(key, agent.hyperparameters)
    rollout = rollout_of(agent, state, rng)
    free, bound = (
        jax.jit(agent.update)(state, rollout, key, dataclasses.replace(agent.hyperparameters, max_grad_norm=bound))[0]
        for bound in (None, 1e-12)
    )
    np.testing.assert_array_equal(flat(free.params["critic"]), flat(bound.params["critic"]))
    moved = [np.abs(flat(new.params["actor"]) - flat(state.params["actor"])).max() for new in (free, bound)]
    assert moved[0] > 1e-4 and moved[1] < 1e-6


@pytest.mark.parametrize("module", [vpg, slow(npg), slow(trpo)])
def test_the_fitted_critics_gradient_can_be_bound(module, rng, key):
    agent = module.make(SPEC, module.Config(**SIZES, value_iterations=1))
    hp = agent.hyperparameters
    state = agent.init(key, hp)
    rollout = rollout_of(agent, state, rng)
    free, bound = (
        jax.jit(agent.update)(state, rollout, key, dataclasses.replace(hp, critic_max_grad_norm=bound))[0]
        for bound in (None, 1e-12)
    )
    np.testing.assert_array_equal(flat(free.params["actor"]), flat(bound.params["actor"]))
    moved = [np.abs(flat(new.params["critic"]) - flat(state.params["critic"])).max() for new in (free, bound)]
    assert moved[0] > 5e-4 and moved[1] < 1e-6


def test_kept_rollouts_are_learned_from_again(rng, key):
    """With one slot the buffer holds the new rollout alone: each update is two steps on it, one after the other."""
    plain, agent = (impala.make(SPEC, impala.Config(**SIZES, replay_slots=n, policy_period=1)) for n in (0, 1))
    hp = agent.hyperparameters
    state, other = agent.init(key, hp), plain.init(key, hp)
    rollout = rollout_of(agent, state, rng)
    new, info = jax.jit(agent.update)(state, rollout, key, hp)
    for _ in range(2):
        other, _ = jax.jit(plain.update)(other, rollout, key, hp)
    np.testing.assert_allclose(flat(new.params), flat(other.params), rtol=1e-5, atol=1e-7)
    assert all(np.ndim(x) == 0 for x in info.metrics.values())


def test_an_old_rollout_is_learned_from_after_the_new_one(rng, key):
    """Of two slots either is drawn: a step on the second rollout, and then one more on it or on the first."""
    plain, agent = (impala.make(SPEC, impala.Config(**SIZES, replay_slots=n, policy_period=1)) for n in (0, 2))
    hp = agent.hyperparameters
    first, second = (rollout_of(agent, agent.init(key, hp), rng) for _ in range(2))
    update, step = jax.jit(agent.update), jax.jit(plain.update)

    def by_hand(*rollouts):
        state = plain.init(key, hp)
        for rollout in rollouts:
            state, _ = step(state, rollout, key, hp)
        return flat(state.params)

    expected = by_hand(first, first, second, first), by_hand(first, first, second, second)
    assert np.abs(expected[0] - expected[1]).max() > 1e-4
    before, _ = update(agent.init(key, hp), first, key, hp)
    drawn = []
    for i in range(8):
        got = flat(update(before, second, jax.random.key(i), hp)[0].params)
        drawn.append([np.allclose(got, e, rtol=1e-4, atol=1e-6) for e in expected])
    assert sorted(set(map(tuple, drawn))) == [(False, True), (True, False)]


def test_kept_rollouts_have_the_rewards_as_they_were(rng, key):
    """An old rollout's are divided by the deviation of now, as the new one's."""
    config = {**SIZES, "replay_slots": 2, "policy_period": 1, "normalize_reward": True}
    agent = impala.make(SPEC, impala.Config(**config))
    hp = agent.hyperparameters
    state = agent.init(key, hp)
    rollout = rollout_of(agent, state, rng)
    new, _ = jax.jit(agent.update)(state, rollout, key, hp)
    words = np.concatenate([np.ravel(x).view(np.uint32) for x in jax.tree.leaves(new.replay) if x.dtype.itemsize == 4])
    assert np.isin(np.ravel(rollout.transitions.reward).view(np.uint32), words).all()


def test_kept_rollouts_are_counted_before_they_are_allocated():
    agent = appo.make(SPEC, appo.Config(**SIZES, replay_slots=8))
    assert memory.replay_bytes(agent, 2) >= 2 * 8 * SIZES["num_envs"] * SIZES["rollout_length"] * 4
    assert memory.replay_bytes(ppo.make(SPEC, ppo.Config(**SIZES))) == 0
    with pytest.raises(MemoryError, match=r"replay_slots=1,000,000,000: .* use a smaller replay_slots, fewer seeds$"):
        memory.require_memory(appo.make(SPEC, appo.Config(**SIZES, replay_slots=1_000_000_000)), 1)
    for wrong in (-1, 1.5):
        with pytest.raises(ValueError, match=r"replay_slots=.*integer >= 0"):
            impala.Config(**SIZES, replay_slots=wrong)
    with pytest.raises(ValueError, match=r"replays=7: needs replay_slots"):
        impala.Config(**SIZES, replays=7)


@pytest.mark.parametrize("rnn", [slow("none"), "gru"])
def test_the_buffer_of_rollouts_is_a_ring(rnn, rng, key):
    config = appo.Config(**SIZES, replay_slots=2, replays=3, actor_rnn=rnn, critic_rnn=rnn, rnn_size=3)
    agent = appo.make(SPEC, config)
    hp = agent.hyperparameters
    state = agent.init(key, hp)
    update, rewards = jax.jit(agent.update), []
    for i in range(3):
        rollout = rollout_of(agent, state, rng)
        rewards.append(np.sort(np.ravel(rollout.transitions.reward)))
        state, info = update(state, rollout, jax.random.fold_in(key, i), hp)
        assert np.isfinite(info.metrics["loss"])
    # Whatever its layout, the state holds the rewards of the last two rollouts and none of the first.
    leaves = [np.ravel(x) for x in jax.tree.leaves(state.replay) if x.dtype.itemsize == 4]
    words = np.concatenate([x.view(np.uint32) for x in leaves])
    assert [np.isin(r.view(np.uint32), words).mean() for r in rewards] == [0.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="must be 0 with axis_name"):
        appo.Config(**SIZES, axis_name="devices")


def test_the_coefficient_of_appos_penalty_adapts_with_each_copy_to_the_target(rng, key):
    """Just after a copy the divergence is near zero whatever the step size, so that says nothing."""
    agent = appo.make(SPEC, appo.Config(**SIZES, kl_penalty=True, replay_slots=0, target_period=2))
    update = jax.jit(agent.update)
    for target, factor in ((1e-9, 1.5), (1e3, 0.5)):
        hp = appo.Hyperparameters(target_kl=target, learning_rate=0.01)
        state, coefficients = agent.init(key, hp), []
        for _ in range(4):
            state, info = update(state, rollout_of(agent, state, rng), key, hp)
            assert info.metrics["kl_coefficient"] == state.kl_coefficient
            coefficients.append(float(state.kl_coefficient))
        assert coefficients == [1.0, factor, factor, factor**2]
    with pytest.raises(ValueError, match="more than one step from each target"):
        appo.Config(**SIZES, kl_penalty=True, replay_slots=0, target_period=1)
    with pytest.raises(ValueError, match="without it, this is impala"):
        appo.Config(**SIZES, surrogate=False)
