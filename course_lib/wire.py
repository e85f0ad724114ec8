"""Messages between a check and a kernel: one JSON header, then raw tensor bytes.

Both sides distrust the bytes. There is no pickle, no `torch.load`, no `eval`, and nothing is allocated before
its size has been compared with a cap. A message that is not one raises `WireError` and nothing else.

    frame   = magic (4) | header length (4, big endian) | payload length (8, big endian) | header | payload
    header  = JSON; a tensor stands there as {"$tensor": {"dtype", "shape", "offset"}}
    payload = the tensors' bytes, one after another, in the order of the header

A value is None, bool, int, float, str, a tensor, a list or tuple of values, a dict with string keys, or
one of the marks below, which name things that live on the kernel's side.
"""

import json
import math
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from course_lib.errors import WireError

MAGIC = b"SEE1"
HEAD = struct.Struct(">4sIQ")
HEADER_CAP_BYTES = 4 << 20
PAYLOAD_CAP_BYTES = 64 << 20
DEPTH_CAP = 32
DIMENSIONS_CAP = 8

DTYPES: dict[str, torch.dtype] = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
    "uint8": torch.uint8,
    "int8": torch.int8,
    "int16": torch.int16,
    "int32": torch.int32,
    "int64": torch.int64,
    "bool": torch.bool,
}
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True)
class StandIn:
    """Asks the kernel's side to build a plain part from `course_lib.stand_ins`."""

    name: str
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Handle:
    """An object that lives on the kernel's side, by number."""

    number: int


@dataclass(frozen=True)
class ParameterOf:
    """A parameter of an object on the kernel's side, by name: identity travels, not only values."""

    number: int
    name: str


@dataclass(frozen=True)
class Other:
    """Something with no place on the wire; only the name of its type travels."""

    type_name: str


def encode(value: Any) -> bytes:
    """Write one value as a frame. Types without a place on the wire become `Other`."""
    chunks: list[bytes] = []
    size = 0

    def plain(node: Any, depth: int) -> Any:
        nonlocal size
        if depth > DEPTH_CAP:
            raise WireError(
                f"a value is nested deeper than {DEPTH_CAP} levels; answer with something flatter."
            )
        kind = type(node)
        if node is None or kind is str or kind is int or kind is bool:
            return node
        if kind is float:
            # JSON has no NaN and no infinity; spelled out they stay readable and strict parsers keep working.
            return node if math.isfinite(node) else {"$float": repr(node)}
        if isinstance(node, Tensor):
            name = DTYPE_NAMES.get(node.dtype)
            if name is None or node.layout is not torch.strided or node.is_meta:
                return {"$other": f"tensor of {node.dtype}, {node.layout}, {node.device}"}
            raw = _bytes(node)
            if size + len(raw) > PAYLOAD_CAP_BYTES:
                raise WireError(f"an answer holds more than {PAYLOAD_CAP_BYTES >> 20} MiB of numbers.")
            chunks.append(raw)
            mark = {"$tensor": {"dtype": name, "shape": list(node.shape), "offset": size}}
            size += len(raw)
            return mark
        if isinstance(node, StandIn):
            return {"$stand_in": {"name": node.name, "kwargs": plain(node.kwargs, depth + 1)}}
        if isinstance(node, Handle):
            return {"$handle": node.number}
        if isinstance(node, ParameterOf):
            return {"$parameter": [node.number, node.name]}
        if isinstance(node, Other):
            return {"$other": node.type_name}
        if isinstance(node, tuple):
            return {"$tuple": [plain(item, depth + 1) for item in node]}
        if isinstance(node, list):
            return [plain(item, depth + 1) for item in node]
        if isinstance(node, dict) and all(type(key) is str for key in node):
            return {"$dict": {key: plain(item, depth + 1) for key, item in node.items()}}
        # bool, int, float and str subclasses and numpy scalars land here too: a number is asked
        # for, not an object.
        return {"$other": type(node).__name__[:80]}

    header = _TO_JSON.encode(plain(value, 0)).encode()
    if len(header) > HEADER_CAP_BYTES:
        raise WireError(f"an answer's text is longer than {HEADER_CAP_BYTES >> 20} MiB.")
    return HEAD.pack(MAGIC, len(header), size) + header + b"".join(chunks)


def _bytes(tensor: Tensor) -> bytes:
    tensor = tensor.detach().cpu()
    if tensor.dtype is torch.bfloat16:  # numpy has no name for it
        tensor = tensor.contiguous().view(torch.int16)
    return tensor.numpy(force=True).tobytes()  # in the order of its axes, whatever its strides are


def decode(frame: bytes) -> Any:
    """Read one frame. Raises `WireError` for anything that `encode` could not have written."""
    if len(frame) < HEAD.size:
        raise WireError(f"a message of {len(frame)} bytes is shorter than its head of {HEAD.size}.")
    header_bytes, payload_bytes = check_head(frame[: HEAD.size])
    if len(frame) != HEAD.size + header_bytes + payload_bytes:
        raise WireError(f"a message of {len(frame)} bytes does not have the length that its head states.")
    payload = memoryview(frame)[HEAD.size + header_bytes :]
    try:
        header = _FROM_JSON.decode(frame[HEAD.size : HEAD.size + header_bytes].decode("utf-8"))
    except (ValueError, RecursionError) as problem:
        raise WireError(f"a message's header is not JSON: {str(problem)[:80]}") from None
    return _revive(header, payload, 0)


def check_head(head: bytes) -> tuple[int, int]:
    """Return (header length, payload length) of a frame's head, both within the caps."""
    magic, header_bytes, payload_bytes = HEAD.unpack(head)
    if magic != MAGIC:
        raise WireError("a message does not start with this course's mark.")
    if header_bytes > HEADER_CAP_BYTES or payload_bytes > PAYLOAD_CAP_BYTES:
        raise WireError(
            f"a message announces {header_bytes} + {payload_bytes} bytes; "
            f"at most {HEADER_CAP_BYTES} + {PAYLOAD_CAP_BYTES} are allowed."
        )
    return header_bytes, payload_bytes


def send(connection: socket.socket, value: Any) -> None:
    """Write one value to a stream socket."""
    connection.sendall(encode(value))


def receive(connection: socket.socket, remaining_s: Callable[[], float] | None = None) -> Any:
    """Read one value from a stream socket.

    Args:
        remaining_s: seconds left until the deadline, asked before each read, so that a drip of bytes
            cannot hold the reader for longer than the whole question may take. None means no deadline.

    Raises:
        WireError: the bytes are not a message.
        EOFError: the other side closed.
        TimeoutError: the deadline passed.
    """
    head = _read(connection, HEAD.size, remaining_s)
    header_bytes, payload_bytes = check_head(head)
    return decode(head + _read(connection, header_bytes + payload_bytes, remaining_s))


def _read(connection: socket.socket, n_bytes: int, remaining_s: Callable[[], float] | None) -> bytes:
    chunks, missing = [], n_bytes
    while missing:
        if remaining_s is not None:
            left = remaining_s()
            if left <= 0:
                raise TimeoutError("no complete message before the deadline.")
            connection.settimeout(left)
        chunk = connection.recv(min(missing, 1 << 20))
        if not chunk:
            raise EOFError("the other side closed the connection in the middle of a message.")
        chunks.append(chunk)
        missing -= len(chunk)
    return b"".join(chunks)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


# Made once: json.dumps and json.loads make new ones for each message that asks for anything unusual.
_TO_JSON = json.JSONEncoder(allow_nan=False)
_FROM_JSON = json.JSONDecoder(parse_constant=_no_constant)


def _revive(node: Any, payload: memoryview, depth: int) -> Any:
    if depth > 2 * DEPTH_CAP:
        raise WireError(f"a message is nested deeper than {DEPTH_CAP} levels.")
    if isinstance(node, list):
        return [_revive(item, payload, depth + 1) for item in node]
    if not isinstance(node, dict):
        return node
    if len(node) != 1:
        raise WireError("a mark in a message has not exactly one key.")
    ((mark, body),) = node.items()
    if mark == "$dict" and isinstance(body, dict):
        return {key: _revive(item, payload, depth + 1) for key, item in body.items()}
    if mark == "$tuple" and isinstance(body, list):
        return tuple(_revive(item, payload, depth + 1) for item in body)
    if mark == "$tensor":
        return _tensor(body, payload)
    if mark == "$float" and body in ("nan", "inf", "-inf"):
        return float(body)
    if mark == "$handle" and type(body) is int:
        return Handle(body)
    if mark == "$other" and isinstance(body, str):
        return Other(body[:80])
    if mark == "$parameter" and isinstance(body, list) and len(body) == 2:
        number, name = body
        if type(number) is int and isinstance(name, str):
            return ParameterOf(number, name)
    if mark == "$stand_in" and isinstance(body, dict) and set(body) == {"name", "kwargs"}:
        kwargs = _revive(body["kwargs"], payload, depth + 1)
        if isinstance(body["name"], str) and isinstance(kwargs, dict):
            return StandIn(body["name"], kwargs)
    raise WireError(f"a message holds an unknown or malformed mark {str(mark)[:20]!r}.")


def _tensor(body: Any, payload: memoryview) -> Tensor:
    if not isinstance(body, dict) or set(body) != {"dtype", "shape", "offset"}:
        raise WireError("a tensor in a message lacks dtype, shape or offset.")
    dtype_name, shape, offset = body["dtype"], body["shape"], body["offset"]
    dtype = DTYPES.get(dtype_name) if isinstance(dtype_name, str) else None
    if dtype is None:
        raise WireError(f"a tensor in a message has dtype {str(dtype_name)[:20]!r}, which is not allowed.")
    if not isinstance(shape, list) or len(shape) > DIMENSIONS_CAP:
        raise WireError(f"a tensor in a message has no shape, or one of over {DIMENSIONS_CAP} axes.")
    if not all(type(length) is int and 0 <= length <= PAYLOAD_CAP_BYTES for length in shape):
        raise WireError("a tensor in a message has an axis that is not a whole number in range.")
    if math.prod(filter(None, shape)) > PAYLOAD_CAP_BYTES:  # an empty tensor's strides may overflow too
        raise WireError("a tensor in a message has axes that are too long together.")
    n_bytes = math.prod(shape) * dtype.itemsize
    if type(offset) is not int or offset < 0 or offset + n_bytes > len(payload):
        raise WireError("a tensor in a message lies outside the message's bytes.")
    if n_bytes == 0:
        return torch.empty(shape, dtype=dtype)
    raw = bytearray(payload[offset : offset + n_bytes])
    if dtype is torch.bool:
        # A bool whose byte is neither 0 nor 1 is undefined behaviour in arithmetic; read it as "not zero".
        return torch.frombuffer(raw, dtype=torch.uint8).ne(0).reshape(shape)
    return torch.frombuffer(raw, dtype=dtype).reshape(shape)
