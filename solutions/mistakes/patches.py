"""Wrong and alternative right answers: images into patches, and back."""

from __future__ import annotations

from utils.grading.bank import Bank

cut = Bank("patchify")

CUT = '"b c (i p) (j q) -> b (i j) (c p q)"'

cut.wrong(
    "pixels as (p p C)",
    "Inside a patch your order is row, column, channel; it should be channel first, then row, then column: (C p p), as a "
    "convolution stores its weight. The wrong order trains just as well, but no published embedding fits it.",
    edits={CUT: '"b c (i p) (j q) -> b (i j) (p q c)"'},
)

cut.wrong(
    "pixels as (p C p)",
    "Inside a patch the channel should vary slowest, before the row; yours comes between row and column.",
    edits={CUT: '"b c (i p) (j q) -> b (i j) (p c q)"'},
)

cut.wrong(
    "patches in columns",
    "Your patches come column by column. Reading order is row by row: first all patches of the top row, from left to right.",
    edits={CUT: '"b c (i p) (j q) -> b (j i) (c p q)"'},
)

cut.wrong(
    "each patch transposed",
    "Your patches are in the right order, but each is mirrored at its diagonal: inside a patch the row comes before the column.",
    edits={CUT: '"b c (i p) (j q) -> b (i j) (c q p)"'},
)

cut.wrong(
    "every p-th pixel",
    "You take pixels that lie far apart into one patch (every so many rows and columns). When an axis is split, the first of "
    "the two new axes counts the patches and the second the pixels inside one.",
    edits={CUT: '"b c (p i) (q j) -> b (i j) (c p q)"'},
)


@cut.wrong(
    "only a reshape",
    "A reshape alone cuts the image into runs of numbers as they lie in memory, not into squares: you need to split both "
    "axes first, and then bring the axes of the patch together.",
)
def patchify(images, patch_size):
    return images.reshape(images.shape[0], -1, images.shape[1] * patch_size**2)


@cut.wrong(
    "one token per channel",
    "You make a patch of every channel by itself, so there are C times too many tokens. The channels belong inside the token.",
)
def patchify(images, patch_size):
    return rearrange(images, "b c (i p) (j q) -> b (i j c) (p q)", p=patch_size, q=patch_size)


@cut.wrong(
    "unfold without the last step",
    "Your result is (B, C p p, N): each column is a patch. Tokens come as rows, so the last two axes must change places.",
)
def patchify(images, patch_size):
    return F.unfold(images, patch_size, stride=patch_size)


@cut.wrong(
    "the channels averaged",
    "You average the channels before cutting. A patch keeps all C channels: its width is C * p * p.",
)
def patchify(images, patch_size):
    grey = images.mean(dim=1, keepdim=True)
    return rearrange(grey, "b c (i p) (j q) -> b (i j) (c p q)", p=patch_size, q=patch_size)


@cut.right("F.unfold")
def patchify(images, patch_size):
    if images.shape[2] % patch_size or images.shape[3] % patch_size:
        raise ValueError(f'{images.shape} is not cut into {patch_size}')
    return F.unfold(images, patch_size, stride=patch_size).transpose(1, 2)


@cut.right("reshape and permute")
def patchify(images, patch_size):
    if images.shape[2] % patch_size or images.shape[3] % patch_size:
        raise ValueError("the patches do not tile the images")
    b, c, h, w = images.shape
    p = patch_size
    split = images.reshape(b, c, h // p, p, w // p, p)
    return split.permute(0, 2, 4, 1, 3, 5).reshape(b, (h // p) * (w // p), c * p * p)


@cut.right("loops over the grid")
def patchify(images, patch_size):
    if images.shape[2] % patch_size or images.shape[3] % patch_size:
        raise ValueError("the patches do not tile the images")
    b, _, h, w = images.shape
    patches = []
    for top in range(0, h, patch_size):
        for left in range(0, w, patch_size):
            square = images[:, :, top : top + patch_size, left : left + patch_size]
            patches.append(square.reshape(b, -1))
    return torch.stack(patches, dim=1)


@cut.right("Tensor.unfold")
def patchify(images, patch_size):
    if images.shape[2] % patch_size or images.shape[3] % patch_size:
        raise ValueError(f'{images.shape} is not cut into {patch_size}')
    windows = images.unfold(2, patch_size, patch_size).unfold(3, patch_size, patch_size)  # b c i j p q
    return windows.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)


@cut.wrong(
    "channels not moved",
    "You reshape without moving the channels, so a row holds numbers of several patches. Bring the two axes of the "
    "grid in front of the channels first.",
)
def patchify(images, patch_size):
    height, width = images.shape[-2:]
    if height % patch_size or width % patch_size:
        raise ValueError(
            f"an image of {height} x {width} pixels cannot be cut into patches of {patch_size} x {patch_size}"
        )
    p = patch_size
    views = images.unfold(2, p, p).unfold(3, p, p)
    return views.reshape(images.shape[0], -1, images.shape[1] * p * p)


@cut.wrong("square images only", "You take the number of rows of the grid for the number of its columns.")
def patchify(images, patch_size):
    height, width = images.shape[-2:]
    if height % patch_size or width % patch_size:
        raise ValueError(
            f"an image of {height} x {width} pixels cannot be cut into patches of {patch_size} x {patch_size}"
        )
    B, C, H, W = images.shape
    p, n = (patch_size, H // patch_size)
    return images[:, :, :, : n * p].reshape(B, C, n, p, n, p).permute(0, 2, 4, 1, 3, 5).reshape(B, n * n, -1)


@cut.wrong(
    "number of patches taken for their side",
    "You take patch_size for the number of patches along a side. It is a patch's side in pixels.",
)
def patchify(images, patch_size):
    height, width = images.shape[-2:]
    if height % patch_size or width % patch_size:
        raise ValueError(
            f"an image of {height} x {width} pixels cannot be cut into patches of {patch_size} x {patch_size}"
        )
    p = patch_size
    return rearrange(images, "b c (i h) (j w) -> b (i j) (c h w)", i=p, j=p)


@cut.right("split into bands, then into squares")
def patchify(images, patch_size):
    if any(side % patch_size for side in images.shape[-2:]):
        raise ValueError(f"{images.shape[-2:]} does not divide by {patch_size}")
    bands = images.split(patch_size, dim=2)
    return torch.stack([square.flatten(1) for band in bands for square in band.split(patch_size, dim=3)], 1)


@cut.right("pixel_unshuffle")
def patchify(images, patch_size):
    height, width = images.shape[-2:]
    if height % patch_size or width % patch_size:
        raise ValueError(f"{height} x {width} pixels do not divide by {patch_size}")
    return F.pixel_unshuffle(images, patch_size).flatten(2).transpose(1, 2)


join = Bank("unpatchify")

join.wrong(
    "pixels read as (p C p)",
    "Inside a patch the channel varies slowest, before the row; you read it between row and column.",
    edits={"(c p q)": "(p c q)"},
)

JOIN = '"b (i j) (c p q) -> b c (i p) (j q)"'

join.wrong(
    "pixels read as (p p C)",
    "You read a patch as row, column, channel, but `patchify` writes channel, row, column: (C p p).",
    edits={JOIN: '"b (i j) (p q c) -> b c (i p) (j q)"'},
)

join.wrong(
    "patches laid in columns",
    "You lay the patches down column by column; they come in reading order, row by row.",
    edits={JOIN: '"b (j i) (c p q) -> b c (i p) (j q)"'},
)

join.wrong(
    "each patch transposed",
    "The patches are in their places, but each is mirrored at its diagonal: inside a patch the row comes before the column.",
    edits={JOIN: '"b (i j) (c q p) -> b c (i p) (j q)"'},
)

join.wrong(
    "pixels spread over the image",
    "You spread each patch over the whole image. When two axes become one, the patch's place comes first and the pixel inside "
    "the patch second.",
    edits={JOIN: '"b (i j) (c p q) -> b c (p i) (q j)"'},
)

join.wrong(
    "width and height swapped",
    "Your image has height and width swapped: (B, C, height, width) was asked for.",
    edits={JOIN: '"b (i j) (c p q) -> b c (j q) (i p)"'},
)


@join.wrong(
    "only a reshape",
    "A reshape alone writes the patches one behind the other as they lie in memory. Split the axes, bring rows with rows "
    "and columns with columns, then join.",
)
def unpatchify(patches, patch_size, height, width):
    return patches.reshape(patches.shape[0], -1, height, width)


@join.right("F.fold")
def unpatchify(patches, patch_size, height, width):
    if patches.shape[1] * patch_size**2 != height * width:
        raise ValueError("another number of patches is needed")
    return F.fold(patches.transpose(1, 2), (height, width), patch_size, stride=patch_size)


@join.right("reshape and permute")
def unpatchify(patches, patch_size, height, width):
    if patches.shape[1] * patch_size**2 != height * width:
        raise ValueError("another number of patches is needed")
    b, p = patches.shape[0], patch_size
    split = patches.reshape(b, height // p, width // p, -1, p, p)
    return split.permute(0, 3, 1, 4, 2, 5).reshape(b, -1, height, width)


@join.right("rows of patches, joined twice")
def unpatchify(patches, patch_size, height, width):
    if patches.shape[1] * patch_size**2 != height * width:
        raise ValueError("another number of patches is needed")
    b, across = patches.shape[0], width // patch_size
    squares = patches.reshape(b, patches.shape[1], -1, patch_size, patch_size).unbind(1)
    rows = [torch.cat(squares[k : k + across], dim=-1) for k in range(0, len(squares), across)]
    return torch.cat(rows, dim=-2)


@join.right("written into an empty image")
def unpatchify(patches, patch_size, height, width):
    if patches.shape[1] * patch_size**2 != height * width:
        raise ValueError(f'{patches.shape[1]} patches')
    p = patch_size
    image = patches.new_zeros(patches.shape[0], patches.shape[2] // p**2, height, width)
    for k in range(patches.shape[1]):
        top, left = k // (width // p) * p, k % (width // p) * p
        image[:, :, top : top + p, left : left + p] = patches[:, k].unflatten(1, (-1, p, p))
    return image


@join.wrong(
    "square grid",
    "You take a square grid of patches. Its rows and columns follow from height, width and patch size.",
)
def unpatchify(patches, patch_size, height, width):
    rows, columns = (height // patch_size, width // patch_size)
    if patches.shape[1] != rows * columns or height % patch_size or width % patch_size:
        raise ValueError(
            f"{patches.shape[1]} patches of {patch_size} x {patch_size} do not fill {height} x {width} pixels"
        )
    side = int(patches.shape[1] ** 0.5)
    return rearrange(
        patches, "b (i j) (c p q) -> b c (i p) (j q)", i=side, j=side, p=patch_size, q=patch_size
    )


@join.right("pixel_shuffle")
def unpatchify(patches, patch_size, height, width):
    rows, columns = height // patch_size, width // patch_size
    if (rows * patch_size, columns * patch_size) != (height, width) or rows * columns != patches.shape[1]:
        raise ValueError(f"{patches.shape[1]} patches do not fill {height} x {width} pixels")
    return F.pixel_shuffle(patches.transpose(1, 2).unflatten(2, (rows, columns)), patch_size)


@join.right("every pixel's place looked up")
def unpatchify(patches, patch_size, height, width):
    rows, columns, p = height // patch_size, width // patch_size, patch_size
    if patches.shape[1] != rows * columns or height % p or width % p:
        raise ValueError(f"{patches.shape[1]} patches do not fill {height} x {width} pixels")
    numbers = patches.unflatten(2, (-1, p * p)).transpose(1, 2).flatten(2)  # (B, C, N p p)
    y, x = torch.arange(height)[:, None], torch.arange(width)
    place = (y // p * columns + x // p) * p * p + y % p * p + x % p
    return numbers[:, :, place]
