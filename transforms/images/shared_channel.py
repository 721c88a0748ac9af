"""Messages between two processes: small parts through a socket, large ones through shared memory.

A message is a pickle with its buffers left out. The pixels of an image of 2 x 2:

    socket   length, pickle of (sizes, head):   ((12,), an array of uint8 [2, 2, 3])
    memory   12 bytes of pixels
"""

import mmap
import os
import pickle
import socket
import struct
import sys
import tempfile
from typing import Any

_KEPT_BYTES = 16 * 2**20
"""Shared memory that stays: room for photos of 5 megapixels. What is larger comes and goes."""


def create_memory() -> int:
    """Returns a file of memory that two processes can map; none of it is used until written."""
    if sys.platform == "linux":
        file = os.memfd_create("images")
    else:
        with tempfile.TemporaryFile() as temporary:
            file = os.dup(temporary.fileno())
    os.truncate(file, _KEPT_BYTES)
    return file


class SharedChannel:
    """One end of the way between two processes, which take turns to send."""

    def __init__(self, own: socket.socket, memory: int) -> None:
        """Maps the memory.

        Args:
            own: End of a pair of sockets; it is closed with this.
            memory: What `create_memory` returned; likewise.
        """
        self._socket = own
        # A default timeout of sockets, as Beam sets one for gs://, makes both ends non-blocking.
        own.setblocking(True)
        self._file = memory
        self._kept = mmap.mmap(memory, _KEPT_BYTES)

    def send(self, message: object) -> None:
        """Sends a message.

        Raises:
            OSError: If the other side is gone, or there is no memory.
        """
        buffers: list[pickle.PickleBuffer] = []
        head = pickle.dumps(message, pickle.HIGHEST_PROTOCOL, buffer_callback=buffers.append)
        parts = [buffer.raw() for buffer in buffers]
        sizes = [len(part) for part in parts]
        total = sum(sizes)
        if total > _KEPT_BYTES:
            os.truncate(self._file, total)
        memory = self._map(total)
        start = 0
        for part in parts:
            memory[start : start + len(part)] = part
            start += len(part)
        self._unmap(memory)
        text = pickle.dumps((sizes, head), pickle.HIGHEST_PROTOCOL)
        self._socket.sendall(struct.pack("<Q", len(text)) + text)

    def receive(self) -> Any:  # noqa: ANN401
        """Waits for a message, and returns it; its buffers are bytes.

        Raises:
            EOFError, OSError: If the other side is gone.
        """
        (length,) = struct.unpack("<Q", self._receive_bytes(8))
        sizes, head = pickle.loads(self._receive_bytes(length))
        total = sum(sizes)
        memory = self._map(total)
        buffers, start = [], 0
        for size in sizes:
            buffers.append(memory[start : start + size])
            start += size
        self._unmap(memory)
        if total > _KEPT_BYTES:
            os.truncate(self._file, _KEPT_BYTES)
        return pickle.loads(head, buffers=buffers)

    def close(self) -> None:
        """Lets go of both."""
        self._socket.close()
        self._kept.close()
        os.close(self._file)

    def _map(self, size: int) -> mmap.mmap:
        return self._kept if size <= _KEPT_BYTES else mmap.mmap(self._file, size)

    def _unmap(self, memory: mmap.mmap) -> None:
        if memory is not self._kept:
            memory.close()

    def _receive_bytes(self, size: int) -> bytes:
        received = self._socket.recv(size, socket.MSG_WAITALL)
        if len(received) < size:
            raise EOFError
        return received
