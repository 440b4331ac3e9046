"""Random network distillation: the intrinsic reward by its formula, what learns from it, and what it finds."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from jax.flatten_util import ravel_pytree

from jaxrl import envs, training
from jaxrl.algorithms import policy_value, ppo, rnd
from jaxrl.experiment.checkpoints import Checkpoints
from jaxrl.types import Rollout, Spec, Transition

T, B = 6, 8
SPEC = Spec("test", spaces.Box(-9, 9, (2,), np.float32), spaces.Discrete(3))
SIZES = {
    "num_envs": B, "rollout_length": T, "hidden_sizes": (4,), "num_epochs": 2, "num_minibatches": 2,
    "target_sizes": (5,), "predictor_sizes": (6, 7), "embedding_size": 3,
}  # fmt: skip


def rollout_of(agent, rng, centre=0.0, num_envs=B):
    """A rollout of random observations around a centre, ends of both kinds among them, and of random actions."""
    observation, successor = (centre + rng.normal(size=(2, T, num_envs, 2))).astype(np.float32)
    terminated, truncated = rng.random((T, num_envs)) < 0.1, rng.random((T, num_envs)) < 0.1
    reward = rng.normal(size=(T, num_envs)).astype(np.float32)
    action = rng.integers(0, 3, (T, num_envs))
    transitions = Transition(observation, action, reward, terminated, truncated, successor)
    log_prob = np.full((T, num_envs), -np.log(3), np.float32)
    carry = agent.initial_carry(num_envs)
    extras = {"log_prob": log_prob}
    if carry:
        extras["carry"] = jax.tree.map(lambda x: jnp.broadcast_to(x, (T, *x.shape)), carry)
    return Rollout(transitions, extras, carry)


def flat(tree):
    return np.asarray(ravel_pytree(tree)[0])


def close(got, want, rtol=1e-4, atol=1e-5):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=atol), got, want)


def outputs(params, x):
    """Of a target or a predictor: ReLU behind all layers but the last."""
    layers = params["params"]
    for name, layer in sorted(layers["layers_0"]["MLP_0"].items()):
        assert name.startswith("Dense_")
        x = np.maximum(x @ layer["kernel"] + layer["bias"], 0)
    return x @ layers["layers_1"]["kernel"] + layers["layers_1"]["bias"]


@pytest.mark.parametrize("episodic", [False, True])
def test_the_intrinsic_reward_is_the_formula(rng, key, episodic):
    config = rnd.Config(**SIZES, intrinsic_episodic=episodic)
    agent = rnd.make(SPEC, config)
    hp = rnd.Hyperparameters(intrinsic_discount=0.7)
    state, update = agent.init(key, hp), jax.jit(agent.update)
    state, _ = update(state, rollout_of(agent, rng, 1.0), key, hp)
    rollout = rollout_of(agent, rng)
    new, info = update(state, rollout, key, hp)

    successor = rollout.transitions.next_observation
    seen, old = T * B, state.observation
    mean = (old.mean + successor.mean((0, 1))) / 2
    square = (old.variance + old.mean**2 + (successor**2).mean((0, 1))) / 2
    assert (int(old.count), int(new.observation.count)) == (seen, 2 * seen)
    x = np.clip((successor - mean) / np.sqrt(square - mean**2), -5, 5)
    error = ((outputs(state.target, x) - outputs(state.predictor, x)) ** 2).sum(-1)
    np.testing.assert_allclose(info.metrics["intrinsic_reward"], error.mean(), rtol=1e-4)

    total, sums = np.asarray(state.sums), []
    for t in range(T):
        total = 0.7 * total + error[t]
        sums.append(total)
        ended = rollout.transitions.terminated[t] | rollout.transitions.truncated[t]
        total = np.where(ended & episodic, 0, total)
    np.testing.assert_allclose(new.sums, total, rtol=1e-4)
    before = state.returns
    mean = (before.mean + np.mean(sums)) / 2
    variance = (before.variance + before.mean**2 + np.mean(np.square(sums))) / 2 - mean**2
    np.testing.assert_allclose(new.returns.variance, variance, rtol=1e-3)

    # PPO is given both rewards.
    reward = np.stack([rollout.transitions.reward, error / np.sqrt(variance)], -1).astype(np.float32)
    twin = ppo.make(rnd.two_rewards(SPEC), config, streams=lambda hp: rnd.streams_of(config, hp))
    both = rollout._replace(transitions=rollout.transitions._replace(reward=reward))
    same, _ = jax.jit(twin.update)(state.ppo, both, jax.random.split(key)[0], hp)
    close(new.ppo, same, rtol=2e-3, atol=2e-5)
    np.testing.assert_array_equal(rnd.streams_of(config, hp).discount, np.float32([0.99, 0.7]))
    assert rnd.streams_of(config, hp).episodic == (True, episodic)


@pytest.mark.parametrize(
    "shape, torso",
    [((2,), "auto"), ((10, 10, 2), "auto"), pytest.param((10, 10, 2), "mlp", marks=pytest.mark.slow)]
)
def test_bytes_are_whitened_like_other_numbers(rng, key, shape, torso):
    sizes = SIZES | {"torso": torso}
    made = [
        rnd.make(Spec("test", spaces.Box(0, 255, shape, dtype), spaces.Discrete(3)), rnd.Config(**sizes))
        for dtype in (np.uint8, np.float32)
    ]
    rollout = rollout_of(made[0], rng)
    seen = rng.integers(0, 256, (2, T, B, *shape), dtype=np.uint8)
    t = rollout.transitions._replace(observation=seen[0], next_observation=seen[1])
    reward = []
    for agent, as_they_are in zip(made, (seen, seen.astype(np.float32)), strict=True):
        t = t._replace(observation=as_they_are[0], next_observation=as_they_are[1])
        hp = agent.hyperparameters
        _, info = jax.jit(agent.update)(agent.init(key, hp), rollout._replace(transitions=t), key, hp)
        reward.append(info.metrics["intrinsic_reward"])
    np.testing.assert_allclose(*reward, rtol=1e-4)


def test_a_loss_of_ones_own_is_learned_with_the_policy(rng, key):
    loss = lambda params, features, steps: (params["w"] - 1.0) ** 2 * jnp.ones(features.shape[:-1])
    auxiliary = ppo.AuxiliaryLoss(lambda key, features: {"w": jnp.zeros(())}, loss)
    agent = rnd.make(SPEC, rnd.Config(**SIZES), auxiliary=auxiliary)
    hp = agent.hyperparameters
    new, info = jax.jit(agent.update)(agent.init(key, hp), rollout_of(agent, rng), key, hp)
    assert new.ppo.params["auxiliary"]["w"] > 0 and info.metrics["auxiliary_loss"] > 0


def test_the_predictor_learns_the_target_where_it_has_been_and_the_target_stays(rng, key):
    config = rnd.Config(**{**SIZES, "predictor_sizes": (64, 64)})
    agent = rnd.make(dataclasses.replace(SPEC, observation_space=spaces.Discrete(8)), config)
    hp = rnd.Hyperparameters(predictor_learning_rate=1e-2)
    first, update = agent.init(key, hp), jax.jit(agent.update)
    errors = []

    def visit(state, low, high):
        rollout = rollout_of(agent, rng)
        places = rng.integers(low, high, (2, T, B))
        t = rollout.transitions._replace(observation=places[0], next_observation=places[1])
        state, info = update(state, rollout._replace(transitions=t), jax.random.key(len(errors)), hp)
        errors.append(float(info.metrics["intrinsic_reward"]))
        return state

    state = first
    for _ in range(100):
        state = visit(state, 0, 4)
    known, new = errors[-1], errors[0]
    visit(state, 4, 8)
    assert known < 1e-3 * new
    assert errors[-1] > 0.2 * new
    np.testing.assert_array_equal(flat(state.target), flat(first.target))
    assert np.any(flat(state.predictor) != flat(first.predictor))


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_predictor_learns_from_a_share_of_the_steps(rng, key, share):
    """Of one pass over a single minibatch, against the mean over the steps that were drawn."""
    agent = rnd.make(SPEC, rnd.Config(**{**SIZES, "num_epochs": 1, "num_minibatches": 1}))
    hp = rnd.Hyperparameters(predictor_share=share)
    state, rollout = agent.init(key, hp), rollout_of(agent, rng)
    new, info = jax.jit(agent.update)(state, rollout, key, hp)
    x = rollout.transitions.next_observation.reshape(-1, 2)
    x = np.clip((x - x.mean(0)) / x.std(0), -5, 5)
    error = ((outputs(state.target, x) - outputs(state.predictor, x)) ** 2).sum(-1)
    epoch_key = jax.random.split(jax.random.split(key)[1], 1)[0]
    chosen = np.asarray(jax.random.uniform(jax.random.split(epoch_key)[0], (T * B,))) < share
    assert abs(chosen.mean() - share) < 0.15
    np.testing.assert_allclose(info.metrics["predictor_loss"], error[chosen].sum() / max(chosen.sum(), 1), rtol=1e-4)
    assert np.any(flat(new.predictor) != flat(state.predictor)) == (share > 0)


def test_without_the_intrinsic_reward_the_policy_learns_as_ppos(rng, key):
    """Actor and value of the environment's reward, if the critic is linear: then its two values share no weights."""
    sizes = {"num_envs": B, "rollout_length": T, "hidden_sizes": (4,), "critic_sizes": ()}
    agent, twin = rnd.make(SPEC, rnd.Config(**sizes)), ppo.make(SPEC, ppo.Config(**sizes))
    settings = {"learning_rate": 1e-2, "max_grad_norm": 1e6}
    hp = rnd.Hyperparameters(**settings, extrinsic_coefficient=1.0, intrinsic_coefficient=0.0)
    twin_hp = ppo.Hyperparameters(**settings)
    state, other = agent.init(key, hp), twin.init(key, twin_hp)
    head = lambda params: next(iter(params["critic"]["params"].values()))["Dense_0"]
    own = jax.tree.map(lambda x: x[..., :1], head(state.ppo.params))
    (name,) = other.params["critic"]["params"]
    actor = state.ppo.params["actor"]
    other = other._replace(params={"actor": actor, "critic": {"params": {name: {"Dense_0": own}}}})
    update, twin_update = jax.jit(agent.update), jax.jit(twin.update)
    for i in range(3):
        rollout, step_key = rollout_of(agent, rng), jax.random.fold_in(key, i)
        state, info = update(state, rollout, step_key, hp)
        other, told = twin_update(other, rollout, jax.random.split(step_key)[0], twin_hp)
    assert np.abs(flat(other.params["actor"]) - flat(actor)).max() > 0.05
    close(state.ppo.params["actor"], other.params["actor"], rtol=1e-3, atol=1e-5)
    close(jax.tree.map(lambda x: x[..., :1], head(state.ppo.params)), head(other.params), rtol=1e-3, atol=1e-5)
    close(info.metrics["policy_loss"], told.metrics["policy_loss"], rtol=1e-3)
    x = rng.normal(size=(B, 2)).astype(np.float32)
    close(agent.value(state, x), twin.value(other, x), rtol=1e-3)


@pytest.mark.parametrize("episodic", [False, True])
def test_dummy_steps_are_not_learned_from(rng, key, episodic):
    agent = rnd.make(SPEC, rnd.Config(**SIZES, intrinsic_episodic=episodic))
    hp = rnd.Hyperparameters(predictor_share=0.7)
    state, rollout = agent.init(key, hp), rollout_of(agent, rng)
    dummy = np.zeros((T, B), bool)
    dummy[2, 1] = dummy[4, 6] = True
    t = rollout.transitions
    t.terminated[1, 1] = t.terminated[3, 6] = True
    t.terminated[dummy] = t.truncated[dummy] = False
    rollout = rollout._replace(valid=~dummy)
    noise = lambda x: np.where(dummy.reshape(T, B, *[1] * (x.ndim - 2)), 100, x).astype(x.dtype)
    # From one episode to the next a dummy step leads a return over its observations, which are real ones.
    names = ("observation", "next_observation", "reward") if episodic else ("reward",)
    other = t._replace(**{name: noise(getattr(t, name)) for name in names})
    update = jax.jit(agent.update)
    new, info = update(state, rollout, key, hp)
    same, told = update(state, rollout._replace(transitions=other), key, hp)
    close((new, info), (same, told), rtol=1e-5, atol=1e-6)
    assert int(new.observation.count) == int(new.returns.count) == T * B - 2
    # Nor is there a reward in them.
    x = np.clip((t.next_observation - new.observation.mean) / np.sqrt(new.observation.variance), -5, 5)
    error = np.where(dummy, 0, ((outputs(state.target, x) - outputs(state.predictor, x)) ** 2).sum(-1))
    total = np.zeros(B)
    for i in range(T):
        total = 0.99 * total + error[i]
        total = np.where(episodic & (t.terminated[i] | t.truncated[i] | dummy[i]), 0, total)
    np.testing.assert_allclose(new.sums, total, rtol=1e-4)


def test_a_new_simulator_breaks_off_the_sums(rng, key):
    agent = rnd.make(SPEC, rnd.Config(**SIZES, normalize_reward=True))
    hp = agent.hyperparameters
    state, _ = jax.jit(agent.update)(agent.init(key, hp), rollout_of(agent, rng), key, hp)
    after = agent.interrupt(state)
    assert np.any(state.sums > 0) and not np.any(after.sums) and not np.any(after.ppo.normalizers.sums)


@pytest.mark.parametrize(
    "switches",
    [
        pytest.param(
            {"actor_rnn": "gru", "critic_rnn": "lstm", "rnn_size": 3, "sequence_length": 3, "microbatch_size": 4},
            marks=pytest.mark.slow,
        ),
        {"shared_torso": True, "normalize_observation": True, "normalize_reward": True, "normalize_value": True},
    ],
    ids=["recurrent", "normalised"],
)
def test_the_switches_of_the_family_are_there(rng, key, switches):
    agent = rnd.make(SPEC, rnd.Config(**SIZES, **switches))
    hp = agent.hyperparameters
    state = agent.init(key, hp)
    new, info = jax.jit(agent.update)(state, rollout_of(agent, rng), key, hp)
    assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves((new, info)))
    assert np.any(flat(new.ppo.params) != flat(state.ppo.params))
    assert np.any(flat(new.predictor) != flat(state.predictor))


def test_microbatches_add_up_to_the_step_of_their_minibatch(rng, key):
    whole = rnd.make(SPEC, rnd.Config(**SIZES))
    parts = rnd.make(SPEC, rnd.Config(**SIZES, microbatch_size=6))
    hp = rnd.Hyperparameters(predictor_share=0.5)
    state, rollout = whole.init(key, hp), rollout_of(whole, rng)
    want, info = jax.jit(whole.update)(state, rollout, key, hp)
    got, told = jax.jit(parts.update)(state, rollout, key, hp)
    close(got.predictor, want.predictor, rtol=1e-3)
    close(told.metrics["predictor_loss"], info.metrics["predictor_loss"])


@pytest.mark.slow
def test_eight_shards_are_one_batch(rng, key):
    config = rnd.Config(**{**SIZES, "num_minibatches": 1})
    whole = rnd.make(SPEC, config)
    shard = rnd.make(SPEC, dataclasses.replace(config, num_envs=1, axis_name="i"))
    hp = whole.hyperparameters
    state, small = whole.init(key, hp), shard.init(key, hp)
    # Shards of which each has another number of real steps.
    rollout = rollout_of(whole, rng)._replace(valid=rng.random((T, B)) < np.linspace(0.3, 1.0, B))
    want, info = jax.jit(whole.update)(state, rollout, key, hp)
    shards = jax.tree.map(lambda x: jnp.moveaxis(jnp.asarray(x), 1, 0)[:, :, None], rollout)
    got, told = jax.jit(jax.vmap(lambda batch: shard.update(small, batch, key, hp), axis_name="i"))(shards)
    learned = lambda state: (state.ppo.params, state.predictor, state.observation, state.returns)
    for i in (0, 7):
        close(jax.tree.map(lambda x, i=i: x[i], learned(got)), learned(want), rtol=2e-3, atol=2e-5)
    names = ("intrinsic_reward", "predictor_loss")
    close([told.metrics[n][3] for n in names], [info.metrics[n] for n in names], rtol=1e-3)


@pytest.mark.slow
def test_seeds_side_by_side_are_those_one_by_one(rng, key):
    agent = rnd.make(SPEC, rnd.Config(**SIZES))
    hp, rollout = agent.hyperparameters, jax.tree.map(jnp.asarray, rollout_of(agent, rng))
    run = lambda key: agent.update(agent.init(key, hp), rollout, key, hp)
    keys = jax.random.split(key, 3)
    together = jax.jit(jax.vmap(run))(keys)
    alone = jax.jit(run)(keys[1])
    close(jax.tree.map(lambda x: x[1], together), alone, rtol=1e-3)
    assert np.ptp(together[0].target["params"]["layers_1"]["kernel"], axis=0).max() > 0


@pytest.mark.slow
def test_a_restored_run_goes_on_bit_for_bit(tmp_path):
    env = envs.make("CartPole-v1")
    run = training.make_runner(rnd.make(env.spec, rnd.Config(**SIZES)), env, 1_000, seeds=(0,))
    state, _ = run.advance(run.init(), 2)
    Checkpoints(tmp_path).save(run.steps_after(2), state, {})
    straight, metrics = run.advance(state, 2)
    straight = jax.tree.map(np.array, straight.agent)
    resumed, same = run.advance(run.restored(Checkpoints(tmp_path).restore(run.template()).state), 2)
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(x, y, strict=True), resumed.agent, straight)
    np.testing.assert_equal(same, metrics)


def test_both_networks_see_what_the_actor_does_and_the_newest_frame(key):
    image = spaces.Box(0, 255, (84, 84, 12), np.uint8)
    first = lambda spec: jax.tree.leaves(jax.eval_shape(rnd.make(spec).init, key, rnd.Hyperparameters()).target)
    colours = Spec("frames", image, spaces.Discrete(3), frame_stack=4)
    assert (8, 8, 3, 32) in [x.shape for x in first(colours)]
    assert (8, 8, 12, 32) in [x.shape for x in first(dataclasses.replace(colours, frame_stack=0))]
    parts = spaces.Dict(action_mask=spaces.MultiBinary(3), privileged=spaces.Box(-1, 1, (7,)), x=spaces.Discrete(4))
    assert (4, 64) in [x.shape for x in first(Spec("parts", parts, spaces.Discrete(3)))]


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"reward_shape=\(3,\): rnd needs a scalar reward"):
        rnd.make(dataclasses.replace(SPEC, reward_shape=(3,)))
    networks = policy_value.make_networks(SPEC, rnd.Config())
    with pytest.raises(ValueError, match=r"must be \(2,\): make them for rnd.two_rewards\(spec\)"):
        rnd.make(SPEC, networks=networks)
    with pytest.raises(ValueError, match="value_head='two_hot': must be 'scalar'"):
        rnd.Config(value_head="two_hot", clip_value_loss=False)
    with pytest.raises(ValueError, match="embedding_size=0: must be a positive integer"):
        rnd.Config(embedding_size=0)


@pytest.mark.learning
def test_it_finds_what_ppo_does_not():
    """DeepSea of 16 x 16: one of 65,536 sequences of actions leads to the reward, and each step towards it costs."""
    env, total_steps = envs.make("DeepSea-bsuite", size=16), 200_000
    solved = {}
    for module in (ppo, rnd):
        agent = module.make(env.spec, module.Config(num_envs=16))
        more = {"predictor_learning_rate": 1e-3} if module is rnd else {}
        hp = module.Hyperparameters(learning_rate=1e-3, **more)
        train = training.make_train(agent, env, total_steps, num_intervals=1, eval_episodes=1)
        keys = jax.random.split(jax.random.key(0), 8)
        result = jax.jit(jax.vmap(lambda key, train=train, hp=hp: train(key, hp)))(keys)
        solved[module] = int(np.sum(np.asarray(result.evaluation.mean_return) > 0.9))
    assert solved[ppo] <= 2 and solved[rnd] >= 6, solved
