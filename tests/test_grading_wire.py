"""What comes out of a sandbox: bounded before it is parsed, and whatever it is, it costs one answer and no exception leaves the judge.

A longer run: `python -m pytest tests/test_grading_wire.py --hypothesis-profile long`.
"""

from __future__ import annotations

import json
import resource
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from utils.checks.registry import find
from utils.grading import hidden, wire
from utils.grading.verdict import Examiner, Verdict
from utils.grading.worker import _Answers

NONCE = bytes(range(16))
# a mask; and a module, of which gradients are seen and mistakes are known by them
NAMES = ("causal_mask", "FeedForward")


def examiner_of(name):
    exercise = find(name)
    made = Examiner.__new__(Examiner)
    made.notebook, made.exercises = exercise.notebook, {name: exercise}
    made.fixtures = {name: hidden.build(exercise, 3)}
    return made


@pytest.fixture(scope="module")
def examiner():
    return examiner_of(NAMES[0])


@pytest.fixture(scope="module", params=NAMES)
def either(request):
    return examiner_of(request.param)


def honest(examiner):
    """The payload of a right answer."""
    ((name, fixture),) = examiner.fixtures.items()
    seen = [{"seen": list(one)} for one in fixture.expected]
    return wire.pack({"exercise": name, "outcomes": seen}, values(examiner))


def values(examiner):
    """What a right answer's frame holds beside its message."""
    (fixture,) = examiner.fixtures.values()
    return {f"{i}/{key}": value for i, seen in enumerate(fixture.expected) for key, value in seen.items()}


def raw(header, data=b""):
    """A payload with this header (an object, or bytes)."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def judged(examiner, stream):
    """What becomes of bytes that a sandbox sends: verdicts, whether it may go on, and the check that it costs."""
    (name,) = examiner.exercises
    answers = _Answers(NONCE, 1, lambda index, payload: examiner.judge(name, payload))
    went_on = answers.take(stream)
    assert all(isinstance(found, Verdict) for found in answers.judged)
    assert went_on == (answers.broken is None) and (went_on or answers.why)
    return answers


def test_what_is_packed_is_unpacked(examiner):
    message, tensors = wire.unpack(
        wire.pack({"a": [1, {"b": "[[["}]}, {"x": torch.ones(2), "none": torch.ones(0, 3)})
    )
    assert message == {"a": [1, {"b": "[[["}]} and torch.equal(tensors["x"], torch.ones(2))
    assert tensors["none"].shape == (0, 3)
    assert judged(examiner, wire.frame(NONCE, 0, honest(examiner))).judged[0].state == "passed"


def entry(shape, dtype="F32", offsets=(0, 0)):
    return {
        "x": {"dtype": dtype, "shape": shape, "data_offsets": list(offsets)},
        "__metadata__": {"message": "{}"},
    }


BAD = {
    "a shape whose product is 0 and whose other sizes overflow": raw(entry([0, 2**62, 4])),
    "a shape that overflows": raw(entry([2**62, 4])),
    "a negative size": raw(entry([-1])),
    "a size that is no number": raw(entry([True])),
    "offsets behind the end": raw(entry([4], offsets=(0, 16))),
    "a dtype that does not exist": raw(entry([0], dtype="F13")),
    "a header of brackets": raw(b'{"x": [' + b"[]," * 1_000_000 + b"[]]}"),
    "a header nested deep": raw(b"[" * 100_000),
    "a message nested deep": raw({"__metadata__": {"message": "[" * 100_000}}),
    "a message of brackets": raw({"__metadata__": {"message": '{"x": [' + "[]," * 1_000_000 + "[]]}"}}),
    "no message": raw({"__metadata__": {}}),
    "a message that is a list": raw({"__metadata__": {"message": "[]"}}),
    "a header that is a list": raw(b"[]"),
    "half a surrogate pair": raw({"__metadata__": {"message": '{"exercise": "\ud800"}'}}),
    "a number that Python would take long to read": raw(
        {"__metadata__": {"message": '{"x": ' + "9" * 100_000 + "}"}}
    ),
    "100,000 tensors": raw(
        {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(100_000)}
    ),
    "a header longer than the frame": (2**62).to_bytes(8, "little") + b"{}",
    "nothing": b"",
    "a pickle": b"\x80\x04\x95" + bytes(40),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_payload_costs_the_answer(name, examiner):
    if name != "half a surrogate pair":
        with pytest.raises(wire.BadFrame):
            wire.unpack(BAD[name])
    assert judged(examiner, wire.frame(NONCE, 0, BAD[name])).broken == 0


class Panic(BaseException):
    """As of a library in Rust (`pyo3_runtime.PanicException`), which is no `Exception`."""


@pytest.mark.parametrize("kind", [RuntimeError, MemoryError, Panic])
def test_whatever_a_library_raises_costs_the_answer(kind, examiner, monkeypatch):
    def fail(*given):
        raise kind("seen once")

    stream = wire.frame(NONCE, 0, honest(examiner))
    with monkeypatch.context() as patch:
        patch.setattr(wire, "load", fail)
        with pytest.raises(wire.BadFrame, match=kind.__name__):
            wire.unpack(honest(examiner))
        found = judged(examiner, stream)
        assert found.broken == 0 and found.sure and not found.judged
    answers = _Answers(NONCE, 1, fail)  # and what is raised behind the frame: by a comparison, say
    assert not answers.take(stream) and answers.broken == 0 and answers.sure


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_who_stops_the_grader_stops_it(kind, examiner, monkeypatch):
    def stop(*given):
        raise kind

    with pytest.raises(kind):
        _Answers(NONCE, 1, stop).take(wire.frame(NONCE, 0, honest(examiner)))
    monkeypatch.setattr(wire, "load", stop)
    with pytest.raises(kind):
        wire.unpack(honest(examiner))


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (wire.HEADER.pack(b"crs1", NONCE, 0, 0), "a wrong header"),
        (wire.HEADER.pack(wire.MAGIC, bytes(16), 0, 0), "a wrong header"),
        (wire.HEADER.pack(wire.MAGIC, NONCE, 0, 2**62), "too long"),
        (wire.HEADER.pack(wire.MAGIC, NONCE, 0, wire.MAX_ANSWER + 1), "too long"),
        (wire.HEADER.pack(wire.MAGIC, NONCE, 1, 0), "out of turn"),
    ],
)
def test_a_frame_is_refused_by_its_first_bytes(stream, why, examiner):
    found = judged(examiner, stream)
    assert why in found.why and found.broken == 0


def test_an_answer_counts_once(examiner):
    frame = wire.frame(NONCE, 0, honest(examiner))
    found = judged(examiner, frame + frame)
    assert [v.state for v in found.judged] == ["passed"] and "out of turn" in found.why


def test_sixty_megabytes_of_brackets_cost_neither_time_nor_memory(examiner):
    """Seen once: 1.5 GiB and tens of seconds. Processor time, for other processes may be busy."""
    size = 60 * 2**20
    bracket = raw(b'{"x": [' + b"[]," * (size // 3) + b"[]]}")
    long = wire.frame(NONCE, 0, bracket)
    short = wire.frame(NONCE, 0, raw(b'{"x": [' + b"[]," * ((wire.MAX_HEADER - 100) // 3) + b"[]]}"))
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    for stream in (long, short):
        assert judged(examiner, stream).broken == 0
    with pytest.raises(wire.BadFrame):
        wire.unpack(bracket)
    assert time.process_time() - began < 5
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 300  # MiB


@pytest.mark.parametrize("end", [b"", b"\\"])
def test_a_text_without_an_end_is_read_once(end):
    """Seen once: time that grew with the square, 11 s for 90 kB of escaped quotes."""
    text = b'{"a": "' + b'\\"' * 45_000 + end
    began = time.process_time()
    for payload in (raw(text), raw({"__metadata__": {"message": text.decode()}})):
        with pytest.raises(wire.BadFrame):
            wire.unpack(payload)
    assert time.process_time() - began < 2


NUMBERS = st.one_of(
    st.integers(-2, 5),
    st.sampled_from([2**31, 2**40, 2**62, 2**63, 2**64, 10**30]),
    st.booleans(),
    st.floats(),
)
TREES = st.recursive(
    st.one_of(st.none(), NUMBERS, st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.one_of(
            st.sampled_from(["F32", "F16", "BF16", "F8_E4M3", "I64", "U8", "BOOL", "F4", "C64"]), TREES
        ),
        "shape": st.one_of(st.lists(NUMBERS, max_size=5), TREES),
        "data_offsets": st.one_of(st.tuples(st.integers(0, 40), st.integers(0, 40)), TREES),
    }
)


def messages(examiner):
    """What might stand in a frame's message: the right words among others."""
    ((name, fixture),) = examiner.fixtures.items()
    seen = sorted({"x"} | {key for one in fixture.expected for key in one})
    outcomes = st.lists(
        st.one_of(
            st.fixed_dictionaries({"seen": st.one_of(TREES, st.lists(st.sampled_from(seen)))}),
            st.fixed_dictionaries({"kind": TREES, "sentence": TREES, "trace": TREES}),
            TREES,
        ),
        max_size=len(fixture.cases) + 1,
    )
    known = {"exercise": st.one_of(st.just(name), TREES), "outcomes": st.one_of(outcomes, TREES)}
    return st.one_of(TREES, st.fixed_dictionaries(known))


def headers(examiner):
    """Names of tensors, right ones among others, and what might be said of them."""
    names = st.one_of(st.sampled_from(sorted(values(examiner))), st.text(max_size=4))
    return st.dictionaries(names, st.one_of(ENTRIES, TREES), max_size=4)


@given(st.binary(max_size=400))
def test_no_exception_leaves_the_judge_for_random_bytes(either, data):
    judged(either, data)
    judged(either, wire.frame(NONCE, 0, data))


OVERFLOWS = {"x": {"dtype": "F32", "shape": [0, 2**62, 4], "data_offsets": [0, 0]}}


@given(st.data())
def test_no_exception_leaves_the_judge_for_made_up_frames(either, data):
    header, message = data.draw(headers(either)), data.draw(messages(either))
    rest, nested = data.draw(st.binary(max_size=40)), data.draw(st.booleans())
    text = json.dumps(message) if nested else message
    judged(either, wire.frame(NONCE, 0, raw(header | {"__metadata__": {"message": text}}, rest)))
    judged(either, wire.frame(NONCE, 0, raw(OVERFLOWS | {"__metadata__": {"message": "{}"}})))


NASTY = st.sampled_from([float("nan"), float("inf"), -float("inf"), 1e38, -1e38, 5e-324, 0.0])


@given(st.data())
def test_no_exception_leaves_the_judge_for_answers_of_other_values(either, data):
    """Well formed and wrong: what compares and recognises mistakes meets other shapes, kinds of numbers, infinities and gaps."""
    ((name, fixture),) = either.fixtures.items()
    seen, tensors = [], {}
    for index, expected in enumerate(fixture.expected):
        names = []
        for key, value in expected.items():
            what = data.draw(st.sampled_from(["same", "same", "other", "kind", "shape", "empty", "gone"]))
            if what == "gone":
                continue
            if what == "other":
                value = value.clone().float() * data.draw(NASTY) + data.draw(NASTY)
            elif what == "kind":
                value = value.to(
                    data.draw(st.sampled_from([torch.bool, torch.int8, torch.float16, torch.complex64]))
                )
            elif what == "shape":
                value = value.reshape(-1)[: data.draw(st.integers(0, 3))]
            elif what == "empty":
                value = value.new_zeros(0, *value.shape[1:]) if value.ndim else value.reshape(1, 1)
            tensors[f"{index}/{key}"] = value
            names.append(key)
        seen.append({"seen": names})
    judged(either, wire.frame(NONCE, 0, wire.pack({"exercise": name, "outcomes": seen}, tensors)))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**31), st.integers(0, 255), st.sampled_from(["set", "cut", "insert", "double"])
        ),
        min_size=1,
        max_size=6,
    )
)
def test_no_exception_leaves_the_judge_for_mutated_answers(either, edits):
    stream = bytearray(wire.frame(NONCE, 0, honest(either)))
    for place, value, what in edits:
        place %= len(stream) or 1
        if what == "set" and stream:
            stream[place] = value
        elif what == "cut":
            del stream[place : place + value]
        elif what == "insert":
            stream[place:place] = bytes([value]) * (value % 9)
        elif what == "double":
            stream[place:place] = stream[place : place + value]
    judged(either, bytes(stream))


@given(st.dictionaries(st.text(max_size=8), TREES, max_size=5))
def test_every_message_comes_home_as_it_was_or_is_refused(message):
    try:
        found, _ = wire.unpack(wire.pack(message, {}))
    except wire.BadFrame:
        return
    assert json.dumps(found) == json.dumps(message)
