"""C51's update by hand: projected target, noise of each network, what is differentiated."""

import by_hand
import jax
import numpy as np
import pytest
from by_hand import BOOTSTRAP, NEXT_STATE, ROWS, SGD, SPEC, STATE, assert_descended, noise_keys, table

from jaxrl.algorithms import c51

KEY = jax.random.key(7)
ATOMS = np.linspace(-2.0, 2.0, 5)


def softmax(x):
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


def projected(places, masses):
    """Give each atom's mass to its two neighbours on the support, one atom at a time."""
    out = np.zeros((len(places), 5))
    for row, (place, mass) in enumerate(zip(places, masses, strict=True)):
        for z, p in zip(np.clip(place, -2, 2), mass, strict=True):
            low = min(int(np.floor(z + 2)), 3)
            out[row, low] += p * (1 - (z + 2 - low))
            out[row, low + 1] += p * (z + 2 - low)
    return out


@pytest.mark.parametrize("double_q", [True, False])
def test_an_update_by_hand(double_q):
    config = c51.Config(
        hidden_sizes=(), noise="factorised", noise_sigma=1.5, double_q=double_q, adam_epsilon=SGD, num_atoms=5,
        v_min=-2.0, v_max=2.0,
    )  # fmt: skip
    agent = c51.make(SPEC, config)
    hp = agent.hyperparameters.replace(discount=by_hand.DISCOUNT, learning_rate=SGD, max_grad_norm=1e9)
    state, batch = by_hand.two_networks(agent, hp), by_hand.sample()
    new, info = by_hand.quick(agent.update)(state, batch, KEY, hp)

    t, rows, keys = batch.transitions, np.arange(ROWS), noise_keys(KEY)
    p = softmax(table(state.params, keys[0], 5))[STATE][rows, t.action]
    valued = softmax(table(state.target_params, keys[1], 5))[NEXT_STATE]
    chooses = softmax(table(state.params, keys[2], 5))[NEXT_STATE] if double_q else valued
    best = (chooses @ ATOMS).argmax(1)
    assert np.any(best != (valued @ ATOMS).argmax(1)) == double_q
    target = projected(t.reward[:, None] + BOOTSTRAP[:, None] * ATOMS, valued[rows, best])
    each = -np.sum(target * np.log(p), axis=1)
    entropy = -np.sum(target * np.log(np.where(target > 0, target, 1)), axis=1)
    np.testing.assert_allclose(info.metrics["loss"], np.mean(batch.weights * each), rtol=1e-4)
    np.testing.assert_allclose(info.priorities, each - entropy, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(info.metrics["q_value"], np.mean(p @ ATOMS), rtol=1e-4)
    assert_descended(new.params, state.params, batch.weights[:, None] * (p - target) / ROWS)
