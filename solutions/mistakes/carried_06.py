"""Notebook 06, attention distance and fine-tuning: what students really write, wrong and right."""

from utils.grading.bank import Bank

# mean_attention_distance -----------------------------------------------------------------------------------------------

distance = Bank("mean_attention_distance")
BODY = """    if weights.shape[-1] == rows * columns + 1:
        weights = weights[..., 1:, 1:]
        weights = weights / weights.sum(-1, keepdim=True)
    n = torch.arange(rows * columns, device=weights.device)
    places = torch.stack([n // columns, n % columns], -1).to(weights.dtype)  # (N, 2)
    distance = (places[:, None] - places[None, :]).norm(dim=-1)  # (N, N)
    return (weights * distance).sum(-1).mean(-1)  # (..., N, N) -> (..., N) -> (...)
"""
PLACES = "n // columns, n % columns"
NORM = "(places[:, None] - places[None, :]).norm(dim=-1)  # (N, N)"
MEAN = "(weights * distance).sum(-1).mean(-1)"
SCALED = "weights = weights / weights.sum(-1, keepdim=True)"

distance.wrong(
    "rows and columns swapped",
    "You take the row for n // rows. In reading order a row of the grid has `columns` patches.",
    edits={PLACES: "n // rows, n % rows"},
)
distance.wrong(
    "distance along the list",
    "You measure the distance along the list of tokens, |i - j|. The end of one row and the start of the next are far apart in the image: use the grid.",
    edits={NORM: "(n[:, None] - n[None, :]).abs().to(weights.dtype)"},
)
distance.wrong(
    "steps down plus steps across",
    "You add the steps down and across (Manhattan distance). The distance here is Euclidean.",
    edits={NORM: "(places[:, None] - places[None, :]).abs().sum(dim=-1)"},
)
distance.wrong(
    "the larger of the two steps",
    "You take the larger of the steps down and across. The distance here is Euclidean.",
    edits={NORM: "(places[:, None] - places[None, :]).abs().amax(dim=-1)"},
)
distance.wrong(
    "squared distance",
    "You average squared distances: the root is missing.",
    edits={NORM: "(places[:, None] - places[None, :]).square().sum(dim=-1)"},
)
distance.wrong(
    "root of the mean square",
    "You take the root after averaging. The exercise asks for the mean of distances, not the root of the mean of their squares.",
    edits={
        NORM: "(places[:, None] - places[None, :]).square().sum(dim=-1)",
        MEAN: "(weights * distance).sum(-1).sqrt().mean(-1)",
    },
)
distance.wrong(
    "CLS kept in the sum of weights",
    "With a CLS token your rows no longer sum to 1 once it is left out. What went to CLS must not count as distance 0: scale each row to sum to 1 again.",
    edits={"        " + SCALED + "\n": ""},
)
distance.wrong(
    "columns scaled",
    "You scale the columns to sum to 1. A row belongs to one query, and it is rows that sum to 1.",
    edits={SCALED: SCALED.replace("sum(-1", "sum(-2")},
)
distance.wrong(
    "the last token taken for CLS",
    "You leave out the last token. CLS is the first.",
    edits={"weights[..., 1:, 1:]": "weights[..., :-1, :-1]"},
)
distance.wrong(
    "softmax again",
    "You put the weights through a softmax again. They are weights already; after CLS is left out a division by their sum is enough.",
    edits={SCALED: "weights = weights.softmax(-1)"},
)
distance.wrong(
    "weights ignored",
    "Your distance does not depend on the attention: each pair counts the same. Multiply by the weights.",
    edits={MEAN: "(weights * 0 + distance).mean(-1).mean(-1)"},
)
distance.wrong(
    "divided by N once more",
    "You divide by the number of keys as well. The weights of a row already sum to 1: sum over the keys, then take the mean over the queries.",
    edits={MEAN: "(weights * distance).mean(-1).mean(-1)"},
)
distance.wrong(
    "sum over the queries",
    "You sum over the queries. Take their mean, or the result grows with the grid.",
    edits={MEAN: "(weights * distance).sum(-1).sum(-1)"},
)
distance.wrong(
    "one number per query",
    "You return a number per query. Take the mean over the queries as well.",
    edits={MEAN: "(weights * distance).sum(-1)"},
)
distance.wrong(
    "mean over everything",
    "You take the mean over heads and images as well. Return one number for each matrix: heads are what we want to compare.",
    edits={MEAN: "(weights * distance).sum(-1).mean()"},
)
distance.wrong(
    "the most attended key only",
    "You measure the distance to the key with the largest weight. All keys count, each with its weight.",
    edits={MEAN: "distance.expand_as(weights).gather(-1, weights.argmax(-1, keepdim=True))[..., 0].mean(-1)"},
)
distance.wrong(
    "in units of the image",
    "You divide by the length of the grid. The exercise counts distances in patches.",
    edits={NORM: "(places[:, None] - places[None, :]).norm(dim=-1) / max(rows, columns)"},
)
distance.right(
    "einsum and cdist",
    edits={
        BODY: """    if weights.shape[-1] > rows * columns:
        weights = weights[..., 1:, 1:] / weights[..., 1:, 1:].sum(dim=-1, keepdim=True)
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    points = torch.stack((y.flatten(), x.flatten()), dim=1).to(weights)
    return torch.einsum("...ij,ij->...", weights, torch.cdist(points, points)) / (rows * columns)
"""
    },
)
distance.right(
    "loops over queries and keys",
    edits={
        BODY: """    first = weights.shape[-1] - rows * columns
    total = 0.0
    for i in range(rows * columns):
        row = weights[..., i + first, first:]
        row = row / row.sum(-1, keepdim=True)
        for j in range(rows * columns):
            dy, dx = i // columns - j // columns, i % columns - j % columns
            total = total + row[..., j] * (dy * dy + dx * dx) ** 0.5
    return total / (rows * columns)
"""
    },
)
distance.right(
    "on the grid, in float64",
    edits={
        BODY: """    cls = weights.shape[-1] - rows * columns
    kept = weights.double()[..., cls:, cls:]
    kept = nn.functional.normalize(kept, p=1, dim=-1)
    kept = kept.unflatten(-1, (rows, columns)).unflatten(-3, (rows, columns))  # (..., i, j, k, l)
    down = (torch.arange(rows)[:, None] - torch.arange(rows)).abs()[:, None, :, None]
    right = (torch.arange(columns)[:, None] - torch.arange(columns)).abs()[None, :, None, :]
    far = torch.hypot(down.double(), right.double())
    return (kept * far).sum((-1, -2)).mean((-1, -2)).to(weights.dtype)
"""
    },
)
distance.right(
    "distance with zero rows for CLS",
    edits={
        BODY: """    n = torch.arange(rows * columns)
    spots = torch.complex((n % columns).double(), (n // columns).double())
    far = (spots[:, None] - spots).abs().to(weights.dtype)
    if weights.shape[-1] == len(n) + 1:
        weights = weights[..., 1:, :]
        far = torch.cat([far.new_zeros(len(n), 1), far], dim=1)
        return ((weights * far).sum(-1) / (1 - weights[..., 0])).mean(-1)
    return (weights @ far.T).diagonal(dim1=-2, dim2=-1).mean(-1)
"""
    },
)

# fine_tune -------------------------------------------------------------------------------------------------------------

tuning = Bank("fine_tune")
NEW = "new_head = nn.Linear(old_head.in_features, num_classes).to(old_head.weight)  # dtype and device"
ZERO_WEIGHT, ZERO_BIAS = "    nn.init.zeros_(new_head.weight)\n", "    nn.init.zeros_(new_head.bias)\n"
ORDER = "enumerate(reversed([*layers]), start=1)"
RATE = "learning_rate * decay**steps"
MATCH = 'any(key == name or key.startswith(name + ".") for name in names)'

tuning.wrong(
    "random head",
    "Your new head starts with random weights. Start it at zero: its first gradients then do not disturb the pretrained layers.",
    edits={ZERO_WEIGHT: "", ZERO_BIAS: ""},
)
tuning.wrong(
    "bias of the head not zero",
    "The weights of your new head start at zero, its bias does not.",
    edits={ZERO_BIAS: ""},
)
tuning.wrong(
    "head without bias",
    "Your new head has no bias. `nn.Linear` with weight and bias, both zero.",
    edits={
        "nn.Linear(old_head.in_features, num_classes)": "nn.Linear(old_head.in_features, num_classes, bias=False)",
        ZERO_BIAS: "",
    },
)
tuning.wrong(
    "head in another dtype",
    "Your new head has PyTorch's default dtype, float32, and stays on the CPU. Give it the dtype and the device of the old one.",
    edits={NEW: "new_head = nn.Linear(old_head.in_features, num_classes)"},
)
tuning.wrong(
    "old head kept",
    "You set the old head to zero and keep it. The new task has another number of classes: put a new layer in its place.",
    edits={NEW: "new_head = old_head"},
)
tuning.wrong(
    "always called head",
    "You put the new layer at `model.head`, whatever `head` says. Use the name that is given, with `setattr`.",
    edits={"setattr(model, head, new_head)": "model.head = new_head"},
)
tuning.wrong(
    "rates upside down",
    "Your rates are the wrong way round: the layer at the input learns fastest below the head. It is the one that needs to change least.",
    edits={ORDER: "enumerate(layers, start=1)"},
)
tuning.wrong(
    "one step too few",
    "Your last layer learns as fast as the head. It already gets one factor `decay`, the one before it two.",
    edits={ORDER: "enumerate(reversed([*layers]))"},
)
tuning.wrong(
    "one step too many",
    "You take one factor `decay` too many: the last layer before the head gets `learning_rate * decay`, not `decay**2`.",
    edits={ORDER: "enumerate(reversed([*layers]), start=2)"},
)
tuning.wrong(
    "the same factor for all layers",
    "All your layers learn at the same rate. Each further layer down gets one more factor `decay`.",
    edits={RATE: "learning_rate * decay"},
)
tuning.wrong(
    "decay times the number of layers",
    "You multiply by the number of steps. The factor is a power: decay, decay squared, and so on.",
    edits={RATE: "learning_rate * decay * steps"},
)
tuning.wrong(
    "divided by the number of layers",
    "Your rates fall like 1 / k. Each layer should have `decay` times the rate of the one above it.",
    edits={RATE: "learning_rate * decay / steps"},
)
tuning.wrong(
    "rates not set",
    "Your groups below the head hold no learning rate, so they all get the optimiser's.",
    edits={', "lr": learning_rate * decay**steps': ""},
)
tuning.wrong(
    "prefix without the dot",
    "You match names by how they begin, so `blocks.1` also takes the parameters of `blocks.10` and `blocks.11`. A name ends, or a dot follows.",
    edits={MATCH: "any(key.startswith(name) for name in names)"},
)
tuning.wrong(
    "modules only",
    "You only find parameters inside modules. A layer can also name a parameter itself, such as `positions`.",
    edits={MATCH: 'any(key.startswith(name + ".") for name in names)'},
)
tuning.wrong(
    "parameters of the old head",
    "The new head is in no parameter group, so it would never learn. Do you list its parameters, and not those of the old one, which is no longer in the model?",
    edits={"list(new_head.parameters())": "list(old_head.parameters())"},
)
tuning.wrong(
    "head forgotten in the groups",
    "The new head is in no parameter group, so it would never learn. Do you list its parameters, and not those of the old one, which is no longer in the model?",
    edits={'groups = [{"params": list(new_head.parameters()), "lr": learning_rate}]': "groups = []"},
)
tuning.wrong(
    "body frozen",
    "Some parameters no longer require a gradient. A layer's learning rate says how fast it learns; freezing it is something else.",
    edits={
        "    ### END SOLUTION\n": "    for group in groups[1:]:\n        for parameter in group['params']:\n            parameter.requires_grad_(False)\n    ### END SOLUTION\n"
    },
)
tuning.wrong(
    "the caller's list reversed",
    "Your code reverses the list `layers` itself, which belongs to the caller. Go through it backwards without changing it.",
    edits={ORDER: "enumerate(layers.reverse() or layers, start=1)"},
)
tuning.wrong(
    "everything starts anew",
    "Weights outside the head have changed. Fine-tuning starts from the pretrained ones: only the head is new.",
    edits={
        "    ### END SOLUTION\n": "    for name, parameter in model.named_parameters():\n        if parameter.ndim > 1:\n            nn.init.zeros_(parameter)\n    ### END SOLUTION\n"
    },
)

tuning.right(
    "from the first layer up, one group per parameter",
    edits={
        ZERO_WEIGHT: "",
        ZERO_BIAS: "    for value in new_head.parameters():\n        value.data.zero_()\n",
        'groups = [{"params": list(new_head.parameters()), "lr": learning_rate}]': 'groups = [{"params": [p], "lr": learning_rate} for p in new_head.parameters()]',
        ORDER: "((len(layers) - i, part) for i, part in enumerate(layers))",
    },
)
tuning.right(
    "a rate per name, grouped at the end",
    edits={
        """    for steps, names in enumerate(reversed([*layers]), start=1):
        parameters = [
            parameter
            for key, parameter in model.named_parameters()
            if any(key == name or key.startswith(name + ".") for name in names)
        ]
        groups.append({"params": parameters, "lr": learning_rate * decay**steps})
""": """    rates = {}
    rate = learning_rate
    for names in layers[::-1]:
        rate = rate * decay
        for name in names:
            rates[tuple(name.split("."))] = rate
    for key, parameter in model.named_parameters():
        parts = tuple(key.split("."))
        for name, rate in rates.items():
            if parts[: len(name)] == name:
                groups.append({"params": [parameter], "lr": rate})
"""
    },
)
tuning.right(
    "modules asked for their parameters",
    edits={
        """        parameters = [
            parameter
            for key, parameter in model.named_parameters()
            if any(key == name or key.startswith(name + ".") for name in names)
        ]
""": """        parameters = []
        for name in names:
            part = model
            for step in name.split("."):
                part = getattr(part, step)
            parameters += [part] if isinstance(part, nn.Parameter) else list(part.parameters())
"""
    },
)
tuning.right(
    "add_module, zeros by hand, a running rate",
    edits={
        NEW: "new_head = nn.Linear(old_head.in_features, num_classes, dtype=old_head.weight.dtype, device=old_head.weight.device)",
        ZERO_WEIGHT: "    with torch.no_grad():\n        new_head.weight *= 0\n        new_head.bias *= 0\n",
        ZERO_BIAS: "",
        "setattr(model, head, new_head)": "model.add_module(head, new_head)",
        RATE: "learning_rate * pow(decay, steps)",
    },
)
