import jax
import numpy as np
import pytest

from jaxrl.losses.returns import lambda_returns
from jaxrl.losses.v_trace import vtrace

T, B, DISCOUNT = 9, 4, 0.9


@pytest.fixture
def rollout(rng):
    terminated, truncated = rng.random((T, B)) < 0.15, rng.random((T, B)) < 0.15
    reward, value, next_value = rng.normal(size=(3, T, B)).astype(np.float32)
    # Within an episode the successor is the next observation.
    inside = ~(terminated | truncated)[:-1]
    next_value[:-1] = np.where(inside, value[1:], next_value[:-1])
    log_ratio = rng.normal(0, 0.7, (T, B)).astype(np.float32)
    return log_ratio, reward, value, next_value, terminated, truncated


def loop(log_ratio, reward, value, next_value, terminated, truncated, lambda_, rho, c, policy_rho):
    """Equation 1 of the paper, its sum written out for every step."""
    ratio = np.exp(log_ratio.astype(np.float64))
    target, advantage = np.zeros((T, B)), np.zeros((T, B))
    bootstrap = np.where(terminated, 0, next_value)
    for b in range(B):
        for s in range(T):
            target[s, b] = value[s, b]
            weight = 1.0
            for t in range(s, T):
                delta = min(rho, ratio[t, b]) * (reward[t, b] + DISCOUNT * bootstrap[t, b] - value[t, b])
                target[s, b] += weight * delta
                if terminated[t, b] or truncated[t, b]:
                    break
                weight *= DISCOUNT * lambda_ * min(c, ratio[t, b])
        for s in range(T):
            last = s == T - 1 or terminated[s, b] or truncated[s, b]
            after = bootstrap[s, b] if last else target[s + 1, b]
            advantage[s, b] = min(policy_rho, ratio[s, b]) * (reward[s, b] + DISCOUNT * after - value[s, b])
    return target, advantage


@pytest.mark.parametrize("bounds", [(1.0, 1.0, 1.0, 1.0), (0.9, 2.0, 0.8, 1.5)])
def test_vtrace_against_a_loop(rollout, bounds):
    lambda_, rho, c, policy_rho = bounds
    function = lambda *x: vtrace(*x, DISCOUNT, lambda_, clip_rho=rho, clip_c=c, clip_policy_rho=policy_rho)
    got = jax.jit(function)(*rollout)
    want = loop(*rollout, *bounds)
    np.testing.assert_allclose(got.target, want[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got.advantage, want[1], rtol=1e-4, atol=1e-5)


def test_on_policy_it_is_the_lambda_return(rollout):
    _, reward, value, next_value, terminated, truncated = rollout
    got = vtrace(np.zeros((T, B), np.float32), *rollout[1:], DISCOUNT, 0.8)
    want = lambda_returns(reward, next_value, terminated, truncated, DISCOUNT, 0.8)
    np.testing.assert_allclose(got.target, want, rtol=1e-4, atol=1e-5)
    # Remark 1 of the paper: the advantages are those of the targets that follow.
    full = vtrace(np.zeros((T, B), np.float32), *rollout[1:], DISCOUNT)
    np.testing.assert_allclose(full.advantage, full.target - value, rtol=1e-4, atol=1e-5)


def test_nothing_leaks_from_the_next_episode(rollout):
    log_ratio, reward, value, next_value, terminated, truncated = rollout
    terminated, truncated = np.zeros_like(terminated), np.zeros_like(truncated)
    truncated[4] = True
    changed = reward.copy()
    changed[5:] += 100.0
    before, after = (
        vtrace(log_ratio, r, value, next_value, terminated, truncated, DISCOUNT) for r in (reward, changed)
    )
    np.testing.assert_array_equal(before.target[:5], after.target[:5])
    np.testing.assert_array_equal(before.advantage[:5], after.advantage[:5])
