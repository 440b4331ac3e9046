"""Values of hyper-parameters and configuration: from text, to text, and the ranges that they must lie in."""

from __future__ import annotations

import ast
import dataclasses
import math
import types
import typing
from collections.abc import Iterable
from typing import Any

import numpy as np

from jaxrl.experiment.errors import UserError
from jaxrl.schedules import Schedule, linear, piecewise
from jaxrl.validation import did_you_mean


@dataclasses.dataclass(frozen=True)
class Bounds:
    """An interval; a schedule may touch an open end (anneal a learning rate to 0), a constant may not."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def allow(self, value: float, *, closed: bool = False) -> bool:
        """Whether the value lies in the interval, or in its closure."""
        above = value > self.low if self.open_low and not closed else value >= self.low
        below = value < self.high if self.open_high and not closed else value <= self.high
        return above and below and math.isfinite(value)

    def __str__(self) -> str:
        if not math.isfinite(self.low) and not math.isfinite(self.high):
            return "must be a finite number"
        if not math.isfinite(self.high):
            return f"must be {'>' if self.open_low else '>='} {self.low:g}"
        return f"must be in {'(' if self.open_low else '['}{self.low:g}, {self.high:g}{')' if self.open_high else ']'}"


POSITIVE = Bounds(0.0, open_low=True)
NON_NEGATIVE = Bounds(0.0)
UNIT = Bounds(0.0, 1.0)

BOUNDS: dict[str, Bounds] = {
    "learning_rate": POSITIVE,
    "discount": UNIT,
    "gae_lambda": UNIT,
    "clip": POSITIVE,
    "clip_target": POSITIVE,
    "entropy_coefficient": NON_NEGATIVE,
    "value_coefficient": NON_NEGATIVE,
    "max_grad_norm": POSITIVE,
    "epsilon": UNIT,
    "evaluation_epsilon": UNIT,
    "tau": Bounds(0.0, 1.0, open_low=True),
    "temperature": POSITIVE,
    "priority_exponent": NON_NEGATIVE,
    "importance_exponent": UNIT,
    "q_regularization": NON_NEGATIVE,
    "weight_decay": NON_NEGATIVE,
    "kappa": NON_NEGATIVE,
    "q_lambda": UNIT,
    "munchausen_scale": UNIT,
    "entropy_temperature": POSITIVE,
    "log_policy_clip": Bounds(-math.inf, 0.0),
    "actor_learning_rate": POSITIVE,
    "critic_learning_rate": POSITIVE,
    "temperature_learning_rate": POSITIVE,
    "actor_max_grad_norm": POSITIVE,
    "critic_max_grad_norm": POSITIVE,
    "critic_weight_decay": NON_NEGATIVE,
    "min_temperature": NON_NEGATIVE,
    "max_temperature": POSITIVE,
    "noise_scale": NON_NEGATIVE,
    "noise_theta": UNIT,
    "smoothing_scale": NON_NEGATIVE,
    "smoothing_clip": NON_NEGATIVE,
    "target_kl": POSITIVE,
    "kl_coefficient": NON_NEGATIVE,
    "min_learning_rate": NON_NEGATIVE,
    "max_learning_rate": POSITIVE,
    "value_loss_bound": POSITIVE,
    "bound_coefficient": NON_NEGATIVE,
    "max_kl": POSITIVE,
    "damping": NON_NEGATIVE,
    "backtrack_factor": Bounds(0.0, 1.0, open_low=True, open_high=True),
    "trace_lambda": UNIT,
    "clip_rho": POSITIVE,
    "clip_c": POSITIVE,
    "clip_policy_rho": POSITIVE,
    "extrinsic_coefficient": NON_NEGATIVE,
    "intrinsic_coefficient": NON_NEGATIVE,
    "intrinsic_discount": Bounds(0.0, 1.0, open_high=True),
    "predictor_learning_rate": POSITIVE,
    "predictor_share": UNIT,
}
"""Ranges by the name of a hyper-parameter, whatever the algorithm; the others must only be finite."""

SCHEDULES = {"linear": linear, "piecewise": piecewise}
SCHEDULE_HELP = "a number, linear(START, END, fraction=F), linear(START, END, steps=N) or piecewise([(T, V), ...])"


def unknown_name(kind: str, name: Any, names: Iterable[str], hint: str = "") -> UserError:
    """The error of a name that is not one of ``names``."""
    names = list(names)
    hint = hint or did_you_mean(str(name), names)
    return UserError(f"unknown {kind} {shown(name)}{hint}; there are {', '.join(names)}")


def hyperparameter(name: str, value: Any, *, optional: bool = False) -> float | Schedule | None:
    """A number or a ``Schedule`` with plain floats for leaves, from such a value or from its text.

    Raises:
        UserError: if it is neither, or out of its range; it names the field, the value and the range.
    """
    given = value
    if isinstance(value, str):
        value = _parse_hyperparameter(name, value.strip())
    if value is None and optional:
        return None
    bounds = BOUNDS.get(name, Bounds())
    if isinstance(value, Schedule):
        try:
            schedule = Schedule(_floats(value.times), _floats(value.values), value.fraction)
        except (TypeError, ValueError):
            raise UserError(f"{name}={shown(given)}: must be {SCHEDULE_HELP}") from None
        _check_times(name, given, schedule)
        if not all(bounds.allow(v, closed=True) for v in schedule.values):
            raise UserError(f"{name}={shown(given)}: every value of the schedule {bounds}")
        return schedule
    if not _is_scalar(value):
        raise UserError(f"{name}={shown(given)}: must be {SCHEDULE_HELP}")
    if not bounds.allow(float(value)):
        raise UserError(f"{name}={shown(given)}: {bounds}")
    return float(value)


def config_value(name: str, value: Any, annotation: Any) -> Any:
    """A value of a configuration field's type, from such a value or from its text.

    ``64,64`` and ``(64, 64)`` are tuples, ``1e5`` is an integer where one is wanted, and ``none`` is None
    where that is allowed.

    Raises:
        UserError: if the type is another one; it names the field, the value and the type.
    """
    try:
        return _convert(value, annotation)
    except _Mismatch as mismatch:
        raise UserError(f"{name}={shown(value)}: must be {mismatch}") from None


def literal(text: Any) -> Any:
    """The Python literal that a text is, or else the text itself."""
    if not isinstance(text, str):
        return text
    try:
        return ast.literal_eval({"true": "True", "false": "False", "none": "None"}.get(text.lower(), text))
    except (ValueError, SyntaxError):
        return text


def plain(value: Any) -> Any:
    """A value as YAML, JSON and people know it: a schedule becomes the text that makes it, a tuple a list."""
    if isinstance(value, Schedule):
        return schedule_text(value)
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    return value


def schedule_text(schedule: Schedule) -> str:
    """The expression that ``hyperparameter`` turns into this schedule again, bit for bit."""
    times, values = _floats(schedule.times), _floats(schedule.values)
    if len(times) == 2 and times[0] == 0.0:
        return f"linear({values[0]!r}, {values[1]!r}, {'fraction' if schedule.fraction else 'steps'}={times[1]!r})"
    points = ", ".join(f"({t!r}, {v!r})" for t, v in zip(times, values, strict=True))
    return f"piecewise([{points}]{', fraction=True' if schedule.fraction else ''})"


def split_top_level(text: str) -> list[str]:
    """The parts between the commas that stand outside all brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _parse_hyperparameter(name: str, text: str) -> Any:
    if text.lower() in ("none", "null"):
        return None
    try:
        return float(text)
    except ValueError:
        pass
    wrong = UserError(f"{name}={text!r}: must be {SCHEDULE_HELP}")
    try:
        call = ast.parse(text, mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in SCHEDULES):
            raise wrong
        args = [ast.literal_eval(a) for a in call.args]
        kwargs = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except (SyntaxError, TypeError, ValueError):
        raise wrong from None
    if not args or not all(map(_is_numbers, [*args, *kwargs.values()])):
        raise wrong
    try:
        return SCHEDULES[call.func.id](*args, **kwargs)
    except TypeError:
        raise wrong from None
    except ValueError as error:
        raise UserError(f"{name}={text!r}: {error}") from None


def _is_scalar(value: Any) -> bool:
    try:
        array = np.asarray(value)
    except Exception:  # of anything at all
        return False
    return not isinstance(value, bool) and array.ndim == 0 and np.issubdtype(array.dtype, np.number)


def _is_numbers(value: Any) -> bool:
    """Whether a value is a number (or a truth value), or a list of pairs of numbers that is not empty."""
    if isinstance(value, list | tuple):
        is_pair = lambda v: isinstance(v, list | tuple) and len(v) == 2 and all(map(_is_number, v))
        return bool(value) and all(map(is_pair, value))
    return _is_number(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _check_times(name: str, given: Any, schedule: Schedule) -> None:
    times = schedule.times
    if any(b <= a for a, b in zip(times[:-1], times[1:], strict=True)) or not all(map(math.isfinite, times)):
        raise UserError(f"{name}={shown(given)}: the times of a schedule must increase, these are {list(times)}")
    if times[0] < 0 or (schedule.fraction and times[-1] > 1):
        unit = "fractions of the run, in [0, 1]" if schedule.fraction else "environment steps, from 0 on"
        raise UserError(f"{name}={shown(given)}: the times of this schedule are {unit}, these are {list(times)}")


class _Mismatch(Exception):
    """What the value should have been, as the end of "must be ..."."""


def _convert(value: Any, annotation: Any) -> Any:
    text = value.strip() if isinstance(value, str) else None
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(value, args)
    if origin is typing.Literal:
        if value not in args:
            raise _Mismatch(f"one of {', '.join(map(str, args))}")
        return value
    if origin is tuple:
        return _convert_tuple(value, args)
    if annotation is bool:
        if text is not None and text.lower() in ("true", "yes", "on", "1"):
            return True
        if text is not None and text.lower() in ("false", "no", "off", "0"):
            return False
        if not isinstance(value, bool | np.bool_):
            raise _Mismatch("true or false")
        return bool(value)
    if annotation is int:
        return _convert_int(value)
    if annotation is float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise _Mismatch("a number") from None
        if isinstance(value, bool) or not math.isfinite(number):
            raise _Mismatch("a finite number")
        return number
    if annotation is str:
        if text is None:
            raise _Mismatch("a text")
        return text
    return _tuples(literal(value))


def _convert_int(value: Any) -> int:
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            try:
                value = float(value)
            except ValueError:
                raise _Mismatch("an integer") from None
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating) or value % 1 != 0:
        raise _Mismatch("an integer")
    return int(value)


def _convert_union(value: Any, alternatives: tuple[Any, ...]) -> Any:
    if type(None) in alternatives and (value is None or (isinstance(value, str) and value.lower() in ("none", "null"))):
        return None
    expected = []
    for alternative in (a for a in alternatives if a is not type(None)):
        try:
            return _convert(value, alternative)
        except _Mismatch as mismatch:
            expected.append(str(mismatch))
    raise _Mismatch(" or ".join(expected) + (" or none" if type(None) in alternatives else ""))


def _convert_tuple(value: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    if isinstance(value, str):
        text = value.strip()
        if text[:1] in ("(", "[") and len(split_top_level(text)) == 1:
            if text[-1] != {"(": ")", "[": "]"}[text[0]] or len(text) == 1:
                raise _Mismatch("a list such as 64,64: a bracket is not closed")
            text = text[1:-1]
        value = [part for part in split_top_level(text) if part]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, tuple | list):
        raise _Mismatch("a list such as 64,64")
    if len(args) == 2 and args[1] is Ellipsis:
        args = (args[0],) * len(value)
    if len(args) != len(value):
        raise _Mismatch(f"a list of {len(args)} values")
    try:
        return tuple(_convert(v, a) for v, a in zip(value, args, strict=True))
    except _Mismatch as mismatch:
        raise _Mismatch(f"a list of which each part is {mismatch}") from None


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(v) for v in values)


def shown(value: Any, longest: int = 120) -> str:
    """A value in an error: on one line, and no longer than that."""
    try:
        text = schedule_text(value) if isinstance(value, Schedule) else repr(value)
    except Exception:  # what is wrong with a value may be wrong with its text too
        text = f"a {type(value).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[:longest]}..."
