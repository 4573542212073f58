"""The file of a model's weights, looked at before Keras reads it: plain arrays of finite numbers, as Keras writes them.

Only what stands in the file's own structure is read, so that a claim of any size takes no memory.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import ml_dtypes
import numpy as np
from h5py import h5a, h5d, h5g, h5i, h5l, h5o, h5s, h5t

from audioseq.loading.archive import WEIGHTS
from audioseq.loading.config import shown
from audioseq.models.saving import ModelError

__all__ = ["check_weights"]

MOST_OBJECTS = 100_000
DEEPEST = 64
MOST_DIMENSIONS = 8
MOST_ATTRIBUTES, LARGEST_ATTRIBUTE = 16, 4096  # bytes
LONGEST_NAME = 256
BLOCK = 2**20  # numbers
KINDS = {h5t.FLOAT: (2, 4, 8), h5t.INTEGER: (1, 2, 4, 8), h5t.ENUM: (1,), h5t.OPAQUE: (2,)}  # bytes; bool, bfloat16


def check_weights(path: Path) -> int:
    """How many numbers an HDF5 file of weights holds.

    Raises:
        ModelError: it is damaged, has anything but groups and plain arrays in it, or numbers that are not finite; with
            the place in it.
    """
    try:
        with h5py.File(path, "r") as file:
            return _Look(file, path).numbers
    except ModelError:
        raise
    except Exception as error:  # damage shows itself in many kinds
        raise ModelError(f"is not a .keras model, or is cut short: {WEIGHTS} is damaged ({error})") from error


def refused(place: str, reason: str) -> ModelError:
    return ModelError(f"{WEIGHTS}: {place or '/'}: {reason}")


class _Look:
    def __init__(self, file: h5py.File, path: Path) -> None:
        self.path, self.size = path, path.stat().st_size
        self.seen: set[int] = set()
        self.numbers = self.bytes = 0
        root = file.id
        self.seen.add(h5o.get_info(root).addr)
        # a stack, since a file may nest as deep as it likes
        groups: list[tuple[str, Any, int]] = [("", h5g.open(root, b"/"), 0)]
        while groups:
            place, group, depth = groups.pop()
            self.attributes(place, group)
            if group.get_num_objs() + len(self.seen) > MOST_OBJECTS:
                raise refused(place, f"the file has more than {MOST_OBJECTS:,} objects")
            for name in group:
                inner, there = self.follow(place, group, name, depth)
                if h5i.get_type(inner) == h5i.GROUP:
                    groups.append((there, inner, depth + 1))
                else:
                    self.dataset(there, inner)

    def follow(self, place: str, group: Any, name: bytes, depth: int) -> tuple[Any, str]:
        if len(name) > LONGEST_NAME or depth >= DEEPEST:
            raise refused(place, f"names have {LONGEST_NAME} bytes and groups nest {DEEPEST} deep at most")
        there = f"{place}/{name.decode('ascii', 'backslashreplace')}".lstrip("/")
        link = group.links.get_info(name)
        if link.type != h5l.TYPE_HARD:
            raise refused(there, "is a link to another place")
        inner = h5o.open(group, name)
        if h5i.get_type(inner) not in (h5i.GROUP, h5i.DATASET):
            raise refused(there, "is neither a group nor an array")
        address = h5o.get_info(inner).addr
        if address in self.seen:
            raise refused(there, "is linked to twice")
        self.seen.add(address)
        return inner, there

    def attributes(self, place: str, thing: Any) -> None:
        count = h5a.get_num_attrs(thing)
        if count > MOST_ATTRIBUTES:
            raise refused(place, f"has at most {MOST_ATTRIBUTES} attributes. Received: {count}")
        for i in range(count):
            attribute = h5a.open(thing, index=i)
            size = attribute.get_storage_size()
            if size > LARGEST_ATTRIBUTE or attribute.get_type().get_class() not in (h5t.STRING, h5t.INTEGER, h5t.FLOAT):
                rule = f"an attribute is a text or a number of at most {LARGEST_ATTRIBUTE} bytes"
                raise refused(place, f"{rule}. Received: {shown(attribute.name)} of {size:,} bytes")

    def dataset(self, place: str, array: Any) -> None:
        self.attributes(place, array)
        made, kind, space = array.get_create_plist(), array.get_type(), array.get_space()
        layout = made.get_layout()
        if made.get_external_count() or layout == h5d.VIRTUAL:
            raise refused(place, "keeps its numbers in another file")
        if layout == h5d.CHUNKED or made.get_nfilters():
            raise refused(place, "is in chunks or compressed; Keras writes weights whole")
        size = kind.get_size()
        if size not in KINDS.get(kind.get_class(), ()):
            raise refused(
                place, f"is an array of numbers. Received: a type of class {kind.get_class()}, {size:,} bytes"
            )
        if space.get_simple_extent_type() not in (h5s.SCALAR, h5s.SIMPLE) or space.get_simple_extent_ndims() > (
            MOST_DIMENSIONS
        ):
            raise refused(place, f"is an array of at most {MOST_DIMENSIONS} dimensions")
        shape = space.get_simple_extent_dims()
        count = math.prod(shape)
        if count * size != array.get_storage_size():
            raise refused(place, f"says that it is {shape}, and holds {array.get_storage_size():,} bytes")
        self.numbers += count
        self.bytes += count * size
        if self.bytes > self.size:
            raise refused(place, "shares its bytes with another array")
        if count:
            self.finite(place, array, count, layout)

    def finite(self, place: str, array: Any, count: int, layout: int) -> None:
        dtype = np.dtype(ml_dtypes.bfloat16) if array.dtype.kind == "V" else array.dtype
        if array.dtype.kind == "V" and h5py.Dataset(array).attrs.get("dtype") != "bfloat16":
            raise refused(place, "is an array of numbers. Received: bytes without a dtype")
        if dtype.kind in "iub":
            return
        if layout == h5d.COMPACT:
            numbers = h5py.Dataset(array)[...].reshape(-1).view(dtype)
        else:
            numbers = np.memmap(self.path, dtype, mode="r", offset=array.get_offset(), shape=(count,))
        for i in range(0, count, BLOCK):
            if not np.isfinite(numbers[i : i + BLOCK].astype(np.float64)).all():
                raise refused(place, "holds NaN or infinity")
