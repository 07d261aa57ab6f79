"""What a computation runs on, and what a record should say about it."""

import contextlib
import functools
import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

import keras

__all__ = ["best_dtype", "has_gpu", "jit", "provenance"]


@functools.cache
def has_gpu() -> bool:
    """Whether the Keras backend sees a GPU.

    Returns
    -------
    bool

    Examples
    --------
    >>> has_gpu() in (True, False)
    True
    """
    if keras.backend.backend() == "jax":
        import jax

        return jax.default_backend() == "gpu"
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


@functools.cache
def best_dtype() -> str:
    """Type for the convolution blocks: bfloat16 on a GPU or a CPU that is faster with it, else float32.

    Those are CPUs with AMX, and CPUs by AMD with AVX512-BF16. Intel's CPUs with AVX512-BF16 but without AMX, which some
    virtual machines hide, train 1.5 times slower in bfloat16 than in float32.

    Returns
    -------
    {"bfloat16", "float32"}

    Examples
    --------
    >>> best_dtype() in ("bfloat16", "float32")
    True
    """
    if has_gpu():
        return "bfloat16"
    cpu = _cpuinfo()
    faster = "amx_bf16" in cpu or ("AuthenticAMD" in cpu and "avx512_bf16" in cpu)
    return "bfloat16" if faster and keras.backend.backend() == "tensorflow" else "float32"


def jit() -> bool:
    """Whether Keras should compile its functions: with JAX and on GPUs; on CPUs TensorFlow is slower with XLA.

    Returns
    -------
    bool

    Examples
    --------
    >>> jit() in (True, False)
    True
    """
    return keras.backend.backend() == "jax" or has_gpu()


def provenance() -> dict:
    """Versions, device and revision of the code, for a record.

    Returns
    -------
    dict
        "versions"; "device", where Linux tells with the CPU's name and the best of its instructions; "revision", None
        outside a git checkout.

    Examples
    --------
    >>> sorted(provenance())
    ['device', 'revision', 'versions']
    """
    backend = keras.backend.backend()
    names = ["crnnlib", "keras", backend, "librosa", "numpy", "scikit-learn"]
    versions = {}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # e.g. tensorflow-cpu
            versions[name] = importlib.metadata.version(name)
    versions["python"] = platform.python_version()
    kind = "GPU" if has_gpu() else f"CPU{_processor()}, {os.cpu_count()} cores"
    return {"versions": versions, "device": f"{kind}, {backend}", "revision": _revision()}


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""


def _processor() -> str:
    """Name of the CPU and the best of its instructions, in brackets; empty where the system does not tell."""
    cpu = _cpuinfo()
    names = re.findall(r"^model name\s*: (.+)$", cpu, re.MULTILINE)[:1]
    best = [one for one in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if one in cpu][:1]
    return f" ({', '.join(names + best)})" if names else ""


@functools.cache
def _revision() -> str | None:
    folder = Path(__file__).resolve().parent.parent
    if not (folder / ".git").exists():
        return None
    command = ["git", "-C", str(folder), "rev-parse", "--short=12", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
