import builtins
import errno
import os

import numpy as np
import pytest
from PIL import Image

from jaxrl.experiment import videos
from jaxrl.experiment.errors import UserError
from jaxrl.experiment.videos import write_video

COLOURS = np.array([[250, 10, 10], [10, 250, 10], [10, 10, 250], [240, 240, 240]], np.uint8)


def make_frames(count, height=24, width=32):
    """Each frame is of one colour, in turn."""
    return [np.broadcast_to(COLOURS[i % 4], (height, width, 3)).copy() for i in range(count)]


def read_gif(path):
    with Image.open(path) as image:
        frames, durations = [], []
        for i in range(image.n_frames):
            image.seek(i)
            frames.append(np.asarray(image.convert("RGB")))
            durations.append(image.info["duration"])
    return frames, durations


def test_a_gif_shows_every_frame_in_real_time(tmp_path):
    path = write_video(make_frames(9), tmp_path / "new" / "video.gif", fps=30)
    frames, durations = read_gif(path)
    assert len(frames) == 9
    for i, frame in enumerate(frames):
        assert np.abs(frame.astype(int) - COLOURS[i % 4]).max() <= 4
    # A frame takes 3.33 hundredths of a second: 3, 4 and 3 of them add up to 10.
    assert durations == [30, 40, 30] * 3
    assert os.listdir(path.parent) == ["video.gif"]


def test_a_fast_gif_keeps_every_other_frame(tmp_path):
    frames, durations = read_gif(write_video(make_frames(11), tmp_path / "video.gif", fps=100))
    assert len(frames) == 6
    assert sum(durations) == 120


# The reader forks in a way that JAX warns of; the writer does not.
@pytest.mark.filterwarnings("ignore:os.fork")
@pytest.mark.parametrize("size", [(48, 64), (45, 63)])
def test_an_mp4_shows_every_frame(tmp_path, size):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    path = write_video(make_frames(20, *size), tmp_path / "video.mp4", fps=10)
    assert imageio_ffmpeg.count_frames_and_secs(path) == (20, pytest.approx(2.0, abs=0.11))
    reader = imageio_ffmpeg.read_frames(path)
    width, height = next(reader)["size"]
    assert (height, width) == (48 if size[0] == 48 else 46, 64)
    first = np.frombuffer(next(reader), np.uint8).reshape(height, width, 3)
    assert np.abs(first.astype(int) - COLOURS[0]).max() < 30
    reader.close()


def test_an_mp4_without_ffmpeg_names_the_extra(tmp_path, monkeypatch):
    real_import = builtins.__import__

    def without_ffmpeg(name, *args, **kwargs):
        if name == "imageio_ffmpeg":
            raise ModuleNotFoundError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_ffmpeg)
    with pytest.raises(UserError, match=r"pip install 'jaxrl\[video\]'"):
        write_video(make_frames(2), tmp_path / "video.mp4")
    write_video(make_frames(2), tmp_path / "video.gif")


def test_a_full_disk_is_one_sentence_and_keeps_the_old_video(tmp_path, monkeypatch):
    path = write_video(make_frames(2), tmp_path / "video.gif")
    before = path.read_bytes()

    def full(frames, path, fps):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(videos, "_write_gif", full)
    with pytest.raises(UserError, match="cannot write .*video.gif: No space left"):
        write_video(make_frames(3), path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["video.gif"]


def test_a_failure_of_ffmpeg_is_one_sentence(tmp_path, monkeypatch):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho 'No space left on device' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: str(program))
    with pytest.raises(UserError, match=r"ffmpeg failed \(No space left on device\)"):
        write_video(make_frames(40, 200, 200), tmp_path / "video.mp4")
    assert os.listdir(tmp_path) == ["ffmpeg"]


def test_refuses_what_is_no_video(tmp_path):
    with pytest.raises(UserError, match=r"must end in .gif or .mp4"):
        write_video(make_frames(2), tmp_path / "video.avi")
    with pytest.raises(UserError, match="no frames"):
        write_video([], tmp_path / "video.gif")
    with pytest.raises(ValueError, match="frame 1 is"):
        write_video([*make_frames(1), *make_frames(1, 10, 10)], tmp_path / "video.gif")
    with pytest.raises(ValueError, match="fps=0"):
        write_video(make_frames(2), tmp_path / "video.gif", fps=0)
    assert os.listdir(tmp_path) == []
