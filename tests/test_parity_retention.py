"""Retention in three forms: equal to each other, to a loop from the paper's recurrence, and to torchscale's RetNet.

Float64 to 1e-10, outputs and gradients, decays of several heads; lengths, widths and numbers of heads all differ.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from solutions.retention import decay_matrix, retention_parallel
from solutions.retention_recurrent import retention_chunkwise, retention_recurrent

SHAPES = pytest.mark.parametrize(
    "shape", [(2, 3, 12, 4, 5), (1, 2, 7, 3, 2), (3, 1, 1, 2, 4), (2, 4, 30, 5, 3)]
)


def draw(*shape: int, seed: int) -> Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return values.requires_grad_()


def inputs(shape: tuple[int, ...], with_state: bool = False) -> dict[str, Tensor]:
    batch, heads, length, width, value_width = shape
    found = {
        "query": draw(batch, heads, length, width, seed=1),
        "key": draw(batch, heads, length, width, seed=2),
        "value": draw(batch, heads, length, value_width, seed=3),
        "decay": torch.linspace(0.35, 0.97, heads, dtype=torch.float64).requires_grad_(),
    }
    if with_state:
        found["state"] = draw(batch, heads, width, value_width, seed=4)
    return found


def paper(query: Tensor, key: Tensor, value: Tensor, decay: Tensor, state: Tensor | None = None):
    """Equation 6 of Sun et al. (2023), number by number: s <- gamma s + k^T v, o = q s, for each sequence and head."""
    batch, heads, length, width = query.shape
    outputs, states = [], []
    for b in range(batch):
        for h in range(heads):
            s = torch.zeros(width, value.shape[-1], dtype=torch.float64) if state is None else state[b, h]
            rows = []
            for n in range(length):
                s = decay[h] * s + torch.outer(key[b, h, n], value[b, h, n])
                rows.append(sum(query[b, h, n, i] * s[i] for i in range(width)))
            outputs.append(torch.stack(rows))
            states.append(s)
    last = torch.stack(states).unflatten(0, (batch, heads))
    return torch.stack(outputs).unflatten(0, (batch, heads)), last


def gradients(output: Tensor, leaves: dict[str, Tensor], state: Tensor | None = None) -> dict[str, Tensor]:
    total = (output * draw(*output.shape, seed=99).detach()).sum()
    if state is not None:
        total = total + (state * draw(*state.shape, seed=98).detach()).sum()
    found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    return {n: torch.zeros_like(leaves[n]) if g is None else g for n, g in zip(leaves, found, strict=True)}


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor], tolerance: float = 1e-10) -> None:
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        got = ours[name]
        assert got.shape == expected.shape and got.dtype == torch.float64, name
        assert got.data_ptr() != expected.data_ptr(), f"{name}: compared with itself"
        worst = (got - expected).abs().max().item()
        assert worst <= tolerance * max(1.0, expected.abs().max().item()), f"{name}: {worst:.1e} apart"


@SHAPES
def test_parallel_form_is_the_papers_recurrence(shape):
    leaves = inputs(shape)
    output, (expected, _) = retention_parallel(**leaves), paper(**leaves)
    assert expected.abs().max() > 0.1
    assert_same({"output": output}, {"output": expected})
    assert_same(gradients(output, leaves), gradients(expected, leaves))


@SHAPES
@pytest.mark.parametrize("with_state", [False, True])
def test_recurrent_form_is_the_papers_recurrence(shape, with_state):
    leaves = inputs(shape, with_state)
    (output, state), (expected, last) = retention_recurrent(**leaves), paper(**leaves)
    assert_same({"output": output, "state": state}, {"output": expected, "state": last})
    found, wanted = gradients(output, leaves, state), gradients(expected, leaves, last)
    assert_same(found, wanted)
    assert all(value.abs().max() > 1e-6 or shape[2] == 1 for value in wanted.values())


@SHAPES
@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("chunk_size", [1, 3, 4, 12, 50])
def test_chunkwise_form_is_the_papers_recurrence(shape, with_state, chunk_size):
    leaves = inputs(shape, with_state)
    (output, state), (expected, last) = retention_chunkwise(**leaves, chunk_size=chunk_size), paper(**leaves)
    assert_same({"output": output, "state": state}, {"output": expected, "state": last})
    assert_same(gradients(output, leaves, state), gradients(expected, leaves, last))


@pytest.mark.parametrize("length", [64, 257])
def test_the_three_forms_are_equal_on_longer_sequences(length):
    """With the paper's decays, 1 - 2^(-5 - h)."""
    leaves = inputs((2, 4, length, 8, 6))
    decay = 1 - 2.0 ** (-5 - torch.arange(4, dtype=torch.float64))
    leaves["decay"] = decay.requires_grad_()
    parallel = retention_parallel(**leaves)
    recurrent, state = retention_recurrent(**leaves)
    chunkwise, last = retention_chunkwise(**leaves, chunk_size=32)
    assert_same({"output": recurrent}, {"output": parallel})
    assert_same({"output": chunkwise, "state": last}, {"output": recurrent, "state": state})
    wanted = gradients(parallel, leaves)
    assert_same(gradients(recurrent, leaves), wanted)
    assert_same(gradients(chunkwise, leaves), wanted)


@pytest.mark.parametrize(
    "form", [retention_recurrent, lambda *a, **k: retention_chunkwise(*a, chunk_size=3, **k)]
)
def test_a_sequence_in_parts_is_the_sequence(form):
    """Each part from the state of the last; the state that was given is left as it was."""
    leaves = inputs((2, 3, 11, 4, 5))
    whole, last = form(**leaves)
    outputs, state = [], None
    for start, stop in ((0, 4), (4, 5), (5, 11)):
        part = {n: v if n == "decay" else v[:, :, start:stop] for n, v in leaves.items()}
        before = None if state is None else state.detach().clone()
        output, after = form(**part, state=state)
        assert before is None or torch.equal(state, before)
        outputs.append(output)
        state = after
    assert_same({"output": torch.cat(outputs, 2), "state": state}, {"output": whole, "state": last})


@pytest.mark.parametrize(
    "form",
    [
        lambda **a: retention_parallel(**a),
        lambda **a: retention_recurrent(**a)[0],
        lambda **a: retention_chunkwise(**a, chunk_size=4)[0],
    ],
    ids=["parallel", "recurrent", "chunkwise"],
)
def test_no_form_sees_the_future(form):
    """The gradient of the output at n is zero for every key, value and query after n."""
    leaves = inputs((2, 2, 9, 3, 4))
    for n in (0, 3, 7):
        found = torch.autograd.grad(
            form(**leaves)[:, :, n].square().sum(), [leaves[x] for x in ("query", "key", "value")]
        )
        for gradient in found:
            assert not gradient[:, :, n + 1 :].any() and gradient[:, :, n].any()


def test_decay_matrix_stays_finite():
    decay = torch.tensor([0.01, 0.9], dtype=torch.float32, requires_grad=True)
    matrix = decay_matrix(decay, 600)  # 0.01 ** -599 is infinite
    matrix.sum().backward()
    assert matrix.isfinite().all() and decay.grad.isfinite().all()


# torchscale --------------------------------------------------------------------------------------------------------

EMBED, VALUE, HEADS, LENGTH, CHUNK = 12, 20, 2, 24, 8


@pytest.fixture(scope="module")
def torchscale():
    """torchscale's module of retention."""
    return pytest.importorskip("torchscale.component.multiscale_retention")


def relative_positions(form: str) -> tuple:
    """What torchscale's `RetNetRelPos` prepares, without rotation (sin 0, cos 1); from the formulas of its source."""
    decay = torch.log(1 - 2 ** (-5 - torch.arange(HEADS, dtype=torch.float64)))
    size = CHUNK if form == "chunkwise" else LENGTH
    n = torch.arange(size, dtype=torch.float64)
    mask = torch.exp((n[:, None] - n) * decay[:, None, None]).tril()
    rotation = (torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64))
    if form == "parallel":
        return rotation, mask / mask.sum(-1, keepdim=True).sqrt()
    last = mask[:, -1]
    values = (last / last.sum(-1, keepdim=True)).unsqueeze(-1)
    scale = mask.sum(-1, keepdim=True).sqrt()
    query = torch.exp(decay[:, None] * (n + 1))[:, :, None] / (scale / last.sum(-1)[:, None, None])
    return rotation, (mask / scale, torch.exp(decay * CHUNK)[:, None, None], query, values)


def layer(torchscale, eps: float):
    """The layer in float64. Its own RMS norm rounds to float32 inside, so PyTorch's takes its place."""
    torch.manual_seed(0)
    args = SimpleNamespace(multiway=False, layernorm_eps=eps)
    theirs = torchscale.MultiScaleRetention(args, EMBED, VALUE, HEADS).double()
    theirs.group_norm = nn.RMSNorm(VALUE // HEADS, eps=eps, elementwise_affine=False)
    return theirs


def ours_inside(theirs, x: Tensor, form) -> Tensor:
    """torchscale's layer with our retention in the middle: its projections, its norm, its gate."""
    q, k, v = (
        p(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for p in (theirs.q_proj, theirs.k_proj, theirs.v_proj)
    )
    decay = 1 - 2.0 ** (-5 - torch.arange(HEADS, dtype=torch.float64))
    kept = theirs.group_norm(form(q, k * theirs.scaling, v, decay).transpose(1, 2)).flatten(2)
    return theirs.out_proj(theirs.gate_fn(theirs.g_proj(x)) * kept)


FORMS = {
    "parallel": retention_parallel,
    "chunkwise": lambda *a: retention_chunkwise(*a, chunk_size=CHUNK)[0],
    "recurrent": lambda *a: retention_recurrent(*a)[0],
}


@pytest.mark.parametrize("form", ["parallel", "chunkwise"])
def test_a_whole_layer_is_torchscales(torchscale, form):
    """torchscale divides rows by numbers that its norm takes out again, if the norm's eps is negligible."""
    theirs = layer(torchscale, eps=1e-30)
    x = draw(3, LENGTH, EMBED, seed=7)
    expected = theirs(x, relative_positions(form), chunkwise_recurrent=form == "chunkwise")
    for name, ours in FORMS.items():
        output = ours_inside(theirs, x, ours)
        assert expected.abs().max() > 0.05
        assert_same({name: output}, {name: expected}, tolerance=1e-9)


def test_gradients_of_a_whole_layer_are_torchscales(torchscale):
    """Its divisors are detached, and cancel all the same."""
    theirs = layer(torchscale, eps=1e-30)
    x = draw(3, LENGTH, EMBED, seed=8)
    leaves = {"x": x, **dict(theirs.named_parameters())}
    wanted = gradients(theirs(x, relative_positions("parallel")), leaves)
    found = gradients(ours_inside(theirs, x, retention_parallel), leaves)
    assert all(value.abs().max() > 1e-3 for value in wanted.values())
    assert_same(found, wanted, tolerance=1e-8)


def test_torchscales_own_forms_differ_at_its_default_eps(torchscale):
    """The trap: at eps 1e-5 their chunkwise form is not their parallel form; at a negligible eps it is."""
    x = draw(3, LENGTH, EMBED, seed=9)
    apart = {}
    for eps in (1e-5, 1e-30):
        theirs = layer(torchscale, eps)
        a = theirs(x, relative_positions("parallel"))
        b = theirs(x, relative_positions("chunkwise"), chunkwise_recurrent=True)
        apart[eps] = (a - b).abs().max().item()
    assert apart[1e-30] < 1e-10 and apart[1e-5] > 1e-4, apart
