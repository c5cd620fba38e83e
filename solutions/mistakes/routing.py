"""Wrong and alternative right answers: which expert gets which token."""

from __future__ import annotations

from utils.grading.bank import Bank

router = Bank("top_k_router")

IF = "    if renormalize:\n        weights = weights / weights.sum(dim=-1, keepdim=True)\n"

router.wrong(
    "softmax after the top k",
    "Your weights always sum to 1 over the k chosen experts (a softmax after the choice, or a division that is always done). Here the "
    "softmax runs over all experts, before the choice; dividing by the sum belongs to renormalize=True only.",
    edits={IF: "    weights = weights / weights.sum(dim=-1, keepdim=True)\n"},
)

router.wrong(
    "never renormalised",
    "You do nothing with `renormalize`. If it is True, the k weights of a token are divided by their sum.",
    edits={IF: ""},
)

SOFTMAX = "logits.softmax(dim=-1)"

router.wrong(
    "softmax over the tokens",
    "Your softmax runs over the tokens (dim=0). Every token chooses among the experts, so its own row of E probabilities sums to 1.",
    edits={SOFTMAX: "logits.softmax(dim=0)"},
)

router.wrong(
    "scores as weights",
    "Your weights are the raw scores. They may be negative and of any size; a softmax makes probabilities of them first.",
    edits={SOFTMAX: "logits"},
)

router.wrong(
    "sigmoids",
    "Your weights come from a sigmoid, each expert for itself. Experts compete here: the probabilities of one token come from a softmax.",
    edits={SOFTMAX: "logits.sigmoid()"},
)

TOP = "probabilities.topk(k, dim=-1)"

router.wrong(
    "the least likely experts",
    "You choose the k experts with the smallest probabilities.",
    edits={TOP: "probabilities.topk(k, dim=-1, largest=False)"},
)

router.wrong(
    "smallest of the chosen first",
    "You choose the right experts, and list them with the smallest weight first. The first choice comes first: it is served first when "
    "places are short.",
    edits={"return weights, experts": "return weights.flip(-1), experts.flip(-1)"},
)

DIVIDE = "weights / weights.sum(dim=-1, keepdim=True)"

router.wrong(
    "a second softmax",
    "For renormalize=True you take a softmax of the probabilities. That flattens them once more; divide them by their sum.",
    edits={DIVIDE: "weights.softmax(dim=-1)"},
)

router.wrong(
    "divided by k",
    "For renormalize=True you divide by the number of choices. The weights of a token sum to 1 only if they are divided by their sum.",
    edits={DIVIDE: "weights / k"},
)

router.wrong(
    "renormalised over the tokens",
    "For renormalize=True you divide by the sum over all tokens. Each token's own k weights should sum to 1.",
    edits={DIVIDE: "weights / weights.sum(dim=0, keepdim=True)"},
)

router.wrong(
    "detached",
    "Your weights are cut from the graph. The choice itself has no gradient, so the weights are the only way in which the router can learn.",
    edits={"return weights, experts": "return weights.detach(), experts"},
)

router.wrong(
    "exponentials without the largest taken out",
    "Your softmax overflows for large scores: exp(120) is infinite in float32, and infinity divided by infinity is not a number. "
    "`softmax` subtracts the largest score first.",
    edits={SOFTMAX: "logits.exp() / logits.exp().sum(dim=-1, keepdim=True)"},
)


@router.right("sort and gather")
def top_k_router(logits, k, renormalize=False):
    if not 1 <= k <= logits.shape[1]:
        raise ValueError(f'k is {k}')
    experts = logits.argsort(dim=-1, descending=True)[:, :k]
    weights = torch.softmax(logits, -1).gather(-1, experts)
    if renormalize:
        weights = F.normalize(weights, p=1, dim=-1)
    return weights, experts


@router.right("softmax of the chosen scores where renormalised")
def top_k_router(logits, k, renormalize=False):
    if not 1 <= k <= logits.shape[1]:
        raise ValueError(f'k is {k}')
    scores, experts = logits.topk(k)
    if renormalize:
        return scores.softmax(-1), experts
    return (scores - logits.logsumexp(-1, keepdim=True)).exp(), experts


@router.right("one choice after the other")
def top_k_router(logits, k, renormalize=False):
    if not 1 <= k <= logits.shape[1]:
        raise ValueError(f'k is {k}')
    left = logits.clone()
    weights, experts = [], []
    for _ in range(k):
        best = left.argmax(dim=1)
        weights.append(F.softmax(logits, dim=1)[torch.arange(len(logits)), best])
        experts.append(best)
        left = left.scatter(1, best[:, None], float("-inf"))
    weights, experts = torch.stack(weights, 1), torch.stack(experts, 1)
    return (weights / weights.sum(1, keepdim=True) if renormalize else weights), experts


@router.right("exponentials of the distance to the largest")
def top_k_router(logits, k, renormalize=False):
    if not 1 <= k <= logits.shape[1]:
        raise ValueError(f'k is {k}')
    raised = (logits - logits.max(dim=1, keepdim=True).values).exp()
    kept, experts = raised.topk(k, dim=1)
    return kept / (kept if renormalize else raised).sum(1, keepdim=True), experts


@router.wrong(
    'divided by the sum of everything',
    "For renormalize=True you divide by one sum over all tokens and choices. Each token's k weights are divided by "
    "their own sum."
)
def top_k_router(logits, k, renormalize=False):
    num_experts = logits.shape[-1]
    if not 1 <= k <= num_experts:
        raise ValueError(f'each token is to be sent to k = {k} experts, and there are {num_experts}')
    weights, experts = logits.softmax(-1).topk(k, dim=-1)
    if renormalize:
        weights = weights / weights.sum()
    return (weights, experts)


@router.wrong(
    'never renormalises k = 1',
    'You leave a single choice as it is. With renormalize=True its weight is 1.'
)
def top_k_router(logits, k, renormalize=False):
    num_experts = logits.shape[-1]
    if not 1 <= k <= num_experts:
        raise ValueError(f'each token is to be sent to k = {k} experts, and there are {num_experts}')
    weights, experts = logits.softmax(-1).topk(k, dim=-1)
    if renormalize and k > 1:
        weights = weights / weights.sum(-1, keepdim=True)
    return (weights, experts)


@router.right('topk')
def top_k_router(logits, k, renormalize=False):
    num_experts = logits.shape[-1]
    if not 1 <= k <= num_experts:
        raise ValueError(f'each token is to be sent to k = {k} experts, and there are {num_experts}')
    weights, experts = logits.softmax(dim=-1).topk(k, dim=-1)
    if renormalize:
        weights = weights / weights.sum(dim=-1, keepdim=True)
    return (weights, experts)


@router.right('choose the scores first')
def top_k_router(logits, k, renormalize=False):
    num_experts = logits.shape[-1]
    if not 1 <= k <= num_experts:
        raise ValueError(f'each token is to be sent to k = {k} experts, and there are {num_experts}')
    scores, experts = torch.topk(logits, k)
    if renormalize:
        return (F.softmax(scores, dim=1), experts)
    return ((scores - logits.logsumexp(dim=1, keepdim=True)).exp(), experts)


places = Bank("keep_within_capacity")

places.wrong(
    "one queue for all experts",
    "You count the places of all experts together: after `capacity` choices nobody gets anything any more. Capacity is per expert, so count "
    "how many of those ahead want the same expert.",
    edits={"(before * asked).sum(dim=-1)": "torch.arange(len(queue))"},
)

places.wrong(
    "one place too many",
    "Each of your experts keeps one choice more than it has places. Who has `capacity` others ahead comes too late.",
    edits={"place < capacity": "place <= capacity"},
)

BEFORE = "asked.cumsum(dim=0) - asked"

places.wrong(
    "one place too few",
    "Each of your experts keeps one choice fewer than it has places. A running sum counts the choice itself, too: the first in the queue "
    "has nobody ahead.",
    edits={BEFORE: "asked.cumsum(dim=0)"},
)

QUEUE = "experts.T.flatten()"

FOLD = "(place < capacity).view(experts.T.shape).T"

places.wrong(
    "token after token",
    "Your queue goes through the tokens, each with all its choices. It should take the first choices of all tokens first, then all second "
    "choices.",
    edits={QUEUE: "experts.flatten()", FOLD: "(place < capacity).view(experts.shape)"},
)

places.wrong(
    "folded back the other way",
    "You count in the right order and then fold the queue back as if it went token after token. What was (T, k) -> (k, T) -> (k * T,) has "
    "to go back by (k, T) -> (T, k).",
    edits={FOLD: "(place < capacity).view(experts.shape)"},
)

places.wrong(
    "last come, first served",
    "You serve the end of the queue first. The tokens that come first get the places.",
    edits={BEFORE: "asked.flip(0).cumsum(dim=0).flip(0) - asked"},
)

places.wrong(
    "dropped ones marked",
    "Your mask is the wrong way round: True should mean that a choice has a place.",
    edits={"place < capacity": "place >= capacity"},
)

places.wrong(
    "summed over the experts",
    "Every choice finds a place in yours wherever there are any. Perhaps your running sum goes along another axis: "
    "count how many *ahead in the queue* want the same expert.",
    edits={BEFORE: "asked.cumsum(dim=1) - asked"},
)


@places.wrong(
    "places for each choice anew",
    "You count first and second choices separately, so that an expert has its places once for each. They share the same places: what the "
    "first choices took is gone.",
)
def keep_within_capacity(experts, num_experts, capacity):
    asked = F.one_hot(experts, num_experts)  # (T, k, E)
    before = asked.cumsum(dim=0) - asked
    return (before * asked).sum(dim=-1) < capacity


@places.right("a loop with a counter per expert")
def keep_within_capacity(experts, num_experts, capacity):
    taken = [0] * num_experts
    kept = torch.zeros(experts.shape, dtype=torch.bool)
    for choice in range(experts.shape[1]):
        for token in range(experts.shape[0]):
            expert = int(experts[token, choice])
            if taken[expert] < capacity:
                taken[expert] += 1
                kept[token, choice] = True
    return kept


@places.right("everybody compared with everybody ahead")
def keep_within_capacity(experts, num_experts, capacity):
    queue = experts.T.reshape(-1)
    rivals = (queue[:, None] == queue[None, :]).tril(-1).sum(dim=1)
    return (rivals < capacity).reshape(experts.shape[1], experts.shape[0]).T


@places.right("a stable sort")
def keep_within_capacity(experts, num_experts, capacity):
    queue = experts.t().flatten()
    by_expert, order = queue.sort(stable=True)
    start = torch.searchsorted(by_expert, by_expert)
    place = torch.empty_like(queue)
    place[order] = torch.arange(len(queue)) - start
    return (place < capacity).unflatten(0, (experts.shape[1], -1)).t()


@places.right("choice after choice, with what is left")
def keep_within_capacity(experts, num_experts, capacity):
    used = torch.zeros(num_experts, dtype=torch.long)
    columns = []
    for column in experts.unbind(1):
        asked = F.one_hot(column, num_experts)
        place = (asked.cumsum(0) - 1 + used).gather(1, column[:, None])[:, 0]
        columns.append(place < capacity)
        used = used + asked.sum(0)
    return torch.stack(columns, dim=1)


@places.wrong(
    'all or nothing for a token',
    "You drop all choices of a token if one of them is dropped. Each choice is kept or dropped by itself."
)
def keep_within_capacity(experts, num_experts, capacity):
    tokens, k = experts.shape
    queue = F.one_hot(experts.T.flatten(), num_experts)
    ahead = (queue.cumsum(0) * queue).sum(-1)
    kept = (ahead <= capacity).view(k, tokens).T
    return kept & kept.all(dim=1, keepdim=True)


@places.wrong(
    'capacity 0 as no limit',
    'You take a capacity of 0 for no limit. It means no places at all.'
)
def keep_within_capacity(experts, num_experts, capacity):
    if not capacity:
        return torch.ones_like(experts, dtype=torch.bool)
    tokens, k = experts.shape
    queue = F.one_hot(experts.T.flatten(), num_experts)
    ahead = (queue.cumsum(0) * queue).sum(-1)
    return (ahead <= capacity).view(k, tokens).T


@places.wrong(
    'overfull experts dropped whole',
    'You drop all choices of an expert that is asked too often. It keeps its first `capacity` ones.'
)
def keep_within_capacity(experts, num_experts, capacity):
    asked = torch.bincount(experts.flatten(), minlength=num_experts)
    return asked[experts] <= capacity


@places.wrong(
    'dropped choices move up',
    'You let a second choice move up when the first is dropped. The queue is fixed: all first choices, then all second ones.'
)
def keep_within_capacity(experts, num_experts, capacity):
    free = [capacity] * num_experts
    kept = torch.zeros(experts.shape, dtype=torch.bool)
    for token, choices in enumerate(experts.tolist()):
        for rank, expert in enumerate(choices):
            if free[expert]:
                free[expert] -= 1
                kept[token, rank] = True
                break
    for token, choices in enumerate(experts.tolist()):
        for rank, expert in enumerate(choices):
            if not kept[token, rank] and free[expert]:
                free[expert] -= 1
                kept[token, rank] = True
    return kept


@places.wrong(
    'counts below zero',
    "You count free places down below zero, and then some choices are let in again. A place is free only while the "
    "count is above 0."
)
def keep_within_capacity(experts, num_experts, capacity):
    free = [capacity] * num_experts
    kept = torch.zeros(experts.shape, dtype=torch.bool)
    for rank in range(experts.shape[1]):
        for token in range(len(experts)):
            expert = int(experts[token, rank])
            kept[token, rank] = free[expert] != 0
            free[expert] -= 1
    return kept


@places.right('one-hot and cumsum')
def keep_within_capacity(experts, num_experts, capacity):
    tokens, k = experts.shape
    queue = F.one_hot(experts.T.reshape(-1), num_experts)
    number = (queue.cumsum(dim=0) * queue).sum(dim=1)
    return (number <= capacity).view(k, tokens).T


@places.right('loop')
def keep_within_capacity(experts, num_experts, capacity):
    kept = torch.zeros_like(experts, dtype=torch.bool)
    free = dict.fromkeys(range(num_experts), capacity)
    for choice in range(experts.shape[1]):
        for token in range(experts.shape[0]):
            expert = experts[token, choice].item()
            if free[expert] > 0:
                kept[token, choice] = True
                free[expert] -= 1
    return kept


balance = Bank("load_balancing_loss")

balance.wrong(
    "first choices only",
    "Your f counts first choices only. With k choices per token, f_i is the share of all T * k choices that went to "
    "expert i.",
    edits={"F.one_hot(experts, num_experts)": "F.one_hot(experts[:, :1], num_experts)"},
)

RETURN = "num_experts * (fraction * probability).sum()"

balance.wrong(
    "without the factor E",
    "Your loss lacks the factor E: with everything balanced it should be 1, for any number of experts, and yours is 1 / E.",
    edits={RETURN: "(fraction * probability).sum()"},
)

balance.wrong(
    "E squared",
    "You multiply the sum by E squared. The square belongs to a *mean* over the experts; with a sum the factor is E.",
    edits={RETURN: "num_experts**2 * (fraction * probability).sum()"},
)

MEAN = "chosen.mean(dim=(0, 1))"

balance.wrong(
    "f sums to k",
    "Your fractions sum to k, not to 1. f is the share of an expert in all T * k choices.",
    edits={MEAN: "chosen.sum(dim=1).mean(dim=0)"},
)

balance.wrong(
    "P from P",
    "You take the probabilities for both factors. f counts what was really sent: the fraction of choices that went to each expert.",
    edits={RETURN: "num_experts * (probability * probability).sum()"},
)

balance.wrong(
    "f from f",
    "You take the counted fractions for both factors. Counting has no gradient, so this loss could not teach the router anything; the second "
    "factor is the mean probability.",
    edits={RETURN: "num_experts * (fraction * fraction).sum() + 0 * probability.sum()"},
)

P = "logits.softmax(dim=-1).mean(dim=0)"

balance.wrong(
    "mean scores",
    "You take the mean of the raw scores over the tokens. P is the mean of the probabilities, after the softmax.",
    edits={P: "logits.mean(dim=0)"},
)

balance.wrong(
    "mean before the softmax",
    "You average the scores over the tokens and take the softmax of that. Each token has its own probabilities: softmax first, then the mean.",
    edits={P: "logits.mean(dim=0).softmax(dim=-1)"},
)

balance.wrong(
    "softmax over the tokens",
    "Your softmax runs over the tokens (dim=0), so P is the same for all experts. It should run over the experts.",
    edits={P: "logits.softmax(dim=0).mean(dim=0)"},
)

balance.wrong(
    "probabilities of the chosen only",
    "Your P counts an expert's probability only for the tokens that chose it. P is its mean over all tokens.",
    edits={P: "(logits.softmax(dim=-1) * chosen.sum(dim=1)).mean(dim=0)"},
)


@balance.right("counted with bincount")
def load_balancing_loss(logits, experts):
    if len(logits) == 0:
        raise ValueError("no tokens, no balance")
    counts = torch.bincount(experts.flatten(), minlength=logits.shape[1]).to(logits.dtype)
    return logits.shape[1] * (counts / counts.sum()) @ torch.softmax(logits, 1).mean(0)


@balance.right("Switch's mean times E squared")
def load_balancing_loss(logits, experts):
    if len(logits) == 0:
        raise ValueError("no tokens, no balance")
    sent = torch.zeros_like(logits).scatter_add(1, experts, torch.ones_like(experts, dtype=logits.dtype))
    f = sent.mean(0) / experts.shape[1]
    return (f * F.softmax(logits, dim=-1).mean(0)).mean() * logits.shape[1] ** 2


@balance.right("expert by expert")
def load_balancing_loss(logits, experts):
    if len(logits) == 0:
        raise ValueError("no tokens, no balance")
    probabilities = logits.softmax(1)
    loss = 0.0
    for expert in range(logits.shape[1]):
        f = (experts == expert).sum() / experts.numel()
        loss = loss + f.to(logits.dtype) * probabilities[:, expert].mean()
    return loss * logits.shape[1]


@balance.right("einsum over pairs of tokens")
def load_balancing_loss(logits, experts):
    if len(logits) == 0:
        raise ValueError("no tokens, no balance")
    sent = F.one_hot(experts, logits.shape[1]).sum(1).to(logits.dtype)
    pairs = torch.einsum("te,ue->", sent, logits.softmax(-1))
    return logits.shape[1] * pairs / (experts.numel() * len(logits))


@balance.wrong(
    'experts from the logits',
    "You count the experts with the largest logits. `experts` says who was chosen."
)
def load_balancing_loss(logits, experts):
    num_tokens, num_experts = logits.shape
    if num_tokens == 0:
        raise ValueError('the balance of no tokens at all is not defined: logits have shape (0, E)')
    chosen = logits.topk(experts.shape[1], dim=-1).indices
    f = F.one_hot(chosen, num_experts).to(logits.dtype).mean((0, 1))
    return num_experts * (f * logits.softmax(-1).mean(0)).sum()


@balance.wrong(
    'product before the mean',
    'You multiply token by token and average afterwards. f and P are means over all tokens first.'
)
def load_balancing_loss(logits, experts):
    num_tokens, num_experts = logits.shape
    if num_tokens == 0:
        raise ValueError('the balance of no tokens at all is not defined: logits have shape (0, E)')
    choices = F.one_hot(experts, num_experts).to(logits.dtype).mean(1)
    return num_experts * (choices * logits.softmax(-1)).sum(-1).mean()


@balance.right('one-hot means')
def load_balancing_loss(logits, experts):
    num_tokens, num_experts = logits.shape
    if num_tokens == 0:
        raise ValueError('the balance of no tokens at all is not defined: logits have shape (0, E)')
    f = F.one_hot(experts, num_experts).to(logits.dtype).mean(dim=(0, 1))
    P = logits.softmax(dim=-1).mean(dim=0)
    return num_experts * (f * P).sum()


@balance.right('bincount and dot')
def load_balancing_loss(logits, experts):
    num_tokens, num_experts = logits.shape
    if num_tokens == 0:
        raise ValueError('the balance of no tokens at all is not defined: logits have shape (0, E)')
    counts = torch.bincount(experts.reshape(-1), minlength=num_experts)
    fractions = counts.to(logits.dtype) / experts.numel()
    return num_experts * torch.dot(fractions, F.softmax(logits, dim=1).mean(0))


