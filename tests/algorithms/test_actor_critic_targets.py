"""Targets, and where their gradients stop, of the actor-critics that add something to SAC's: by hand and to the row."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl.algorithms import crossq, droq, redq, sac
from jaxrl.losses.actor_critic import minimum_of_subset
from jaxrl.networks.actor_critic import Actor, Critic, Layers
from jaxrl.networks.ensemble import Ensemble
from jaxrl.networks.policies import SquashedGaussianHead
from jaxrl.types import Sample, Spec, Transition

BOX = Spec("box", spaces.Box(-1, 1, (3,), np.float32), spaces.Box(-1, 1, (2,), np.float32))
SIZES = (4,)
ROWS = 8
DISCOUNT, TEMPERATURE, TAU, RATE = 0.9, 0.3, 0.1, 0.5


def plus(amount, tree):
    return jax.tree.map(lambda x: x + amount, tree)


def build(module, **config):
    """A member of which no network is as it began, and no target network what it follows."""
    small = {"hidden_sizes": SIZES, "critic_sizes": SIZES, "batch_size": ROWS, "buffer_size": 16, "prefill": ROWS}
    agent = module.make(BOX, module.Config(**small | {"policy_delay": 1} | config))
    hp = module.Hyperparameters(discount=DISCOUNT, temperature=TEMPERATURE, tau=TAU, critic_learning_rate=RATE)
    state = agent.init(jax.random.key(0), hp)
    apart = lambda learner: learner and learner._replace(variables=plus(0.1, learner.variables))
    learners = {part: apart(getattr(state, part)) for part in ("actor", "critic", "value")}
    return agent, hp, state._replace(targets=plus(0.3, state.targets), **learners)


@pytest.fixture
def batch(rng):
    """Eight transitions, two of them terminated."""
    draw = lambda *shape: jnp.asarray(rng.uniform(-1, 1, size=shape).astype(np.float32))
    ended = jnp.arange(ROWS) % 5 == 0
    transitions = Transition(draw(ROWS, 3), draw(ROWS, 2), draw(ROWS), ended, jnp.zeros(ROWS, bool), draw(ROWS, 3))
    return Sample(transitions, jnp.arange(ROWS), jnp.ones(ROWS), jnp.ones(ROWS, jnp.int32))


def keys_of(key):
    """Those of the critics' step (of action, subset, and dropout in values and target), of V's and of the actor's."""
    critic_key, value_key, actor_key = jax.random.split(key, 3)
    return jax.random.split(critic_key, 4), value_key, actor_key


def policy(state, observation, normalization="none"):
    actor = Actor("mlp", lambda: Layers(SIZES, normalization=normalization), lambda: SquashedGaussianHead(2))
    params, stats = state.actor.variables
    return actor.apply({"params": params, "batch_stats": stats}, observation)


def draw(state, observation, key, normalization="none"):
    """An action, and its log-probability."""
    return policy(state, observation, normalization).sample_and_log_prob(seed=key)


def values(variables, observation, action, dropout_key=None, **layers):
    """``[N, B]`` by all critics."""
    size = len(jax.tree.leaves(variables.params)[0])
    critics = Ensemble(lambda: Critic("mlp", lambda: Layers(SIZES, **layers)), size)
    rngs = {} if dropout_key is None else {"dropout": dropout_key}
    return critics.apply({"params": variables.params}, observation, action, rngs=rngs)


def state_values(variables, observation):
    return Critic("mlp", lambda: Layers(SIZES)).apply({"params": variables.params}, observation)


def bellman(batch, next_value, discount=DISCOUNT):
    return batch.transitions.reward + discount * (1 - batch.transitions.terminated) * next_value


def assert_errors(info, q, target):
    """The loss of half the squared errors of values ``[N, B]``, and each row's mean absolute error."""
    np.testing.assert_allclose(info.priorities, jnp.mean(jnp.abs(q - target), 0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(info.metrics["loss"], jnp.mean(jnp.sum(0.5 * (q - target) ** 2, 0)), rtol=1e-4)


def assert_first_adam_step(new, old, gradient):
    """``g / (|g| + epsilon)`` with an epsilon of 1, so that the gradient's size shows, not its sign alone."""
    want = jax.tree.map(lambda p, g: p - RATE * g / (jnp.abs(g) + 1.0), old.params, gradient)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), new.params, want)


class TestSac:
    def test_the_soft_value_is_discounted_by_the_steps_of_its_own_row(self, batch):
        agent, hp, state = build(sac)
        t, key = batch.transitions, jax.random.key(5)
        batch = batch._replace(steps=jnp.arange(ROWS) % 4 + 1)
        (action_key, *_), *_ = keys_of(key)
        action, log_prob = draw(state, t.next_observation, action_key)
        next_q = values(state.targets["critic"], t.next_observation, action)
        discount = np.array([0.9, 0.81, 0.729, 0.6561] * 2, np.float32)
        target = bellman(batch, next_q.min(0) - TEMPERATURE * log_prob, discount)
        _, info = agent.update(state, batch, key, hp)
        assert_errors(info, values(state.critic.variables, t.observation, t.action), target)

    def test_with_state_values_the_critics_ask_their_target_network(self, batch):
        agent, hp, state = build(sac, state_value=True)
        t = batch.transitions
        target = bellman(batch, state_values(state.targets["value"], t.next_observation))
        new, info = agent.update(state, batch, jax.random.key(5), hp)
        assert_errors(info, values(state.critic.variables, t.observation, t.action), target)
        want = jax.tree.map(lambda old, new: (1 - TAU) * old + TAU * new, state.targets["value"], new.value.variables)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), new.targets["value"], want)

    @pytest.mark.parametrize(
        ("config", "learnt", "objective"),
        [
            ({}, "minimum", "minimum"),
            ({"actor_value": "first"}, "minimum", "first"),
            ({"state_value_target": "first"}, "first", "minimum"),
        ],
    )
    def test_what_state_values_learn_and_the_actor_s_objective_are_two_settings(self, batch, config, learnt, objective):
        """``Q(s, a) - alpha log pi(a|s)`` of actions drawn for each, by the critics just stepped."""
        agent, hp, state = build(sac, state_value=True, adam_epsilon=1.0, **config)
        x, key = batch.transitions.observation, jax.random.key(5)
        new, info = jax.jit(agent.update)(state, batch, key, hp)
        _, value_key, actor_key = keys_of(key)
        reduce = {"minimum": lambda q: q.min(0), "first": lambda q: q[0]}

        def soft_value(key, of_critics):
            action, log_prob = draw(state, x, jax.random.split(key)[0])
            q = values(new.critic.variables, x, action)
            assert jnp.max(q[0] - q.min(0)) > 0.1
            return reduce[of_critics](q) - TEMPERATURE * log_prob

        target = soft_value(value_key, learnt)
        old = state.value.variables
        loss = lambda params: jnp.mean(0.5 * (state_values(old._replace(params=params), x) - target) ** 2)
        assert_first_adam_step(new.value.variables, old, jax.grad(loss)(old.params))
        want = -jnp.mean(soft_value(actor_key, objective))
        np.testing.assert_allclose(info.metrics["actor_loss"], want, rtol=1e-4)


class TestRedq:
    def test_the_target_is_the_smaller_value_of_a_random_pair(self, batch):
        agent, hp, state = build(redq, num_critics=4)
        t, key = batch.transitions, jax.random.key(5)
        (action_key, subset_key, *_), *_ = keys_of(key)
        action, log_prob = draw(state, t.next_observation, action_key)
        next_q = values(state.targets["critic"], t.next_observation, action)
        of_pair = minimum_of_subset(subset_key, next_q, 2)
        assert jnp.max(of_pair - next_q.min(0)) > 0.1
        _, info = agent.update(state, batch, key, hp)
        q = values(state.critic.variables, t.observation, t.action)
        assert_errors(info, q, bellman(batch, of_pair - TEMPERATURE * log_prob))


class TestDroq:
    LAYERS = {"normalization": "layer", "dropout": 0.5}

    def test_values_and_target_drop_out_units_of_their_own(self, batch):
        agent, hp, state = build(droq, dropout=0.5)
        t, key = batch.transitions, jax.random.key(5)
        (action_key, _, values_key, target_key), *_ = keys_of(key)
        action, log_prob = draw(state, t.next_observation, action_key)
        next_q = values(state.targets["critic"], t.next_observation, action, target_key, **self.LAYERS)
        _, info = agent.update(state, batch, key, hp)
        q = values(state.critic.variables, t.observation, t.action, values_key, **self.LAYERS)
        assert_errors(info, q, bellman(batch, next_q.min(0) - TEMPERATURE * log_prob))

    def test_the_actor_climbs_the_mean_of_critics_that_drop_out(self, batch):
        agent, hp, state = build(droq, dropout=0.5)
        x, key = batch.transitions.observation, jax.random.key(5)
        new, info = agent.update(state, batch, key, hp)
        action_key, dropout_key = jax.random.split(keys_of(key)[-1])
        action, log_prob = draw(state, x, action_key)
        q = values(new.critic.variables, x, action, dropout_key, **self.LAYERS)
        want = jnp.mean(TEMPERATURE * log_prob - q.mean(0))
        np.testing.assert_allclose(info.metrics["actor_loss"], want, rtol=1e-4)

    def test_nothing_drops_out_of_an_evaluation(self, batch):
        agent, _, state = build(droq, dropout=0.5)
        x = batch.transitions.observation
        want = values(state.critic.variables, x, policy(state, x).mode(), normalization="layer").mean(0)
        np.testing.assert_allclose(agent.value(state, x), want, rtol=1e-5)


class TestCrossq:
    """No target network: one pass, with the statistics of both halves, values ``(s, a)`` and ``(s', a')``."""

    def by_hand(self, state, batch, key):
        """``both(params)``, the values ``[N, 2 B]``, and the target, in which nothing is left to differentiate."""
        t = batch.transitions
        (action_key, *_), *_ = keys_of(key)
        action, log_prob = draw(state, t.next_observation, action_key, "batch")
        pairs = jnp.concatenate([
            jnp.concatenate([t.observation, t.action], axis=-1),
            jnp.concatenate([t.next_observation, action], axis=-1),
        ])  # fmt: skip
        dense = lambda p, x: x @ p["kernel"] + p["bias"]
        normalized = lambda p, x: (x - x.mean(0)) / jnp.sqrt(x.var(0) + 1e-3) * p["scale"] + p["bias"]

        def one(p):
            layers = p["Layers_0"]
            hidden = jax.nn.relu(dense(layers["Dense_0"], normalized(layers["BatchRenorm_0"], pairs)))
            return dense(p["Dense_0"], normalized(layers["BatchRenorm_1"], hidden))[:, 0]

        def both(params):
            (members,) = params.values()
            return jax.vmap(one)(members)

        next_q = both(state.critic.variables.params)[:, ROWS:]
        return both, bellman(batch, next_q.min(0) - TEMPERATURE * log_prob)

    def test_both_halves_are_valued_by_the_statistics_of_the_whole(self, batch):
        agent, hp, state = build(crossq)
        key = jax.random.key(5)
        both, target = self.by_hand(state, batch, key)
        _, info = agent.update(state, batch, key, hp)
        assert_errors(info, both(state.critic.variables.params)[:, :ROWS], target)

    def test_the_gradient_stops_at_the_target_and_not_at_the_statistics(self, batch):
        agent, hp, state = build(crossq, adam_epsilon=1.0)
        key = jax.random.key(5)
        both, target = self.by_hand(state, batch, key)
        new, _ = agent.update(state, batch, key, hp)

        old = state.critic.variables
        loss = lambda params: jnp.mean(jnp.sum(0.5 * (both(params)[:, :ROWS] - target) ** 2, axis=0))
        assert_first_adam_step(new.critic.variables, old, jax.grad(loss)(old.params))
