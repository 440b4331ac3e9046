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
from jaxrl.losses.policy_gradient import (
    adapt_to_kl,
    approximate_kl,
    bound_penalty,
    clipped_surrogate,
    masked_mean,
    mean_penalty,
    normalize,
    smooth_clipped_surrogate,
)
from jaxrl.losses.returns import (
    NStepReturn,
    generalized_advantage_estimation,
    lambda_returns,
    linear_recurrence,
    n_step_return,
)
from jaxrl.losses.trust_region import LineSearch, backtrack, conjugate_gradient, fisher_vector_product, natural_step
from jaxrl.losses.v_trace import VTrace, vtrace
from jaxrl.losses.value import (
    bounded_value_loss,
    clipped_value_loss,
    huber,
    munchausen_target,
    one_step_target,
    q_learning_target,
    scaled_log_policy,
    select,
    soft_value,
    symexp,
    symlog,
    two_hot,
    two_hot_loss,
    two_hot_value,
)

__all__ = [
    "LineSearch", "NStepReturn", "VTrace", "adapt_to_kl", "approximate_kl", "backtrack", "bound_penalty",
    "bounded_value_loss", "categorical_cross_entropy", "categorical_kl", "categorical_mean", "categorical_projection",
    "categorical_target", "clipped_surrogate", "clipped_value_loss", "conjugate_gradient",
    "entropy_regularized_target", "fisher_vector_product", "generalized_advantage_estimation", "huber",
    "lambda_returns", "linear_recurrence", "masked_mean", "mean_penalty", "midpoint_taus", "minimum_of_subset",
    "munchausen_target", "n_step_return", "natural_step", "normalize", "one_step_target", "q_learning_target",
    "quantile_huber", "scaled_log_policy", "select", "smooth_clipped_surrogate", "soft_value", "symexp", "symlog",
    "temperature_loss", "truncated_quantiles", "two_hot", "two_hot_loss", "two_hot_value", "vtrace",
]  # fmt: skip
