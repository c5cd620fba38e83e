"""What the page "Look around" draws, computed when the site is built: attention of the course's checkpoint, and Swin's mask.

The page needs no kernel: all weights of a few images are in one script of half a megabyte, a byte each.
"""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from utils.checks.registry import find
from utils.data import load_images
from utils.experiments import load_model, training_log
from utils.grading import answers
from utils.words import later, say

PICTURES = 4
SIDE, WINDOW = 8, 4  # of the map on which the mask is shown
PAGE = later("""# Look around

Two pictures of the notebooks with all their controls, without a kernel.

## Where does a patch look?

The course's ViT has cut each image into 8 x 8 patches. Choose an image, a block, a head and a patch (or click on one): the stronger
the blue of a square on the right, the more the patch takes from there. Notebook 05 trains such a model and reads its maps.

<div id="look-attention"></div>

## Whom may a pixel see in a shifted window?

A map of 8 x 8 pixels in windows of 4 x 4, moved by a shift. Choose a pixel: the filled ones are those that it may attend to. Notebook 07 builds
the mask.

<div id="look-mask"></div>

<noscript>This page needs JavaScript; the same pictures stand still in notebooks 05 and 07.</noscript>

<script defer src="look-data.js"></script>
<script defer src="_static/look.js"></script>
""")

#: What `look.js` says; it puts in what stands in braces.
TEXTS = {
    "image": later("image"),
    "block": later("block"),
    "head": later("head"),
    "patch row": later("patch in row"),
    "pixel row": later("pixel in row"),
    "column": later("and column"),
    "shift": later("shift"),
    "framed": later("The image, {name}, with the patch framed."),
    "attends": later(
        "Block {block}, head {head}: the patch in row {row}, column {column} looks most at row {down}, column {right}, "
        "with {percent} % of its weight."
    ),
    "sees": later(
        "With a shift of {shift} the pixel in row {row}, column {column} may see {count} of {all} pixels, itself included."
    ),
}


def attention() -> tuple[Tensor, Tensor, list[str]]:
    """Weights of the checkpoint for the first image of each of some classes.

    Returns:
        weights (depth, images, heads, 1 + patches, 1 + patches), query before key, the class token first; images (n, 3, H, W) uint8; names.
    """
    data = load_images("cifar10", limit={"train": 200, "test": 200})
    picks = [int((data.test.labels == label).nonzero()[0]) for label in range(PICTURES)]
    images = data.test.images[picks]
    head, _ = training_log()
    mean, std = (torch.tensor(head[name]).view(3, 1, 1) for name in ("mean", "std"))
    model = load_model(answers.reference(find("ViT")))
    with torch.no_grad():
        weights = model.attention_maps((images.float() - mean) / std)
    return weights, images, [data.label_names[int(data.test.labels[pick])] for pick in picks]


def seen(shift: int) -> Tensor:
    """Which pixels of an 8 x 8 map see each other in windows moved by `shift`, (64, 64) bool, in the places of the image."""
    place = torch.arange(SIDE**2).view(SIDE, SIDE).roll((-shift, -shift), (0, 1))
    count = SIDE // WINDOW
    members = place.view(count, WINDOW, count, WINDOW).transpose(1, 2).reshape(count**2, -1)  # (windows, 16)
    allowed = torch.ones(count**2, WINDOW**2, WINDOW**2, dtype=torch.bool)
    if shift:
        allowed = answers.reference(find("shifted_window_mask"))(SIDE, SIDE, WINDOW, shift)
    found = torch.zeros(SIDE**2, SIDE**2, dtype=torch.bool)
    for inside, mask in zip(members, allowed, strict=True):
        found[inside[:, None], inside[None, :]] = mask
    return found


def write(folder: Path) -> None:
    """Writes the page's data, with its sentences in the language in use, `look-data.js`.

    A weight w is stored as 255 sqrt(w), rounded: small ones keep two digits.
    """
    weights, images, names = attention()
    pictures = []
    for image in images:
        out = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(out, format="png")
        pictures.append("data:image/png;base64," + base64.b64encode(out.getvalue()).decode("ascii"))
    codes = (255 * weights.sqrt()).round().to(torch.uint8)
    data = {
        "texts": {name: say(text) for name, text in TEXTS.items()},
        "names": names,
        "pictures": pictures,
        "shape": list(codes.shape),
        "weights": base64.b64encode(codes.numpy().tobytes()).decode("ascii"),
        "seen": [["".join(str(int(v)) for v in row) for row in seen(shift)] for shift in range(WINDOW)],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "look-data.js").write_text(f"const LOOK = {json.dumps(data)};\n", encoding="utf-8")
