"""Where the course lies on this machine."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"
DRIVE = Path("/content/drive/MyDrive")  # a student's Google Drive, where Colab mounts it
ON_DRIVE = DRIVE / "transformers-for-vision"  # the course's folder there
