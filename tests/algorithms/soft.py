"""Soft actor-critics with dropout or batch renormalisation: their parts called by flax's modules themselves."""

import dataclasses

import by_hand
import jax
import numpy as np
from gymnasium import spaces

from jaxrl.networks.actor_critic import Actor, Critic, Layers
from jaxrl.networks.ensemble import Ensemble
from jaxrl.networks.policies import SquashedGaussianHead
from jaxrl.types import Sample, Spec, Transition

BOX = Spec("box", spaces.Box(-1, 1, (3,), np.float32), spaces.Box(-1, 1, (2,), np.float32))
SIZES = (4,)
ROWS = 8
DISCOUNT, TEMPERATURE, TAU, RATE = 0.9, 0.3, 0.1, 0.5


def plus(amount, tree):
    """The tree with a number added to every leaf."""
    return jax.tree.map(lambda x: x + amount, tree)


def build(module, **config):
    """A member of which no network is as it began, and no target network what it follows."""
    small = {"hidden_sizes": SIZES, "critic_sizes": SIZES, "batch_size": ROWS, "buffer_size": 16, "prefill": ROWS}
    agent = module.make(BOX, module.Config(**small | {"policy_delay": 1} | config))
    agent = dataclasses.replace(agent, update=by_hand.quick(agent.update), value=by_hand.quick(agent.value))
    hp = module.Hyperparameters(discount=DISCOUNT, temperature=TEMPERATURE, tau=TAU, critic_learning_rate=RATE)
    state = by_hand.quick(lambda key: agent.init(key, hp))(jax.random.key(0))
    apart = lambda learner: learner and learner._replace(variables=plus(0.1, learner.variables))
    learners = {part: apart(getattr(state, part)) for part in ("actor", "critic", "value")}
    return agent, hp, state._replace(targets=plus(0.3, state.targets), **learners)


def batch():
    """Eight transitions, two of them terminated."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.uniform(-1, 1, size=shape).astype(np.float32)
    ended = np.arange(ROWS) % 5 == 0
    transitions = Transition(draw(ROWS, 3), draw(ROWS, 2), draw(ROWS), ended, np.zeros(ROWS, bool), draw(ROWS, 3))
    return Sample(transitions, np.arange(ROWS), np.ones(ROWS, np.float32), np.ones(ROWS, np.int32))


def keys_of(key):
    """Those of the critics' step (of action, subset, and dropout in values and target), of V's and of the actor's."""
    critic_key, value_key, actor_key = jax.random.split(key, 3)
    return jax.random.split(critic_key, 4), value_key, actor_key


def policy(state, observation, normalization="none"):
    actor = Actor("mlp", lambda: Layers(SIZES, normalization=normalization), lambda: SquashedGaussianHead(2))
    params, stats = state.actor.variables
    return by_hand.quick(actor.apply)({"params": params, "batch_stats": stats}, observation)


def draw(state, observation, key, normalization="none"):
    """An action, and its log-probability."""
    distribution = policy(state, observation, normalization)
    return by_hand.quick(lambda d: d.sample_and_log_prob(seed=key))(distribution)


def values(variables, observation, action, dropout_key=None, **layers):
    """``[N, B]`` by all critics."""
    size = len(jax.tree.leaves(variables.params)[0])
    critics = Ensemble(lambda: Critic("mlp", lambda: Layers(SIZES, **layers)), size)
    rngs = {} if dropout_key is None else {"dropout": dropout_key}
    apply = by_hand.quick(lambda *inputs: critics.apply({"params": variables.params}, *inputs, rngs=rngs))
    return np.asarray(apply(observation, action))


def bellman(batch, next_value, discount=DISCOUNT):
    return batch.transitions.reward + discount * (1 - batch.transitions.terminated) * next_value


def assert_errors(info, q, target):
    """The loss of half the squared errors of values ``[N, B]``, and each row's mean absolute error."""
    np.testing.assert_allclose(info.priorities, np.mean(np.abs(q - target), 0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(info.metrics["loss"], np.mean(np.sum(0.5 * (q - target) ** 2, 0)), rtol=1e-4)


def assert_first_adam_step(new, old, gradient):
    """``g / (|g| + epsilon)`` with an epsilon of 1, so that the gradient's size shows, not its sign alone."""
    want = jax.tree.map(lambda p, g: p - RATE * g / (np.abs(g) + 1.0), old.params, gradient)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), new.params, want)
