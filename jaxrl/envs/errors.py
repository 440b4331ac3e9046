"""Errors of environments, which are other people's code."""

from __future__ import annotations

import traceback


class EnvironmentFailed(RuntimeError):
    """An environment raised in ``reset`` or ``step``; ``__cause__`` is the environment's own error.

    Args:
        environment: the environment's name.
        call: ``"reset"`` or ``"step"``; ``"construction"`` where it could not even be made.
        error: the environment's own error.
        steps: number of calls of ``step`` before this one, if it is known.
    """

    def __init__(self, environment: str, call: str, error: BaseException, steps: int | None = None):
        self.environment, self.call, self.error, self.steps = environment, call, error, steps
        super().__init__(f"{environment} raised {type(error).__name__} in {call}{_after(steps)}{_text(error)}")


class InvalidValue(EnvironmentFailed, ValueError):
    """An environment returned a value that does not belong to the space that it declares.

    Args:
        environment: the environment's name.
        call: ``"reset"``, ``"step"`` or ``"render"``.
        sentence: what came and what must come; it follows "reset returned".
        steps: number of calls of ``step`` before this one, if it is known.
    """

    def __init__(self, environment: str, call: str, sentence: str, steps: int | None = None):
        self.environment, self.call, self.error, self.steps = environment, call, self, steps
        RuntimeError.__init__(self, f"{environment}: {call}{_after(steps)} returned {' '.join(sentence.split())}")


def told(error: BaseException) -> str:
    """An error of other people's code on one line: its type, its text and where it was raised."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        place = f" ({error.filename}, line {error.lineno})"
        return f"{type(error).__name__}: {error.msg}{place}"
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}{_text(error)}{place}"


def _text(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f": {lines[0]}" if lines else ""


def _after(steps: int | None) -> str:
    return "" if steps is None else f" after {steps:,} step{'' if steps == 1 else 's'}"
