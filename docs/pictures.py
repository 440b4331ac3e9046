"""Make the pictures of the guides anew: ``python docs/pictures.py FOLDER``, some minutes on two cores.

It runs the commands that the pages show in FOLDER, but for those whose result is there, and copies what they draw to
``docs/pictures``. The pictures of the algorithms' pages are those of ``benchmarks/results``, which
``benchmarks/learning.py`` and ``atari.py`` make.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURES = Path(__file__).parent / "pictures"
FIRST = "--total-steps 500000 --num-seeds 4 --out runs/first --no-progress"
GRID = "--grid learning_rate=1e-4,1e-3,1e-2 --seeds 4 --total-steps 100000"
COMMANDS = {
    "runs/first/curve.png": f"train ppo --env CartPole-v1 {FIRST}",
    "runs/pendulum/curve.png": "train ppo --env Pendulum-v1 --num-seeds 4 --out runs/pendulum --no-progress",
    "play.gif": "play runs/first --out play.gif --max-steps 100",
    "both.png": "plot runs/first runs/pendulum --out both.png",
    "runs/sweep/sweep.png": f"sweep ppo --env CartPole-v1 {GRID} --out runs/sweep",
}
"""By what they make."""


def main(folder: Path) -> None:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    folder.mkdir(parents=True, exist_ok=True)
    PICTURES.mkdir(exist_ok=True)
    for made, command in COMMANDS.items():
        if not (folder / made).exists():
            print(f"jaxrl {command}", flush=True)
            words = [sys.executable, "-m", "jaxrl", *command.split()]
            subprocess.run(words, cwd=folder, env={**os.environ, "PYTHONPATH": path}, check=True)
        shutil.copy(folder / made, PICTURES / made.removeprefix("runs/").replace("/", "-"))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/pictures.py FOLDER")
    main(Path(sys.argv[1]))
