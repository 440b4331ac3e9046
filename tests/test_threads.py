import os

import jax
import pytest

from jaxrl import threads


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in ("NPROC", "PJRT_NPROC", threads.OURS):
        monkeypatch.delenv(name, raising=False)


def nproc():
    return os.environ.get("NPROC")


def test_a_number_of_ours_can_be_replaced():
    threads.set_pool_size(4)
    assert nproc() == "4"
    threads.set_pool_size(1)
    assert nproc() == "1"


@pytest.mark.parametrize("name", ["NPROC", "PJRT_NPROC"])
def test_the_users_number_stays(monkeypatch, name):
    monkeypatch.setenv(name, "3")
    threads.set_pool_size(8)
    assert nproc() == ("3" if name == "NPROC" else None)


def test_jax_starts_with_at_least_four_threads_and_the_environment_is_as_before(monkeypatch):
    monkeypatch.setattr(threads, "_chosen", False)
    monkeypatch.setattr(threads, "jax_is_in_use", lambda: False)
    monkeypatch.setattr(threads, "available_cores", lambda: 2)
    before = dict(os.environ)
    with threads.enough_threads():
        assert nproc() == "4"
    assert dict(os.environ) == before
    # A number that another process of ours has left is not the user's.
    monkeypatch.setenv("NPROC", "1")
    monkeypatch.setenv(threads.OURS, "1")
    with threads.enough_threads():
        assert nproc() == "4"
    assert nproc() == "1"
    with pytest.raises(ValueError), threads.enough_threads():
        raise ValueError
    assert nproc() == "1"


def test_a_number_that_was_chosen_and_a_pool_that_is_there_are_left_alone(monkeypatch):
    monkeypatch.setattr(threads, "_chosen", False)
    jax.devices()
    with threads.enough_threads():
        assert nproc() is None, "JAX is in use: another number has no effect but on other processes"
    monkeypatch.setattr(threads, "jax_is_in_use", lambda: False)
    threads.set_pool_size(1)
    with threads.enough_threads():
        assert nproc() == "1", "what use_cpu_devices asked for"
    monkeypatch.setattr(threads, "_chosen", False)
    monkeypatch.setenv("NPROC", "3")
    with threads.enough_threads():
        assert nproc() == "3", "the user's"
