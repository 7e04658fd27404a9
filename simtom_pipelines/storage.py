"""Where files lie: a local folder with atomic renames, or an object store where one upload is the commit."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from generators.errors import SimtomError

SUFFIX = ".tmp"
SCRATCH = ".tmp"
"""Folder at a lake's root that holds files while they are written; readers of a table never see it."""

S3_OPTIONS = {
    "aws_access_key_id": "key",
    "aws_secret_access_key": "secret",
    "aws_session_token": "token",
    "aws_endpoint_url": "endpoint_url",
}
"""Option names of polars and those of s3fs; the region goes to its client."""


class StorageError(SimtomError):
    """An object store that refuses or does not answer."""


class LocalStorage:
    """Files of a local folder.

    Args:
        root: The folder under which every path lies; None: files in the making lie beside their targets.
    """

    polars_options: None = None

    def __init__(self, root: str | None = None) -> None:
        self._scratch = None if root is None else Path(root) / SCRATCH

    def exists(self, path: str) -> bool:
        """Return whether a file exists."""
        return os.path.isfile(path)

    def size(self, path: str) -> int | None:
        """Return a file's size in bytes, or None."""
        try:
            return os.stat(path).st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def folders(self, path: str) -> list[str]:
        """Return the names of the folders in a folder, none where it does not exist."""
        try:
            with os.scandir(path) as entries:
                return [entry.name for entry in entries if entry.is_dir()]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def open(self, path: str) -> Any:
        """Return a file opened for reading bytes."""
        return open(path, "rb")

    @contextmanager
    def replacing(self, path: str) -> Iterator[str]:
        """Yield a temporary path on the same file system; on success it is synced and renamed over `path`.

        In a lake it lies in a hidden folder at the root, because polars refuses a table's folder that holds anything
        else than its Parquet files. The temporary file is locked while it is written, so the leftovers of killed
        writers are those whose lock can be taken; they are removed first.
        """
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if self._scratch is not None:
            _sweep(self._scratch)
        _sweep(target.parent)
        handle, temporary = self._temporary(target)
        try:
            os.fchmod(handle, 0o644)
            yield str(temporary)
            os.fsync(handle)
            _move(temporary, target)
            _sync_folder(target.parent)
        finally:
            temporary.unlink(missing_ok=True)
            os.close(handle)

    def _temporary(self, target: Path) -> tuple[int, Path]:
        """Return the descriptor and path of a locked file: in the scratch folder, or beside the target.

        The scratch folder may be another user's, or the root may be, while the table's folder is open to this one.
        """
        if self._scratch is not None:
            try:
                self._scratch.mkdir(exist_ok=True)
                return _locked_temporary(self._scratch, f"{target.parent.name}.{target.name}.")
            except PermissionError:
                pass
        return _locked_temporary(target.parent, f".{target.name}.")


def _sweep(folder: Path) -> None:
    """Remove the temporary files of a folder that no writer holds."""
    try:
        with os.scandir(folder) as entries:
            found = [entry.path for entry in entries if entry.name.endswith(SUFFIX)]
    except OSError:
        return
    for leftover in found:
        try:
            handle = os.open(leftover, os.O_RDWR)
        except OSError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            Path(leftover).unlink(missing_ok=True)
        except OSError:
            pass  # another writer is at work on it
        finally:
            os.close(handle)


def _locked_temporary(folder: Path, prefix: str) -> tuple[int, Path]:
    """Create a temporary file in a folder and lock it; return its descriptor and path.

    Another writer's sweep can take the file between its creation and its lock, so the lock counts only where the name
    still leads to the locked file.
    """
    while True:
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=SUFFIX, dir=folder)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(handle).st_nlink:
                return handle, Path(name)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            os.close(handle)
            raise
        os.close(handle)


def _move(temporary: Path, target: Path) -> None:
    """Rename a finished file over its target; where that is mounted from elsewhere, over a copy beside it."""
    try:
        os.replace(temporary, target)
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    handle, beside = _locked_temporary(target.parent, f".{target.name}.")
    try:
        with open(temporary, "rb") as source, open(handle, "wb", closefd=False) as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        os.fchmod(handle, 0o644)
        os.fsync(handle)
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class ObjectStorage:
    """Objects under a URL, through fsspec; polars scans them itself.

    Every method raises StorageError where the store refuses or does not answer.

    Args:
        options: By the names that polars uses.
    """

    def __init__(self, options: Mapping[str, str]) -> None:
        self.polars_options: dict[str, str] | None = dict(options) or None
        self._options = dict(options)
        self._filesystem: Any = None

    def _fs(self, path: str) -> Any:
        if self._filesystem is None:
            import fsspec  # an extra: local lakes do not need it

            protocol = path.partition("://")[0]
            named = {S3_OPTIONS[k]: v for k, v in self._options.items() if k in S3_OPTIONS}
            client = {"region_name": self._options["aws_region"]} if "aws_region" in self._options else {}
            extra = {**named, "client_kwargs": client} if protocol == "s3" else dict(self._options)
            self._filesystem = fsspec.filesystem(protocol, use_listings_cache=False, **extra)
        return self._filesystem

    def exists(self, path: str) -> bool:
        """Return whether an object exists."""
        with _refusals(path):
            return bool(self._fs(path).exists(path))

    def size(self, path: str) -> int | None:
        """Return an object's size in bytes, or None."""
        with _refusals(path):
            try:
                return int(self._fs(path).info(path)["size"])
            except FileNotFoundError:
                return None

    def folders(self, path: str) -> list[str]:
        """Return the names of the prefixes under a prefix."""
        with _refusals(path):
            try:
                listed = self._fs(path).ls(path, detail=True)
            except FileNotFoundError:
                return []
        return [item["name"].rstrip("/").rpartition("/")[2] for item in listed if item["type"] == "directory"]

    def open(self, path: str) -> Any:
        """Return an object opened for reading bytes."""
        with _refusals(path):
            return self._fs(path).open(path, "rb")

    @contextmanager
    def replacing(self, path: str) -> Iterator[str]:
        """Yield a local temporary path; on success it is uploaded in one piece, which is the commit.

        Writing straight to the store would commit a cut file where the rows end early: polars completes the upload of
        a sink whose source has failed.
        """
        with tempfile.TemporaryDirectory(prefix="simtom-") as folder:
            spool = f"{folder}/{path.rpartition('/')[2]}"
            yield spool
            with _refusals(path):
                self._fs(path).put_file(spool, path)


@contextmanager
def _refusals(path: str) -> Iterator[None]:
    """Turn whatever a store's client raises into one error that names the object."""
    try:
        yield
    except Exception as error:  # each client has its own family of errors
        told = " ".join(str(error).split())
        raise StorageError(f"{path}: {type(error).__name__}: {told}; check SIMTOM_STORAGE_OPTIONS") from error
