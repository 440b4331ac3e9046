"""``python -m jaxrl``: the same as the command ``jaxrl``."""

from jaxrl.experiment.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
