"""NPG's update by hand: the natural step by the dense Fisher matrix of a table, over the real steps."""

import by_hand
import jax
import natural
import numpy as np

from jaxrl.algorithms import npg

MAX_KL, DAMPING = 1e-3, 0.05


def test_an_update_by_hand():
    agent, hp = natural.make(npg, cg_iterations=60)
    hp = hp.replace(max_kl=MAX_KL, damping=DAMPING)
    state = natural.init(agent, hp)
    batch, gradient = natural.problem(state.params)
    new, info = by_hand.quick(agent.update)(state, batch, jax.random.key(1), hp)
    step = natural.natural_step(state.params, batch, gradient["actor"], MAX_KL, DAMPING)
    kernel, bias = by_hand.moves(new.params, state.params, "actor")
    np.testing.assert_allclose(np.vstack([kernel, bias]), -step, rtol=1e-2, atol=2e-5)
    by_hand.assert_moved(new.params, state.params, {"critic": gradient["critic"]})
    np.testing.assert_allclose(info.metrics["step_norm"], np.linalg.norm(step), rtol=1e-2)
