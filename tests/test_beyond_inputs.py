"""What a user does wrong with notebook 09's parts gets one clear sentence; what they do right, at the edges, works."""

from __future__ import annotations

import pytest
import torch

from solutions.moe import MoELayer
from solutions.perceiver import CrossAttention, PerceiverIO
from solutions.retention import decay_matrix, retention_parallel
from solutions.retention_recurrent import retention_chunkwise, retention_recurrent
from solutions.routing import keep_within_capacity, load_balancing_loss, top_k_router


def sentence(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert "\n" not in text and 20 < len(text) < 200, text
    return text


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: top_k_router(torch.randn(5, 3), 4), ("k = 4", "there are 3")),
        (lambda: top_k_router(torch.randn(5, 3), 0), ("k = 0", "there are 3")),
        (lambda: MoELayer(4, 8, num_experts=3, k=5), ("k = 5", "there are 3")),
        (lambda: MoELayer(4, 8, num_experts=3, k=0), ("k = 0",)),
        (lambda: load_balancing_loss(torch.zeros(0, 4), torch.zeros(0, 1).long()), ("no tokens",)),
        (lambda: MoELayer(4, 8, 3)(torch.zeros(0, 5, 4)), ("no tokens",)),
        (lambda: CrossAttention(8, 5, 3), ("3 heads", "8")),
        (lambda: PerceiverIO(5, 4, 9, 1, 8, num_heads=4), ("4 heads", "9")),
        (lambda: PerceiverIO(5, 4, 8, 1, 10, num_heads=4), ("4 heads", "10")),
        (lambda: retention_chunkwise(*chunk_arguments(), chunk_size=0), ("chunk_size = 0",)),
        (lambda: retention_chunkwise(*chunk_arguments(), chunk_size=-2), ("chunk_size = -2",)),
    ],
)
def test_sizes_that_do_not_fit(call, words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError) as error:
        call()
    assert all(word in sentence(error) for word in words)


def chunk_arguments(length: int = 7, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(length)
    query, key, value = (
        torch.randn(2, 3, length, width, generator=generator, dtype=torch.float64).to(dtype)
        for width in (4, 4, 5)
    )
    return query, key, value, torch.tensor([0.5, 0.8, 0.95], dtype=dtype)


@pytest.mark.parametrize("chunk_size", [1, 2, 3, 7, 8, 1000])
def test_a_chunk_need_not_divide_the_length(chunk_size: int) -> None:
    arguments = chunk_arguments()
    torch.testing.assert_close(
        retention_chunkwise(*arguments, chunk_size=chunk_size)[0],
        retention_parallel(*arguments),
        rtol=0,
        atol=1e-12,
    )


def test_a_sequence_without_positions() -> None:
    arguments = chunk_arguments(0)
    state = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    assert retention_parallel(*arguments).shape == (2, 3, 0, 5)
    for form in (retention_recurrent, lambda *a: retention_chunkwise(*a[:4], 3, a[4])):
        output, after = form(*arguments, state)
        assert output.shape == (2, 3, 0, 5) and torch.equal(after, state), "nothing came, nothing faded"


def test_decays_at_the_ends_of_their_range() -> None:
    query, key, value, _ = chunk_arguments()
    scores = (query @ key.mT).tril()
    ones = torch.ones(3, dtype=torch.float64)
    torch.testing.assert_close(retention_parallel(query, key, value, ones), scores @ value), "nothing fades"
    own = (query * key).sum(-1, keepdim=True) * value
    for output in (
        retention_parallel(query, key, value, 0 * ones),
        retention_recurrent(query, key, value, 0 * ones)[0],
        retention_chunkwise(query, key, value, 0 * ones, 3)[0],
    ):
        torch.testing.assert_close(output, own)
    assert torch.equal(decay_matrix(0 * ones, 4), torch.eye(4, dtype=torch.float64).expand(3, 4, 4))


def test_long_sequences_stay_finite_in_float32() -> None:
    query, key, value, _ = chunk_arguments(900, torch.float32)
    decay = torch.tensor([0.02, 0.9, 1 - 2**-9])
    parallel = retention_parallel(query, key, value, decay)
    for output in (
        retention_recurrent(query, key, value, decay)[0],
        retention_chunkwise(query, key, value, decay, 128)[0],
    ):
        assert output.isfinite().all()
        torch.testing.assert_close(output, parallel, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("k", [1, 3])
def test_as_many_choices_as_experts(k: int) -> None:
    layer, x = MoELayer(4, 6, num_experts=k, k=k, capacity_factor=None), torch.randn(2, 5, 4)
    output, loss = layer(x)
    expected = sum(
        weight * expert(x)
        for weight, expert in zip(
            layer.router(x).softmax(-1).unsqueeze(-2).unbind(-1), layer.experts, strict=True
        )
    )
    torch.testing.assert_close(output, expected)
    assert loss.item() == pytest.approx(1.0), "f is uniform"


def test_capacities_at_the_edges() -> None:
    assert MoELayer(4, 6, 3, capacity_factor=1.1).capacity(30) == 11, "and not 12 by a rounding error"
    assert MoELayer(4, 6, 8, capacity_factor=1.0).capacity(3) == 1, "a place for fewer tokens than experts"
    assert MoELayer(4, 6, 8, k=2, capacity_factor=None).capacity(5) == 5
    layer = MoELayer(4, 6, 3, capacity_factor=0.0)
    output, loss = layer(torch.randn(2, 5, 4))
    assert not output.any() and loss > 0, "no places: everything is dropped, the loss still sees the choices"
    assert keep_within_capacity(torch.zeros(0, 2).long(), 3, 4).shape == (0, 2)


def test_an_expert_that_nobody_chose_gets_a_zero_gradient() -> None:
    layer = MoELayer(4, 6, 3, capacity_factor=None)
    with torch.no_grad():
        layer.router.weight.copy_(torch.tensor([[9.0, 0, 0, 0], [0, 0, 0, 0], [-9, 0, 0, 0]]))
    x = torch.randn(2, 5, 4).abs()  # every first coordinate is positive: all want expert 0
    output, loss = layer(x)
    (output.sum() + loss).backward()
    assert layer.experts[0][0].weight.grad.any() and layer.router.weight.grad.any()
    for number in (1, 2):
        gradient = layer.experts[number][0].weight.grad
        assert gradient is None or not gradient.any()


def test_half_precision_goes_through_the_layer() -> None:
    layer, x = MoELayer(4, 6, 3, k=2), torch.randn(2, 5, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, loss = layer(x)
    assert output.dtype == torch.float32 and output.isfinite().all() and loss.isfinite()
    assert layer.bfloat16()(x.bfloat16())[0].dtype == torch.bfloat16


def test_perceiver_reads_any_length_and_answers_any_number_of_queries() -> None:
    model = PerceiverIO(5, 4, 8, 1, 6, num_heads=2).eval()
    for inputs, queries in ((1, 1), (3, 40), (500, 2), (7, 0)):
        assert model(torch.randn(2, inputs, 5), torch.randn(queries, 6)).shape == (2, queries, 6)
    assert model(torch.randn(0, 7, 5), torch.randn(3, 6)).shape == (0, 3, 6), "no images"


def test_perceiver_with_one_real_input_is_the_perceiver_of_that_input() -> None:
    model, inputs, queries = PerceiverIO(5, 4, 8, 1, 6, num_heads=2), torch.randn(2, 9, 5), torch.randn(3, 6)
    mask = torch.zeros(2, 9, dtype=torch.bool)
    mask[:, 4] = True
    torch.testing.assert_close(model(inputs, queries, mask), model(inputs[:, 4:5], queries))
