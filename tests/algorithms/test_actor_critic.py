"""The step that the actor-critics share: what moves, what stands still, and what each target is made of."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl import training
from jaxrl.algorithms import actor_critic, crossq, ddpg, dqn, droq, impala, pqn, redq, sac, sac_discrete, td3, tqc
from jaxrl.envs import probes
from jaxrl.types import Sample, Spec, Transition

BOX = Spec("box", spaces.Box(-1, 1, (3,), np.float32), spaces.Box(-1, 1, (2,), np.float32))
DISCRETE = dataclasses.replace(BOX, action_space=spaces.Discrete(4))
SMALL = {"hidden_sizes": (8,), "batch_size": 16, "buffer_size": 64, "prefill": 16}
DISCOUNT = 0.9


def build(module, **config):
    config = SMALL | ({"critic_sizes": (8,)} if module is crossq else {}) | config
    agent = module.make(DISCRETE if module is sac_discrete else BOX, module.Config(**config))
    hp = module.Hyperparameters(discount=DISCOUNT, tau=0.1)
    return agent, hp, agent.init(jax.random.key(0), hp)


@pytest.fixture
def batch(rng):
    """Sixteen transitions with continuous actions, three of them terminated."""
    n = 16
    draw = lambda *shape: rng.uniform(-1, 1, size=shape).astype(np.float32)
    ended = np.arange(n) % 6 == 0
    transitions = Transition(draw(n, 3), draw(n, 2), draw(n), ended, np.zeros(n, bool), draw(n, 3))
    transitions = jax.tree.map(jnp.asarray, transitions)
    return Sample(transitions, jnp.arange(n), jnp.ones(n), jnp.ones(n, jnp.int32))


def with_discrete_actions(batch):
    return batch._replace(transitions=batch.transitions._replace(action=jnp.arange(16) % 4))


def moved(old, new):
    """Whether any leaf differs."""
    return any(np.any(a != b) for a, b in zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True))


def call(part, variables, x, action=None):
    """An actor's last layer, or critics' ``[N, B, outputs]``, the sums of one hidden layer written out."""
    dense = lambda x, p: x @ p["kernel"] + p["bias"]
    hidden = lambda p, x: jax.nn.relu(dense(x, p["Layers_0"]["Dense_0"]))
    x = jnp.asarray(x)
    if part == "actor":
        (head,) = (p for name, p in variables.params.items() if name.endswith("Head_0"))
        return dense(hidden(variables.params, x), head["Dense_0"])
    x = x if action is None else jnp.concatenate([x, action], axis=-1)
    (members,) = variables.params.values()
    return jax.vmap(lambda p: dense(hidden(p, x), p["Dense_0"]))(members)


def critic_loss_of(agent, hp, state, batch, key=0):
    return agent.update(state, batch, jax.random.key(key), hp)[1].metrics["loss"]


def bellman(batch, next_value):
    t = batch.transitions
    return t.reward + DISCOUNT * (1 - t.terminated) * next_value


class TestTargetsByHand:
    """One update's loss of the critics, with the networks' sums written out."""

    def apart(self, state):
        """A state whose targets differ from what they follow, so that one cannot stand for the other."""
        shifted = jax.tree.map(lambda x: x + 0.1, state.targets)
        return state._replace(targets=shifted)

    @pytest.mark.parametrize("num_critics", [3])
    def test_ddpg_asks_the_target_actor_and_the_smallest_target_critic(self, batch, num_critics):
        agent, hp, state = build(ddpg, num_critics=num_critics)
        state = self.apart(state)
        t = batch.transitions
        action = jnp.tanh(call("actor", state.targets["actor"], t.next_observation))
        next_q = call("critic", state.targets["critic"], t.next_observation, action)[..., 0]
        q = call("critic", state.critic.variables, t.observation, t.action)[..., 0]
        target = bellman(batch, next_q.min(0))
        want = jnp.mean(jnp.sum(0.5 * (q - target) ** 2, axis=0))
        _, info = agent.update(state, batch, jax.random.key(0), hp)
        np.testing.assert_allclose(info.metrics["loss"], want, rtol=1e-4)
        np.testing.assert_allclose(info.priorities, jnp.mean(jnp.abs(q - target), 0), rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(info.metrics["q_value"], q.mean(), rtol=1e-4, atol=1e-6)

    def test_td3_smooths_the_target_action(self, batch):
        agent, hp, state = build(td3)
        losses = [critic_loss_of(agent, hp, state, batch, key) for key in (0, 1)]
        assert losses[0] != losses[1]
        still = hp.replace(smoothing_scale=0.0)
        without = build(td3, target_smoothing=False)
        for key in (0, 1):
            got = critic_loss_of(agent, still, state, batch, key)
            np.testing.assert_allclose(got, critic_loss_of(without[0], hp, state, batch), rtol=1e-5)

    def test_ddpg_becomes_td3_by_its_switches(self, batch):
        switches = {"num_critics": 2, "target_smoothing": True, "policy_delay": 2, "target_update_period": 2}
        a, hp, state = build(ddpg, **switches)
        b, *_ = build(td3)
        for key in range(3):
            (state, _), (other, _) = (x.update(state, batch, jax.random.key(key), hp) for x in (a, b))
            jax.tree.map(np.testing.assert_array_equal, state, other)

class TestWhatMoves:
    def step(self, module, batch, hp=None, **config):
        agent, defaults, state = build(module, **config)
        batch = with_discrete_actions(batch) if module is sac_discrete else batch
        new, info = jax.jit(agent.update)(state, batch, jax.random.key(1), hp or defaults)
        return state, new, info

    @pytest.mark.parametrize("module", [ddpg, sac, sac_discrete, tqc, crossq])
    def test_gradients_stop_where_they_must(self, batch, module):
        """With a learning rate of zero for one, that one stands still and the others move."""
        *_, state = build(module)
        hp = build(module)[1]
        policy_delay = {"policy_delay": 1}
        for rate, part in [("actor_learning_rate", "actor"), ("critic_learning_rate", "critic")]:
            old, new, _ = self.step(module, batch, hp.replace(**{rate: 0.0}), **policy_delay)
            for name in ("actor", "critic"):
                changed = moved(getattr(old, name).variables.params, getattr(new, name).variables.params)
                assert changed == (name != part)

    def test_the_actors_gradient_is_that_of_the_critics_value(self, batch):
        agent, hp, state = build(ddpg, adam_epsilon=1.0)
        t = batch.transitions
        new, info = agent.update(state, batch, jax.random.key(0), hp.replace(critic_learning_rate=0.0))

        def loss(params):
            variables = state.actor.variables._replace(params=params)
            action = jnp.tanh(call("actor", variables, t.observation))
            return -jnp.mean(call("critic", state.critic.variables, t.observation, action)[0])

        value, gradient = jax.value_and_grad(loss)(state.actor.variables.params)
        np.testing.assert_allclose(info.metrics["actor_loss"], value, rtol=1e-4)
        # The first step of Adam: g / (|g| + epsilon).
        want = jax.tree.map(lambda p, g: p - 1e-3 * g / (jnp.abs(g) + 1.0), state.actor.variables.params, gradient)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7), new.actor.variables.params, want
        )

    def test_a_delayed_actor_moves_every_other_update_and_the_targets_with_it(self, batch):
        agent, hp, state = build(td3)
        update = jax.jit(agent.update)
        for i in range(4):
            new, info = update(state, batch, jax.random.key(i), hp)
            due = i % 2 == 1
            assert moved(state.actor.variables, new.actor.variables) == due
            assert moved(state.targets, new.targets) == due
            assert moved(state.critic.variables, new.critic.variables)
            assert (info.metrics["actor_loss"] != 0.0) == due
            state = new

    def test_targets_follow_by_tau(self, batch):
        old, new, _ = self.step(td3, batch, policy_delay=1, target_update_period=1)
        for part in ("actor", "critic"):
            want = jax.tree.map(
                lambda target, online: 0.9 * target + 0.1 * online,
                old.targets[part].params,
                getattr(new, part).variables.params,
            )
            jax.tree.map(
                functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), new.targets[part].params, want
            )

    def test_who_has_targets(self):
        names = lambda module, **config: set(build(module, **config)[2].targets)
        assert names(ddpg) == {"actor", "critic"}
        assert names(sac) == names(tqc) == names(redq) == {"critic"}
        assert names(sac, state_value=True) == {"value"}
        assert names(crossq) == names(ddpg, target_network=False) == set()

    @pytest.mark.parametrize(("entropy", "rises"), [(5.0, True), (-5.0, False)])
    def test_the_temperature_seeks_the_target_entropy(self, batch, entropy, rises):
        hp = sac.Hyperparameters(target_entropy=entropy)
        old, new, _ = self.step(sac, batch, hp)
        assert (new.temperature.variables.params > old.temperature.variables.params) == rises

    def test_the_temperature_stays_above_its_bound(self, batch):
        hp = sac.Hyperparameters(target_entropy=-50.0, temperature_learning_rate=10.0, min_temperature=0.01)
        _, new, info = self.step(sac, batch, hp)
        np.testing.assert_allclose(jnp.exp(new.temperature.variables.params), 0.01, rtol=1e-5)
        np.testing.assert_allclose(info.metrics["temperature"], 0.01, rtol=1e-5)

    def test_a_fixed_temperature_has_no_state(self, batch):
        _, new, info = self.step(sac, batch, sac.Hyperparameters(temperature=0.2), learn_temperature=False)
        assert new.temperature == ()
        np.testing.assert_allclose(info.metrics["temperature"], 0.2, rtol=1e-6)

    def test_without_targets_both_observations_go_through_the_critics_together(self, batch):
        """The batch's statistics are of both, and the running ones move once."""
        old, new, _ = self.step(crossq, batch)
        first = next(iter(new.critic.variables.stats.values()))["Layers_0"]["BatchRenorm_0"]
        np.testing.assert_array_equal(first["steps"], [1.0, 1.0])
        t = batch.transitions
        seen = np.concatenate([t.observation, t.next_observation])
        np.testing.assert_allclose(first["mean"][0, :3], 0.01 * seen.mean(0), rtol=1e-4, atol=1e-6)
        assert not moved(old.actor.variables, new.actor.variables)  # delayed: the third update is its first

    def test_gradients_of_actor_and_critics_are_bounded_apart(self, batch):
        free, hp = build(ddpg)[0], build(ddpg)[1]
        state = free.init(jax.random.key(0), hp)
        bounded = hp.replace(critic_max_grad_norm=1e-9)
        tiny, _ = free.update(state, batch, jax.random.key(0), bounded.replace(critic_learning_rate=1e-3))
        plain, info = free.update(state, batch, jax.random.key(0), hp)
        assert info.metrics["grad_norm"] > 1e-3
        variables = lambda state, part: jax.tree.leaves(getattr(state, part).variables)
        change = lambda new, part: max(
            float(jnp.abs(a - b).max()) for a, b in zip(variables(new, part), variables(state, part), strict=True)
        )
        assert change(tiny, "critic") < 0.5 * change(plain, "critic")
        assert change(tiny, "actor") > 0.5 * change(plain, "actor")

    def test_statistics_are_of_observed_steps_and_updates_leave_them(self, batch):
        agent, hp, state = build(sac, normalize_observation=True)
        state = agent.observe(state, batch.transitions, None, hp)
        assert int(state.observations.count) == 16
        np.testing.assert_allclose(state.observations.mean, batch.transitions.observation.mean(0), rtol=1e-5, atol=1e-6)
        new, _ = agent.update(state, batch, jax.random.key(0), hp)
        assert not moved(state.observations, new.observations)
        assert build(sac)[0].observe is None
        policy = agent.policy(new)
        x = batch.transitions.observation
        action, *_ = agent.act(policy, x, (), jax.random.key(0), hp, explore=False)
        scaled = (x - new.observations.mean) / jnp.sqrt(new.observations.variance + 1e-8)
        mean = jnp.split(call("actor", new.actor.variables, scaled), 2, axis=-1)[0]
        np.testing.assert_allclose(action, jnp.tanh(mean), rtol=1e-4, atol=1e-5)

    def test_a_dummy_step_teaches_nothing_of_rewards(self, batch):
        agent, hp, state = build(ddpg, normalize_reward=True, num_envs=16)
        state = state._replace(rewards=state.rewards._replace(sums=jnp.ones(16)))
        after = agent.observe(state, batch.transitions, jnp.zeros(16, bool), hp)
        assert int(after.rewards.statistics.count) == 0
        np.testing.assert_array_equal(after.rewards.sums, jnp.zeros(16))


class TestActing:
    @pytest.mark.parametrize("module", [ddpg, td3, sac, tqc, crossq])
    def test_evaluation_is_deterministic_and_exploration_is_not(self, module, batch):
        agent, hp, state = build(module)
        act = lambda key, explore: agent.act(
            agent.policy(state),
            batch.transitions.observation,
            agent.initial_carry(16),
            jax.random.key(key),
            hp,
            explore,
        )[0]
        np.testing.assert_array_equal(act(0, False), act(1, False))
        assert not np.array_equal(act(0, True), act(1, True))
        assert np.abs(act(0, True)).max() <= 1.0

    def test_equal_observations_get_noise_of_their_own(self):
        agent, hp, state = build(ddpg)
        action, *_ = agent.act(agent.policy(state), jnp.zeros((64, 3)), (), jax.random.key(0), hp)
        assert len(np.unique(action)) == 128

    def test_epsilon_replaces_actions(self):
        agent, hp, state = build(sac_discrete)
        state = state._replace(actor=jax.tree.map(lambda x: 100 * x, state.actor))
        act = lambda epsilon: agent.act(
            agent.policy(state), jnp.ones((512, 3)), (), jax.random.key(0), hp.replace(epsilon=epsilon)
        )[0]
        assert set(np.unique(act(1.0))) == {0, 1, 2, 3}
        assert act(1.0).dtype == jnp.int32

    def test_correlated_noise_is_carried_on_and_reset_where_an_episode_ends(self):
        """Through the training loop: episodes of two steps, so after each second step the noise begins at zero."""
        probe = probes.truncation(max_episode_steps=2, continuous=True)
        config = ddpg.Config(**SMALL | {"num_envs": 4}, exploration="ornstein_uhlenbeck")
        agent = ddpg.make(probe.env.spec, config)
        hp = ddpg.Hyperparameters(noise_scale=0.5)
        train = training.make_train(agent, probe.env, 200, num_intervals=1)
        state = jax.jit(train.init)(jax.random.key(0), hp)
        chunk = jax.jit(train.chunk)
        noise = []
        for _ in range(6):
            state, _ = chunk(state, hp, 1)
            noise.append(np.asarray(state.actors.carry))
        assert noise[0].shape == (4, 1)
        at_zero = [bool((n == 0.0).all()) for n in noise]
        # 16 steps of prefill are four of each environment: whole episodes.
        assert at_zero == [False, True] * 3

    def test_noise_of_a_step_grows_from_that_of_the_step_before(self):
        agent, hp, state = build(ddpg, exploration="ornstein_uhlenbeck")
        policy, x = agent.policy(state), jnp.zeros((2, 3))
        carry = jnp.array([[0.5, -0.5], [0.0, 0.2]])
        still = hp.replace(noise_scale=0.0, noise_theta=0.1)
        action, noise, _ = agent.act(policy, x, carry, jax.random.key(0), still)
        np.testing.assert_allclose(noise, 0.9 * carry, rtol=1e-6)
        plain, same, _ = agent.act(policy, x, carry, jax.random.key(0), still, explore=False)
        np.testing.assert_allclose(action, plain + 0.9 * carry, rtol=1e-5)
        np.testing.assert_array_equal(same, carry)


class TestBadInput:
    @pytest.mark.parametrize("module", [ddpg, td3, sac, tqc, redq, droq, crossq])
    def test_only_bounded_boxes_will_do(self, module):
        with pytest.raises(ValueError, match=r"one-dimensional Box.*sac_discrete"):
            module.make(DISCRETE)
        unbounded = dataclasses.replace(BOX, action_space=spaces.Box(-np.inf, np.inf, (2,), np.float32))
        with pytest.raises(ValueError, match=r"bounded actions.*ppo"):
            module.make(unbounded)

    @pytest.mark.parametrize(("module", "spec"), [(sac, "box"), (dqn, "discrete"), (pqn, "discrete"), (impala, "box")])
    def test_vectors_of_rewards_are_for_ppo(self, module, spec):
        with pytest.raises(ValueError, match=r"reward_shape=\(2,\): .* needs a scalar reward; ppo takes vectors"):
            module.make(dataclasses.replace({"box": BOX, "discrete": DISCRETE}[spec], reward_shape=(2,)))

    def test_discrete_sac_needs_finitely_many_actions(self):
        with pytest.raises(ValueError, match=r"Discrete.*sac takes a Box"):
            sac_discrete.make(BOX)

    @pytest.mark.parametrize(
        ("module", "config", "words"),
        [
            (sac, {"subset_size": 3}, r"subset_size=3.*num_critics=2"),
            (sac, {"action_layers": (2,)}, r"action_layers=\(2,\).*0 to 1"),
            (sac, {"action_layers": ()}, r"action_layers=\(\)"),
            (sac, {"dropout": 1.0}, r"dropout=1.0.*\[0, 1\)"),
            (sac, {"critic_normalization": "bath"}, r"did you mean 'batch'"),
            (sac, {"log_std_bounds": (2.0, -5.0)}, r"log_std_bounds"),
            (sac, {"state_value": True, "target_network": False}, r"target_network=False"),
            (sac, {"policy_delay": 0}, r"policy_delay=0"),
            (sac, {"output_bound": 0.0}, r"output_bound=0.0"),
            (tqc, {"drop_quantiles": 25}, r"drop_quantiles=25.*num_quantiles=25"),
            (tqc, {"subset_size": 1}, r"subset_size=1"),
            (tqc, {"state_value": True}, r"state_value=True"),
            (ddpg, {"exploration": "gausian"}, r"did you mean 'gaussian'"),
        ],
    )
    def test_a_configuration_that_cannot_be_is_refused(self, module, config, words):
        with pytest.raises(ValueError, match=words):
            module.Config(**config)

    def test_images_are_not_normalised_by_statistics(self):
        image = dataclasses.replace(BOX, observation_space=spaces.Box(0, 255, (16, 16, 3), np.uint8))
        with pytest.raises(ValueError, match=r"normalize_observation=True.*images"):
            sac.make(image, sac.Config(normalize_observation=True))
        state = jax.eval_shape(lambda: sac.make(image).init(jax.random.key(0), sac.Hyperparameters()))
        assert isinstance(state, actor_critic.State)
