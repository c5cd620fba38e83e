"""The course's LSTM against PyTorch's: outputs, final states and gradients, also bidirectional, also padded."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from solutions import lstm, lstm_cell, lstm_fast, padding, training_loop
from solutions import text as solved_text
from utils.stand_ins import lstm as library_lstm
from utils.stand_ins import padding as library_padding
from utils.stand_ins import text as library_text
from utils.stand_ins import training_loop as library_loop

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
DTYPES = [torch.float64, torch.float32]


def draw(*shape: int, seed: int, dtype: torch.dtype, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(*shape, generator=generator, dtype=torch.float64) * scale).to(dtype)


def redraw(module: nn.Module, seed: int = 5) -> None:
    """Weights of both signs, away from the default's, biases not zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.4)


def assert_close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Absolute for small values, relative for large ones (a gradient sums over a whole batch)."""
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    limit = TOLERANCE[theirs.dtype]
    worst = ((ours - theirs).abs() / theirs.abs().clamp(min=max(1.0, theirs.abs().max().item()))).max().item()
    assert worst <= limit, f"differs by {worst:.3g}, allowed {limit}"


def library(
    module: nn.LSTM, x: torch.Tensor, lengths: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    if lengths is None:
        outputs, (h, c) = module(x)
        return outputs, h, c
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    outputs, (h, c) = module(packed)
    return pad_packed_sequence(outputs, batch_first=True, total_length=x.shape[1])[0], h, c


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("batch", "inputs", "hidden"), [(3, 5, 4), (1, 2, 7), (6, 8, 3)])
@pytest.mark.parametrize("with_state", [True, False])
def test_cell(dtype: torch.dtype, batch: int, inputs: int, hidden: int, with_state: bool) -> None:
    theirs = nn.LSTMCell(inputs, hidden).to(dtype)
    redraw(theirs)
    ours = lstm_cell.LSTMCell(inputs, hidden).to(dtype)
    ours.load_state_dict(theirs.state_dict())
    cotangents = [draw(batch, hidden, seed=s, dtype=dtype) for s in (1, 2)]
    results = []
    for module in (ours, theirs):
        x = draw(batch, inputs, seed=3, dtype=dtype).requires_grad_()
        state = tuple(draw(batch, hidden, seed=s, dtype=dtype).requires_grad_() for s in (4, 5))
        h, c = module(x, state) if with_state else module(x)
        module.zero_grad()
        ((h * cotangents[0]).sum() + (c * cotangents[1]).sum()).backward()
        leaves = [x, *(state if with_state else ()), *module.parameters()]
        results.append([h, c, *(leaf.grad for leaf in leaves)])
    for left, right in zip(*results, strict=True):
        assert_close(left, right)


SHAPES = [(4, 9, 5, 3), (1, 6, 3, 4), (5, 1, 2, 6), (3, 17, 6, 8)]  # B, N, I, H


@pytest.mark.parametrize("make", [lstm.LSTM, lstm_fast.FastLSTM, library_lstm.LSTM])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_lstm(
    make: type[nn.Module], dtype: torch.dtype, shape: tuple[int, ...], bidirectional: bool, padded: bool
) -> None:
    batch, steps, inputs, hidden = shape
    theirs = nn.LSTM(inputs, hidden, batch_first=True, bidirectional=bidirectional).to(dtype)
    redraw(theirs)
    ours = make(inputs, hidden, bidirectional).to(dtype)
    ours.load_state_dict(theirs.state_dict())  # strict: the names and shapes are PyTorch's
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    lengths = None
    if padded:
        lengths = torch.randint(1, steps + 1, (batch,), generator=torch.Generator().manual_seed(7))
        lengths[0] = max(1, steps - 2)  # no row need be full
    directions = 1 + bidirectional
    results = []
    for module, is_ours in ((ours, True), (theirs, False)):
        x = draw(batch, steps, inputs, seed=3, dtype=dtype).requires_grad_()
        if is_ours:
            outputs, (h, c) = module(x, lengths)
        else:
            outputs, h, c = library(module, x, lengths)
        cotangents = [
            draw(batch, steps, directions * hidden, seed=1, dtype=dtype),
            *(draw(directions, batch, hidden, seed=s, dtype=dtype) for s in (8, 9)),
        ]
        sum((v * w).sum() for v, w in zip((outputs, h, c), cotangents, strict=True)).backward()
        gradients = {name: p.grad for name, p in module.named_parameters()}
        results.append([outputs, h, c, x.grad, *(gradients[name] for name in sorted(gradients))])
    for left, right in zip(*results, strict=True):
        assert steps == 1 or left.abs().max() > 1e-3  # not the comparison of nothing with nothing
        assert_close(left, right)


@pytest.mark.parametrize("make", [lstm.LSTM, lstm_fast.FastLSTM])
def test_padding_never_matters(make: type[nn.Module]) -> None:
    module = make(3, 4, True).double()
    redraw(module)
    x = draw(4, 7, 3, seed=1, dtype=torch.float64)
    lengths = torch.tensor([7, 3, 1, 0])
    outputs, (h, c) = module(x, lengths)
    other = x.clone()
    for row, length in enumerate(lengths.tolist()):
        other[row, length:] = 100.0
    outputs2, (h2, c2) = module(other, lengths)
    for left, right in ((outputs, outputs2), (h, h2), (c, c2)):
        assert torch.equal(left, right)
    for row, length in enumerate(lengths.tolist()[:3]):
        alone, (h1, c1) = module(x[row : row + 1, :length])
        torch.testing.assert_close(outputs[row, :length], alone[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(h[:, row], h1[:, 0], rtol=0, atol=1e-12)
        torch.testing.assert_close(c[:, row], c1[:, 0], rtol=0, atol=1e-12)
        assert outputs[row, length:].abs().sum() == 0
    assert outputs[3].abs().sum() == h[:, 3].abs().sum() == c[:, 3].abs().sum() == 0


def test_scan_is_the_cell_over_time() -> None:
    layer, cell = lstm.LSTM(3, 5).double(), lstm_cell.LSTMCell(3, 5).double()
    redraw(layer)
    cell.load_state_dict({name.removesuffix("_l0"): p for name, p in layer.state_dict().items()})
    x = draw(2, 6, 3, seed=1, dtype=torch.float64)
    hidden, cells = layer.scan(x, "_l0")
    state = None
    for step in range(6):
        state = cell(x[:, step], state)
        torch.testing.assert_close(hidden[:, step], state[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(cells[:, step], state[1], rtol=0, atol=1e-12)


def test_fast_lstm_gradcheck() -> None:
    layer = lstm_fast.FastLSTM(2, 3, True).double()
    redraw(layer)
    x = draw(2, 4, 2, seed=1, dtype=torch.float64).requires_grad_()
    lengths = torch.tensor([4, 2])

    def run(x: torch.Tensor, *parameters: torch.Tensor) -> tuple[torch.Tensor, ...]:
        names = [name for name, _ in layer.named_parameters()]
        outputs, (h, c) = torch.func.functional_call(
            layer, dict(zip(names, parameters, strict=True)), (x, lengths)
        )
        return outputs, h, c

    assert torch.autograd.gradcheck(run, (x, *layer.parameters()))


@pytest.mark.parametrize(("how", "bidirectional"), itertools.product(("last", "mean", "max"), (False, True)))
def test_pool_row_by_row(how: str, bidirectional: bool) -> None:
    outputs = draw(4, 6, 8, seed=2, dtype=torch.float64) - 3.0  # mostly negative: padding would win a maximum
    lengths = torch.tensor([6, 2, 1, 0])
    cotangent = draw(4, 8, seed=3, dtype=torch.float64)
    results = []
    for function in (padding.pool, library_padding.pool):
        leaf = outputs.clone().requires_grad_()
        pooled = function(leaf, lengths, how, bidirectional)
        (pooled * cotangent).sum().backward()
        results.append((pooled, leaf.grad))
    for left, right in zip(*results, strict=True):
        assert_close(left, right)
    assert results[0][1][1, 2:].abs().sum() == 0 and results[0][0][3].abs().sum() == 0


def test_last_of_a_bidirectional_lstm_is_its_final_state() -> None:
    layer = lstm.LSTM(3, 4, True).double()
    redraw(layer)
    x, lengths = draw(3, 6, 3, seed=1, dtype=torch.float64), torch.tensor([6, 1, 4])
    outputs, (h, _) = layer(x, lengths)
    pooled = padding.pool(outputs, lengths, "last", bidirectional=True)
    assert torch.equal(pooled, torch.cat([h[0], h[1]], dim=-1))


def test_pool_refuses_an_unknown_way() -> None:
    with pytest.raises(ValueError, match="'median'"):
        padding.pool(torch.zeros(1, 1, 1), torch.ones(1, dtype=torch.long), "median")


def test_classifier_with_library_lstm() -> None:
    ours = lstm.LSTMClassifier(20, 5, 4, 3, dropout=0.0)
    redraw(ours)
    theirs = library_lstm.LSTMClassifier(20, 5, 4, 3, dropout=0.0)
    theirs.load_state_dict(ours.state_dict())
    tokens, lengths, labels = solved_text.collate([([3, 4, 5, 19], 0), ([7], 2), ([9, 2, 1], 1)])
    results = []
    for model in (ours.double(), theirs.double()):
        logits = model(tokens, lengths)
        nn.functional.cross_entropy(logits, labels).backward()
        results.append([logits, *(p.grad for _, p in sorted(model.named_parameters()))])
    for left, right in zip(*results, strict=True):
        assert_close(left, right)


SENTENCES = [["b", "a", "b"], ["c", "a", "b", "d"], [], ["e", "d", "é"]]


@pytest.mark.parametrize("min_frequency", [1, 2, 3])
def test_vocabulary_and_its_stand_in(min_frequency: int) -> None:
    ours = solved_text.Vocabulary.build(SENTENCES, min_frequency)
    theirs = library_text.Vocabulary.build(SENTENCES, min_frequency)
    assert ours.words == theirs.words
    assert ours.words[2:] == {1: ["b", "a", "d", "c", "e", "é"], 2: ["b", "a", "d"], 3: ["b"]}[min_frequency]
    words = ["a", "zebra", "b", "<pad>"]
    assert ours.encode(words) == theirs.encode(words)
    assert ours.decode(ours.encode(["b", "zebra"])) == ["b", "<unk>"]


def test_training_and_evaluation_with_their_stand_ins() -> None:
    batches = [solved_text.collate([([2, 3], 0), ([4], 1), ([5, 2, 2], 1)]), solved_text.collate([([3], 1)])]
    results = []
    for module in (training_loop, library_loop):
        model = library_lstm.LSTMClassifier(6, 4, 3, dropout=0.0)
        redraw(model)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
        losses = [module.train_epoch(model, batches, optimizer, scheduler) for _ in range(2)]
        results.append([*losses, *module.evaluate(model, batches), optimizer.param_groups[0]["lr"]])
    assert results[0] == pytest.approx(results[1], abs=1e-6)
    assert results[0][0] > results[0][1] and results[0][4] == 0.5 * 0.5**4
