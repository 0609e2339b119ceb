"""Environments for the peers, each apart from the project's: numba pins an older llvmlite, others a protobuf."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

# Plain torch brings gigabytes for GPUs on Linux; the environment variable TORCH may name a build for processors.
PACKAGES: dict[str, tuple[str, ...]] = {
    "torch": ("numpy", os.environ.get("TORCH") or "torch"),
    "jax": ("jax",),
    "tensorflow": ("tensorflow-cpu",),
    "pytensor": ("pytensor",),
    "onnxruntime": ("onnxruntime", "onnx"),
    "openvino": ("openvino", "onnx"),
}


def build(folder: Path, libraries: list[str]) -> dict[str, str]:
    """The Python of each library that can be installed; others are reported, with pip's messages in their folder."""
    found = {}
    for library in libraries:
        home = folder / library
        python = home / "bin" / "python"
        if not (home / ".ready").exists():
            print(f"installing {' '.join(PACKAGES[library])}", flush=True)
            shutil.rmtree(home, ignore_errors=True)
            if not _install(home, python, library):
                print(f"  {library} is left out, see {home / 'pip.log'}", flush=True)
                continue
        found[library] = str(python)
    return found


def _install(home: Path, python: Path, library: str) -> bool:
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    install = ["-m", "pip", "install", "--disable-pip-version-check", *PACKAGES[library]]
    with (home / "pip.log").open("w") as log:
        for arguments in (install, ["-c", f"import {library}"]):
            if subprocess.run([str(python), *arguments], stdout=log, stderr=log, check=False).returncode:
                return False
    (home / ".ready").touch()
    return True
