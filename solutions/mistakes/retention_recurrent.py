"""Wrong and alternative right answers: retention with a state: step by step, and chunk by chunk."""

from __future__ import annotations

from solutions.retention import decay_matrix
from utils.grading.bank import Bank

recurrent = Bank("retention_recurrent")

UPDATE = "state = gamma * state + key[:, :, row].transpose(-2, -1) @ value[:, :, row]"

recurrent.wrong(
    "the new one fades at once",
    "You let the new entry fade together with the old state, so that each exponent is one too large. Only what was there before is multiplied by "
    "gamma.",
    edits={UPDATE: "state = gamma * (state + key[:, :, row].transpose(-2, -1) @ value[:, :, row])"},
)

APPEND = "outputs.append(query[:, :, row] @ state)"

recurrent.wrong(
    "asked before the update",
    "You ask the state before the new key and value are in it, so that no position sees itself. First update, then ask.",
    edits={
        UPDATE: "before, state = state, gamma * state + key[:, :, row].transpose(-2, -1) @ value[:, :, row]",
        APPEND: "outputs.append(query[:, :, row] @ before)",
    },
)

recurrent.wrong(
    "the new one fades, the old one stays",
    "You multiply the new entry by gamma and leave the old state as it is. It is the old state that fades.",
    edits={UPDATE: "state = state + gamma * (key[:, :, row].transpose(-2, -1) @ value[:, :, row])"},
)

recurrent.wrong(
    "nothing fades",
    "Your state only grows: gamma is not used. Before the new entry is added, the state is multiplied by gamma.",
    edits={UPDATE: "state = state + key[:, :, row].transpose(-2, -1) @ value[:, :, row]"},
)

recurrent.wrong(
    "no memory",
    "Your state is the newest entry alone. It is added to what is left of the state before.",
    edits={UPDATE: "state = key[:, :, row].transpose(-2, -1) @ value[:, :, row]"},
)

recurrent.wrong(
    "the given state is not used",
    "You begin with zeros even where a state is given. Go on from that state.",
    edits={
        "gamma = decay[:, None, None]": "state = torch.zeros_like(state)\n    gamma = decay[:, None, None]"
    },
)

recurrent.wrong(
    "state changed in place",
    "You change the state in place. The caller's state changes with it, and the backward pass needs the states as they were: make a new one in "
    "every step.",
    edits={UPDATE: "state.mul_(gamma).add_(key[:, :, row].transpose(-2, -1) @ value[:, :, row])"},
)

recurrent.wrong(
    "the first head's decay for all",
    "All your heads fade at the pace of the first. Each has its own gamma.",
    edits={"decay[:, None, None]": "decay[0]"},
)

recurrent.wrong(
    "the decay grows with the position",
    "You multiply the state by gamma^n. It has faded at every earlier step already; one factor gamma per step is enough.",
    edits={UPDATE: "state = gamma**n * state + key[:, :, row].transpose(-2, -1) @ value[:, :, row]"},
)

recurrent.wrong(
    "the state of one step earlier",
    "You return the state before the last position. It should be the one after it, so that the next call can go on from it.",
    edits={
        UPDATE: "last, state = state, gamma * state + key[:, :, row].transpose(-2, -1) @ value[:, :, row]",
        "return torch.cat(outputs, dim=2), state": "return torch.cat(outputs, dim=2), last",
    },
)

recurrent.wrong(
    "the state faded once more",
    "The state that you return has faded once too often. The next step multiplies it by gamma itself.",
    edits={"return torch.cat(outputs, dim=2), state": "return torch.cat(outputs, dim=2), gamma * state"},
)

recurrent.right(
    "einsum",
    edits={
        UPDATE: "state = torch.einsum('h,bhde->bhde', decay, state) + torch.einsum('bhd,bhe->bhde', key[:, :, n], value[:, :, n])",
        APPEND: "outputs.append(torch.einsum('bhd,bhde->bhe', query[:, :, n], state).unsqueeze(2))",
    },
)

recurrent.right(
    "unsqueezed products",
    edits={
        UPDATE: "state = state * gamma + key[:, :, n, :, None] * value[:, :, n, None, :]",
        APPEND: "outputs.append((query[:, :, n, :, None] * state).sum(-2, keepdim=True))",
    },
)


@recurrent.right("float64 inside, stacked at the end")
def retention_recurrent(query, key, value, decay, state=None):
    kind = value.dtype
    query, key, value, decay = (x.double() for x in (query, key, value, decay))
    memory = 0.0 if state is None else state.double()
    outputs = []
    for q, k, v in zip(query.unbind(2), key.unbind(2), value.unbind(2)):
        memory = memory * decay.view(1, -1, 1, 1) + k.unsqueeze(-1) * v.unsqueeze(-2)
        outputs.append((q.unsqueeze(-2) @ memory).squeeze(-2))
    return torch.stack(outputs, dim=2).to(kind), memory.to(kind)


@recurrent.right("all states at once, by a weighted sum")
def retention_recurrent(query, key, value, decay, state=None):
    length = query.shape[2]
    entries = key.unsqueeze(-1) * value.unsqueeze(-2)  # (B, H, N, d, e)
    states = torch.einsum("hnm,bhmde->bhnde", decay_matrix(decay, length), entries)
    if state is not None:
        fade = decay[:, None] ** torch.arange(1, length + 1)  # (H, N)
        states = states + fade[..., None, None] * state.unsqueeze(2)
    return torch.einsum("bhnd,bhnde->bhne", query, states), states[:, :, -1]


@recurrent.wrong(
    "detached between steps",
    "Your state is detached between the steps, so no gradient reaches the earlier ones.",
)
def retention_recurrent(query, key, value, decay, state=None):
    batch, heads, length, width = query.shape
    if state is None:
        state = value.new_zeros(batch, heads, width, value.shape[-1])
    if length == 0:
        return (value, state)
    gamma = decay[:, None, None]
    outputs = []
    for n in range(length):
        state = gamma * state.detach() + key[:, :, n : n + 1].mT @ value[:, :, n : n + 1]
        outputs.append(query[:, :, n : n + 1] @ state)
    return (torch.cat(outputs, dim=2), state)


@recurrent.wrong(
    "stacked in front",
    "You stack the outputs in front and reshape, which mixes positions, images and heads. Positions are axis 2.",
)
def retention_recurrent(query, key, value, decay, state=None):
    batch, heads, length, width = query.shape
    if state is None:
        state = value.new_zeros(batch, heads, width, value.shape[-1])
    if length == 0:
        return (value, state)
    gamma = decay[:, None, None]
    outputs = []
    for n in range(length):
        state = gamma * state + key[:, :, n : n + 1].mT @ value[:, :, n : n + 1]
        outputs.append(query[:, :, n : n + 1] @ state)
    return (torch.stack(outputs).reshape(batch, heads, length, -1), state)


@recurrent.wrong("scaled queries", "You divide by sqrt(d). Retention does not.")
def retention_recurrent(query, key, value, decay, state=None):
    batch, heads, length, width = query.shape
    if state is None:
        state = value.new_zeros(batch, heads, width, value.shape[-1])
    if length == 0:
        return (value, state)
    gamma = decay[:, None, None]
    outputs = []
    for n in range(length):
        state = gamma * state + key[:, :, n : n + 1].mT @ value[:, :, n : n + 1]
        outputs.append(query[:, :, n : n + 1] @ state / width**0.5)
    return (torch.cat(outputs, dim=2), state)


@recurrent.right("slices")
def retention_recurrent(query, key, value, decay, state=None):
    batch, heads, length, width = query.shape
    if state is None:
        state = value.new_zeros(batch, heads, width, value.shape[-1])
    if length == 0:
        return (value, state)
    gamma = decay[:, None, None]
    outputs = []
    for n in range(length):
        state = gamma * state + key[:, :, n : n + 1].mT @ value[:, :, n : n + 1]
        outputs.append(query[:, :, n : n + 1] @ state)
    return (torch.cat(outputs, dim=2), state)


@recurrent.right("unbind and einsum")
def retention_recurrent(query, key, value, decay, state=None):
    batch, heads, length, width = query.shape
    if state is None:
        state = value.new_zeros(batch, heads, width, value.shape[-1])
    if length == 0:
        return (value, state)
    outputs = []
    for q, k, v in zip(query.unbind(2), key.unbind(2), value.unbind(2)):
        state = torch.einsum("h,bhde->bhde", decay, state) + torch.einsum("bhd,bhe->bhde", k, v)
        outputs.append(torch.einsum("bhd,bhde->bhe", q, state))
    return (torch.stack(outputs, dim=2), state)


chunks = Bank("retention_chunkwise")

BEFORE = "before = gamma**i * (q @ state)"

chunks.wrong(
    "the state fades one step too little",
    "Inside a chunk you let the state fade by gamma^(i - 1). The first position is already one step away from it: gamma^i with i from 1.",
    edits={BEFORE: "before = gamma ** (i - 1) * (q @ state)"},
)

chunks.wrong(
    "the state does not fade inside a chunk",
    "All positions of a chunk see the state as if no step had passed. Position i sees it faded by gamma^i.",
    edits={BEFORE: "before = q @ state"},
)

GATHERED = "gathered = (gamma ** (length - i) * k).transpose(-2, -1) @ v"

chunks.wrong(
    "keys fade from the wrong end",
    "You gather the keys with gamma^i, so that the first of a chunk counts most. The last one is the freshest: gamma^(C - i).",
    edits={GATHERED: "gathered = (gamma**i * k).transpose(-2, -1) @ v"},
)

chunks.wrong(
    "keys do not fade",
    "You gather keys and values of a chunk without decay. At its end, position i has faded by gamma^(C - i).",
    edits={GATHERED: "gathered = k.transpose(-2, -1) @ v"},
)

chunks.wrong(
    "keys fade one step too much",
    "You gather the keys with gamma^(C - i + 1). The last position of a chunk has not faded at all at the chunk's end: gamma^(C - i).",
    edits={GATHERED: "gathered = (gamma ** (length - i + 1) * k).transpose(-2, -1) @ v"},
)

STATE = "state = gamma**length * state + gathered"

chunks.wrong(
    "one step per chunk",
    "From chunk to chunk your state fades by a single gamma. A chunk is C steps: gamma^C.",
    edits={STATE: "state = gamma * state + gathered"},
)

chunks.wrong(
    "nothing kept from chunk to chunk",
    "Your state is that of the last chunk alone. What was there before is still there, faded by gamma^C.",
    edits={STATE: "state = gathered"},
)

chunks.wrong(
    "chunks do not see each other",
    "Your chunks don't look at the state, so each sees only itself. What came before the chunk reaches it through the state.",
    edits={"inside + before": "inside"},
)

chunks.wrong(
    "the chunk counted twice",
    "You update the state before you ask it, so that the chunk's own keys count twice (and later ones are seen early). First ask, then update.",
    edits={
        f"        {BEFORE}  # (H, C, 1) * (B, H, C, e)\n        outputs.append(inside + before)\n": "",
        STATE: f"state = gamma**length * state + gathered\n        {BEFORE}\n        outputs.append(inside + before)",
    },
)

chunks.wrong(
    "the last chunk taken for a whole one",
    "You let the state fade by a whole chunk where the last one is shorter. C is the number of positions that this chunk really has.",
    edits={STATE: "state = gamma**chunk_size * state + gathered"},
)


@chunks.wrong(
    "the rest left out",
    "You leave out the positions after the last whole chunk. They form a shorter chunk of their own.",
)
def retention_chunkwise(query, key, value, decay, chunk_size, state=None):
    if state is None:
        state = value.new_zeros(*query.shape[:2], query.shape[-1], value.shape[-1])
    gamma = decay[:, None, None]
    outputs = [value[:, :, :0]]
    for start in range(0, query.shape[2] - chunk_size + 1, chunk_size):
        q, k, v = (x[:, :, start : start + chunk_size] for x in (query, key, value))
        i = torch.arange(1, chunk_size + 1)[:, None]
        outputs.append(retention_parallel(q, k, v, decay) + gamma**i * (q @ state))
        state = gamma**chunk_size * state + (gamma ** (chunk_size - i) * k).transpose(-2, -1) @ v
    return torch.cat(outputs, dim=2), state


chunks.right(
    "einsum",
    edits={
        BEFORE: "before = torch.einsum('bhcd,bhde,hc->bhce', q, state, gamma[:, 0] ** i[:, 0])",
        GATHERED: "gathered = torch.einsum('bhcd,bhce,hc->bhde', k, v, gamma[:, 0] ** (length - i[:, 0]))",
    },
)

chunks.right(
    "decay on the query, and on the value",
    edits={
        BEFORE: "before = (q * gamma**i) @ state",
        GATHERED: "gathered = k.mT @ (v * gamma ** (length - i))",
    },
)


@chunks.right("recurrent inside, by slices")
def retention_chunkwise(query, key, value, decay, chunk_size, state=None):
    outputs = []
    for start in range(0, query.shape[2], chunk_size):
        part = slice(start, start + chunk_size)
        output, state = retention_recurrent(
            query[:, :, part], key[:, :, part], value[:, :, part], decay, state
        )
        outputs.append(output)
    return torch.cat(outputs, dim=2), state


@chunks.right("all chunks side by side, the states in a loop")
def retention_chunkwise(query, key, value, decay, chunk_size, state=None):
    if chunk_size < 1:
        raise ValueError("a chunk needs a position")
    length = query.shape[2]
    extra = -length % chunk_size  # zeros behind the end
    if state is None:
        state = value.new_zeros(*query.shape[:2], query.shape[-1], value.shape[-1])
    padded = (torch.nn.functional.pad(x, (0, 0, 0, extra)) for x in (query, key, value))
    q, k, v = (x.unflatten(2, (-1, chunk_size)) for x in padded)  # (B, H, chunks, C, .)
    gamma = decay[:, None, None, None]
    i = torch.arange(1, chunk_size + 1)[:, None]
    inside = (q @ k.mT * decay_matrix(decay, chunk_size)[:, None]) @ v
    gathered = (gamma ** (chunk_size - i) * k).mT @ v
    befores, final = [], state
    for number in range(q.shape[2]):
        befores.append(final)
        final = decay[:, None, None] ** chunk_size * final + gathered[:, :, number]
    output = inside + gamma**i * (q @ torch.stack(befores, 2))
    final = final / decay[:, None, None] ** extra  # the padding at the end let the state fade too far
    return output.flatten(2, 3)[:, :, :length], final


@chunks.wrong(
    "counted from zero",
    "You count a chunk's positions from zero. Its first one is a step away from the state before it: gamma^1.",
)
def retention_chunkwise(query, key, value, decay, chunk_size, state=None):
    if chunk_size < 1:
        raise ValueError(f"a chunk needs at least one position, got chunk_size = {chunk_size}")
    if state is None:
        state = value.new_zeros(*query.shape[:2], query.shape[-1], value.shape[-1])
    gamma = decay[:, None, None]
    outputs = []
    for q, k, v in zip(*(x.split(chunk_size, dim=2) for x in (query, key, value))):
        size = q.shape[2]
        i = torch.arange(size, device=q.device)[:, None]
        outputs.append(retention_parallel(q, k, v, decay) + gamma**i * (q @ state))
        state = gamma**size * state + (k * gamma ** (size - i)).mT @ v
    return (torch.cat(outputs, dim=2), state)


@chunks.wrong(
    "full size for the last chunk",
    "You let the state fade for positions that the last chunk does not have: it may be shorter than chunk_size (padding it with zeros does "
    "the same).",
)
def retention_chunkwise(query, key, value, decay, chunk_size, state=None):
    if chunk_size < 1:
        raise ValueError(f"a chunk needs at least one position, got chunk_size = {chunk_size}")
    if state is None:
        state = value.new_zeros(*query.shape[:2], query.shape[-1], value.shape[-1])
    gamma = decay[:, None, None]
    outputs = []
    for q, k, v in zip(*(x.split(chunk_size, dim=2) for x in (query, key, value))):
        size = q.shape[2]
        i = torch.arange(1, size + 1, device=q.device)[:, None]
        outputs.append(retention_parallel(q, k, v, decay) + gamma**i * (q @ state))
        state = gamma**chunk_size * state + (k * gamma ** (chunk_size - i)).mT @ v
    return (torch.cat(outputs, dim=2), state)


@chunks.wrong(
    "padded with zeros",
    "You let the state fade for positions that the last chunk does not have: it may be shorter than chunk_size (padding it with zeros does "
    "the same).",
)
def retention_chunkwise(query, key, value, decay, chunk_size, state=None):
    if chunk_size < 1:
        raise ValueError(f"a chunk needs at least one position, got chunk_size = {chunk_size}")
    if state is None:
        state = value.new_zeros(*query.shape[:2], query.shape[-1], value.shape[-1])
    gamma = decay[:, None, None]
    length = query.shape[2]
    pad = (0, 0, 0, -length % chunk_size)
    query, key, value = (F.pad(x, pad) for x in (query, key, value))
    i = torch.arange(1, chunk_size + 1, device=query.device)[:, None]
    outputs = []
    for q, k, v in zip(*(x.split(chunk_size, dim=2) for x in (query, key, value))):
        outputs.append(retention_parallel(q, k, v, decay) + gamma**i * (q @ state))
        state = gamma**chunk_size * state + (k * gamma ** (chunk_size - i)).mT @ v
    return (torch.cat(outputs, dim=2)[:, :, :length], state)


@chunks.wrong(
    "detached between chunks",
    "Your state is detached between the chunks, so no gradient reaches the earlier ones.",
)
def retention_chunkwise(query, key, value, decay, chunk_size, state=None):
    if chunk_size < 1:
        raise ValueError(f"a chunk needs at least one position, got chunk_size = {chunk_size}")
    if state is None:
        state = value.new_zeros(*query.shape[:2], query.shape[-1], value.shape[-1])
    gamma = decay[:, None, None]
    outputs = []
    for q, k, v in zip(*(x.split(chunk_size, dim=2) for x in (query, key, value))):
        size = q.shape[2]
        i = torch.arange(1, size + 1, device=q.device)[:, None]
        outputs.append(retention_parallel(q, k, v, decay) + gamma**i * (q @ state))
        state = gamma**size * state.detach() + (k * gamma ** (size - i)).mT @ v
    return (torch.cat(outputs, dim=2), state)


@chunks.wrong("split along the heads", "You split along the heads. The positions are axis 2.")
def retention_chunkwise(query, key, value, decay, chunk_size, state=None):
    if chunk_size < 1:
        raise ValueError(f"a chunk needs at least one position, got chunk_size = {chunk_size}")
    if state is None:
        state = value.new_zeros(*query.shape[:2], query.shape[-1], value.shape[-1])
    gamma = decay[:, None, None]
    outputs = []
    i = torch.arange(1, query.shape[2] + 1)[:, None]
    size = query.shape[2]
    for h in range(0, query.shape[1], chunk_size):
        q, k, v = (x[:, h : h + chunk_size] for x in (query, key, value))
        g = gamma[h : h + chunk_size]
        outputs.append(
            retention_parallel(q, k, v, decay[h : h + chunk_size]) + g**i * (q @ state[:, h : h + chunk_size])
        )
    state = gamma**size * state
    return (torch.cat(outputs, dim=1), state)


@chunks.right("split and cat")
def retention_chunkwise(query, key, value, decay, chunk_size, state=None):
    if chunk_size < 1:
        raise ValueError(f"a chunk needs at least one position, got chunk_size = {chunk_size}")
    if state is None:
        state = value.new_zeros(*query.shape[:2], query.shape[-1], value.shape[-1])
    gamma = decay[:, None, None]
    outputs = []
    for q, k, v in zip(*(x.split(chunk_size, dim=2) for x in (query, key, value))):
        size = q.shape[2]
        i = torch.arange(1, size + 1, device=q.device)[:, None]
        outputs.append(retention_parallel(q, k, v, decay) + gamma**i * (q @ state))
        state = gamma**size * state + (k * gamma ** (size - i)).mT @ v
    return (torch.cat(outputs, dim=2), state)


@chunks.right("slices and einsum")
def retention_chunkwise(query, key, value, decay, chunk_size, state=None):
    if chunk_size < 1:
        raise ValueError(f"a chunk needs at least one position, got chunk_size = {chunk_size}")
    if state is None:
        state = value.new_zeros(*query.shape[:2], query.shape[-1], value.shape[-1])
    gamma = decay[:, None, None]
    length, parts = (query.shape[2], [])
    for start in range(0, length, chunk_size):
        stop = min(start + chunk_size, length)
        size = stop - start
        q, k, v = (x[:, :, start:stop] for x in (query, key, value))
        inner = torch.einsum("bhnd,bhmd,hnm->bhnm", q, k, decay_matrix(decay, size)) @ v
        i = torch.arange(1, size + 1, device=query.device)
        way_in, way_out = (decay[:, None] ** i, decay[:, None] ** (size - i))
        parts.append(inner + torch.einsum("hn,bhnd,bhde->bhne", way_in, q, state))
        news = torch.einsum("hn,bhnd,bhne->bhde", way_out, k, v)
        state = decay.pow(size).view(-1, 1, 1) * state + news
    return (torch.cat(parts, dim=2) if parts else torch.zeros_like(value), state)


recurrent.wrong(
    'fades after reading',
    'Your state fades after it is read, so the state that you return has faded once too often. Fade, add, then read.',
    edits={
        'state = gamma * state + key': 'state = state + key',
        '        outputs.append(query[:, :, row] @ state)': '        outputs.append(query[:, :, row] @ state)\n        state = gamma * state',
    },
)


recurrent.wrong(
    "the given state does not fade at first",
    "In the first step the given state does not fade in yours. It is one step old by then: multiply it by gamma before the first new entry, too.",
    edits={UPDATE: "state = (gamma if n else 1) * state + key[:, :, row].transpose(-2, -1) @ value[:, :, row]"},
)

chunks.wrong(
    "the state fades one step too much",
    "Inside a chunk you let the state fade by gamma^(i + 1), with i from 1. The first position is one step away from it: gamma^i.",
    edits={BEFORE: "before = gamma ** (i + 1) * (q @ state)"},
)

chunks.wrong(
    "the state fades from the wrong end",
    "Inside a chunk you let the state fade by gamma^(C - i), so that the last position sees it freshest. It fades as the chunk goes on: gamma^i.",
    edits={BEFORE: "before = gamma ** (length - i) * (q @ state)"},
)

chunks.wrong(
    "one step too few from chunk to chunk",
    "From chunk to chunk your state fades by gamma^(C - 1). A chunk is C steps: gamma^C.",
    edits={STATE: "state = gamma ** (length - 1) * state + gathered"},
)

NUMBER = "Your values are right, and your pieces are not chunks of C positions. `split(C)` takes their length; `chunk(C)` takes their number."

SPLIT = "x.split(chunk_size, dim=2)"

chunks.wrong("chunk for split", NUMBER, edits={SPLIT: "x.chunk(chunk_size, dim=2)"})

chunks.wrong("a single chunk", NUMBER, edits={SPLIT: "x.split(max(x.shape[2], 1), dim=2)"})
