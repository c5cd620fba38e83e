"""Notebook 03 against PyTorch and transformers: outputs and gradients, float64 to 1e-10 and float32 to 1e-5.

Both sides get the same drawn parameters: norm weights away from 1, biases away from 0. A check of the checks at the end
breaks one thing at a time and expects the comparison to notice.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from solutions import lstm, sentiment
from solutions.comparison import compare_models
from solutions.padding import padding_mask
from solutions.schedule import warmup_cosine
from solutions.sentiment import TransformerClassifier, TransformerEncoder
from tests.peers import import_transformers
from utils.stand_ins import transformer as stand_ins
from utils.stand_ins.transformer import from_torch

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
DTYPES = pytest.mark.parametrize("dtype", list(TOLERANCE), ids=["float64", "float32"])
NORMS = pytest.mark.parametrize("norm_first", [False, True], ids=["post-LN", "pre-LN"])
# batch, tokens, width, heads, hidden, layers: no two alike by accident
SHAPES = pytest.mark.parametrize("shape", [(2, 5, 8, 2, 12, 3), (3, 7, 12, 4, 20, 2), (4, 6, 10, 1, 14, 1)])


def draw(*shape: int, dtype: torch.dtype = torch.float64, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def draw_parameters(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Every parameter redrawn; norm weights around 1 but well away from it, biases well away from 0."""
    with torch.no_grad():
        for i, (name, parameter) in enumerate(sorted(module.named_parameters())):
            values = draw(*parameter.shape, seed=100 + i)
            is_norm_weight = "norm" in name and name.endswith("weight")
            parameter.copy_(
                1 + 0.5 * values if is_norm_weight else values * (0.5 if parameter.dim() == 1 else 0.4)
            )
    return module.to(dtype)


def draw_lengths(batch: int, longest: int, seed: int) -> Tensor:
    lengths = torch.randint(1, longest, (batch,), generator=torch.Generator().manual_seed(seed))
    lengths[seed % batch] = longest
    return lengths


def observe(output: Tensor, leaves: dict[str, Tensor]) -> dict[str, Tensor]:
    """The output, and the gradients of the leaves for a drawn cotangent."""
    cotangent = draw(*output.shape, dtype=output.dtype, seed=900)
    gradients = torch.autograd.grad((output * cotangent).sum(), list(leaves.values()))
    seen = {"output": output.detach()} | dict(zip(leaves, gradients, strict=True))
    assert all(values.abs().sum() > 0 for values in seen.values()), "a zero tensor proves nothing"
    return seen


def assert_equal(ours: dict[str, Tensor], theirs: dict[str, Tensor], dtype: torch.dtype) -> None:
    """Same names, same shapes, values within the tolerance relative to the tensor's scale."""
    assert ours.keys() == theirs.keys() and len(ours) > 1
    for name, expected in theirs.items():
        assert ours[name].shape == expected.shape, name
        assert ours[name].data_ptr() != expected.data_ptr(), f"{name}: compared with itself"
        assert expected.dtype == ours[name].dtype == dtype, name
        scale = max(1.0, expected.abs().max().item())
        worst = (ours[name] - expected).abs().max().item()
        assert worst <= TOLERANCE[dtype] * scale, f"{name}: {worst:.2e} apart at scale {scale:.1f}"


def library_encoder(shape, norm_first: bool, activation: str = "relu") -> nn.TransformerEncoder:
    _, _, width, heads, hidden, layers = shape
    layer = nn.TransformerEncoderLayer(
        width, heads, hidden, 0.0, activation, batch_first=True, norm_first=norm_first
    )
    norm = nn.LayerNorm(width) if norm_first else None
    return nn.TransformerEncoder(layer, layers, norm, enable_nested_tensor=False)


def pair(shape, norm_first, dtype, activation="relu", layer=None):
    """Ours and the library's encoder with the same parameters."""
    _, _, width, heads, hidden, layers = shape
    theirs = draw_parameters(library_encoder(shape, norm_first, activation), dtype)
    ours = TransformerEncoder(layers, width, heads, hidden, norm_first, activation=activation).to(dtype)
    ours.load_state_dict(from_torch(theirs.state_dict()))  # strict: same names, same shapes
    return ours, theirs


def seen_of(module: nn.Module, x: Tensor, **mask) -> dict[str, Tensor]:
    x = x.clone().requires_grad_()
    return observe(module(x, **mask), {"grad of x": x} | dict(module.named_parameters()))


@DTYPES
@SHAPES
@NORMS
@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_encoder_is_the_librarys(shape, norm_first, padded, activation, dtype):
    batch, tokens, width, *_ = shape
    ours, theirs = pair(shape, norm_first, dtype, activation)
    x = draw(batch, tokens, width, dtype=dtype, seed=1)
    real = padding_mask(draw_lengths(batch, tokens, seed=2)) if padded else None
    expected = seen_of(theirs, x, src_key_padding_mask=None if real is None else ~real)
    seen = seen_of(ours, x, mask=None if real is None else real[:, None, :])
    assert_equal(seen, from_torch(expected), dtype)
    if padded:
        assert not torch.allclose(seen["output"], ours(x), atol=1e-3), "the mask had no influence"


@NORMS
def test_encoder_with_a_mask_per_pair_is_the_librarys(norm_first):
    shape = (2, 6, 8, 2, 12, 2)
    ours, theirs = pair(shape, norm_first, torch.float64)
    x = draw(2, 6, 8, seed=3)
    mask = (draw(6, 6, seed=4) > 0) | torch.eye(6, dtype=torch.bool)
    assert_equal(seen_of(ours, x, mask=mask), from_torch(seen_of(theirs, x, mask=~mask)), torch.float64)


@NORMS
def test_encoder_on_stand_in_layers_is_the_same(norm_first, monkeypatch):
    shape = (3, 5, 8, 2, 12, 2)
    reference, theirs = pair(shape, norm_first, torch.float64)
    monkeypatch.setattr(sentiment, "EncoderLayer", stand_ins.EncoderLayer)
    ours, _ = pair(shape, norm_first, torch.float64)
    assert isinstance(ours.layers[0].self_attn, nn.MultiheadAttention)
    x, mask = draw(3, 5, 8, seed=5), padding_mask(torch.tensor([5, 2, 3]))[:, None, :]
    assert_equal(seen_of(ours, x, mask=mask), seen_of(reference, x, mask=mask), torch.float64)


def test_dropout_acts_in_train_mode_only():
    encoder = draw_parameters(TransformerEncoder(2, 8, 2, 12, dropout=0.5), torch.float64)
    x = draw(2, 5, 8, seed=6)
    assert torch.equal(encoder.eval()(x), encoder(x))
    assert not torch.allclose(encoder.train()(x), encoder(x))


def library_classifier(model: TransformerClassifier, tokens: Tensor, lengths: Tensor) -> Tensor:
    """The classifier's logits from the library's modules and formulas written out, on the parameters of `model`."""
    width = model.embedding.embedding_dim
    layers, pre = len(model.encoder.layers), isinstance(model.encoder.norm, nn.LayerNorm)
    heads, hidden = model.encoder.layers[0].self_attn.num_heads, model.encoder.layers[0].feed_forward.linear1
    shape = (*tokens.shape, width, heads, hidden.out_features, layers)
    encoder = library_encoder(shape, pre).to(model.head.weight.dtype)
    parameters = {name.replace("feed_forward.", ""): p for name, p in model.encoder.named_parameters()}
    rows = []
    for row, length in zip(tokens, lengths.tolist(), strict=True):  # each sentence alone, without its padding
        words = [model.embedding.weight[index] * width**0.5 for index in row[:length].tolist()]
        if model.pooling == "cls":
            words.insert(0, model.cls)
        x = torch.stack(words)
        table = [
            [f(p / 10000 ** (2 * i / width)) for i in range(width // 2) for f in (math.sin, math.cos)]
            for p in range(len(x))
        ]
        x = x + torch.tensor(table, dtype=torch.float32).to(x)
        x = torch.func.functional_call(encoder, parameters, (x[None],))[0]
        rows.append(model.head(x[0] if model.pooling == "cls" else x.mean(dim=0)))
    return torch.stack(rows)


@NORMS
@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("spare", [0, 2], ids=["as wide as the longest", "wider than the longest"])
def test_classifier_is_made_of_library_parts(pooling, norm_first, spare):
    """Each sentence alone, without padding, through the library's encoder; the position table is allowed its float32."""
    model = TransformerClassifier(11, 8, 2, 2, 12, 3, pooling, norm_first)
    draw_parameters(model, torch.float64).eval()
    lengths = torch.tensor([4, 6, 1])
    tokens = torch.randint(1, 11, (3, 6 + spare), generator=torch.Generator().manual_seed(7))
    tokens = tokens.masked_fill(~padding_mask(lengths, tokens.shape[1]), 0)
    leaves = dict(model.named_parameters())
    ours = observe(model(tokens, lengths), leaves)
    theirs = observe(library_classifier(model, tokens, lengths), leaves)
    for name, expected in theirs.items():
        if name == "embedding.weight":  # row 0 is <pad>: ours never trains it
            expected, ours[name] = expected[1:], ours[name][1:]
        torch.testing.assert_close(
            ours[name], expected, rtol=1e-5, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_what_stands_in_the_padding_has_no_influence(pooling):
    model = TransformerClassifier(11, 8, 2, 2, 12, pooling=pooling).eval()
    lengths = torch.tensor([2, 5])
    tokens = torch.tensor([[3, 4, 0, 0, 0], [5, 6, 7, 8, 9]])
    other = torch.tensor([[3, 4, 9, 1, 2], [5, 6, 7, 8, 9]])
    torch.testing.assert_close(model(tokens, lengths), model(other, lengths))
    assert not torch.allclose(model(tokens, lengths), model(other.flip(1), lengths))


def test_classifier_takes_the_place_of_the_lstm():
    """Same call, same shape of the answer; and the <pad> row of the embedding is zero and stays so."""
    tokens, lengths = torch.tensor([[3, 4, 0], [5, 6, 7]]), torch.tensor([2, 3])
    model = TransformerClassifier(8)
    assert model(tokens, lengths).shape == lstm.LSTMClassifier(8)(tokens, lengths).shape == (2, 2)
    model(tokens, lengths).sum().backward()
    assert (model.embedding.weight[0] == 0).all() and (model.embedding.weight.grad[0] == 0).all()
    with pytest.raises(ValueError, match="'mean' or 'cls', not 'max'"):
        TransformerClassifier(8, pooling="max")


@pytest.mark.parametrize(("warmup", "total"), [(0, 7), (1, 5), (4, 20), (100, 1234), (9, 10)])
def test_warmup_cosine_is_the_schedule_of_transformers(warmup, total):
    import_transformers()
    from transformers import get_cosine_schedule_with_warmup

    def rates(schedule) -> list[float]:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=3.0)
        scheduler = schedule(optimizer)
        seen = []
        for _ in range(total + 1):
            seen.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        return seen

    ours = rates(lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda s: warmup_cosine(s, warmup, total)))
    theirs = rates(lambda o: get_cosine_schedule_with_warmup(o, warmup, total))
    assert ours == pytest.approx(theirs, abs=1e-12)
    assert max(ours) == 3.0 and ours[-1] == pytest.approx(0, abs=1e-12)
    assert warmup_cosine(total + 5, warmup, total) == 0


def test_the_cosine_is_torchs():
    total = 12
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
    for step in range(total):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(warmup_cosine(step, 0, total), abs=1e-12)
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("lengths", [[3, 1, 4], [2], [5, 0, 2], [1, 1]])
def test_padding_mask_is_what_pad_sequence_fills(lengths):
    rows = [torch.ones(length) for length in lengths]
    expected = nn.utils.rnn.pad_sequence(rows, batch_first=True).bool()
    assert torch.equal(padding_mask(torch.tensor(lengths)), expected)
    wider = padding_mask(torch.tensor(lengths), 7)
    assert wider.shape == (len(lengths), 7) and wider.sum(1).tolist() == lengths


def test_compare_models_is_fair():
    """Real trainings of two tiny models: equal draws for equal seeds, nested parts, every cell of the grid once."""
    train, test = [(float(i), i % 2) for i in range(20)], [(100.0, 0), (101.0, 1)]
    fits: list[tuple[str, tuple, int, float]] = []

    def build(name: str):
        model = nn.Linear(1, 2)
        model.name = name
        return model

    def fit(model, examples, steps):
        fits.append((model.name, tuple(examples), steps, model.weight[0].item()))
        return 0.25

    def score(model, examples):
        return sum(x for x, _ in examples)

    factories = {"a": lambda: build("a"), "b": lambda: build("b")}
    rows = compare_models(factories, fit, score, train, test, sizes=[4, 8], seeds=[3, 5], steps=9)
    assert sorted((r["model"], r["size"], r["seed"]) for r in rows) == sorted(
        (model, size, seed) for model in "ab" for size in (4, 8) for seed in (3, 5)
    )
    assert all(r["parameters"] == 4 and r["seconds"] == 0.25 and r["test"] == 201.0 for r in rows)
    for row in rows:
        (found,) = [
            f
            for f in fits
            if (f[0], len(f[1])) == (row["model"], row["size"]) and sum(x for x, _ in f[1]) == row["train"]
        ]
        assert found[2] == 9
    starts = {(round(start, 6)) for *_, start in fits}
    assert len(fits) == 8 and len(starts) == 2, "one start per seed, the same for every model and size"
    by_seed = {start: [set(f[1]) for f in fits if f[3] == start] for start in {f[3] for f in fits}}
    for parts in by_seed.values():
        small, large = [p for p in parts if len(p) == 4], [p for p in parts if len(p) == 8]
        assert small[0] == small[1] and large[0] == large[1] and small[0] < large[0]
        assert not any(set(test) & part for part in parts)


# The comparison itself must be able to fail


@pytest.mark.parametrize("broken", ["layers.0.norm1.weight", "layers.1.self_attn.in_proj_bias", "norm.bias"])
def test_the_comparison_notices_a_changed_parameter(broken):
    shape = (2, 5, 8, 2, 12, 2)
    ours, theirs = pair(shape, True, torch.float32)
    with torch.no_grad():
        ours.get_parameter(broken).mul_(1.01)
    x = draw(2, 5, 8, dtype=torch.float32, seed=8)
    with pytest.raises(AssertionError, match="apart at scale"):
        assert_equal(seen_of(ours, x), from_torch(seen_of(theirs, x)), torch.float32)


def test_the_comparison_notices_a_mask_that_is_off_by_one():
    shape = (2, 5, 8, 2, 12, 2)
    ours, theirs = pair(shape, True, torch.float64)
    x, lengths = draw(2, 5, 8, seed=9), torch.tensor([3, 5])
    real = torch.arange(5) <= lengths[:, None]
    with pytest.raises(AssertionError, match="apart at scale"):
        assert_equal(
            seen_of(ours, x, mask=real[:, None, :]),
            from_torch(seen_of(theirs, x, src_key_padding_mask=~padding_mask(lengths))),
            torch.float64,
        )
