"""A check has its own session: what a notebook has switched on, or a busy machine, makes no right answer wrong."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time

import pytest
import torch
from packaging.version import Version
from torch import nn

from tests.kinds import each
from tests.test_check_engine import FUNCTION, result, scale_rows
from utils.authoring import sessions
from utils.checks import chance, limits, observe, state
from utils.checks.engine import examine
from utils.checks.limits import TimeLimitExceeded, time_limit
from utils.checks.registry import all_exercises
from utils.checks.state import own_state
from utils.grading import answers
from utils.paths import ROOT

EXERCISES = list(all_exercises().values())


@pytest.mark.slow
@pytest.mark.parametrize("exercise", each(EXERCISES, EXERCISES[::5].__contains__), ids=lambda e: e.name)
def test_right_answers_pass_whatever_the_notebook_has_switched_on(exercise):
    """All of the bank, with everything switched on at once; `python -m utils.authoring sessions` does it one by one."""
    assert sessions.rejected(exercise, sessions=[sessions.SESSIONS]) == []


@pytest.mark.parametrize("exercise", EXERCISES[::5], ids=lambda e: e.name)
@pytest.mark.slow
def test_the_reference_passes_whatever_the_notebook_has_switched_on(exercise):
    assert sessions.rejected(exercise, everything=False) == []


@pytest.mark.parametrize("name", sessions.SESSIONS)
def test_a_check_puts_the_students_session_back(name):
    def now():
        return (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.get_default_dtype(),
            state.where_tensors_are_made(),
            torch.backends.cuda.flash_sdp_enabled(),
            torch.backends.cuda.math_sdp_enabled(),
            torch.default_generator.get_state().tolist()[:64],
        )

    exercise = all_exercises()["scaled_dot_product_attention"]
    with sessions.session(name):
        torch.default_generator.manual_seed(7)
        before = now()
        assert examine(exercise, answers.reference(exercise)).passed
        assert now() == before


def test_anomaly_mode_and_autocast_are_off_inside():
    seen = []

    def attempt(x, weights, bias=None):
        seen.append((torch.is_anomaly_enabled(), torch.is_autocast_enabled("cpu")))
        return scale_rows(x, weights, bias)

    with torch.autograd.set_detect_anomaly(True), torch.autocast("cpu", torch.bfloat16):
        assert result(attempt).passed
        assert torch.is_anomaly_enabled() and torch.is_autocast_enabled("cpu")
    assert set(seen) == {(False, False)}


@pytest.mark.parametrize(
    ("leave", "words"),
    [
        (lambda: torch.set_grad_enabled(False), "leaves them off"),
        (lambda: torch.set_default_dtype(torch.float64), "changes PyTorch's default dtype"),
    ],
)
def test_an_answer_that_changes_the_session_for_good_is_told_so(leave, words):
    def attempt(x, weights, bias=None):
        out = scale_rows(x, weights, bias)
        leave()
        return out

    found = result(attempt)
    assert words in found.findings[0].sentence
    assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32


def test_a_note_from_another_process_cannot_bring_words_of_its_own():
    """A grader shows the sentence of a finding to the student; what came out of a sandbox must not be in it."""
    from utils.checks import fixtures
    from utils.checks.compare import NOTES, compare

    fixture = fixtures.prepare(FUNCTION, scale_rows, 1)
    secret = torch.tensor(list(b"the hidden case is 42"), dtype=torch.uint8)
    for note in NOTES:
        for what in ("state", "gradients", "random", "kept", "output"):
            seen = dict(fixture.expected[0]) | {f"{note}{what}": secret}
            finding = compare(FUNCTION, fixture.cases[0], fixture.expected[0], seen)
            assert finding is None or "42" not in finding.sentence


def test_the_limit_is_of_the_processors_time():
    with time_limit(0.2):
        time.sleep(0.5)
    with pytest.raises(TimeLimitExceeded) as error, time_limit(0.2):
        while True:
            pass
    assert not error.value.waiting


def test_the_clock_is_the_second_limit_and_says_another_thing(monkeypatch):
    with pytest.raises(TimeLimitExceeded) as error, time_limit(5.0, clock=0.2):
        time.sleep(30)
    assert error.value.waiting

    def sleeps(x, weights, bias=None):
        time.sleep(30)

    monkeypatch.setattr(observe, "time_limit", lambda seconds: time_limit(seconds, clock=0.1))
    sentence = result(sleeps).findings[0].sentence
    assert "loop" not in sentence and "wait for something" in sentence
    assert limits.PATIENCE >= 3


def test_time_used_up_by_earlier_cases_is_not_called_zero_seconds():
    def attempt(x, weights, bias=None):
        end = time.process_time() + 0.45
        while time.process_time() < end:
            pass
        return scale_rows(x, weights, bias)

    sentences = {finding.sentence for finding in result(attempt).findings if finding}
    assert sentences == {"Your code computed for 1 s and was stopped. Is there a loop that never ends?"}
    assert FUNCTION.seconds == 1.0


def test_time_limit_in_a_worker_thread():
    seen = []

    def work():
        for seconds, clock in ((0.2, None), (5.0, 0.2)):
            try:
                with time_limit(seconds, clock=clock):
                    while True:
                        if clock:
                            time.sleep(0.01)
            except TimeLimitExceeded as error:
                seen.append(error.waiting)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert seen == [False, True]


SESSION = """
import sys
from utils.checks.engine import examine
from utils.checks.registry import all_exercises
from utils.grading import answers

for exercise in all_exercises().values():
    reference, module = answers.reference(exercise), answers.reference_module(exercise)
    wrongs = answers.bank(exercise).wrongs
    for wrong in [None, *(wrongs if exercise.name == "padding_mask" else wrongs[:1])]:
        result = examine(exercise, wrong.build(reference, module) if wrong else reference)
        assert result.passed == (wrong is None), (exercise.name, wrong and wrong.name)
        print(exercise.name, wrong and wrong.name, *({"sympy", "torch._dynamo"} & sys.modules.keys()), sep=" | ")
"""


@pytest.mark.slow
@pytest.mark.skipif(
    Version(torch.__version__) < Version("2.8"), reason="einops imports it there, at its own first use"
)
@pytest.mark.thorough
def test_checks_import_no_compiler():
    """It takes a second or two, at the first check of a session; around an optimizer, at a wrong value, on a device without numbers."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SESSION], cwd=ROOT, check=True, capture_output=True, text=True
    )
    lines = [line for line in done.stdout.splitlines() if " | " in line]
    assert len(lines) > 2 * len(all_exercises())
    assert next((line for line in lines if line.count(" | ") > 1), "") == ""


def in_a_block(n, lengths):
    with lengths.device:
        return torch.arange(n) < lengths[:, None]


@pytest.mark.parametrize(
    ("on_its_device", "mask"),
    [
        (True, lambda n, lengths: torch.arange(n).to(lengths.device) < lengths[:, None]),
        (True, lambda n, lengths: torch.arange(n).type_as(lengths.long()) < lengths[:, None]),
        (True, lambda n, lengths: lengths.new_ones(n).cumsum(0) <= lengths[:, None]),
        (True, lambda n, lengths: in_a_block(n, lengths)),
        (True, lambda n, lengths: torch.tensor([[i < one for i in range(n)] for one in lengths.tolist()])),
        (False, lambda n, lengths: torch.arange(n) < lengths[:, None]),
        (False, lambda n, lengths: torch.arange(n, device="cpu") < lengths[:, None].cpu()),
    ],
)
def test_a_device_that_is_not_there_is_told_apart(on_its_device, mask):
    """A list read from the lengths is not asked: a machine without a second device cannot run it."""
    exercise = all_exercises()["padding_mask"]

    def padding_mask(lengths, max_length=None):
        return mask(int(lengths.max()) if max_length is None else max_length, lengths)

    found = [finding for finding in examine(exercise, padding_mask).findings if finding]
    assert not found if on_its_device else "With lengths on another device" in found[0].sentence


class ValuesOfOtherLength(nn.Module):
    """What an answer to DecoderLayer can do to attention: the values are the target's, the keys the source's."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.attention = find_reference("MultiHeadAttention")(dim, num_heads)

    def forward(self, x, memory):
        return self.attention(x, memory, x, need_weights=False)[0]


def find_reference(name):
    return answers.reference(all_exercises()[name])


@pytest.mark.parametrize("without", [contextlib.nullcontext, chance.without_chance])
def test_as_many_values_as_keys_or_an_error_in_place_of_a_dead_kernel(without):
    layer, x, memory = ValuesOfOtherLength(6, 2), torch.randn(2, 9, 6), torch.randn(2, 4, 6)
    attend = nn.functional.scaled_dot_product_attention
    with own_state(), without(), pytest.raises(RuntimeError, match="4.* 9"):
        layer(x, memory)
    with own_state(), without(), pytest.raises(RuntimeError, match="4.* 9"):
        attend(x, memory, value=x)  # imported by its own name
    assert nn.functional.scaled_dot_product_attention is attend
    with own_state(), without():
        same = layer(memory, memory)
    torch.testing.assert_close(same, layer(memory, memory))
