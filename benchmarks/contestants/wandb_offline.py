"""Record with W&B offline: each call goes to a service process, which writes a file."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path

os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"

import wandb
from wandb.proto import wandb_internal_pb2

from .load import payload

_FILE_HEADER, _PIECE_HEADER, _BLOCK = 7, 7, 32768


class Events:
    """A run.log() a call, in one run."""

    def __init__(self, directory: Path) -> None:
        settings = wandb.Settings(console="off", x_disable_stats=True, save_code=False)
        self._run = wandb.init(project="bench", dir=str(directory), settings=settings)

    def call(self, number: int) -> None:
        """Log one step."""
        self._run.log(payload(number))

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()

    @staticmethod
    def read_back(directory: Path) -> set[int]:
        """Return the numbers in the run's file, in the format that its service process writes."""
        found: set[int] = set()
        for path in directory.glob("wandb/offline-run-*/*.wandb"):
            found |= set(_numbers(path))
        return found


def _numbers(path: Path) -> Iterator[int]:
    for text in _records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(text)
        for item in record.history.item:
            if item.key == "n" or list(item.nested_key) == ["n"]:
                yield json.loads(item.value_json)


def _records(data: bytes) -> Iterator[bytes]:
    """
    Yield the whole records of a .wandb file, which is a LevelDB log behind seven bytes of its own.

    Blocks of 32 KiB hold pieces: checksum (4), length (2), kind (1: whole, 2: first, 3: middle, 4: last), bytes.
    """
    position, pieces = _FILE_HEADER, []
    while position + _PIECE_HEADER <= len(data):
        if _BLOCK - position % _BLOCK < _PIECE_HEADER:
            position += _BLOCK - position % _BLOCK
        length, kind = struct.unpack_from("<HB", data, position + 4)
        start = position + _PIECE_HEADER
        position = start + length
        if not kind or position > len(data):
            return
        pieces = [data[start:position]] if kind in (1, 2) else [*pieces, data[start:position]]
        if kind in (1, 4):
            yield b"".join(pieces)
