"""The learning rate of a Transformer over its training: a linear warm-up, then a cosine.

References:
    1. Loshchilov, Hutter (2017). SGDR: Stochastic Gradient Descent with Warm Restarts. ICLR. (The cosine.)
    2. Goyal, Dollár, Girshick, Noordhuis, Wesolowski, Kyrola, Tulloch, Jia, He (2017). Accurate, Large Minibatch SGD:
       Training ImageNet in 1 Hour. arXiv:1706.02677. (The linear warm-up.)
"""

from __future__ import annotations

import math


def warmup_cosine(step: int, warmup_steps: int, total_steps: int) -> float:
    """Factor of the learning rate: up in a straight line, then down along half a cosine.

    With a warm-up 0 at step 0; 1 at step `warmup_steps`, 1/2 halfway from there to
    `total_steps`, and 0 at `total_steps` and after it.

    Args:
        step: number of steps already taken, 0 or more.
        warmup_steps: 0 (no warm-up: the factor begins at 1) or more, less than total_steps.
        total_steps: number of steps of the whole training.

    Returns:
        a number from 0 to 1.
    """
    ### BEGIN SOLUTION
    if step < warmup_steps:
        return step / warmup_steps
    progress = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))  # 0 to 1
    return 0.5 * (1 + math.cos(math.pi * progress))
    ### END SOLUTION
