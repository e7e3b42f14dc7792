"""What is said of a file that cannot be read."""

from __future__ import annotations

from pathlib import Path


def broken(file: Path, wanted: str, error: BaseException) -> ValueError:
    """Return the error that names the file and what was wanted in its place."""
    reason = str(error).strip().splitlines()
    return ValueError(
        f"{file} is no {wanted}, or it is truncated ({type(error).__name__}"
        f"{': ' + reason[0] if reason else ''}); save it again, or name another file"
    )
