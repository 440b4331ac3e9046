"""The top floor: runs with folders, checkpoints, logs, plots, videos, presets, and the command line."""
