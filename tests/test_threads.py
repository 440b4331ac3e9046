import pytest

from jaxrl import threads


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in ("NPROC", "PJRT_NPROC", threads.OURS):
        monkeypatch.delenv(name, raising=False)


def nproc():
    import os

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
