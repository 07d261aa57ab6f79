"""Which type the convolutions take on which processor, what a record says of it, and what TensorFlow is told."""

import importlib.metadata
import os
import subprocess
import sys

import pytest

from crnnlib import device

AMD, INTEL = "vendor_id : AuthenticAMD\nflags : ", "vendor_id : GenuineIntel\nflags : "


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        (INTEL + "avx512f avx512_bf16 amx_bf16 amx_tile", "bfloat16"),
        (AMD + "avx512f avx512_bf16", "bfloat16"),
        (INTEL + "avx512f avx512_bf16", "float32"),  # 1.5 times slower in bfloat16: benchmarks/results
        (INTEL + "avx512f", "float32"),
        (AMD + "avx2", "float32"),
    ],
)
def test_bfloat16_where_a_processor_is_faster_with_it(monkeypatch, cpu, expected):
    monkeypatch.setattr(device, "has_gpu", lambda: False)
    monkeypatch.setattr(device.Path, "read_text", lambda self: cpu)
    assert device.best_dtype.__wrapped__() == expected


def test_float32_where_the_processor_is_not_known(monkeypatch):
    def missing(self):
        raise FileNotFoundError(self)

    monkeypatch.setattr(device, "has_gpu", lambda: False)
    monkeypatch.setattr(device.Path, "read_text", missing)
    assert device.best_dtype.__wrapped__() == "float32"


def test_a_gpu_takes_bfloat16(monkeypatch):
    monkeypatch.setattr(device, "has_gpu", lambda: True)
    assert device.best_dtype.__wrapped__() == "bfloat16"


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        (2 * "model name\t: AMD EPYC\nflags : avx2 avx512f avx512_bf16\n\n", "CPU (AMD EPYC, avx512_bf16), "),
        ("model name : Some CPU @ 2.00GHz\nflags : sse2", "CPU (Some CPU @ 2.00GHz), "),
        ("processor : 0\nFeatures : asimd", "CPU, "),
    ],
)
def test_a_record_names_the_processor(monkeypatch, cpu, expected):
    monkeypatch.setattr(device, "has_gpu", lambda: False)
    monkeypatch.setattr(device, "_cpuinfo", lambda: cpu)
    assert device.provenance()["device"].startswith(expected)


@pytest.mark.parametrize(("chosen", "kept"), [({}, True), ({"TF_CPU_ALLOCATOR_USE_BFC": "0"}, False)])
def test_tensorflow_has_the_allocator_that_keeps_memory_unless_told_not_to(chosen, kept):
    # Its other allocators do not count so small a tensor.
    code = "x = tf.random.normal((9,)); print(tf.config.experimental.get_memory_info('CPU:0')['current'])"
    command = [sys.executable, "-c", f"import crnnlib, tensorflow as tf; {code}"]
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPU_ALLOCATOR_USE_BFC"} | chosen
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert (int(ran.stdout) > 0) == kept


def test_a_record_lacks_the_version_of_what_is_not_installed_by_its_name(monkeypatch):
    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert set(device.provenance()["versions"]) == {"python"}
