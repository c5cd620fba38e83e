"""Wrong and alternative right answers: one epoch of training, and the evaluation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from utils.grading.bank import Bank

train = Bank("train_epoch")

ZERO = "        optimizer.zero_grad()\n"

train.wrong(
    "zero_grad forgotten",
    "You never clear the gradients, so every step uses the sum over all batches so far. backward() adds to .grad; it does not replace it.",
    edits={ZERO: ""},
)

BACKWARD = "        loss.backward()\n"

train.wrong(
    "zero_grad after backward",
    "The optimizer takes its steps, and the weights stay as they were: at a step there are no gradients. Is "
    "`backward()` called, and is nothing cleared between it and the step?",
    edits={ZERO: "", BACKWARD: BACKWARD + ZERO},
)

STEP = "        optimizer.step()\n"

train.wrong(
    "no step",
    "You compute gradients and never take a step: the weights stay as they were.",
    edits={STEP: ""},
)

train.wrong(
    "no training mode",
    "You never put the model into training mode. After an evaluation its dropout is still off.",
    edits={"    model.train()\n": ""},
)

COUNT = "        total += loss.item() * len(labels)\n        seen += len(labels)\n"

train.wrong(
    "mean over batches",
    "Your loss is the mean over batches. The last batch is smaller, so its examples count for more: weight each batch's loss by its number of examples.",
    edits={COUNT: "        total += loss.item()\n        seen += 1\n"},
)

train.wrong(
    "sum in place of mean",
    "You return the sum of the losses over all examples; asked for is the mean per example.",
    edits={"return total / seen": "return total"},
)

train.wrong(
    "weighted, then divided by the number of batches",
    "You weight the losses by their batches' sizes and then divide by the number of batches. Divide by the number of examples.",
    edits={"seen += len(labels)": "seen += 1"},
)

train.wrong(
    "loss of the last batch",
    "You return the loss of the last batch alone. It is noisy, and says little about the epoch: average over all batches.",
    edits={"return total / seen": "return loss.item()"},
)

SCHEDULE = "        if scheduler is not None:\n            scheduler.step()\n"

train.wrong(
    "scheduler ignored",
    "The learning rate never changes: step the scheduler too, where there is one.",
    edits={SCHEDULE: ""},
)

train.wrong(
    "scheduler once per epoch",
    "You step the scheduler once per epoch. This one is made to be stepped after every batch.",
    edits={SCHEDULE: "", "    return total / seen": SCHEDULE.replace("        ", "    ", 1).replace("            s", "        s") + "    return total / seen"},
)  # fmt: skip

train.wrong(
    "scheduler before the optimizer",
    "You step the scheduler before the optimizer, so the first learning rate is never used. First the optimizer's step, then the scheduler's.",
    edits={STEP + SCHEDULE: SCHEDULE + STEP},
)

CLIP = "        nn.utils.clip_grad_norm_(model.parameters(), max_norm)\n"

train.wrong(
    "no clipping",
    "Long gradients reach the optimizer as they are. Clip all of them together to max_norm, after backward() has made them and before the step uses them.",
    edits={CLIP: ""},
)

train.wrong(
    "clipping after the step",
    "Long gradients reach the optimizer as they are. Clip all of them together to max_norm, after backward() has made them and before the step uses them.",
    edits={CLIP: "", STEP: STEP + CLIP},
)

train.wrong(
    "clipping before backward",
    "Long gradients reach the optimizer as they are. Clip all of them together to max_norm, after backward() has made them and before the step uses them.",
    edits={CLIP: "", BACKWARD: CLIP + BACKWARD},
)

train.wrong(
    "clipping by value",
    "You clip each gradient entry by itself, which changes the gradient's direction. Asked for is the norm of all of them together: if it is too long, all are scaled alike.",
    edits={"clip_grad_norm_": "clip_grad_value_"},
)

train.wrong(
    "clipping each parameter by itself",
    "You clip each parameter's gradient by itself. max_norm is for the gradient of all parameters together, so that its direction stays.",
    edits={CLIP: "        for parameter in model.parameters():\n            nn.utils.clip_grad_norm_(parameter, max_norm)\n"},
)  # fmt: skip

train.wrong(
    "gradient of the summed loss",
    "You take the gradient of the batch's summed loss, so a large batch makes a large step. Use the mean over the batch.",
    edits={
        "F.cross_entropy(model(tokens, lengths), labels)": 'F.cross_entropy(model(tokens, lengths), labels, reduction="sum")',
        "loss.item() * len(labels)": "loss.item()",
    },
)

train.wrong(
    "softmax before cross-entropy",
    "You apply softmax before cross_entropy, which applies it as well. Hand it the logits.",
    edits={"model(tokens, lengths), labels": "model(tokens, lengths).softmax(-1), labels"},
)

train.wrong(
    "only the first batch",
    "Your epoch ends after the first batch. Does your `return` stand inside the loop? Look at its indentation.",
    edits={"    return total / seen": "        return total / seen"},
)

train.wrong(
    "gradients cleared after the step only",
    "You clear the gradients after each step only, so the first step uses what an earlier backward() has left in .grad. Clear them "
    "before backward().",
    edits={ZERO: "", STEP: STEP + ZERO},
)

train.wrong(
    "losses added as tensors",
    "You add up the losses as tensors, which keeps the graph of every batch until the epoch is over, and with it all that the model "
    "computed. `.item()` makes a number of a loss.",
    edits={"total += loss.item() * len(labels)": "total += loss * len(labels)", "return total / seen": "return float(total / seen)"},
)

train.right("cleared before the epoch, then after each step", edits={ZERO: "", STEP: STEP + ZERO, "    model.train()\n": "    model.train()\n    optimizer.zero_grad()\n"})

train.right("model.zero_grad", edits={"optimizer.zero_grad()": "model.zero_grad(set_to_none=False)"})


@train.right("losses in a list, log-probabilities by hand")
def train_epoch(model, batches, optimizer, scheduler=None, max_norm=1.0):
    model.train(True)
    losses, sizes = [], []
    for tokens, lengths, labels in batches:
        for parameter in model.parameters():
            parameter.grad = None
        log_probabilities = torch.log_softmax(model(tokens, lengths), dim=-1)
        loss = -log_probabilities[torch.arange(len(labels)), labels].mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(model.parameters()), max_norm)
        optimizer.step()
        if scheduler:
            scheduler.step()
        losses.append(loss.detach())
        sizes.append(labels.shape[0])
    return float((torch.stack(losses) * torch.tensor(sizes)).sum() / sum(sizes))


@train.right("clipping by hand")
def train_epoch(model, batches, optimizer, scheduler=None, max_norm=1.0):
    model.train()
    total = torch.zeros((), dtype=torch.float64)
    count = 0
    criterion = nn.CrossEntropyLoss(reduction="sum")
    for tokens, lengths, labels in batches:
        optimizer.zero_grad()
        summed = criterion(model(tokens, lengths), labels)
        (summed / len(labels)).backward()
        norm = sum(p.grad.square().sum() for p in model.parameters()).sqrt()
        for p in model.parameters():
            p.grad.mul_(min(1.0, max_norm / float(norm)))
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        total += summed.item()
        count += len(labels)
    return float(total / count)


@train.wrong(
    'cleared only once',
    'You clear the gradients once, before the loop, so every batch adds to the ones before. Clear them for every batch.'
)
def train_epoch(model, batches, optimizer, scheduler=None, max_norm=1.0):
    model.train()
    optimizer.zero_grad()
    total, count = (0.0, 0)
    for tokens, lengths, labels in batches:
        loss = F.cross_entropy(model(tokens, lengths), labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        total += loss.item() * len(labels)
        count += len(labels)
    return total / count


@train.wrong(
    'always brought to max_norm',
    "You bring every gradient to max_norm, short ones as well. Only longer ones should be shortened."
)
def train_epoch(model, batches, optimizer, scheduler=None, max_norm=1.0):
    model.train()
    total, count = (0.0, 0)
    for tokens, lengths, labels in batches:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(tokens, lengths), labels)
        loss.backward()
        grads = [p.grad for p in model.parameters() if p.grad is not None]
        norm = torch.sqrt(sum(g.square().sum() for g in grads)) + 1e-06
        for g in grads:
            g.mul_(max_norm / norm)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        total += loss.item() * len(labels)
        count += len(labels)
    return total / count


@train.wrong(
    'loss after the step',
    "You measure the loss after each batch's own step. Measure it before: it is the loss that the gradient is of."
)
def train_epoch(model, batches, optimizer, scheduler=None, max_norm=1.0):
    model.train()
    total, count = (0.0, 0)
    for tokens, lengths, labels in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(tokens, lengths), labels).backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        with torch.no_grad():
            total += F.cross_entropy(model(tokens, lengths), labels).item() * len(labels)
        count += len(labels)
    return total / count


@train.right('weighted by batch size')
def train_epoch(model, batches, optimizer, scheduler=None, max_norm=1.0):
    model.train()
    total, count = (0.0, 0)
    for tokens, lengths, labels in batches:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(tokens, lengths), labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        total += loss.item() * labels.shape[0]
        count += labels.shape[0]
    return total / count


@train.right('losses of examples')
def train_epoch(model, batches, optimizer, scheduler=None, max_norm=1.0):
    model.train(True)
    model.zero_grad(set_to_none=True)
    optimizer.zero_grad()
    losses = []
    for tokens, lengths, labels in batches:
        each = nn.functional.cross_entropy(model(tokens, lengths), labels, reduction='none')
        each.mean().backward()
        gradients = [p.grad for group in optimizer.param_groups for p in group['params'] if p.grad is not None]
        norm = torch.stack([g.norm() for g in gradients]).norm()
        if norm > max_norm:
            for g in gradients:
                g.mul_(max_norm / norm)
        optimizer.step()
        optimizer.zero_grad()
        if scheduler is not None:
            scheduler.step()
        losses.extend(each.tolist())
    return sum(losses) / len(losses)


measure = Bank("evaluate")

measure.wrong(
    "parameters frozen",
    "You switch the parameters' `requires_grad` off and leave it off, so the model cannot be trained any more. `with torch.no_grad():` "
    "around the loop is enough.",
    edits={"    model.eval()\n": "    model.eval()\n    for parameter in model.parameters():\n        parameter.requires_grad_(False)\n"},
)

measure.wrong(
    "gradients switched off for good",
    "You switch gradients off and leave them off, so nothing can be trained after it. Write `with torch.no_grad():` around the lines "
    "that need none.",
    edits={"    model.eval()\n": "    model.eval()\n    torch.set_grad_enabled(False)\n", "    with torch.no_grad():\n": "    if True:\n"},
)

measure.right(
    "two forward passes for each batch",
    edits={"(logits.argmax(dim=-1) == labels)": "(model(tokens, lengths).argmax(dim=-1) == labels)"},
)

measure.right(
    "the mode is put back",
    edits={"    model.eval()\n": "    before = model.training\n    model.eval()\n", "    return total": "    model.train(before)\n    return total"},
)

CORRECT = "correct += (logits.argmax(dim=-1) == labels).sum().item()"

measure.wrong(
    "accuracy averaged over batches",
    "Your accuracy is the mean of the batches' accuracies. The last batch is smaller, so its examples count for more: count the right ones, and divide once at the end.",
    edits={
        CORRECT: "correct += (logits.argmax(dim=-1) == labels).float().mean().item()",
        "return total / seen, correct / seen": "return total / seen, correct / len(batches)",
    },
)

LOSS = 'total += F.cross_entropy(logits, labels, reduction="sum").item()'

measure.wrong(
    "loss averaged over batches",
    "Your loss is the mean of the batches' losses. The last batch is smaller, so its examples count for more: weight by the number of examples.",
    edits={
        LOSS: "total += F.cross_entropy(logits, labels).item()",
        "return total / seen, correct / seen": "return total / len(batches), correct / seen",
    },
)

measure.wrong(
    "both averaged over batches",
    "Loss and accuracy are means over batches. The last batch is smaller, so its examples count for more: sum over examples, and divide once at the end.",
    edits={
        LOSS: "total += F.cross_entropy(logits, labels).item()",
        CORRECT: "correct += (logits.argmax(dim=-1) == labels).float().mean().item()",
        "return total / seen, correct / seen": "return total / len(batches), correct / len(batches)",
    },
)

measure.wrong(
    "mean losses over all examples",
    "You add up the batches' mean losses and divide by the number of examples, which divides twice.",
    edits={LOSS: "total += F.cross_entropy(logits, labels).item()"},
)

measure.wrong(
    "left in training mode",
    "You never put the model into evaluation mode, so its dropout stays on while you measure.",
    edits={"    model.eval()\n": ""},
)

measure.wrong(
    "gradient recorded",
    "You record gradients while you evaluate, which costs memory and time for nothing. Look at torch.no_grad().",
    edits={"with torch.no_grad():": "with torch.enable_grad():"},
)

measure.wrong(
    "neither evaluation mode nor no_grad",
    "You evaluate as if you trained: the model is not in evaluation mode, and gradients are recorded.",
    edits={"    model.eval()\n": "", "with torch.no_grad():": "with torch.enable_grad():"},
)

measure.wrong(
    "percent",
    "Your accuracy is in percent; asked for is the fraction.",
    edits={"correct / seen": "100 * correct / seen"},
)

measure.wrong(
    "number of right answers",
    "You return how many are right; asked for is the fraction of all.",
    edits={"correct / seen": "correct"},
)

measure.wrong(
    "loss summed",
    "Your loss is the sum over all examples; asked for is the mean per example.",
    edits={"return total / seen,": "return total,"},
)

measure.wrong(
    "order swapped",
    "You return accuracy before loss. The order is loss, accuracy.",
    edits={"return total / seen, correct / seen": "return correct / seen, total / seen"},
)

measure.wrong(
    "the wrong end of the logits",
    "You take the class with the smallest logit. The model's answer is the largest.",
    edits={"argmax": "argmin"},
)

measure.wrong(
    "only the last batch",
    "You return the figures of the last batch alone: collect over all batches.",
    edits={"total += F": "total = F", "correct +=": "correct =", "seen +=": "seen ="},
)

measure.wrong(
    "only the first batch",
    "Only the first batch is evaluated. Does your `return` stand inside the loop? Look at its indentation.",
    edits={"    return total / seen, correct / seen": "            return total / seen, correct / seen"},
)

measure.wrong(
    "softmax before cross-entropy",
    "You apply softmax before cross_entropy, which applies it as well. Hand it the logits.",
    edits={"F.cross_entropy(logits,": "F.cross_entropy(logits.softmax(dim=-1),"},
)

measure.right("inference_mode", edits={"torch.no_grad()": "torch.inference_mode()"})

@measure.right("sums as one tensor, a decorator inside")
def evaluate(model, batches):
    @torch.no_grad()
    def sums(tokens, lengths, labels):
        scores = model(tokens, lengths).log_softmax(dim=-1)
        own = scores.gather(1, labels[:, None]).sum()
        return torch.stack([-own, (scores.argmax(1) == labels).sum(), torch.tensor(len(labels))])

    model.eval()
    loss, right, seen = sum(sums(*batch) for batch in batches).tolist()
    return loss / seen, right / seen


@measure.right("all logits first")
def evaluate(model, batches):
    was = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    model.eval()
    logits, labels = [], []
    for tokens, lengths, targets in batches:
        logits.append(model(tokens, lengths))
        labels.append(targets)
    logits, labels = torch.cat(logits), torch.cat(labels)
    torch.set_grad_enabled(was)
    return F.cross_entropy(logits, labels), (logits.argmax(1) == labels).float().mean()


@measure.right("model.train(False), probabilities, float64")
def evaluate(model, batches):
    model.train(False)
    loss, right, count = 0.0, 0, 0
    for batch in batches:
        tokens, lengths, labels = batch
        with torch.no_grad():
            probabilities = model(tokens, lengths).double().softmax(dim=1)
        for row, label in zip(probabilities, labels.tolist()):
            loss -= row[label].log().item()
            right += int(row.max() == row[label])
            count += 1
    return loss / count, right / count


@measure.wrong(
    'threshold for two classes',
    "You compare a logit with a threshold. The model's answer is the class with the largest logit."
)
def evaluate(model, batches):
    model.eval()
    loss, right, count = (0.0, 0, 0)
    with torch.no_grad():
        for tokens, lengths, labels in batches:
            logits = model(tokens, lengths)
            loss += F.cross_entropy(logits, labels, reduction='sum').item()
            right += ((logits[:, 1] > 0).long() == labels).sum().item()
            count += len(labels)
    return (loss / count, right / count)


@measure.wrong(
    'first batch size for all',
    "You weight every batch with the size of the first one. The last batch is smaller: use each batch's own size."
)
def evaluate(model, batches):
    model.eval()
    size, loss, right, count = (None, 0.0, 0, 0)
    with torch.no_grad():
        for tokens, lengths, labels in batches:
            size = size or len(labels)
            logits = model(tokens, lengths)
            loss += F.cross_entropy(logits, labels).item() * size
            right += (logits.argmax(-1) == labels).sum().item()
            count += len(labels)
    return (loss / count, right / count)


@measure.wrong(
    'padded tokens counted',
    'You divide by the number of tokens. The mean is per example: divide by the number of labels.'
)
def evaluate(model, batches):
    model.eval()
    loss, right, count = (0.0, 0, 0)
    with torch.no_grad():
        for tokens, lengths, labels in batches:
            logits = model(tokens, lengths)
            loss += F.cross_entropy(logits, labels, reduction='sum').item()
            right += (logits.argmax(-1) == labels).sum().item()
            count += tokens.numel()
    return (loss / count, right / count)


measure.wrong(
    'accuracy as a mean of batches',
    "Your accuracy is the mean of the batches' accuracies. Count right answers and examples over all batches and divide once: the last batch may be smaller.",
    edits={
        'correct += (logits.argmax(dim=-1) == labels).sum().item()': 'correct += (logits.argmax(dim=-1) == labels).float().mean().item()',
        'correct / seen': 'correct / count',
        'seen += len(labels)': 'seen += len(labels)\n            count += 1',
        'total, correct, seen = 0.0, 0, 0': 'total, correct, seen, count = 0.0, 0, 0, 0',
    },
)


measure.wrong(
    '= instead of +=',
    "Only the last batch's right answers are counted: there is `=` where `+=` is meant.",
    edits={
        'correct += ': 'correct = ',
    },
)


measure.wrong(
    'walks through the batches twice',
    'You go through the batches twice. A generator is used up after the first time: take the loss and the right answers from one pass.',
    edits={
        '            correct += (logits.argmax(dim=-1) == labels).sum().item()\n': '',
        '            seen += len(labels)\n': '            seen += len(labels)\n        for tokens, lengths, labels in batches:\n            correct += (model(tokens, lengths).argmax(dim=-1) == labels).sum().item()\n',
    },
)


train.wrong(
    'weighted by tokens',
    "You weight each batch's loss by its number of tokens. Asked is the mean over the examples: weight it by the number of examples.",
    edits={
        'loss.item() * len(labels)': 'loss.item() * tokens.numel()',
        'seen += len(labels)': 'seen += tokens.numel()',
    },
)


train.wrong(
    "only the model's own flag",
    "You set the `training` flag of the model alone, and its parts keep theirs: a dropout inside stays off. `model.train()` reaches all of them.",
    edits={"model.train()": "model.training = True"},
)

measure.wrong(
    "only the model's own flag",
    "You set the `training` flag of the model alone, and its parts keep theirs: a dropout inside stays on. `model.eval()` reaches all of them.",
    edits={"model.eval()": "model.training = False"},
)
