"""Wrong and alternative right answers: images with their pixels in another order."""

from __future__ import annotations

from utils.grading.bank import Bank

permuted = Bank("permute_pixels")

permuted.wrong(
    "the input itself where nothing moves",
    "You return the input itself where no pixel moves. Return a new tensor: whoever changes one would change the other.",
    edits={
        "    flat = images.flatten(2)": "    if torch.equal(permutation, torch.arange(len(permutation))):\n        return images\n    flat = images.flatten(2)"
    },
)

PICK = "return flat[:, :, permutation].view_as(images)"

permuted.wrong(
    "the inverse permutation",
    "You apply the permutation the wrong way round: pixel n goes to place permutation[n]. Place n should get pixel permutation[n].",
    edits={
        PICK: "result = torch.empty_like(flat)\n    result[:, :, permutation] = flat\n    return result.view_as(images)"
    },
)

FLAT = "flat = images.flatten(2)  # (B, C, H, W) -> (B, C, H * W)"

permuted.wrong(
    "column by column",
    "You count the pixels column by column. Reading order is left to right, then down.",
    edits={
        FLAT: "flat = images.transpose(2, 3).flatten(2)",
        PICK: "return flat[:, :, permutation].unflatten(2, (images.shape[3], images.shape[2])).transpose(2, 3)",
    },
)

permuted.wrong(
    "folded column by column",
    "You fold the pixels back column by column; the row is the slower axis.",
    edits={
        PICK: "return flat[:, :, permutation].unflatten(2, (images.shape[3], images.shape[2])).transpose(2, 3)"
    },
)

permuted.wrong(
    "another order for each channel",
    "Your channels are put into different orders, so the numbers of one pixel end up in different places. One "
    "permutation serves all channels.",
    edits={
        PICK: "channels = [flat[:, c, permutation.roll(c)] for c in range(images.shape[1])]\n    return torch.stack(channels, 1).view_as(images)"
    },
)

permuted.wrong(
    "another order for each image",
    "Your images are put into different orders. With an order of its own for every image nothing could be learned: one serves all.",
    edits={
        PICK: "rows = [image[:, permutation.roll(b)] for b, image in enumerate(flat)]\n    return torch.stack(rows).view_as(images)"
    },
)

permuted.wrong(
    "images unchanged",
    "Your pixels are where they were: is the permutation used?",
    edits={PICK: "return flat.view_as(images).clone()"},
)

permuted.wrong(
    "applied twice",
    "You apply the permutation twice.",
    edits={PICK: "return flat[:, :, permutation][:, :, permutation].view_as(images)"},
)

permuted.wrong(
    "not folded back",
    "Your pixels are still in one row, (B, C, H * W). Fold them back into (B, C, H, W).",
    edits={PICK: "return flat[:, :, permutation]"},
)

permuted.wrong(
    "drawn anew",
    "You draw a permutation of your own. Use the one that is given: training and test images must be put into the same order.",
    edits={
        PICK: "order = torch.randperm(flat.shape[2], generator=torch.Generator().manual_seed(0))\n    return flat[:, :, order].view_as(images)"
    },
)

permuted.wrong(
    "cut from the graph",
    "Your pixels are cut from the graph (detach, .data or NumPy), so no gradient reaches the images.",
    edits={PICK: "return flat.detach()[:, :, permutation].view_as(images)"},
)

permuted.right(
    "gather", edits={PICK: "return flat.gather(2, permutation.expand_as(flat)).reshape(images.shape)"}
)

permuted.right(
    "scatter with the inverse",
    edits={
        PICK: "result = torch.empty_like(flat)\n    result[:, :, permutation.argsort()] = flat\n    return result.view_as(images)"
    },
)

permuted.right(
    "rows and columns as indices",
    edits={
        PICK: "rows, columns = permutation // images.shape[3], permutation % images.shape[3]\n    return images[:, :, rows, columns].reshape(images.shape)"
    },
)

permuted.right(
    "a loop over places",
    edits={
        PICK: "moved = [flat[..., int(n)] for n in permutation]\n    return torch.stack(moved, dim=-1).unflatten(-1, images.shape[-2:])"
    },
)

permuted.right(
    "a permutation matrix",
    edits={
        PICK: "matrix = torch.eye(len(permutation), dtype=images.dtype)[permutation]\n    return torch.einsum('nm,bcm->bcn', matrix, flat).view_as(images)"
    },
)


@permuted.wrong(
    'view',
    "`view` works only on images that lie contiguously in memory, and the images that you are given need not. Use "
    "flatten or reshape."
)
def permute_pixels(images, permutation):
    pixels = images.shape[-2] * images.shape[-1]
    if not torch.equal(permutation.sort().values, torch.arange(pixels, device=permutation.device)):
        raise ValueError(f'an image of {images.shape[-2]} x {images.shape[-1]} pixels needs each of 0 .. {pixels - 1} once, got {permutation.numel()} numbers that are not these')
    b, c, h, w = images.shape
    return images.view(b, c, h * w)[:, :, permutation].view(b, c, h, w)


@permuted.wrong(
    'every image its own',
    'You permute again from image to image. One order holds for all images.'
)
def permute_pixels(images, permutation):
    pixels = images.shape[-2] * images.shape[-1]
    if not torch.equal(permutation.sort().values, torch.arange(pixels, device=permutation.device)):
        raise ValueError(f'an image of {images.shape[-2]} x {images.shape[-1]} pixels needs each of 0 .. {pixels - 1} once, got {permutation.numel()} numbers that are not these')
    flat, results = (images.flatten(2), [])
    order = torch.arange(pixels)
    for image in flat:
        order = order[permutation]
        results.append(image[:, order])
    return torch.stack(results).view(images.shape)


@permuted.right('index')
def permute_pixels(images, permutation):
    pixels = images.shape[-2] * images.shape[-1]
    if not torch.equal(permutation.sort().values, torch.arange(pixels, device=permutation.device)):
        raise ValueError(f'an image of {images.shape[-2]} x {images.shape[-1]} pixels needs each of 0 .. {pixels - 1} once, got {permutation.numel()} numbers that are not these')
    return images.flatten(2)[:, :, permutation].reshape(images.shape)


