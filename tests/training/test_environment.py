from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from sightline.core.errors import EnvironmentFault, InputError
from sightline.training import environment as module
from sightline.training.environment import environment, has_bfloat16, resolve_device, resolve_dtype

CPU = torch.device("cpu")


def test_environment_is_plain_json_and_names_what_results_depend_on() -> None:
    result = json.loads(json.dumps(environment()))
    assert result["packages"]["torch"] == torch.__version__
    assert result["threads"] == torch.get_num_threads()
    assert result["cores"] >= 1
    assert result["cpu"]


def test_devices_that_are_not_there_are_refused() -> None:
    assert resolve_device("cpu") == CPU
    with pytest.raises(InputError, match="must be auto, cpu, cuda or mps, found 'gpu'"):
        resolve_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(EnvironmentFault, match="no cuda; use --device=cpu"):
            resolve_device("cuda")


@pytest.mark.parametrize(("has", "narrow", "wide"), [(True, "float32", "bfloat16"), (False, "float32", "float32")])
def test_auto_dtype_takes_bfloat16_for_wide_models_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, has: bool, narrow: str, wide: str
) -> None:
    monkeypatch.setattr(module, "has_bfloat16", lambda device: has)
    assert resolve_dtype("auto", CPU, nn.Linear(64, 512)) == narrow
    assert resolve_dtype("auto", CPU, nn.Linear(256, 512)) == wide
    if not has:
        with pytest.raises(EnvironmentFault, match="has no bfloat16 products"):
            resolve_dtype("bfloat16", CPU, nn.Linear(2, 2))
    with pytest.raises(InputError, match="must be auto, float32 or bfloat16, found 'half'"):
        resolve_dtype("half", CPU, nn.Linear(2, 2))


def test_bfloat16_is_read_off_the_processors_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    for flags, expected in (("fpu avx512_bf16 sse", True), ("amx_bf16", True), ("fpu avx512f", False), ("", False)):
        monkeypatch.setattr(module, "cpuinfo", lambda key, flags=flags: flags)
        assert has_bfloat16(CPU) == expected
