"""Wrong and alternative right answers: what attention costs, in memory and in multiplications."""

from __future__ import annotations

import torch

from utils.grading.bank import Bank

memory = Bank("attention_memory_bytes")

FORMULA = "num_tokens**2 * num_layers * num_heads * bytes_per_element"

memory.wrong(
    "N in place of N squared",
    "You count one number per token. Attention weights are a matrix: one number for every pair of tokens.",
    edits={FORMULA: FORMULA.replace("num_tokens**2", "num_tokens")},
)

memory.wrong(
    "layers forgotten",
    "You count a single layer. Training keeps the weights of all layers until the backward pass has used them.",
    edits={FORMULA: "num_tokens**2 * num_heads * bytes_per_element"},
)

memory.wrong(
    "heads forgotten",
    "You count one matrix per layer. Every head has its own.",
    edits={FORMULA: "num_tokens**2 * num_layers * bytes_per_element"},
)

memory.wrong(
    "elements, not bytes",
    "You count numbers, not bytes: each takes `bytes_per_element` of them.",
    edits={FORMULA: "num_tokens**2 * num_layers * num_heads"},
)

memory.wrong(
    "bits",
    "You return bits. `bytes_per_element` is already in bytes: no factor 8.",
    edits={FORMULA: FORMULA + " * 8"},
)

memory.wrong(
    "gibibytes",
    "You return GiB. The function returns bytes; divide by 2**30 where you print.",
    edits={FORMULA: FORMULA + " / 2**30"},
)

memory.wrong(
    "gigabytes",
    "You return GB. The function returns bytes; and beware: a GiB is 2**30 bytes, a GB is 10**9, and they are 7% apart.",
    edits={FORMULA: FORMULA + " / 1e9"},
)

memory.wrong(
    "num_tokens taken for the side",
    "You square twice. `num_tokens` is N, the number of tokens, not the side of the image: the matrix has N times N entries.",
    edits={FORMULA: FORMULA.replace("num_tokens**2", "(num_tokens**2) ** 2")},
)

memory.wrong(
    "each pair once",
    "You count each pair of tokens once. The matrix is not symmetric: what i gives to j is not what j gives to i, and i attends to itself.",
    edits={FORMULA: FORMULA.replace("num_tokens**2", "num_tokens * (num_tokens - 1) // 2")},
)

memory.wrong(
    "scores and weights",
    "Your result is twice what it should be. Per head one matrix is kept, the weights; do you count the scores as "
    "well? The backward pass of the softmax does not need them.",
    edits={FORMULA: "2 * " + FORMULA},
)

memory.right(
    "another order", edits={FORMULA: "bytes_per_element * num_heads * num_layers * num_tokens * num_tokens"}
)

memory.right(
    "a loop over layers and heads",
    edits={
        "return " + FORMULA: "total = 0\n    for _ in range(num_layers):\n        for _ in range(num_heads):\n            total += num_tokens * num_tokens * bytes_per_element\n    return total"
    },
)  # fmt: skip

memory.right("math.prod and pow", edits={FORMULA: "math.prod([pow(num_tokens, 2), num_layers, num_heads, bytes_per_element])"})  # fmt: skip

memory.right(
    "asked of a tensor on the meta device",
    edits={
        "return " + FORMULA: 'kept = torch.empty(num_layers, num_heads, num_tokens, num_tokens, dtype=torch.int8, device="meta")\n    return kept.numel() * bytes_per_element'
    },
)  # fmt: skip


@memory.wrong(
    'class token',
    'You add a class token to the tokens. num_tokens counts all of them.'
)
def attention_memory_bytes(num_tokens, num_layers, num_heads, bytes_per_element=4):
    return (num_tokens + 1) ** 2 * num_layers * num_heads * bytes_per_element


@memory.wrong(
    'half the matrix',
    'You count each pair of tokens once. The weights are not symmetric: all N^2 are stored.'
)
def attention_memory_bytes(num_tokens, num_layers, num_heads, bytes_per_element=4):
    return num_tokens * (num_tokens + 1) // 2 * num_layers * num_heads * bytes_per_element


@memory.wrong(
    'default of two bytes',
    "Your default for `bytes_per_element` is 2. In the exercise it is 4, as for float32."
)
def attention_memory_bytes(num_tokens, num_layers, num_heads, bytes_per_element=2):
    return num_tokens ** 2 * num_layers * num_heads * bytes_per_element


@memory.wrong(
    '32-bit integers',
    "Your product overflows a 32-bit integer. Python's own integers do not."
)
def attention_memory_bytes(num_tokens, num_layers, num_heads, bytes_per_element=4):
    n = torch.tensor(num_tokens, dtype=torch.int32)
    return int(n * n * num_layers * num_heads * bytes_per_element)


@memory.right("one matrix, one layer, all layers")
def attention_memory_bytes(num_tokens, num_layers, num_heads, bytes_per_element=4):
    matrix = num_tokens * num_tokens * bytes_per_element
    layer = num_heads * matrix
    return layer * num_layers


@memory.right('math.prod')
def attention_memory_bytes(num_tokens, num_layers, num_heads, bytes_per_element=4):
    shape = (num_layers, num_heads, num_tokens, num_tokens)
    return math.prod(shape) * bytes_per_element


flops = Bank("msa_flops")

flops.wrong(
    "output projection forgotten",
    "You count three projections, q, k and v. The projection of the output is a fourth of the same size.",
    edits={"4 * tokens": "3 * tokens"},
)

flops.wrong(
    "weighted sum forgotten",
    "Your second part is half of what it should be. The scores q k^T and the weighted sum of the values cost the "
    "same: count both.",
    edits={"2 * tokens**2": "tokens**2"},
)

flops.wrong(
    "two operations per multiply-add",
    "Your count is twice the paper's: a multiplication with the addition that follows it is one.",
    edits={"projections + scores_and_sum": "2 * (projections + scores_and_sum)"},
)

flops.wrong(
    "channels squared in the scores",
    "Your scores cost C^2 per pair. One score is a sum over C products (over all heads together), so it costs C.",
    edits={"2 * tokens**2 * channels": "2 * tokens**2 * channels**2"},
)

flops.wrong(
    "projections linear in the channels",
    "Your projections cost C per token. A linear layer from C to C channels costs C^2 per token.",
    edits={"channels**2": "channels"},
)

flops.wrong(
    "rows only",
    "You count each token's partners as one row or column of the map. In global attention every token meets all h * w tokens.",
    edits={"2 * tokens**2": "2 * tokens * w"},
)


@flops.right("operation by operation")
def msa_flops(h, w, channels):
    total = 0
    for _ in ("query", "key", "value", "output"):
        total += h * w * channels * channels
    for _ in ("scores", "weighted sum"):
        total += (h * w) * (h * w) * channels
    return total


@flops.right("factored")
def msa_flops(h, w, channels):
    return 2 * h * w * channels * (2 * channels + h * w)


@flops.right("a 0-dimensional tensor")
def msa_flops(h, w, channels):
    tokens = torch.tensor(h) * w
    return 4 * tokens * channels**2 + 2 * tokens**2 * channels


@flops.wrong(
    'linear part twice',
    'Your second part is linear in the number of tokens. Every token meets every other: it is quadratic.'
)
def msa_flops(h, w, channels):
    return 4 * h * w * channels ** 2 + 2 * h * w * channels


@flops.wrong(
    'softmax counted',
    "You count more than the matrix products. Softmax, scaling and biases are left out, as in the paper."
)
def msa_flops(h, w, channels):
    n = h * w
    return 4 * n * channels ** 2 + 2 * n ** 2 * channels + n ** 2 + 4 * n * channels


@flops.right('formula')
def msa_flops(h, w, channels):
    return 4 * h * w * channels ** 2 + 2 * (h * w) ** 2 * channels


@flops.right('step by step')
def msa_flops(h, w, channels):
    tokens = h * w
    steps = {'q, k, v': 3 * tokens * channels * channels, 'scores': tokens * tokens * channels, 'weighted sum': tokens * tokens * channels, 'output': tokens * channels * channels}
    return sum(steps.values())


window_flops = Bank("window_msa_flops")

window_flops.wrong(
    "M instead of M squared",
    "You count M partners per token. A window of side M holds M^2 tokens.",
    edits={"window_size**2": "window_size"},
)

window_flops.wrong(
    "still global",
    "Your scores are still those of global attention. A token meets only the M^2 tokens of its own window.",
    edits={"window_size**2 * tokens": "tokens**2"},
)

window_flops.wrong(
    "one window only",
    "You count the pairs of one window, M^4. There are h w / M^2 windows.",
    edits={"window_size**2 * tokens": "window_size**4"},
)

window_flops.wrong(
    "windows counted twice",
    "You count M^4 pairs for every token. M^4 is the number of pairs per window, and each token belongs to one.",
    edits={"window_size**2 * tokens": "window_size**4 * tokens"},
)

window_flops.wrong(
    "output projection forgotten",
    "You count three projections, q, k and v. The projection of the output is a fourth of the same size.",
    edits={"4 * tokens": "3 * tokens"},
)

window_flops.wrong(
    "weighted sum forgotten",
    "Your second part is half of what it should be. The scores q k^T and the weighted sum of the values cost the "
    "same: count both.",
    edits={"2 * window_size**2": "window_size**2"},
)

window_flops.wrong(
    "two operations per multiply-add",
    "Your count is twice the paper's: a multiplication with the addition that follows it is one.",
    edits={"projections + scores_and_sum": "2 * (projections + scores_and_sum)"},
)


@window_flops.right("windows as small maps")
def window_msa_flops(h, w, channels, window_size):
    inside = window_size**2
    return h * w * msa_flops(window_size, window_size, channels) // inside  # without a rest


@window_flops.right("token by token")
def window_msa_flops(h, w, channels, window_size):
    inside = window_size**2
    total = 0
    for _ in range(h * w):
        total += 4 * channels**2 + 2 * inside * channels
    return total


@window_flops.right("factored")
def window_msa_flops(h, w, channels, window_size):
    return 2 * h * w * channels * (2 * channels + window_size**2)


@window_flops.wrong(
    'still quadratic',
    'Your second part is still quadratic in the number of tokens. A token meets the M^2 tokens of its window.'
)
def window_msa_flops(h, w, channels, window_size):
    return 4 * h * w * channels ** 2 + 2 * window_size ** 2 * (h * w) ** 2 * channels


@window_flops.wrong(
    'global projections per window',
    'You count the projections of the whole map once per window. They happen once: 4 h w C^2.'
)
def window_msa_flops(h, w, channels, window_size):
    n = window_size ** 2
    windows = h * w // n
    return windows * (4 * h * w * channels ** 2 + 2 * n ** 2 * channels)


@window_flops.wrong(
    'windows rounded down',
    'You count whole windows only. The formula is linear in h w, whatever the window.'
)
def window_msa_flops(h, w, channels, window_size):
    m = window_size
    windows = h // m * (w // m)
    return windows * (4 * m ** 2 * channels ** 2 + 2 * m ** 4 * channels)


@window_flops.wrong(
    'padded windows',
    'You round the number of windows up. The formula is linear in h w, whatever the window.'
)
def window_msa_flops(h, w, channels, window_size):
    m = window_size
    h, w = (-(-h // m) * m, -(-w // m) * m)
    return 4 * h * w * channels ** 2 + 2 * m ** 2 * h * w * channels


@window_flops.right('formula')
def window_msa_flops(h, w, channels, window_size):
    return 4 * h * w * channels ** 2 + 2 * window_size ** 2 * h * w * channels


@window_flops.right('factored, as well')
def window_msa_flops(h, w, channels, window_size):
    per_token = 4 * channels * channels + 2 * window_size * window_size * channels
    return h * w * per_token


@window_flops.right('from the other formula')
def window_msa_flops(h, w, channels, window_size):
    projections = msa_flops(h, w, channels) - 2 * (h * w) ** 2 * channels
    return projections + 2 * h * w * channels * window_size ** 2


window_flops.wrong(
    'windows counted as tokens',
    'Your second part counts windows. In the formula each of the h w tokens meets the M^2 tokens of its window.',
    edits={
        '2 * window_size**2 * tokens * channels': '2 * window_size**2 * (tokens // window_size**2) * channels',
    },
)
