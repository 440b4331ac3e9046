"""The maths, as pure functions of arrays; element-wise unless they say otherwise."""

from jaxrl.losses.actor_critic import (
    entropy_regularized_target,
    minimum_of_subset,
    temperature_loss,
    truncated_quantiles,
)
from jaxrl.losses.distributional import (
    categorical_cross_entropy,
    categorical_kl,
    categorical_mean,
    categorical_projection,
    categorical_target,
    midpoint_taus,
    quantile_huber,
)
from jaxrl.losses.policy_gradient import approximate_kl, clipped_surrogate, masked_mean, normalize
from jaxrl.losses.returns import (
    NStepReturn,
    generalized_advantage_estimation,
    lambda_returns,
    linear_recurrence,
    n_step_return,
)
from jaxrl.losses.value import (
    clipped_value_loss,
    huber,
    munchausen_target,
    one_step_target,
    q_learning_target,
    scaled_log_policy,
    select,
    soft_value,
)

__all__ = [
    "NStepReturn", "approximate_kl", "categorical_cross_entropy", "categorical_kl", "categorical_mean",
    "categorical_projection", "categorical_target", "clipped_surrogate", "clipped_value_loss",
    "entropy_regularized_target", "generalized_advantage_estimation", "huber", "lambda_returns", "linear_recurrence",
    "masked_mean", "midpoint_taus", "minimum_of_subset", "munchausen_target", "n_step_return", "normalize",
    "one_step_target", "q_learning_target", "quantile_huber", "scaled_log_policy", "select", "soft_value",
    "temperature_loss", "truncated_quantiles",
]  # fmt: skip
