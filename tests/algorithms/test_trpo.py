"""TRPO's update by hand: the natural step, shortened until divergence and surrogate keep what they promise."""

import by_hand
import jax
import natural
import numpy as np
import pytest

from jaxrl.algorithms import trpo

FACTOR = 0.8


@pytest.fixture(scope="module")
def member():
    """``agent, hp, state, update``."""
    agent, hp = natural.make(trpo, cg_iterations=60, backtrack_iterations=10)
    return agent, hp.replace(backtrack_factor=FACTOR), natural.init(agent, hp, seed=6), by_hand.quick(agent.update)


@pytest.mark.parametrize("max_kl", [1e-3, 1.0])
def test_an_update_by_hand(member, max_kl):
    _, hp, state, update = member
    hp = hp.replace(max_kl=max_kl, damping=0.02)
    batch, gradient = natural.problem(state.params)
    new, info = update(state, batch, jax.random.key(1), hp)

    step = natural.natural_step(state.params, batch, gradient["actor"], max_kl, 0.02)
    log_probs, values = by_hand.policy_tables(state.params)
    advantage = by_hand.advantages(batch, values, natural.LAMBDA)
    advantage = advantage - by_hand.mean(advantage, batch)
    before = -by_hand.mean(advantage, batch)
    where = by_hand.states_of(batch)[0]
    for tries in range(10):
        fraction = FACTOR**tries
        shift = -fraction * (step[:6] + step[6])
        after = log_probs + shift
        after = after - np.log(np.exp(after).sum(1, keepdims=True))
        kl = by_hand.mean(np.sum(np.exp(log_probs) * (log_probs - after), 1)[where], batch)
        ratio = np.exp(by_hand.chosen(after, batch) - by_hand.chosen(log_probs, batch))
        if kl <= max_kl and -by_hand.mean(ratio * advantage, batch) <= before:
            break
    assert (tries > 0) == (max_kl > 0.1)
    np.testing.assert_allclose(info.metrics["step_fraction"], fraction, rtol=1e-6)
    assert info.metrics["accepted"] == 1
    kernel, bias = by_hand.moves(new.params, state.params, "actor")
    np.testing.assert_allclose(np.vstack([kernel, bias]), -fraction * step, rtol=1e-2, atol=2e-4)
    np.testing.assert_allclose(info.metrics["kl"], kl, rtol=2e-2, atol=1e-6)
