"""``python -m jaxrl``: the same as the command ``jaxrl``."""

import os
import signal
import sys
from typing import Any


def main() -> int:
    """Run the command line of this process; returns the exit status."""
    # Packages take seconds to import. Nothing is lost yet, and an exception among imports may be swallowed.
    for signum in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(signum) is not signal.SIG_IGN:  # as that of a background job is
            signal.signal(signum, _stop_at_once)
    from jaxrl.experiment import cli

    return cli.main()


def _stop_at_once(signum: int, frame: Any) -> None:
    try:
        os.write(2, f"jaxrl: stopped by {signal.Signals(signum).name}\n".encode())
    finally:
        os._exit(128 + signum)


if __name__ == "__main__":
    sys.exit(main())
