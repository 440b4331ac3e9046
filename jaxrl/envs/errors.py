"""Errors of environments, which are other people's code."""

from __future__ import annotations


class EnvironmentFailed(RuntimeError):
    """An environment raised in ``reset`` or ``step``; ``__cause__`` is the environment's own error.

    Args:
        environment: the environment's name.
        call: ``"reset"`` or ``"step"``.
        error: the environment's own error.
        steps: number of calls of ``step`` before this one, if it is known.
    """

    def __init__(self, environment: str, call: str, error: BaseException, steps: int | None = None):
        self.environment, self.call, self.error, self.steps = environment, call, error, steps
        when = "" if steps is None else f" after {steps:,} steps"
        text = f": {error}" if str(error) else ""
        super().__init__(f"{environment} raised {type(error).__name__} in {call}{when}{text}")
