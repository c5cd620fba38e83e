"""Decoding encoded images with threads, once, and keeping the pixels in the user's cache folder."""

import contextlib
import io
import os
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from utils.data.containers import DataError

CHUNK = 500  # images per task: large enough that handing out tasks costs nothing


def cache_folder() -> Path:
    """Where decoded images are kept: COURSE_CACHE, else a folder of the user's cache. Never the repository."""
    setting = os.environ.get("COURSE_CACHE", "").strip()
    if setting:
        return Path(setting).expanduser()
    base = os.environ.get("XDG_CACHE_HOME", "").strip() or "~/.cache"
    return Path(base).expanduser() / "transformers-for-vision-course"


def decode(files: list[bytes], size: int, title: str = "images") -> tuple[np.ndarray, set[str]]:
    """Decode PNG or JPEG files to RGB pixels.

    Args:
        files: the encoded images.
        size: height and width wanted; an image of another size is resampled by area averages.
        title: shown at the progress bar.

    Returns:
        (N, 3, size, size) uint8, and the set of formats and size changes seen, such as {"JPEG"} or
        {"PNG", "64x64"}.
    """
    pixels = np.empty((len(files), 3, size, size), dtype=np.uint8)

    def work(start: int) -> set[str]:
        seen = set()
        for index in range(start, min(start + CHUNK, len(files))):
            try:
                with Image.open(io.BytesIO(files[index])) as image:
                    seen.add(image.format or "unknown")
                    picture = image.convert("RGB")
            except (OSError, TypeError) as error:
                raise DataError(f"{title}: image {index} can't be decoded ({error})") from error
            if picture.size != (size, size):
                seen.add(f"{picture.size[0]}x{picture.size[1]}")
                picture = picture.resize((size, size), Image.Resampling.BOX)
            pixels[index] = np.asarray(picture).transpose(2, 0, 1)  # (H, W, 3) -> (3, H, W)
        return seen

    starts = range(0, len(files), CHUNK)
    bar = tqdm(
        total=len(files), desc=f"decoding {title}", unit=" images", leave=False, disable=len(files) < 5_000
    )
    found: set[str] = set()
    with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 1)) as pool, bar:
        for seen in pool.map(work, starts):
            found |= seen
            bar.update(min(CHUNK, len(files) - bar.n))
    return pixels, found


def load_cached(path: Path) -> dict[str, np.ndarray] | None:
    """Arrays that `save_cached` wrote, or None where there are none (or a damaged file)."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None


def save_cached(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays in one atomic step; a cache that can't be written (full disk, read-only home) is no error."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
            temporary = Path(file.name)
            np.savez(file, **arrays)  # type: ignore[arg-type]  # no array is called allow_pickle
        temporary.replace(path)
    except OSError:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
