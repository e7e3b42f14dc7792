"""What is missing where an extra is not installed, and how to install it from a checkout."""

from __future__ import annotations

EXTRAS = {
    "figures": ("scikit-learn", "scikit-learn"),
    "networks": ("PyTorch", "torch"),
    "testing": ("Hypothesis", "hypothesis"),
}


def missing(what: str, extra: str, package: str | None = None) -> ModuleNotFoundError:
    """Return the error of a feature whose package is missing.

    Parameters
    ----------
    what : str
        The feature.
    extra : {"figures", "networks", "testing"}
        The extra that brings the package.
    package : str, optional
        The package, where it is another one of the extra.

    Returns
    -------
    ModuleNotFoundError

    Examples
    --------
    >>> print(missing("this", "testing"))
    this needs Hypothesis: pip install hypothesis, or pip install -e '.[testing]' in a checkout of
    lth_sketch (extra "testing")
    """
    title, package = EXTRAS[extra] if package is None else (package, package)
    return ModuleNotFoundError(
        f"{what} needs {title}: pip install {package}, or "
        f"pip install -e '.[{extra}]' in a checkout of lth_sketch (extra \"{extra}\")",
        name=package,
    )
