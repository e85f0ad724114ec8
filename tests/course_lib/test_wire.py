"""Messages come back as they were sent, and bytes from anybody are either a message or a WireError."""

import json
import math
import random
import resource
import socket
import struct
import threading
import time
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from course_lib import wire
from course_lib.errors import WireError
from course_lib.wire import Handle, Other, ParameterOf, StandIn, decode, encode

SOME = settings(max_examples=150, deadline=None)


def same(left: Any, right: Any) -> bool:
    """Equal in value and in kind, bit for bit in tensors, NaN equal to NaN."""
    if isinstance(left, Tensor):
        return (
            type(right) is Tensor
            and left.dtype == right.dtype
            and left.shape == right.shape
            and torch.equal(left.reshape(-1).view(torch.uint8), right.reshape(-1).view(torch.uint8))
        )
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, StandIn):
        return left.name == right.name and same(left.kwargs, right.kwargs)
    return bool(left == right)


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    dtype = draw(st.sampled_from(list(wire.DTYPES.values())))
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    seed = draw(st.integers(0, 2**32))
    raw = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    tensor = raw > 0.5 if dtype is torch.bool else (raw * 100).to(dtype)
    if dtype.is_floating_point and draw(st.booleans()):
        tensor = tensor / tensor.floor().remainder(2)  # NaN and infinity among them
    return tensor.transpose(0, -1) if tensor.ndim > 1 and draw(st.booleans()) else tensor


names = st.text(max_size=12)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats()
    | st.text(max_size=20)
    | tensors()
    | st.builds(Handle, st.integers())
    | st.builds(ParameterOf, st.integers(), names)
    | st.builds(Other, names)
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(names | st.sampled_from(["$tensor", "$dict", "$tuple", "ok"]), inner, max_size=4)
        | st.builds(StandIn, names, st.dictionaries(names, inner, max_size=2))
    ),
    max_leaves=12,
)


# -- what is sent arrives ------------------------------------------------------------------------------------


@SOME
@given(values)
def test_a_value_comes_back_as_it_was_sent(value: Any) -> None:
    assert same(value, decode(encode(value)))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, -0.0, 5e-324])
def test_odd_floats_come_back(number: float) -> None:
    (back,) = decode(encode([number]))
    assert same(number, back)
    assert math.copysign(1, number) == math.copysign(1, back) or math.isnan(number)


def test_a_dict_that_looks_like_a_mark_stays_a_dict() -> None:
    value = {"$handle": 3, "$tensor": {"dtype": "float32", "shape": [], "offset": 0}}
    assert decode(encode(value)) == value


class Liar(Tensor):
    """A tensor that claims to be equal to everything."""

    def __eq__(self, other: object) -> Any:
        return torch.ones_like(torch.Tensor(self), dtype=torch.bool)

    __hash__ = Tensor.__hash__


def test_a_tensor_subclass_arrives_as_a_plain_tensor() -> None:
    back = decode(encode(torch.arange(3.0).as_subclass(Liar)))
    assert type(back) is Tensor
    assert back.tolist() == [0.0, 1.0, 2.0]
    assert not bool((back == 7).any())


def test_a_tensor_that_needs_gradients_arrives_without() -> None:
    back = decode(encode(torch.ones(2, requires_grad=True) * 3))
    assert not back.requires_grad
    assert back.tolist() == [3.0, 3.0]


class Five(int):
    pass


@pytest.mark.parametrize(
    "thing",
    [object(), Five(5), {1: 2}, {1, 2}, b"bytes", 1j, torch.zeros(1, dtype=torch.complex64), lambda: 1],
    ids=lambda thing: type(thing).__name__,
)
def test_what_has_no_place_on_the_wire_arrives_as_its_type_only(thing: Any) -> None:
    (back,) = decode(encode([thing]))
    assert isinstance(back, Other)


@pytest.mark.parametrize(
    "tensor", [torch.eye(3).to_sparse(), torch.zeros(2, device="meta")], ids=["sparse", "meta"]
)
def test_a_tensor_without_numbers_in_a_row_arrives_as_its_type_only(tensor: Tensor) -> None:
    assert isinstance(decode(encode(tensor)), Other)


# -- caps ----------------------------------------------------------------------------------------------------


def test_a_value_nested_too_deep_is_refused_on_the_sending_side() -> None:
    deep: Any = 0
    for _ in range(wire.DEPTH_CAP + 1):
        deep = [deep]
    with pytest.raises(WireError, match="nested deeper than 32"):
        encode(deep)


def test_a_list_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(WireError, match="nested deeper"):
        encode(loop)


def test_more_numbers_than_the_cap_are_refused_on_the_sending_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "PAYLOAD_CAP_BYTES", 100)
    encode([torch.zeros(12), torch.zeros(13)])
    with pytest.raises(WireError, match="more than"):
        encode([torch.zeros(12), torch.zeros(14)])


def test_an_expanded_tensor_counts_with_all_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "PAYLOAD_CAP_BYTES", 1000)
    with pytest.raises(WireError, match="more than"):
        encode(torch.zeros(1).expand(10_000))


def test_more_text_than_the_cap_is_refused_on_the_sending_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "HEADER_CAP_BYTES", 100)
    with pytest.raises(WireError, match="text is longer"):
        encode("x" * 200)


def test_a_head_that_announces_too_much_is_refused_before_anything_is_read() -> None:
    head = wire.HEAD.pack(wire.MAGIC, 10, wire.PAYLOAD_CAP_BYTES + 1)
    with pytest.raises(WireError, match="at most"):
        wire.check_head(head)
    head = wire.HEAD.pack(wire.MAGIC, wire.HEADER_CAP_BYTES + 1, 0)
    with pytest.raises(WireError, match="at most"):
        wire.check_head(head)


# -- bytes from anybody --------------------------------------------------------------------------------------


def frame(header: Any, payload: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return wire.HEAD.pack(wire.MAGIC, len(text), len(payload)) + text + payload


def tensor_mark(dtype: Any = "float32", shape: Any = (2,), offset: Any = 0, **more: Any) -> dict[str, Any]:
    return {"$tensor": {"dtype": dtype, "shape": shape, "offset": offset, **more}}


BAD_HEADERS = {
    "not JSON": b"{",
    "not UTF-8": b'"\xff"',
    "a bare NaN": b"NaN",
    "an infinity": b"[-Infinity]",
    "nested beyond Python's stack": b"[" * 100_000,
    "nested beyond our cap": b"[" * 70 + b"]" * 70,
    "a number of ten thousand digits": b"1" * 10_000,
    "no key": {},
    "two keys": {"$handle": 1, "$other": "x"},
    "an unknown mark": {"$pickle": "x"},
    "a plain dict": {"ok": True},
    "a handle that is a bool": {"$handle": True},
    "a handle that is text": {"$handle": "1"},
    "a parameter without a name": {"$parameter": [1]},
    "a parameter of wrong kinds": {"$parameter": ["1", 2]},
    "a dict that is a list": {"$dict": []},
    "a tuple that is a dict": {"$tuple": {}},
    "a float that is code": {"$float": "__import__('os')"},
    "a stand-in without arguments": {"$stand_in": {"name": "linear_read"}},
    "a stand-in whose arguments are a list": {"$stand_in": {"name": "linear_read", "kwargs": []}},
    "a stand-in whose name is a number": {"$stand_in": {"name": 3, "kwargs": {"$dict": {}}}},
    "a tensor that is a list": {"$tensor": []},
    "a tensor with a key too many": tensor_mark(requires_grad=True),
    "a dtype that is not allowed": tensor_mark("complex64"),
    "a dtype that is a list": tensor_mark(["float32"]),
    "a dtype of torch": tensor_mark("torch.float32"),
    "a shape that is a number": tensor_mark(shape=2),
    "a negative axis": tensor_mark(shape=[-1]),
    "two negative axes": tensor_mark(shape=[-1, -2]),
    "an axis that is a float": tensor_mark(shape=[2.0]),
    "an axis that is a bool": tensor_mark(shape=[True, True]),
    "a huge axis": tensor_mark(shape=[2**62]),
    "a huge product": tensor_mark(shape=[2**26] * 8),
    "nine axes": tensor_mark(shape=[1] * 9),
    "more numbers than there are bytes": tensor_mark(shape=[3]),
    "a negative offset": tensor_mark(offset=-4),
    "an offset behind the end": tensor_mark(offset=4),
    "an offset that is a float": tensor_mark(offset=0.0),
}


@pytest.mark.parametrize("header", BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_a_malformed_message_is_a_wire_error(header: Any) -> None:
    with pytest.raises(WireError):
        decode(frame(header, b"\0" * 8))


def test_the_message_that_the_malformed_ones_differ_from_is_read() -> None:
    assert decode(frame(tensor_mark(), b"\0" * 8)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("shape", [[0], [0, 0, 7], [5, 0], [0, 2**26]])
def test_an_empty_tensor_keeps_its_shape(shape: list[int]) -> None:
    assert list(decode(frame(tensor_mark(shape=shape))).shape) == shape


def test_an_empty_tensor_whose_other_axes_overflow_is_a_wire_error() -> None:
    with pytest.raises(WireError, match="too long together"):
        decode(frame(tensor_mark(shape=[0, *[2**26] * 7])))


def test_bools_that_are_neither_0_nor_1_are_read_as_true() -> None:
    back = decode(frame(tensor_mark("bool", [3]), b"\x00\x01\xff"))
    assert back.tolist() == [False, True, True]
    assert int(back.sum()) == 2


@pytest.mark.parametrize("cut", [0, 1, 15, 16, 20, -1])
def test_a_frame_that_is_cut_short_is_a_wire_error(cut: int) -> None:
    with pytest.raises(WireError):
        decode(encode({"ok": True, "value": torch.zeros(3)})[:cut])


def test_bytes_after_the_end_are_a_wire_error() -> None:
    with pytest.raises(WireError, match="does not have the length"):
        decode(encode(1) + b"x")


def test_another_protocol_is_a_wire_error() -> None:
    with pytest.raises(WireError, match="mark"):
        decode(b"HTTP/1.1 200 OK\r\n\r\n")


@SOME
@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_wire_error(noise: bytes) -> None:
    for bytes_ in (noise, wire.HEAD.pack(wire.MAGIC, len(noise), 0) + noise):
        try:
            decode(bytes_)
        except WireError:
            pass


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 2**70)
    | st.floats()
    | st.sampled_from(["float32", "x", "nan"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "$tensor $dict $tuple $handle $parameter $other $stand_in $float "
                "dtype shape offset name kwargs".split()
            ),
            inner,
            max_size=3,
        )
        | st.builds(
            tensor_mark,
            st.sampled_from([*wire.DTYPES, "float128", 3]),
            st.lists(st.integers(-2, 2**27), max_size=9),
            st.integers(-2, 60),
        )
    ),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(json_values, st.binary(max_size=64))
def test_any_json_header_is_a_message_or_a_wire_error(header: Any, payload: bytes) -> None:
    try:
        decode(frame(header, payload))
    except WireError:
        pass


@SOME
@given(values, st.data())
def test_one_flipped_byte_is_a_message_or_a_wire_error(value: Any, data: st.DataObject) -> None:
    bytes_ = bytearray(encode(value))
    place = data.draw(st.integers(0, len(bytes_) - 1))
    bytes_[place] ^= data.draw(st.integers(1, 255))
    try:
        decode(bytes(bytes_))
    except WireError:
        pass


N_MALFORMED = 100_000


ODD = [
    -1,
    0,
    1,
    7,
    2**31,
    2**70,
    -(2**70),
    1.5,
    None,
    True,
    "",
    "x",
    "bool",
    "nan",
    [],
    [0],
    [-1],
    [2**27] * 9,
    {},
]


def misspelt(random: random.Random, whole: bytes) -> bytes:
    """A message in whose header one value, anywhere in it, is another: well-formed, and wrong."""
    _, size, _ = wire.HEAD.unpack(whole[: wire.HEAD.size])
    header = json.loads(whole[wire.HEAD.size : wire.HEAD.size + size])
    places: list[tuple[Any, Any]] = []
    todo = [header]
    while todo:
        node = todo.pop()
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], (dict, list)):
                todo.append(node[key])
    node, key = random.choice(places)
    if isinstance(node, dict) and random.random() < 0.2:
        node[random.choice(["$tensor", "$dict", "$handle", "shape", "more"])] = node.pop(key)
    else:
        node[key] = random.choice(ODD)
    text = json.dumps(header).encode()
    payload = whole[wire.HEAD.size + size :]
    return wire.HEAD.pack(wire.MAGIC, len(text), len(payload)) + text + payload


def malformed(random: random.Random, frames: list[bytes]) -> bytes:
    """A message that was whole once: bytes changed, cut out, put in, said twice, or a head that lies."""
    if random.random() < 0.4:
        return misspelt(random, random.choice(frames))
    found = bytearray(random.choice(frames))
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(found) + 1)
        how = random.randrange(6)
        if how == 0 and found:
            found[place - 1] ^= 1 << random.randrange(8)
        elif how == 1:
            del found[place : place + random.randint(1, 12)]
        elif how == 2:
            found[place:place] = random.randbytes(random.randint(1, 12))
        elif how == 3:
            found[place:place] = random.choice(frames)[: random.randint(1, 200)]
        elif how == 4:
            found[place:place] = random.choice(TOKENS)
        else:
            sizes = [random.choice((0, 1, len(found), 2**31, 2**62)) for _ in range(2)]
            found[: wire.HEAD.size] = struct.pack(">4sIQ", wire.MAGIC, sizes[0] % 2**32, sizes[1])
    if random.random() < 0.7 and len(found) >= wire.HEAD.size:
        # A head that fits again, so that what lies behind it is read at all.
        inside = found.rfind(b"}") + 1
        header = max(inside - wire.HEAD.size, 0)
        payload = len(found) - wire.HEAD.size - header
        found[: wire.HEAD.size] = struct.pack(">4sIQ", wire.MAGIC, header, payload)
    return bytes(found)


TOKENS = [
    *(b"[" * 40, b'{"$dict":' * 20, b"1e999", b"-", b"null", b"NaN", b"99999999999999999999999", b"\xff\xfe"),
    *(
        b'"$tensor"',
        b'"$handle"',
        b'"offset"',
        b'"shape"',
        b"-1",
        b"1e3",
        b"true",
        b'"bool"',
        b"[0, 134217728]",
    ),
]


@pytest.mark.slow
def test_a_hundred_thousand_malformed_replies_are_messages_or_wire_errors() -> None:
    one = random.Random(4)
    frames = [
        encode(value)
        for value in (
            {"ok": True, "value": torch.arange(12.0).reshape(3, 4)},
            {"ok": True, "value": (torch.ones(2, 3, dtype=torch.bool), [1, None, 2.5, math.nan], "text")},
            {"ok": False, "kind": "ValueError", "also": ["Exception"], "message": "size mismatch"},
            {"ok": True, "value": {"a": Handle(3), "b": ParameterOf(3, "w"), "c": Other("array")}},
            {"ok": True, "value": StandIn("linear", {"d": 4}), "input_gradients": [None, torch.zeros(0, 5)]},
        )
    ]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read = refused = 0
    longest = 0.0
    for _ in range(N_MALFORMED):
        message = malformed(one, frames)
        started = time.process_time()
        try:
            decode(message)
            read += 1
        except WireError:
            refused += 1
        longest = max(longest, time.process_time() - started)
    assert read + refused == N_MALFORMED
    assert read > 1_000  # neither all nonsense nor all sense, or little was tried
    assert refused > 50_000
    assert longest < 1.0  # of the processor's time: no message of a few hundred bytes may cost a second of it
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10  # kilobytes


# -- over a socket -------------------------------------------------------------------------------------------


@pytest.fixture
def ends() -> Any:
    here, there = socket.socketpair()
    with here, there:
        yield here, there


def test_a_message_in_many_small_pieces_arrives_whole(ends: Any) -> None:
    here, there = ends
    value = {"ok": True, "value": torch.randn(50)}
    bytes_ = encode(value)

    def drip() -> None:
        for i in range(0, len(bytes_), 7):
            there.sendall(bytes_[i : i + 7])

    sender = threading.Thread(target=drip)
    sender.start()
    assert same(value, wire.receive(here))
    sender.join()


def test_two_messages_do_not_run_into_each_other(ends: Any) -> None:
    here, there = ends
    there.sendall(encode("first") + encode("second"))
    assert [wire.receive(here), wire.receive(here)] == ["first", "second"]


@pytest.mark.parametrize("sent", [b"", encode([1, 2, 3])[:10], encode([1, 2, 3])[:-1]])
def test_a_connection_that_closes_in_the_middle_is_the_end_of_file(ends: Any, sent: bytes) -> None:
    here, there = ends
    there.sendall(sent)
    there.close()
    with pytest.raises(EOFError):
        wire.receive(here)


def test_a_drip_of_bytes_cannot_hold_the_reader_beyond_the_deadline(ends: Any) -> None:
    """Every byte comes in time for a timeout of its own; together they would take a minute."""
    here, there = ends
    done = threading.Event()

    def drip() -> None:
        there.sendall(struct.pack(">4sIQ", wire.MAGIC, 600, 0))
        while not done.wait(0.1):
            there.sendall(b" ")

    sender = threading.Thread(target=drip)
    sender.start()
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        wire.receive(here, remaining_s=lambda: start + 0.5 - time.monotonic())
    assert time.monotonic() - start < 2
    done.set()
    sender.join()
