"""Writing frames as a GIF or an MP4."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxrl.experiment.errors import UserError, writing

FASTEST_GIF = 50
"""Frames per second: viewers show a GIF frame for 20 ms at least."""


def write_video(frames: Sequence[np.ndarray], path: str | os.PathLike, fps: float = 30) -> Path:
    """Write frames as a video that runs in real time.

    Args:
        frames: ``[H, W, 3]`` of uint8, all of one size.
        path: ends in .gif, which needs nothing else, or in .mp4, which needs the extra ``video``.
        fps: frames per second. Of a GIF with more than 50, only every so many frames are kept.

    Returns:
        The path of the video.

    Raises:
        UserError: if there are no frames, the format is unknown, ffmpeg is missing, or the disk cannot be written.
        ValueError: if the frames are not such arrays, or ``fps`` is not positive.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".gif", ".mp4"):
        raise UserError(f"{path}: a video's name must end in .gif or .mp4")
    frames = [np.asarray(frame) for frame in frames]
    if not frames:
        raise UserError(f"{path}: there are no frames to write")
    if fps <= 0:
        raise ValueError(f"fps={fps}: must be positive")
    for i, frame in enumerate(frames):
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.shape != frames[0].shape:
            raise ValueError(f"frame {i} is {frame.dtype}{list(frame.shape)}: all must be uint8[H, W, 3] of one size")
    write = _write_gif if suffix == ".gif" else _write_mp4
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.stem}.new{suffix}")
        try:
            write(frames, partial, fps)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    return path


def _write_gif(frames: list[np.ndarray], path: Path, fps: float) -> None:
    from PIL import Image

    stride = max(1, -(-fps // FASTEST_GIF))
    frames = frames[:: int(stride)]
    # Times are in hundredths of a second: round the moment of each frame, so that errors do not add up.
    moments = np.rint(np.arange(len(frames) + 1) * stride * 100 / fps).astype(int)
    palette = Image.fromarray(_some_pixels(frames)).quantize(256)
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    images[0].save(
        path, format="GIF", save_all=True, append_images=images[1:], duration=list(10 * np.diff(moments)), loop=0
    )


def _some_pixels(frames: list[np.ndarray]) -> np.ndarray:
    """One pixel in 16 of up to 64 frames, as an image ``[1, N, 3]``: one palette for all, so that nothing flickers."""
    chosen = frames[:: -(-len(frames) // 64)]
    return np.concatenate([frame[i % 4 :: 4, i % 3 :: 4].reshape(-1, 3) for i, frame in enumerate(chosen)])[None]


def _write_mp4(frames: list[np.ndarray], path: Path, fps: float) -> None:
    try:
        import imageio_ffmpeg
    except ImportError:
        raise UserError("writing an .mp4 needs ffmpeg: pip install 'jaxrl[video]', or write a .gif") from None
    # Common players take even sizes only: repeat the last row or column.
    height, width, _ = frames[0].shape
    padding = ((0, height % 2), (0, width % 2), (0, 0))
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width + width % 2}x{height + height % 2}", "-r", str(fps),
        "-i", "-", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "20", "-movflags", "+faststart", str(path),
    ]  # fmt: skip
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log)
        try:
            # When ffmpeg gives up it stops reading; its log says why.
            with contextlib.suppress(BrokenPipeError), process.stdin:
                for frame in frames:
                    process.stdin.write(np.pad(frame, padding, mode="edge").tobytes())
        finally:
            status = process.wait()
        if status != 0:
            log.seek(0)
            reason = (log.read().decode(errors="replace").strip() or f"status {status}").splitlines()[0]
            raise UserError(f"cannot write a video to {path.parent}: ffmpeg failed ({reason.rpartition('] ')[2]})")
