"""Counts the bytes that a kernel publishes, and keeps none of them.

What cells print, show or draw goes out on a ZeroMQ socket, by the protocol of 23/ZMTP. Here is the least of
that protocol that makes the other side send: a greeting, "I subscribe", and "to everything". What comes is
read into one buffer, again and again, and never looked at: a stranger's bytes can neither take memory here
nor mean anything. ZeroMQ's own socket would build every message first, of whatever size.
"""

import contextlib
import os
import select
import socket
from pathlib import Path

# 23/ZMTP 3.0: a signature, the version, the mechanism, "not the server"; a READY command; a message "\x01".
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB"
SUBSCRIBE = b"\x00\x01\x01"
AFTER_GREETING = b"\x04" + bytes([len(READY)]) + READY + SUBSCRIBE

BUFFER_BYTES = 1 << 18
LOUD_BYTES = 1 << 16  # so much at once, and there is more where it came from
ONCE_BYTES = 1 << 23  # whoever writes as fast as we read is not read for ever
QUIET_S = 0.005
AGAIN_S = 1.0  # a busy kernel answers late; one that never does costs this once, and is not listened to


class Tap:
    """An open ear on one socket file.

    Args:
        path: the socket's file, opened here and now. A box can write in that folder: what a learner's code
            puts in the file's place later is never connected to.
        seconds: how long the other side may take to answer the greeting.

    Raises:
        OSError: nobody listens there, or answers.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self._place: int | None = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._buffer = bytearray(BUFFER_BYTES)
        self._socket: socket.socket | None = None
        try:
            self._open(seconds)
        except OSError:
            self.close()
            raise

    def drain(self) -> int:
        """Read what is there, without waiting. Returns how many bytes it was."""
        count = 0
        with contextlib.suppress(OSError):  # nothing there now, or nobody there any more
            while self._socket is not None and count < ONCE_BYTES:
                got = self._socket.recv_into(self._buffer)
                if not got:
                    self._hang_up()
                count += got
        return count

    def settle(self, most: int) -> int:
        """Read until it is quiet, or more than `most` bytes came. Returns how many."""
        count = self.drain()
        while count <= most and self._socket is not None:
            if not select.select([self._socket], [], [], QUIET_S)[0]:
                break
            count += self.drain()
        return count

    def skip(self) -> None:
        """Leave what is still to come, and listen anew: the kernel drops it, and holds it no longer.

        A kernel that does not answer by then is not listened to any more. Nothing else depends on it.
        """
        self._hang_up()
        with contextlib.suppress(OSError):
            self._open(AGAIN_S)

    def close(self) -> None:
        """Stop listening. Safe to call twice."""
        self._hang_up()
        if self._place is not None:
            os.close(self._place)
            self._place = None

    def _open(self, seconds: float) -> None:
        if self._place is None:
            return
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(seconds)
            self._socket.connect(f"/proc/self/fd/{self._place}")
            self._socket.sendall(GREETING)
            # ZeroMQ sends its own in pieces, and hangs up on who goes on before it is through.
            missing = len(GREETING)
            while missing:
                got = self._socket.recv_into(self._buffer, missing)
                if not got:
                    raise ConnectionError("nobody answered the greeting")
                missing -= got
            self._socket.sendall(AFTER_GREETING)
            self._socket.setblocking(False)
        except OSError:
            self._hang_up()
            raise

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
