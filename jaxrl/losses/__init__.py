"""The maths, as pure functions of arrays; element-wise unless they say otherwise."""

from jaxrl.losses.policy_gradient import approximate_kl, clipped_surrogate, masked_mean, normalize
from jaxrl.losses.returns import generalized_advantage_estimation, linear_recurrence
from jaxrl.losses.value import clipped_value_loss, huber, one_step_target, q_learning_target, select

__all__ = [
    "approximate_kl", "clipped_surrogate", "clipped_value_loss", "generalized_advantage_estimation", "huber",
    "linear_recurrence", "masked_mean", "normalize", "one_step_target", "q_learning_target", "select",
]  # fmt: skip
