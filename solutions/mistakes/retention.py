"""Wrong and alternative right answers: decay, and retention of a whole sequence at once."""

from __future__ import annotations

from utils.grading.bank import Bank

decays = Bank("decay_matrix")

DISTANCE = "position[:, None] - position[None, :]"

decays.wrong(
    "transposed",
    "Your matrix is transposed: it shows the future and hides the past. Row n is the query, and m <= n are the columns that it may use.",
    edits={DISTANCE: "position[None, :] - position[:, None]", ".tril()": ".triu()"},
)

decays.wrong(
    "exponent one too large",
    "Your exponent is n - m + 1, so that a position's own key has already faded once. It is n - m, which is 0 on the diagonal.",
    edits={DISTANCE: "position[:, None] - position[None, :] + 1"},
)

decays.wrong(
    "exponent m",
    "Your exponent is m, the position of the key. What counts is how far it lies behind the query: n - m.",
    edits={DISTANCE: "position[None, :].expand(length, length)"},
)

POWER = "(decay[:, None, None] ** distance.clamp(min=0)).tril()"

decays.wrong(
    "the future fades, too",
    "Your matrix fades to both sides, gamma^|n - m|. The future (m > n) should be 0.",
    edits={POWER: "decay[:, None, None] ** distance.abs()"},
)

decays.wrong(
    "the future is one",
    "The entries of the future are 1 in your matrix: gamma^0. They should be 0.",
    edits={POWER: "decay[:, None, None] ** distance.clamp(min=0)"},
)

decays.wrong(
    "infinity times zero",
    "You compute gamma to negative powers and multiply them by 0. For a long sequence these powers are infinite, and infinity times 0 is not a "
    "number. Set the exponent of the future to 0 before you raise gamma to it.",
    edits={POWER: "decay[:, None, None] ** distance * (distance >= 0)"},
)

decays.wrong(
    "infinite before it is cut off",
    "Your values are right, but for a long sequence the gradient is not a number: gamma to a negative power overflows, and cutting it off "
    "afterwards does not help the backward pass. Set the exponent of the future to 0 before you raise gamma to it.",
    edits={POWER: "(decay[:, None, None] ** distance).tril()"},
)

decays.wrong(
    "gamma times the distance",
    "You multiply gamma by the distance. It is raised to it: what is n - m steps old has been multiplied by gamma n - m times.",
    edits={POWER: "(decay[:, None, None] * distance.clamp(min=0)).tril()"},
)

decays.wrong(
    "the first head's decay for all",
    "All your heads fade at the pace of the first. Each has its own gamma.",
    edits={POWER: "(decay[:1, None, None] ** distance.clamp(min=0)).tril().repeat(len(decay), 1, 1)"},
)

decays.wrong(
    "blind for itself",
    "Your diagonal is 0, so a position doesn't see itself. It should be 1.",
    edits={".tril()": ".tril(-1)"},
)


@decays.right("exponential of a logarithm")
def decay_matrix(decay, length):
    n = torch.arange(length, dtype=decay.dtype)
    distance = (n.unsqueeze(1) - n).relu()
    return (
        torch.exp(distance * decay.log().view(-1, 1, 1))
        * torch.ones(length, length, dtype=decay.dtype).tril()
    )


@decays.right("entry by entry")
def decay_matrix(decay, length):
    rows = []
    for n in range(length):
        entries = [decay ** (n - m) if m <= n else torch.zeros_like(decay) for m in range(length)]
        rows.append(torch.stack(entries, dim=-1))
    return torch.stack(rows, dim=1)


@decays.right("where, with the exponent made safe first")
def decay_matrix(decay, length):
    n = torch.arange(length)
    past = n[:, None] >= n[None, :]
    exponent = torch.where(past, n[:, None] - n[None, :], 0)
    return torch.where(past, decay[:, None, None].pow(exponent), 0.0)


@decays.right("row after row, each the last one faded")
def decay_matrix(decay, length):
    row, rows = torch.zeros(len(decay), length, dtype=decay.dtype), []
    for n in range(length):
        row = row * decay[:, None] + torch.eye(length, dtype=decay.dtype)[n]
        rows.append(row)
    return torch.stack(rows, 1)


@decays.wrong(
    'rows scaled',
    "You divide each row by the square root of its sum, as RetNet's code does later. Here the entries are the plain "
    "powers."
)
def decay_matrix(decay, length):
    n = torch.arange(length, device=decay.device)
    distance = (n[:, None] - n[None, :]).clamp(min=0)
    matrix = (decay[:, None, None] ** distance).tril()
    return matrix / matrix.sum(-1, keepdim=True).sqrt()


@decays.right("a running product")
def decay_matrix(decay, length):
    n = torch.arange(length, device=decay.device)
    steps = torch.where(n[:, None] > n, decay[:, None, None], torch.ones_like(decay)[:, None, None])
    return steps.cumprod(dim=1).tril()


@decays.right('tril before the power')
def decay_matrix(decay, length):
    place = torch.arange(length, device=decay.device)
    apart = torch.tril(place.unsqueeze(1) - place.unsqueeze(0))
    powers = torch.pow(rearrange(decay, 'h -> h 1 1'), apart)
    future = torch.ones(length, length, dtype=torch.bool, device=decay.device).triu(1)
    return powers.masked_fill(future, 0.0)


parallel = Bank("retention_parallel")

RESULT = "(scores * decay_matrix(decay, query.shape[2])) @ value"

parallel.wrong(
    "a softmax",
    "You put the scores through a softmax. Retention has none: only so can the sum be carried along as a state.",
    edits={
        RESULT: "(scores.masked_fill(torch.ones_like(scores).triu(1) > 0, float('-inf')).softmax(-1) * decay_matrix(decay, query.shape[2])) @ value"
    },
)

SCORES = "query @ key.transpose(-2, -1)"

parallel.wrong(
    "divided by sqrt(d)",
    "You divide the scores by sqrt(d). The formula here has no such division (a RetNet layer scales its keys before).",
    edits={SCORES: "query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5"},
)

parallel.wrong(
    "no decay",
    "You cut off the future and forget nothing of the past. Each score is multiplied by gamma^(n - m).",
    edits={RESULT: "scores.tril() @ value"},
)

parallel.wrong(
    "decay added",
    "You add the decay to the scores. It multiplies them, entry by entry.",
    edits={RESULT: "(scores + decay_matrix(decay, query.shape[2])) @ value"},
)

parallel.wrong(
    "a matrix product with the decay",
    "You multiply scores and decay as matrices. It is an elementwise product: each score with its own decay.",
    edits={RESULT: "(scores @ decay_matrix(decay, query.shape[2])) @ value"},
)

parallel.wrong(
    "keys ask queries",
    "Your scores are transposed: row m, column n. Rows should be queries, as in attention.",
    edits={SCORES: "key @ query.transpose(-2, -1)"},
)

parallel.wrong(
    "the future, faded",
    "You apply the decay the wrong way round, so that every position collects from its future. Row n of the decay matrix belongs to query n.",
    edits={RESULT: "(scores * decay_matrix(decay, query.shape[2]).mT) @ value"},
)

parallel.wrong(
    "decay applied twice",
    "You apply the decay twice (squared). Once is enough: gamma^(n - m).",
    edits={RESULT: "(scores * decay_matrix(decay, query.shape[2]) ** 2) @ value"},
)

parallel.wrong(
    "rows of the decay normalised",
    "You divide each row of the decay matrix by its sum. The formula here has the plain powers (RetNet's code "
    "divides by the square root of the sum, and a norm follows).",
    edits={
        RESULT: "(scores * torch.nn.functional.normalize(decay_matrix(decay, query.shape[2]), p=1, dim=-1)) @ value"
    },
)


@parallel.right("einsum")
def retention_parallel(query, key, value, decay):
    scores = torch.einsum("bhnd,bhmd->bhnm", query, key)
    return torch.einsum("bhnm,hnm,bhme->bhne", scores, decay_matrix(decay, query.shape[-2]), value)


@parallel.right("head by head")
def retention_parallel(query, key, value, decay):
    faded, outputs = decay_matrix(decay, query.shape[2]), []
    for head in range(query.shape[1]):
        scores = query[:, head] @ key[:, head].mT
        outputs.append(torch.bmm(scores * faded[head], value[:, head]))
    return torch.stack(outputs, dim=1)


@parallel.right("query by query")
def retention_parallel(query, key, value, decay):
    outputs = []
    for n in range(query.shape[2]):
        ages = torch.arange(n, -1, -1)
        scores = (query[:, :, n : n + 1] * key[:, :, : n + 1]).sum(-1) * decay[
            :, None
        ] ** ages  # (B, H, n + 1)
        outputs.append((scores.unsqueeze(-1) * value[:, :, : n + 1]).sum(2))
    return torch.stack(outputs, 2)


@parallel.right("float64 inside, decay split between query and key")
def retention_parallel(query, key, value, decay):
    n = torch.arange(query.shape[2], dtype=torch.float64)[:, None]
    gamma = decay.double()[:, None, None]
    scores = ((query.double() * gamma**n) @ (key.double() * gamma**-n).mT).tril()
    return (scores @ value.double()).to(value.dtype)


@parallel.wrong(
    'rows scaled',
    "You divide each row of the scores by the absolute value of its sum (or by 1, if that is larger), as RetNet's "
    "code does. Equation 5 has the plain scores."
)
def retention_parallel(query, key, value, decay):
    scores = query @ key.mT * decay_matrix(decay, query.shape[2])
    return scores / scores.sum(-1, keepdim=True).abs().clamp(min=1) @ value


@parallel.wrong(
    'heads along the batch',
    'You lay the decays along the batch. D is (H, N, N): its heads are the second axis of the scores.'
)
def retention_parallel(query, key, value, decay):
    D = decay_matrix(decay, query.shape[2])[:, None]
    return query @ key.mT * D @ value


@parallel.wrong(
    "first head's decay",
    "You use the first head's decay for all. Each head has its own."
)
def retention_parallel(query, key, value, decay):
    D = decay_matrix(decay[:1], query.shape[2])
    return query @ key.mT * D @ value


@parallel.wrong(
    'log added',
    'You add the logarithm of D to the scores. D multiplies them: there is no softmax here.'
)
def retention_parallel(query, key, value, decay):
    D = decay_matrix(decay, query.shape[2])
    scores = query @ key.mT + D.clamp(min=1e-30).log()
    return scores @ value


@parallel.wrong(
    'powers on both sides',
    'Your powers on queries and keys leave the future visible: above the diagonal D is 0.'
)
def retention_parallel(query, key, value, decay):
    n = torch.arange(query.shape[2], device=query.device)
    q = query * (decay[:, None] ** n)[..., None]
    k = key * (decay[:, None] ** (-n))[..., None]
    return q @ k.mT @ value


@parallel.wrong(
    'powers on both sides, then tril',
    'Your powers of gamma overflow in a long sequence, and infinity times zero is NaN. Subtract the exponents first, as in '
    'decay_matrix.'
)
def retention_parallel(query, key, value, decay):
    n = torch.arange(query.shape[2], device=query.device)
    q = query * (decay[:, None] ** n)[..., None]
    k = key * (decay[:, None] ** (-n))[..., None]
    return (q @ k.mT).tril() @ value


@parallel.right('two lines')
def retention_parallel(query, key, value, decay):
    scores = query @ key.transpose(-2, -1)
    return scores * decay_matrix(decay, query.shape[-2]) @ value


@parallel.right('einsum, as well')
def retention_parallel(query, key, value, decay):
    D = decay_matrix(decay, query.shape[2])
    return torch.einsum('bhnd,bhmd,hnm,bhme->bhne', query, key, D, value)


MIXED = "(scores * decay_matrix(decay, query.shape[2])) @ value"

parallel.wrong(
    "a softmax of the faded scores",
    "You take a softmax. Retention has none: that is what lets it be written with a state. Multiply the scores by the decay matrix as they are.",
    edits={MIXED: "(scores * decay_matrix(decay, query.shape[2])).softmax(-1) @ value"},
)

parallel.wrong(
    "a softmax, then the decay",
    "You take a softmax. Retention has none: that is what lets it be written with a state. Multiply the scores by the decay matrix as they are.",
    edits={MIXED: "(scores.softmax(-1) * decay_matrix(decay, query.shape[2])) @ value"},
)

parallel.wrong(
    "a softmax over the past, then the decay",
    "You take a softmax. Retention has none: that is what lets it be written with a state. Multiply the scores by the decay matrix as they are.",
    edits={
        MIXED: "(scores.masked_fill(decay_matrix(decay, query.shape[2]) == 0, float('-inf')).softmax(-1) * decay_matrix(decay, query.shape[2])) @ value"
    },
)

parallel.wrong(
    "a softmax over the past of the faded scores",
    "You take a softmax. Retention has none: that is what lets it be written with a state. Multiply the scores by the decay matrix as they are.",
    edits={
        MIXED: "(scores * decay_matrix(decay, query.shape[2])).masked_fill(decay_matrix(decay, query.shape[2]) == 0, float('-inf')).softmax(-1) @ value"
    },
)
