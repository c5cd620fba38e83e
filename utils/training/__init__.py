"""The course's one training loop: read `loop.fit` once, then use it everywhere.

    train = tensor_batches(images, labels, batch_size=128, shuffle=True)
    history = fit(model, train, epochs=10, lr=1e-3, validation=tensor_batches(test_images, test_labels))
    history.summary()
    plotting.show(history.plot(), alt=history.alt())

`loop` holds the loop, the optimizer and the schedule; `measures` loss, accuracy, devices and seeds; `batches`
batches from tensors in memory; `history` what a run leaves; `progress`, `stopping` and `checkpoints` what they say.
"""

from utils.training.augmentation import flip_and_crop
from utils.training.batches import Steps, TensorBatches, normalize, tensor_batches
from utils.training.history import History
from utils.training.loop import fit, learning_rate_factor, make_optimizer
from utils.training.measures import (
    accuracy,
    count_parameters,
    cross_entropy,
    evaluate,
    predict,
    seed_everything,
    to_device,
)
from utils.training.precision import Precision, default_device, precision_for
from utils.training.progress import training_bar
from utils.training.stopping import stop_button
from utils.training.watch import Watch

__all__ = [
    "Steps",
    "Watch",
    "History",
    "Precision",
    "TensorBatches",
    "accuracy",
    "count_parameters",
    "cross_entropy",
    "default_device",
    "evaluate",
    "flip_and_crop",
    "fit",
    "learning_rate_factor",
    "make_optimizer",
    "normalize",
    "precision_for",
    "predict",
    "seed_everything",
    "stop_button",
    "tensor_batches",
    "to_device",
    "training_bar",
]
