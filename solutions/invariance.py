"""How far an assumption lets a model come, whatever its size, data and training: the ceiling of an invariant function.

1. Taco Cohen, Max Welling. "Group Equivariant Convolutional Networks". ICML 2016. https://arxiv.org/abs/1602.07576 (orbits)
2. Stéphane d'Ascoli, Hugo Touvron, Matthew Leavitt, Ari Morcos, Giulio Biroli, Levent Sagun. "ConViT: Improving Vision Transformers with
   Soft Convolutional Inductive Biases". ICML 2021. https://arxiv.org/abs/2103.10697 (a floor raised, a ceiling lowered)
"""

from __future__ import annotations

from torch import Tensor


def invariant_ceiling(orbits: Tensor, labels: Tensor) -> float:
    """Best accuracy that any function can reach which gives all images of an orbit the same
    answer.

    An orbit is the set of images that a group of changes (here: all cyclic shifts) makes of one
    image. A function that is invariant to these changes has one answer per orbit. Where the
    labels inside an orbit differ, it must be wrong on some of them.

    Args:
        orbits: (n,) int64, for each image the number of its orbit; the numbers need not be
            consecutive.
        labels: (n,) int64 >= 0, for each image its class.

    Returns:
        the accuracy, between 0 and 1.

    Raises:
        ValueError: if there is no image, or not one label per image.
    """
    if len(orbits) == 0 or orbits.shape != labels.shape:
        raise ValueError(
            f"needs a label per image and at least one, got {len(orbits)} orbits and "
            f"{len(labels)} labels"
        )
    ### BEGIN SOLUTION
    right = 0
    for orbit in orbits.unique():
        inside = labels[orbits == orbit]
        right += inside.bincount().max().item()  # the best single answer: the most frequent label
    return right / len(labels)
    ### END SOLUTION
