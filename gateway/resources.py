"""Finds the folders of data that ship with the package: `templates` and `policies`."""

from __future__ import annotations

from pathlib import Path


def folder(name: str) -> Path:
    """The shipped folder: inside an installed wheel, else beside the package in a checkout.

    Raises FileNotFoundError if the installation is broken.
    """
    here = Path(__file__).resolve().parent
    for candidate in (here / "_data" / name, here.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"the folder {name} of the installation is missing")
