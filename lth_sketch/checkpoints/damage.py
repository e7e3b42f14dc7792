"""What is said of a file that cannot be read: what was wanted, and what its content looks like."""

from __future__ import annotations

from pathlib import Path

PAGES = (b"<!doctype html", b"<html", b"<?xml", b"<head", b"<body")


def broken(file: Path, wanted: str, error: BaseException | str) -> ValueError:
    """Return the error that names the file and what was wanted in its place.

    Parameters
    ----------
    file : Path
        What was read.
    wanted : str
        What it should have been.
    error : exception or str
        What went wrong. Of an exception only the kind is told: its message speaks to programmers.

    Returns
    -------
    ValueError
    """
    if isinstance(error, MemoryError):
        return ValueError(
            f"{file} is no {wanted}, or it is truncated: it asks for more memory than there is "
            f"(the file has {_size(file):,} bytes); save it again, or use a larger machine"
        )
    reason = looks(file) or (error if isinstance(error, str) else type(error).__name__)
    return ValueError(
        f"{file} is no {wanted}, or it is truncated ({reason}); save it again, or name another file"
    )


def looks(file: Path) -> str | None:
    """Return what a file's first bytes tell of it, if they tell what it is instead."""
    try:
        with file.open("rb") as handle:
            start = handle.read(256)
    except OSError:
        return None
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not start:
        return "it is empty"
    if text.startswith(PAGES):
        return "it is a web page: download the file itself, not the page that shows it"
    if text.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS: run git lfs pull"
    if start.startswith(b"\x93NUMPY"):
        return "it is one array of numpy.save: save arrays by name with numpy.savez"
    if start.startswith(b"\x1f\x8b"):
        return "it is compressed by gzip: unpack it first"
    if start.startswith(b"\x89HDF"):
        return "it is an HDF5 file: save its arrays by name with numpy.savez"
    if text.startswith((b"{", b"[")):
        return "it is text in JSON"
    return None


def cannot_open(file: Path, error: OSError) -> OSError:
    """Return the error of a file that the system does not let us read."""
    return OSError(
        f"{file} cannot be read ({error.strerror or type(error).__name__}); check its permissions"
    )


def _size(file: Path) -> int:
    return file.stat().st_size
