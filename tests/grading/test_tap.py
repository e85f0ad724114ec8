"""Counting what a kernel publishes: all of it, at no cost, and only from who was there at the start."""

import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import zmq

from grading.sandbox import wait_until
from grading.tap import LOUD_BYTES, Tap

NOTHING_BYTES = 8 << 20


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A path short enough for a socket."""
    folder = Path("/tmp") / f"tap-{os.getpid()}"
    folder.mkdir()
    yield folder / "s"
    for left in folder.iterdir():
        left.unlink()
    folder.rmdir()


@pytest.fixture(params=[zmq.PUB, zmq.XPUB], ids=["PUB", "XPUB"])
def publisher(request: pytest.FixtureRequest, place: Path) -> Iterator[zmq.Socket[bytes]]:
    """What a kernel publishes on: either kind has been used."""
    context = zmq.Context()
    made = context.socket(request.param)
    made.setsockopt(zmq.LINGER, 0)
    made.bind(f"ipc://{place}")
    yield made
    made.close()
    context.term()


@pytest.fixture
def tap(publisher: zmq.Socket[bytes], place: Path) -> Iterator[Tap]:
    made = Tap(place, 5.0)
    # It is subscribed to in a moment: then the first of these arrives.
    assert wait_until(lambda: publisher.send(bytes(500)) is None and made.drain() > 500, 5)
    time.sleep(0.05)
    made.drain()
    yield made
    made.close()


def test_everything_that_is_published_is_counted(publisher: zmq.Socket[bytes], tap: Tap) -> None:
    for part in (b"stream", b"x" * 1000, b"y" * 70_000):
        publisher.send_multipart([part, part])
    counted = [tap.drain()]
    wait_until(lambda: bool(counted.append(tap.drain())) or sum(counted) >= 2 * 71_006, 5)
    time.sleep(0.05)
    assert 2 * 71_006 <= sum(counted) + tap.drain() <= 2 * 71_006 + 100


def test_a_flood_takes_no_memory_and_is_read_to_its_end(publisher: zmq.Socket[bytes], tap: Tap) -> None:
    publisher.send(bytes(100))
    assert select.select([tap._socket], [], [], 5)[0]
    assert tap.settle(1 << 30) >= 100
    flood = b"z" * (50 << 20)
    publisher.send(flood, copy=False)
    before, counted = psutil.Process().memory_info().rss, [0]
    assert wait_until(lambda: bool(counted.append(tap.settle(1 << 30))) or sum(counted) >= len(flood), 10)
    assert psutil.Process().memory_info().rss - before < NOTHING_BYTES


def test_settling_stops_where_it_is_told(publisher: zmq.Socket[bytes], tap: Tap) -> None:
    publisher.send(b"z" * (50 << 20), copy=False)
    assert select.select([tap._socket], [], [], 5)[0]
    time.sleep(0.05)
    assert 1_000_000 < tap.settle(1_000_000) < 1_000_000 + (8 << 20) + (1 << 18)


def test_what_is_skipped_does_not_come_any_more(publisher: zmq.Socket[bytes], tap: Tap) -> None:
    publisher.send(b"z" * (50 << 20), copy=False)
    assert select.select([tap._socket], [], [], 5)[0]
    time.sleep(0.05)
    assert tap.drain() >= LOUD_BYTES
    tap.skip()
    time.sleep(0.2)
    assert tap.drain() < 1000
    assert wait_until(lambda: publisher.send(b"again" * 100) is None and tap.drain() > 400, 5)


def test_only_the_socket_that_was_there_first_is_listened_to(
    publisher: zmq.Socket[bytes], tap: Tap, place: Path
) -> None:
    """A box can write in that folder. What it puts there is not connected to, least of all a link."""
    called: list[socket.socket] = []
    elsewhere = place.with_name("t")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(elsewhere))
        other.listen()
        other.settimeout(0.3)
        place.unlink()
        place.symlink_to(elsewhere)
        tap.skip()
        with pytest.raises(TimeoutError):
            called.append(other.accept()[0])
        assert wait_until(lambda: publisher.send(b"still" * 100) is None and tap.drain() > 400, 5)
        with pytest.raises(OSError, match=r"."):
            Tap(place, 0.2)
        with pytest.raises(TimeoutError):
            called.append(other.accept()[0])


def test_who_never_answers_is_not_waited_for(place: Path) -> None:
    before = psutil.Process().num_fds()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(place))
        silent.listen()
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            Tap(place, 0.2)
        assert time.monotonic() - started < 2
    assert psutil.Process().num_fds() == before


def test_who_hangs_up_has_said_nothing_more(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place))
        server.listen()

        def serve() -> None:
            with server.accept()[0] as connection:
                connection.recv(64)
                connection.sendall(bytes(64))
                connection.recv(100)
                connection.sendall(b"w" * 500)

        thread = threading.Thread(target=serve)
        thread.start()
        tap = Tap(place, 5.0)
        thread.join()
    assert tap.settle(1000) == 500
    assert tap.drain() == 0
    tap.skip()
    assert tap.drain() == 0
    tap.close()
    tap.close()
