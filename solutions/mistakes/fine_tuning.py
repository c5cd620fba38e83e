"""Wrong and alternative right answers: a trained model on a new task."""

from __future__ import annotations

from utils.grading.bank import Bank

tuning = Bank("fine_tune")

tuning.wrong(
    "forgotten parameters swept up",
    "Parameters that no layer names are in one of your groups. They should be refused with ValueError: a name was "
    "forgotten, or misspelt.",
    edits={
        "    ### END SOLUTION\n": "    listed = {id(p) for group in groups for p in group['params']}\n"
        "    rest = [p for p in model.parameters() if id(p) not in listed]\n"
        "    groups += [{'params': rest, 'lr': learning_rate}] if rest else []\n    ### END SOLUTION\n"
    },
)

tuning.wrong(
    "the first layer takes it",
    "A parameter that two layers name stays in one of them, and nothing is said. It should be refused with ValueError.",
    edits={
        'if any(key == name or key.startswith(name + ".") for name in names)': 'if any(key == name or key.startswith(name + ".") for name in names)\n'
        "            and all(parameter is not other for group in groups for other in group['params'])"
    },
)

tuning.wrong(
    "a head that fits is kept",
    "You keep the old head where it has as many classes as the new task. It knows other classes: a fresh head of zeros takes its place, always.",
    edits={"    nn.init.zeros_(new_head.weight)\n": "    if old_head.out_features == num_classes:\n        new_head = old_head\n    else:\n        nn.init.zeros_(new_head.weight)\n",
           "    nn.init.zeros_(new_head.bias)\n": "    if new_head is not old_head:\n        nn.init.zeros_(new_head.bias)\n"},
)

ZERO_WEIGHT, ZERO_BIAS = "    nn.init.zeros_(new_head.weight)\n", "    nn.init.zeros_(new_head.bias)\n"

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

NEW = "new_head = nn.Linear(old_head.in_features, num_classes).to(old_head.weight)  # dtype and device"

tuning.wrong(
    "head in another dtype",
    "Your new head has PyTorch's default dtype, float32. Give it the dtype and the device of the old one.",
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

ORDER = "enumerate(reversed([*layers]), start=1)"

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

RATE = "learning_rate * decay**steps"

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

MATCH = 'any(key == name or key.startswith(name + ".") for name in names)'

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
""": """    rates = []
    rate = learning_rate
    for names in layers[::-1]:
        rate = rate * decay
        for name in names:
            rates.append((tuple(name.split(".")), rate))
    for key, parameter in model.named_parameters():
        parts = tuple(key.split("."))
        for name, rate in rates:
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


@tuning.wrong(
    'random head, as well',
    "Your new head's weights start at random values. Like its bias, they should start at zero."
)
def fine_tune(model, layers, num_classes, learning_rate, decay, head='head'):
    old = getattr(model, head)
    new = nn.Linear(old.in_features, num_classes).to(old.weight)
    nn.init.zeros_(new.bias)
    setattr(model, head, new)
    groups = []
    for i, names in enumerate(layers):
        params = [parameter for key, parameter in model.named_parameters() if any(key == name or key.startswith(name + '.') for name in names)]
        groups.append({'params': params, 'lr': learning_rate * decay ** (len(layers) - i)})
    groups.append({'params': list(new.parameters()), 'lr': learning_rate})
    listed = [id(parameter) for group in groups for parameter in group['params']]
    for name, parameter in model.named_parameters():
        if listed.count(id(parameter)) != 1:
            raise ValueError(f'{name} is in {listed.count(id(parameter))} parameter groups, must be in exactly one')
    return groups


@tuning.wrong(
    'works on a copy',
    'You change a copy of the model. The given one is changed in place, and the groups hold its parameters.'
)
def fine_tune(model, layers, num_classes, learning_rate, decay, head='head'):
    import copy
    model = copy.deepcopy(model)
    old = getattr(model, head)
    new = nn.Linear(old.in_features, num_classes, dtype=old.weight.dtype, device=old.weight.device)
    nn.init.zeros_(new.weight)
    nn.init.zeros_(new.bias)
    setattr(model, head, new)
    groups = []
    for i, names in enumerate(layers):
        params = [parameter for key, parameter in model.named_parameters() if any(key == name or key.startswith(name + '.') for name in names)]
        groups.append({'params': params, 'lr': learning_rate * decay ** (len(layers) - i)})
    groups.append({'params': list(new.parameters()), 'lr': learning_rate})
    listed = [id(parameter) for group in groups for parameter in group['params']]
    for name, parameter in model.named_parameters():
        if listed.count(id(parameter)) != 1:
            raise ValueError(f'{name} is in {listed.count(id(parameter))} parameter groups, must be in exactly one')
    return groups


@tuning.wrong(
    'generators',
    'Your groups hold generators, which are empty once they have been read. `params` should be a list.'
)
def fine_tune(model, layers, num_classes, learning_rate, decay, head='head'):
    old = model.get_submodule(head)
    new = nn.Linear(old.in_features, num_classes, dtype=old.weight.dtype, device=old.weight.device)
    nn.init.zeros_(new.weight)
    nn.init.zeros_(new.bias)
    parent, _, last = head.rpartition('.')
    setattr(model.get_submodule(parent), last, new)

    def belonging(names):
        for n, p in model.named_parameters():
            if any(n == name or n.startswith(name + '.') for name in names):
                yield p
    groups = [{'params': new.parameters(), 'lr': learning_rate}]
    for depth, names in enumerate(reversed(layers), start=1):
        groups.append({'params': belonging(names), 'lr': learning_rate * decay ** depth})
    listed = [id(parameter) for group in groups for parameter in group['params']]
    for name, parameter in model.named_parameters():
        if listed.count(id(parameter)) != 1:
            raise ValueError(f'{name} is in {listed.count(id(parameter))} parameter groups, must be in exactly one')
    return groups


@tuning.wrong(
    'a level per name',
    'You count names, so two names of one layer get two rates. The exponent counts the entries of `layers`.'
)
def fine_tune(model, layers, num_classes, learning_rate, decay, head='head'):
    old = model.get_submodule(head)
    new = nn.Linear(old.in_features, num_classes, dtype=old.weight.dtype, device=old.weight.device)
    nn.init.zeros_(new.weight)
    nn.init.zeros_(new.bias)
    parent, _, last = head.rpartition('.')
    setattr(model.get_submodule(parent), last, new)
    flat = [name for names in layers for name in names]
    groups = [{'params': list(new.parameters()), 'lr': learning_rate}]
    for depth, name in enumerate(reversed(flat), start=1):
        params = [p for n, p in model.named_parameters() if n == name or n.startswith(name + '.')]
        groups.append({'params': params, 'lr': learning_rate * decay ** depth})
    listed = [id(parameter) for group in groups for parameter in group['params']]
    for name, parameter in model.named_parameters():
        if listed.count(id(parameter)) != 1:
            raise ValueError(f'{name} is in {listed.count(id(parameter))} parameter groups, must be in exactly one')
    return groups


@tuning.right('comprehension')
def fine_tune(model, layers, num_classes, learning_rate, decay, head='head'):
    old = model.get_submodule(head)
    new = nn.Linear(old.in_features, num_classes, dtype=old.weight.dtype, device=old.weight.device)
    nn.init.zeros_(new.weight)
    nn.init.zeros_(new.bias)
    parent, _, last = head.rpartition('.')
    setattr(model.get_submodule(parent), last, new)
    groups = []
    for i, names in enumerate(layers):
        params = [parameter for key, parameter in model.named_parameters() if any(key == name or key.startswith(name + '.') for name in names)]
        groups.append({'params': params, 'lr': learning_rate * decay ** (len(layers) - i)})
    groups.append({'params': list(new.parameters()), 'lr': learning_rate})
    listed = [id(parameter) for group in groups for parameter in group['params']]
    for name, parameter in model.named_parameters():
        if listed.count(id(parameter)) != 1:
            raise ValueError(f'{name} is in {listed.count(id(parameter))} parameter groups, must be in exactly one')
    return groups


@tuning.right('helper and itertools')
def fine_tune(model, layers, num_classes, learning_rate, decay, head='head'):

    def fresh(like):
        layer = nn.Linear(like.in_features, num_classes).to(like.weight.device, like.weight.dtype)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.zero_()
        return layer
    *path, last = head.split('.')
    owner = model.get_submodule('.'.join(path))
    setattr(owner, last, fresh(getattr(owner, last)))

    def belongs(key, names):
        return any(f'{key}.'.startswith(f'{name}.') for name in names)
    groups, rate = ([], learning_rate)
    for names in [(head,), *reversed(list(layers))]:
        found = [p for key, p in model.named_parameters() if belongs(key, names)]
        groups.append({'params': found, 'lr': rate})
        rate = rate * decay
    listed = [id(parameter) for group in groups for parameter in group['params']]
    for name, parameter in model.named_parameters():
        if listed.count(id(parameter)) != 1:
            raise ValueError(f'{name} is in {listed.count(id(parameter))} parameter groups, must be in exactly one')
    return groups


tuning.wrong(
    "the head's group a generator",
    "Your groups hold generators, which are empty once they have been read. `params` should be a list.",
    edits={"list(new_head.parameters())": "new_head.parameters()"},
)
