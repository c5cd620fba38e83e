"""Procedural images: one stream of pictures, three questions about each.

Every picture holds a round patch of a texture, two coloured glyphs and one small white target on a starry gradient,
none overlapping. A *rule* says which of them the label is about:

| rule | the label is | what a model needs |
| --- | --- | --- |
| "local" | which texture the patch has | local, shift-invariant features |
| "relational" | what the two glyphs share: shape and colour, one of them, nothing | a comparison over a distance |
| "position" | in which quarter of the frame the target lies | absolute position |

The pictures are the same under every rule, the numbers of classes are equal (four), and in each aligned block of
64 images every combination of the three labels occurs exactly once: balanced, and independent of each other by
construction. A glyph alone says nothing about the relational label, and no label can be read off the mean colour.

Image i of a seed is a function of (seed, i), computed with a counter-based hash and no generator state: any batch can
be drawn again, and a million images are streamed without being held.

References:
1. G. Steele, D. Lea and C. Flood (2014): Fast splittable pseudorandom number generators. OOPSLA. (The hash.)
2. F. Fleuret et al. (2011): Comparing machines and humans on a visual categorization test. PNAS 108(43).
   (Same-different judgements as a class of problems of their own.)
"""

import contextlib
from collections.abc import Iterator

import torch

from utils.data.glyphs import (
    COLOURS,
    GLYPH,
    MARKER,
    PATCH,
    glyph_masks,
    hash32,
    hash64,
    marker_pixels,
    texture_values,
)

RULES = {
    "local": ("stripes", "checks", "rings", "zigzag"),
    "relational": ("same shape and colour", "same shape", "same colour", "nothing in common"),
    "position": ("top left", "top right", "bottom left", "bottom right"),
}
BLOCK = 64  # 4 x 4 x 4 combinations of labels
TEST_START = 1 << 40  # test images are drawn from here on, where no training stream arrives
CHUNK = 256  # images drawn at a time: their working set stays in a core's cache
TRIES = (
    4,
    16,
    48,
    16,
)  # places tried for patch, glyphs and target; 1 image in 100 runs out and uses the corners
SLOTS = 64  # random numbers reserved per image; the first 34 are used


class ProceduralImages:
    """The stream of images with the labels of one rule.

    Args:
        rule: "local", "relational" or "position".
        size: height and width in pixels, 32 to 256; everything drawn scales with it.
        seed: another seed gives other images.
        device: where to compute; integers, and so labels and layout, agree everywhere, pixels to a rounding step.
        rolled: each image is rolled by a random distance, and what leaves on one side comes back on the other. The frame's edges then
            lie anywhere in the picture, and the "position" label (of where the target has come to lie) cannot be told from them.
    """

    def __init__(
        self,
        rule: str = "local",
        size: int = 32,
        seed: int = 0,
        device: str | torch.device = "cpu",
        rolled: bool = False,
    ):
        if rule not in RULES:
            raise ValueError(f"no rule {rule!r}; there are {', '.join(RULES)}")
        if not 32 <= size <= 256:
            raise ValueError(f"procedural images have 32 to 256 pixels a side, not {size}")
        self.rule, self.size, self.seed, self.device = rule, size, seed, torch.device(device)
        self.label_names, self.rolled = RULES[rule], rolled
        self.patch, self.glyph, self.marker = (round(base * size / 32) for base in (PATCH, GLYPH, MARKER))
        self._masks = glyph_masks(self.glyph).to(self.device)  # (shapes, scales, G, G)
        self._marker_pixels = marker_pixels(self.marker).to(self.device)  # (3, M, M)
        self._colours = torch.tensor(COLOURS, device=self.device) / 255  # (colours, 3)
        axis = torch.arange(size, device=self.device, dtype=torch.float32) / size - 0.5
        self._y, self._x = axis[:, None], axis[None, :]
        counter = torch.arange(size**2, device=self.device, dtype=torch.int64) * 0x9E3779B9
        self._pixel_counter = counter.to(torch.int32).view(size, size)
        self._key = int(hash64(torch.tensor([seed])).item())

    def __repr__(self) -> str:
        return f"ProceduralImages(rule={self.rule!r}, size={self.size}, seed={self.seed})"

    def batch(self, start: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Images number start .. start + count - 1.

        Returns:
            images (count, 3, size, size) uint8, labels (count,) int64 of this rule.
        """
        if start < 0 or count < 0:
            raise ValueError(f"start and count can't be negative, got start={start} and count={count}")
        images = torch.empty(count, 3, self.size, self.size, dtype=torch.uint8, device=self.device)
        with _one_thread():
            for first in range(0, count, CHUNK):
                last = min(first + CHUNK, count)
                index = torch.arange(start + first, start + last, device=self.device)
                drawn = self._draw(index)
                images[first:last] = roll(drawn, self._offsets(index)) if self.rolled else drawn
        return images, self.labels(start, count)[self.rule]

    def labels(self, start: int, count: int) -> dict[str, torch.Tensor]:
        """The labels under all three rules, without drawing: rule -> (count,) int64."""
        index = torch.arange(start, start + count, device=self.device)
        code = self._code(index)
        found = {"local": code & 3, "relational": (code >> 2) & 3, "position": code >> 4}
        if self.rolled:
            corner = self._layout(index, code >> 4)[3] + self._offsets(index)
            lies = (2 * corner + self.marker) % (
                2 * self.size
            ) >= self.size  # twice the target's middle, in the frame
            found["position"] = 2 * lies[:, 0].long() + lies[:, 1].long()
        return found

    def _offsets(self, index: torch.Tensor) -> torch.Tensor:
        """(B,) -> (B, 2) int64: how far an image is rolled down and to the right, 0 to size - 1."""
        draws = hash64(index, self._key ^ 0x2011)
        return torch.stack([(draws >> 8) & 0xFFFF, (draws >> 32) & 0xFFFF], dim=1) * self.size >> 16

    def stream(
        self, batch_size: int, total: int, start: int = 0
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches of images start .. start + total - 1 in order; holds one batch at a time."""
        if batch_size < 1:
            raise ValueError(f"a batch needs at least one image, got batch_size={batch_size}")
        for first in range(start, start + total, batch_size):
            yield self.batch(first, min(batch_size, start + total - first))

    def _code(self, index: torch.Tensor) -> torch.Tensor:
        """(B,) -> (B,) int64 in 0..63: a shuffle of the 64 label combinations, another one in each block."""
        keys = hash64(index // BLOCK, self._key ^ 0x5EED)
        code = index % BLOCK
        for _ in range(3):  # each step is a bijection of 0..63
            code = code ^ (keys & 63)
            code = (code * (((keys >> 6) & 63) | 1)) & 63
            code = code ^ (code >> 3)
            keys = (keys >> 12) & ((1 << 52) - 1)
        return code

    def _uniform(self, index: torch.Tensor, count: int) -> torch.Tensor:
        """(B,) -> (B, count) float32 in [0, 1)."""
        slots = index[:, None] * SLOTS + torch.arange(count, device=self.device)
        return ((hash64(slots, self._key) >> 40) & 0xFFFFFF).float() / (1 << 24)

    def _layout(self, index: torch.Tensor, quarter: torch.Tensor) -> list[torch.Tensor]:
        """Where the patch, the two glyphs and the marker lie: four times (B, 2) int64 (top, left), not overlapping."""
        sides = torch.tensor([self.patch, self.glyph, self.glyph, self.marker], device=self.device)
        room = self.size - sides + 1  # possible positions along an axis
        hashes = sum(TRIES) // 4
        draws = hash64(index[:, None] * 32 + torch.arange(hashes, device=self.device), self._key ^ 0x1A07)
        draws = (
            draws[..., None] >> torch.arange(0, 64, 8, device=self.device)
        ) & 255  # eight numbers in each hash
        draws = draws.view(len(index), sum(TRIES), 2)
        placed: list[torch.Tensor] = []
        found = torch.ones(len(index), dtype=torch.bool, device=self.device)
        for k, tries in enumerate(
            draws.split(TRIES, dim=1)
        ):  # one object after the other, at its first clear place
            corners = (tries * room[k]) >> 8  # (B, tries, 2)
            clear = torch.ones(corners.shape[:2], dtype=torch.bool, device=self.device)
            for other, corner in enumerate(placed):
                offset = corners - corner[:, None]  # apart along either axis, by a pixel at least?
                clear &= ((offset > sides[other]) | (-offset > sides[k])).any(-1)
            found &= clear.any(1)
            placed.append(corners[torch.arange(len(index), device=self.device), clear.int().argmax(1)])
        in_corners = sides.new_tensor([[0, 0], [0, 1], [1, 0], [1, 1]]) * (room - 1)[:, None]
        chosen = torch.where(found[:, None, None], torch.stack(placed, dim=1), in_corners)  # (B, 4, 2)
        # Mirror the whole layout where the marker lies in another quarter than the label says.
        wanted = torch.stack([quarter >> 1, quarter & 1], dim=1)  # (B, 2)
        lies = (2 * chosen[:, 3] + self.marker >= self.size).long()
        flipped = (room - 1)[None, :, None] - chosen
        return list(torch.where((wanted != lies)[:, None], flipped, chosen).unbind(1))

    def _draw(self, index: torch.Tensor) -> torch.Tensor:
        """(B,) -> (B, 3, size, size) uint8."""
        code, draws = self._code(index), self._uniform(index, 34)
        texture, relation, quarter = code & 3, (code >> 2) & 3, code >> 4
        at_patch, at_first, at_second, at_marker = self._layout(index, quarter)
        canvas = self._background(index, draws[:, :11])

        values, window = texture_values(texture, draws[:, 11:17], self.patch)  # (B, P, P), (P, P)
        base = 0.3 + 0.4 * draws[:, 17:20]
        swing = (draws[:, 20:23] - 0.5) * 0.3
        swing = swing + 0.16 * torch.sign(swing.sum(1, keepdim=True))
        pixels = base[:, :, None, None] + swing[:, :, None, None] * values[:, None]
        _paste(canvas, pixels, window.expand(len(index), -1, -1), at_patch)

        shapes, scales = self._masks.shape[:2]
        first_shape, other_shape = _pair(draws[:, 23], draws[:, 24], shapes)
        first_colour, other_colour = _pair(draws[:, 25], draws[:, 26], len(self._colours))
        second_shape = torch.where(relation < 2, first_shape, other_shape)
        second_colour = torch.where(relation % 2 == 0, first_colour, other_colour)
        for position, shape, colour, a, b in (
            (at_first, first_shape, first_colour, draws[:, 27], draws[:, 28]),
            (at_second, second_shape, second_colour, draws[:, 29], draws[:, 30]),
        ):
            shade = self._colours[colour] * (0.88 + 0.24 * b)[:, None]
            mask = self._masks[shape, (a * scales).long()]
            _paste(canvas, shade[:, :, None, None].expand(-1, -1, *mask.shape[1:]), mask, position)

        stamp = self._marker_pixels.expand(len(index), -1, -1, -1)
        _paste(canvas, stamp, None, at_marker)
        return canvas.mul_(255.0).add_(0.5).clamp_(0, 255).to(torch.uint8)

    def _background(self, index: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """Two muted colours that flow into each other, grain, and a few stars: (B, 3, size, size) float32."""
        angle, waves = draws[:, 0] * 6.2832, 2.5 + 5.0 * draws[:, 1]
        slope_x, slope_y = (
            (waves * torch.cos(angle))[:, None, None],
            (waves * torch.sin(angle))[:, None, None],
        )
        flow = torch.sin(slope_x * self._x + slope_y * self._y + 6.2832 * draws[:, 2, None, None])
        flow = 0.5 + 0.5 * flow  # (B, H, W)
        low, high = (0.03 + 0.34 * draws[:, i : i + 3] for i in (3, 6))
        canvas = low[:, :, None, None] + (high - low)[:, :, None, None] * flow[:, None]
        keys = hash64(index, self._key ^ 0x6EA1).to(torch.int32)[:, None, None]
        grain = hash32(keys ^ self._pixel_counter)[:, None]  # (B, 1, H, W)
        for channel in range(3):  # a byte of the hash for each channel, the fourth for the stars
            canvas[:, channel : channel + 1].add_((grain >> 8 * channel) & 255, alpha=0.11 / 255)
        return canvas.add_((grain >> 24) == 127, alpha=0.35)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread: the operations are small, and waiting for each other costs two threads more than
    they gain on a busy machine (measured on two cores: 50,000 images per second with one thread, 23,000 with two; on
    the same machine idle 48,000 and 58,000)."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def roll(images: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W), (B, 2) int64 -> the images, each rolled by its own distance down and to the right."""
    count, channels, height, width = images.shape
    rows = (torch.arange(height, device=images.device) - offsets[:, :1]) % height  # (B, H)
    columns = (torch.arange(width, device=images.device) - offsets[:, 1:]) % width
    down = images.gather(2, rows[:, None, :, None].expand(-1, channels, -1, width))
    return down.gather(3, columns[:, None, None, :].expand(-1, channels, height, -1))


def _pair(first: torch.Tensor, second: torch.Tensor, kinds: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two different kinds out of `kinds` from two uniform numbers; each of them uniform by itself."""
    one = (first * kinds).long()
    return one, (one + 1 + (second * (kinds - 1)).long()) % kinds


def _paste(canvas: torch.Tensor, pixels: torch.Tensor, alpha: torch.Tensor | None, at: torch.Tensor) -> None:
    """Blend (B, 3, h, w) pixels into the canvas (B, 3, H, W), in place, each image at its own (top, left)."""
    count, _, height, width = pixels.shape
    side = canvas.shape[-1]
    rows = at[:, 0, None, None] + torch.arange(height, device=at.device)[:, None]
    columns = at[:, 1, None, None] + torch.arange(width, device=at.device)
    where = (rows * side + columns).view(count, 1, -1).expand(-1, 3, -1)  # (B, 3, h * w)
    flat = canvas.view(count, 3, -1)
    new = pixels.reshape(count, 3, -1)
    if alpha is not None:
        old = flat.gather(2, where)
        new = old + alpha.reshape(count, 1, -1) * (new - old)
    flat.scatter_(2, where, new)
