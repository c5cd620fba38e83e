"""Wrong and alternative right answers: the layer of experts."""

from __future__ import annotations

from torch import nn

from utils.grading.bank import Bank

layer = Bank("MoELayer")

layer.wrong(
    "no capacity",
    "You serve every choice, also those that found no place. Where keep_within_capacity says False, the choice adds nothing.",
    edits={"(chosen == number) & kept": "chosen == number"},
)

START = "output = torch.zeros_like(tokens)"
SHARED = "weights = weights * kept / (weights * kept).sum(dim=1, keepdim=True).clamp(min=1e-9)"

layer.wrong(
    "renormalised over the kept choices",
    "You divide the weights by the sum over the choices that found a place. They are divided by the sum over all k choices, before places are given "
    "out; a dropped choice adds nothing, and the others keep their weights.",
    edits={START: f"if self.renormalize:\n            {SHARED}\n        {START}"},
)

ANSWER = "answer = weights[token, choice, None] * expert(tokens[token])"

layer.wrong(
    "unweighted",
    "You add up the experts' answers without their weights. Then the router gets no gradient from the task, and a hesitant choice counts as "
    "much as a certain one.",
    edits={ANSWER: "answer = expert(tokens[token])"},
)

END = "return output.view_as(x), load_balancing_loss(logits, chosen)"

layer.wrong(
    "dropped tokens come out unchanged",
    "You pass a dropped token on as it came. It should be zeros: the residual connection around the layer adds the token itself, and so it "
    "would count twice.",
    edits={
        END: END.replace(
            "output.view_as(x)", "torch.where(kept.any(1, keepdim=True), output, tokens).view_as(x)"
        )
    },
)

layer.wrong(
    "residual inside",
    "You add the input to the output. The residual connection is around the layer, not in it.",
    edits={END: END.replace("output.view_as(x)", "x + output.view_as(x)")},
)

layer.wrong(
    "capacity of one sequence",
    "You compute the capacity from the N tokens of one sequence, and then let the tokens of the whole batch compete for it. Give `capacity` the "
    "number of tokens that compete, B * N.",
    edits={"self.capacity(len(tokens))": "self.capacity(x.shape[1])"},
)

ADD = "output = output.index_add(0, token, answer.to(output.dtype))"

layer.wrong(
    "answers overwritten",
    "You write an expert's answer over what is there. A token with two experts gets the sum of both answers.",
    edits={ADD: "output = output.index_copy(0, token, answer.to(output.dtype))"},
)

layer.wrong(
    "first weight for all",
    "You weigh every answer with the weight of the token's first choice. Each choice has its own weight.",
    edits={"weights[token, choice, None]": "weights[token, 0, None]"},
)

layer.wrong(
    "renormalize not passed on",
    "You don't pass `renormalize` on to the router.",
    edits={"top_k_router(logits, self.k, self.renormalize)": "top_k_router(logits, self.k)"},
)

layer.wrong(
    "balance of the kept only",
    "Your loss counts only the choices that found a place. An overfull expert then looks as if it were just full; the loss should see all "
    "choices.",
    edits={"load_balancing_loss(logits, chosen)": "load_balancing_loss(logits, chosen[kept][:, None])"},
)

LOOP = """        output = torch.zeros_like(tokens)
        for number, expert in enumerate(self.experts):
            token, choice = torch.where((chosen == number) & kept)  # who comes, and with which of its choices
            answer = weights[token, choice, None] * expert(tokens[token])
            output = output.index_add(0, token, answer.to(output.dtype))
"""

layer.wrong(
    "all experts asked",
    "You ask all experts for every token and average them with all probabilities. Only the k chosen ones that have a place may answer; that is "
    "what saves the work.",
    edits={
        LOOP: """        output = torch.zeros_like(tokens)
        for number, expert in enumerate(self.experts):
            output = output + logits.softmax(-1)[:, number, None] * expert(tokens)
"""
    },
)

DENSE = (
    "The values may be right, but your experts answer for tokens that did not choose them. Then the work per token grows with the number of "
    "experts, and what the layer is for is lost: give each expert its own tokens only."
)

layer.wrong(
    "all experts on all tokens, then selected",
    DENSE,
    edits={
        LOOP: """        every = torch.stack([expert(tokens) for expert in self.experts], dim=1)  # (T, E, D)
        gates = torch.zeros_like(logits).scatter(1, chosen, weights * kept)  # (T, E)
        output = torch.einsum("te,ted->td", gates, every)
"""
    },
)

layer.right(
    "token by token",
    edits={
        LOOP: """        rows = []
        for t in range(len(tokens)):
            row = torch.zeros_like(tokens[t])
            for c in range(self.k):
                if kept[t, c]:
                    row = row + weights[t, c] * self.experts[int(chosen[t, c])](tokens[t])
            rows.append(row)
        output = torch.stack(rows)
"""
    },
)

layer.wrong(
    "a mask over all tokens per choice",
    DENSE,
    edits={
        LOOP: """        output = torch.zeros_like(tokens)
        for c in range(self.k):
            for number, expert in enumerate(self.experts):
                here = ((chosen[:, c] == number) & kept[:, c]).unsqueeze(1)
                output = output + torch.where(here, weights[:, c : c + 1] * expert(tokens), 0.0)
"""
    },
)

layer.right(
    "answers sorted by expert",
    edits={
        LOOP: """        token, choice = kept.nonzero(as_tuple=True)
        number = chosen[token, choice]
        order = number.argsort(stable=True)
        token, choice = token[order], choice[order]
        sizes = torch.bincount(number, minlength=self.num_experts).tolist()
        answers = [e(part) for e, part in zip(self.experts, tokens[token].split(sizes))]
        answer = torch.cat(answers) * weights[token, choice].unsqueeze(-1)
        output = torch.zeros_like(tokens).index_put((token,), answer, accumulate=True)
"""
    },
)


layer.wrong(
    'sequences by themselves',
    'You give each sequence places of its own. All tokens of the batch compete for the same places.',
    edits={
        "weights, chosen = top_k_router(logits, self.k, self.renormalize)\n"
        "        kept = keep_within_capacity(chosen, self.num_experts, self.capacity(len(tokens)))": "weights, experts = top_k_router(logits, self.k, self.renormalize)\n"
        "        places = self.capacity(x.shape[1])\n"
        "        per_sequence = experts.unflatten(0, x.shape[:2])\n"
        "        kept = torch.cat([keep_within_capacity(e, self.num_experts, places) for e in per_sequence])",
        "for number, expert in enumerate(self.experts):\n"
        "            token, choice = torch.where((chosen == number) & kept)  # who comes, and with which of its choices\n"
        "            answer = weights[token, choice, None] * expert(tokens[token])\n"
        "            output = output.index_add(0, token, answer.to(output.dtype))\n"
        "        return output.view_as(x), load_balancing_loss(logits, chosen)": "for number, expert in enumerate(self.experts):\n"
        "            token, choice = torch.where((experts == number) & kept)\n"
        "            answers = weights[token, choice, None] * expert(tokens[token])\n"
        "            output = output.index_add(0, token, answers)\n"
        "        return (output.view_as(x), load_balancing_loss(logits, experts))",
    },
)


layer.wrong(
    'weights the input',
    'You weight what the expert reads. Weight its answer: an expert is not linear.',
    edits={
        "weights, chosen = top_k_router(logits, self.k, self.renormalize)\n"
        "        kept = keep_within_capacity(chosen, self.num_experts, self.capacity(len(tokens)))": "weights, experts = top_k_router(logits, self.k, self.renormalize)\n"
        "        kept = keep_within_capacity(experts, self.num_experts, self.capacity(len(tokens)))",
        "for number, expert in enumerate(self.experts):\n"
        "            token, choice = torch.where((chosen == number) & kept)  # who comes, and with which of its choices\n"
        "            answer = weights[token, choice, None] * expert(tokens[token])\n"
        "            output = output.index_add(0, token, answer.to(output.dtype))\n"
        "        return output.view_as(x), load_balancing_loss(logits, chosen)": "for number, expert in enumerate(self.experts):\n"
        "            token, choice = torch.where((experts == number) & kept)\n"
        "            answers = expert(weights[token, choice, None] * tokens[token])\n"
        "            output = output.index_add(0, token, answers)\n"
        "        return (output.view_as(x), load_balancing_loss(logits, experts))",
    },
)


layer.wrong(
    'weights without gradient',
    "Your weights are cut from the graph (detach(), .data or .item()), so the task's loss does not reach the router.",
    edits={
        "weights, chosen = top_k_router(logits, self.k, self.renormalize)\n"
        "        kept = keep_within_capacity(chosen, self.num_experts, self.capacity(len(tokens)))": "weights, experts = top_k_router(logits, self.k, self.renormalize)\n"
        "        kept = keep_within_capacity(experts, self.num_experts, self.capacity(len(tokens)))",
        "for number, expert in enumerate(self.experts):\n"
        "            token, choice = torch.where((chosen == number) & kept)  # who comes, and with which of its choices\n"
        "            answer = weights[token, choice, None] * expert(tokens[token])\n"
        "            output = output.index_add(0, token, answer.to(output.dtype))\n"
        "        return output.view_as(x), load_balancing_loss(logits, chosen)": "for number, expert in enumerate(self.experts):\n"
        "            token, choice = torch.where((experts == number) & kept)\n"
        "            answers = weights.detach()[token, choice, None] * expert(tokens[token])\n"
        "            output = output.index_add(0, token, answers)\n"
        "        return (output.view_as(x), load_balancing_loss(logits, experts))",
    },
)


layer.wrong(
    'loss scaled',
    'You scale the balancing loss. Return it as it is; the training loop weights it.',
    edits={
        "weights, chosen = top_k_router(logits, self.k, self.renormalize)\n"
        "        kept = keep_within_capacity(chosen, self.num_experts, self.capacity(len(tokens)))": "weights, experts = top_k_router(logits, self.k, self.renormalize)\n"
        "        kept = keep_within_capacity(experts, self.num_experts, self.capacity(len(tokens)))",
        "for number, expert in enumerate(self.experts):\n"
        "            token, choice = torch.where((chosen == number) & kept)  # who comes, and with which of its choices\n"
        "            answer = weights[token, choice, None] * expert(tokens[token])\n"
        "            output = output.index_add(0, token, answer.to(output.dtype))\n"
        "        return output.view_as(x), load_balancing_loss(logits, chosen)": "for number, expert in enumerate(self.experts):\n"
        "            token, choice = torch.where((experts == number) & kept)\n"
        "            answers = weights[token, choice, None] * expert(tokens[token])\n"
        "            output = output.index_add(0, token, answers)\n"
        "        return (output.view_as(x), 0.01 * load_balancing_loss(logits, experts))",
    },
)


layer.wrong(
    'noise in training',
    "You change the router's scores at random in training. No noise is asked for.",
    edits={
        "weights, chosen = top_k_router(logits, self.k, self.renormalize)\n"
        "        kept = keep_within_capacity(chosen, self.num_experts, self.capacity(len(tokens)))": "if self.training:\n"
        "            logits = logits * torch.empty_like(logits).uniform_(0.98, 1.02)\n"
        "        weights, experts = top_k_router(logits, self.k, self.renormalize)\n"
        "        kept = keep_within_capacity(experts, self.num_experts, self.capacity(len(tokens)))",
        "for number, expert in enumerate(self.experts):\n"
        "            token, choice = torch.where((chosen == number) & kept)  # who comes, and with which of its choices\n"
        "            answer = weights[token, choice, None] * expert(tokens[token])\n"
        "            output = output.index_add(0, token, answer.to(output.dtype))\n"
        "        return output.view_as(x), load_balancing_loss(logits, chosen)": "for number, expert in enumerate(self.experts):\n"
        "            token, choice = torch.where((experts == number) & kept)\n"
        "            answers = weights[token, choice, None] * expert(tokens[token])\n"
        "            output = output.index_add(0, token, answers)\n"
        "        return (output.view_as(x), load_balancing_loss(logits, experts))",
    },
)


layer.wrong(
    'no limit in eval',
    'Your capacity holds in training only. It holds in evaluation mode, too.',
    edits={
        "weights, chosen = top_k_router(logits, self.k, self.renormalize)\n"
        "        kept = keep_within_capacity(chosen, self.num_experts, self.capacity(len(tokens)))": "weights, experts = top_k_router(logits, self.k, self.renormalize)\n"
        "        kept = keep_within_capacity(experts, self.num_experts, self.capacity(len(tokens)))\n"
        "        if not self.training:\n"
        "            kept = torch.ones_like(kept)",
        "for number, expert in enumerate(self.experts):\n"
        "            token, choice = torch.where((chosen == number) & kept)  # who comes, and with which of its choices\n"
        "            answer = weights[token, choice, None] * expert(tokens[token])\n"
        "            output = output.index_add(0, token, answer.to(output.dtype))\n"
        "        return output.view_as(x), load_balancing_loss(logits, chosen)": "for number, expert in enumerate(self.experts):\n"
        "            token, choice = torch.where((experts == number) & kept)\n"
        "            answers = weights[token, choice, None] * expert(tokens[token])\n"
        "            output = output.index_add(0, token, answers)\n"
        "        return (output.view_as(x), load_balancing_loss(logits, experts))",
    },
)


layer.wrong(
    'batch and sequence exchanged',
    'You fold the tokens back with batch and sequence exchanged. They come image by image.',
    edits={
        "weights, chosen = top_k_router(logits, self.k, self.renormalize)\n"
        "        kept = keep_within_capacity(chosen, self.num_experts, self.capacity(len(tokens)))": "weights, experts = top_k_router(logits, self.k, self.renormalize)\n"
        "        kept = keep_within_capacity(experts, self.num_experts, self.capacity(len(tokens)))",
        "for number, expert in enumerate(self.experts):\n"
        "            token, choice = torch.where((chosen == number) & kept)  # who comes, and with which of its choices\n"
        "            answer = weights[token, choice, None] * expert(tokens[token])\n"
        "            output = output.index_add(0, token, answer.to(output.dtype))\n"
        "        return output.view_as(x), load_balancing_loss(logits, chosen)": "for number, expert in enumerate(self.experts):\n"
        "            token, choice = torch.where((experts == number) & kept)\n"
        "            answers = weights[token, choice, None] * expert(tokens[token])\n"
        "            output = output.index_add(0, token, answers)\n"
        "        b, n, d = x.shape\n"
        "        return (output.view(n, b, d).transpose(0, 1), load_balancing_loss(logits, experts))",
    },
)


layer.wrong(
    'every first choice only',
    "Only each token's first choice is served. All k choices count.",
    edits={
        "weights, chosen = top_k_router(logits, self.k, self.renormalize)\n"
        "        kept = keep_within_capacity(chosen, self.num_experts, self.capacity(len(tokens)))": "weights, experts = top_k_router(logits, self.k, self.renormalize)\n"
        "        kept = keep_within_capacity(experts, self.num_experts, self.capacity(len(tokens)))",
        "for number, expert in enumerate(self.experts):\n"
        "            token, choice = torch.where((chosen == number) & kept)  # who comes, and with which of its choices\n"
        "            answer = weights[token, choice, None] * expert(tokens[token])\n"
        "            output = output.index_add(0, token, answer.to(output.dtype))\n"
        "        return output.view_as(x), load_balancing_loss(logits, chosen)": "for number, expert in enumerate(self.experts):\n"
        "            token = torch.where((experts[:, 0] == number) & kept[:, 0])[0]\n"
        "            output = output.index_add(0, token, weights[token, :1] * expert(tokens[token]))\n"
        "        return (output.view_as(x), load_balancing_loss(logits, experts))",
    },
)


layer.right(
    'index_add',
    edits={
        "weights, chosen = top_k_router(logits, self.k, self.renormalize)\n"
        "        kept = keep_within_capacity(chosen, self.num_experts, self.capacity(len(tokens)))": "weights, experts = top_k_router(logits, self.k, self.renormalize)\n"
        "        kept = keep_within_capacity(experts, self.num_experts, self.capacity(len(tokens)))",
        "for number, expert in enumerate(self.experts):\n"
        "            token, choice = torch.where((chosen == number) & kept)  # who comes, and with which of its choices\n"
        "            answer = weights[token, choice, None] * expert(tokens[token])\n"
        "            output = output.index_add(0, token, answer.to(output.dtype))\n"
        "        return output.view_as(x), load_balancing_loss(logits, chosen)": "for number, expert in enumerate(self.experts):\n"
        "            token, choice = torch.where((experts == number) & kept)\n"
        "            answers = weights[token, choice, None] * expert(tokens[token])\n"
        "            output = output.index_add(0, token, answers)\n"
        "        return (output.view_as(x), load_balancing_loss(logits, experts))",
    },
)


@layer.wrong('dense sum', DENSE)
class MoELayer(nn.Module):

    def __init__(self, dim, hidden_dim, num_experts, k=1, capacity_factor=1.25, renormalize=False):
        super().__init__()
        if not 1 <= k <= num_experts:
            raise ValueError(f'each token is to be sent to k = {k} experts, and there are {num_experts}')
        self.num_experts, self.k = (num_experts, k)
        self.capacity_factor, self.renormalize = (capacity_factor, renormalize)
        self.router = nn.Linear(dim, num_experts, bias=False)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, dim)) for _ in range(num_experts))

    def capacity(self, num_tokens):
        if self.capacity_factor is None:
            return num_tokens
        share = self.capacity_factor * self.k * num_tokens / self.num_experts
        return math.ceil(round(share, 6))

    def forward(self, x):
        tokens = x.flatten(0, 1)
        logits = self.router(tokens)
        weights, experts = top_k_router(logits, self.k, self.renormalize)
        kept = keep_within_capacity(experts, self.num_experts, self.capacity(len(tokens)))
        weights = weights.masked_fill(~kept, 0)
        table = torch.zeros_like(logits).scatter(1, experts, weights)
        answers = torch.stack([expert(tokens) for expert in self.experts], dim=1)
        output = torch.einsum('te,ted->td', table, answers)
        return (output.reshape(x.shape), load_balancing_loss(logits, experts))


layer.wrong(
    'loss of probabilities',
    "You hand probabilities to `load_balancing_loss`, which takes the softmax itself. Give it the router's logits.",
    edits={
        'load_balancing_loss(logits, chosen)': 'load_balancing_loss(logits.softmax(-1), chosen)',
    },
)

layer.right(
    "choice by choice, expert by expert",
    edits={
        LOOP: """        output = torch.zeros_like(tokens)
        for c in range(self.k):
            for number, expert in enumerate(self.experts):
                rows = torch.where((chosen[:, c] == number) & kept[:, c])[0]
                output = output.index_add(0, rows, expert(tokens[rows]) * weights[rows, c].unsqueeze(1))
"""
    },
)

layer.right(
    "as many slots as places, empty ones filled with zeros",
    edits={
        LOOP: """        output, places = torch.zeros_like(tokens), self.capacity(len(tokens))
        for number, expert in enumerate(self.experts):
            token, choice = ((chosen == number) & kept).nonzero(as_tuple=True)
            empty = tokens.new_zeros(max(places - len(token), 0), tokens.shape[1])
            answers = expert(torch.cat([tokens[token], empty]))[: len(token)]
            output = output.index_add(0, token, weights[token, choice, None] * answers)
"""
    },
)

layer.right(
    "a table of gates, rows by a boolean mask",
    edits={
        LOOP: """        gates = torch.zeros_like(logits).scatter(1, chosen, weights * kept)  # (T, E)
        served = torch.zeros_like(logits, dtype=torch.bool).scatter(1, chosen, kept)
        output = torch.zeros_like(tokens)
        for number, expert in enumerate(self.experts):
            rows = served[:, number]
            part = torch.zeros_like(tokens)
            part[rows] = gates[rows, number].unsqueeze(1) * expert(tokens[rows])
            output = output + part
"""
    },
)
