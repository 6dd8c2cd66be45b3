"""A graph is written only where ONNX Runtime gives what the module gives, for other sizes too."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sightline.core.errors import InputError
from sightline.export.onnx_graphs import Graph
from sightline.export.onnx_loops import with_loops
from sightline.export.onnx_parts import Whole
from sightline.mixers import MIXERS
from sightline.models.stack import AsEncoder
from sightline.ops.dense import dense_attention

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def graph(function: object, *sizes: tuple[int, int]) -> Graph:
    """Of a function of x (B, T, 8) and mask (B, T), whose first row is all masked where there are several."""

    def inputs(rows: int, length: int) -> dict[str, Tensor]:
        x = torch.randn(rows, length, 8, generator=torch.Generator().manual_seed(rows))
        lengths = torch.tensor([0 if rows > 1 else length, length, max(1, length - 2), 1])[:rows]
        return {"x": x, "mask": torch.arange(length) < lengths.unsqueeze(1)}

    axes = {0: "batch", 1: "length"}
    first, *others = (inputs(*size) for size in sizes)
    return Graph(Whole(function, tuple), first, {"x": axes, "mask": axes}, ("y",), others)


@pytest.mark.parametrize("name", ["lstm", "gated_delta"])
def test_a_recurrence_is_a_loop_of_any_length(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    heads = {"heads": 2} if name == "gated_delta" else {}
    mixer = with_loops(AsEncoder(MIXERS[name](**heads).build(8)))
    graph(mixer, (3, 5), (1, 1), (4, 33)).write(tmp_path / "loop.onnx")
    written = onnx.load(tmp_path / "loop.onnx").graph
    assert "Scan" in {node.op_type for node in written.node}
    declared = [[size.dim_param for size in one.type.tensor_type.shape.dim[:2]] for one in written.output]
    assert declared == [["batch", "length"]]  # torch's own LSTM declares the example's length


def test_a_query_that_sees_nothing_gets_zeros(tmp_path: Path) -> None:
    """At opset 20 torch's exporter writes an attention whose rows without a key are the mean of all values."""

    def attend(x: Tensor, mask: Tensor) -> Tensor:
        heads = x.unsqueeze(1)
        return dense_attention(heads, heads, heads, visible=mask[:, None, None, :])

    one = graph(attend, (3, 5), (2, 7))
    assert not attend(**one.inputs)[0].any()
    one.write(tmp_path / "attention.onnx")


class Otherwise(nn.Module):
    """Differs from itself where it is exported."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x + self.by if torch.compiler.is_exporting() else x


@pytest.mark.parametrize(("by", "differs"), [(1e-3, r"0\.000"), (float("nan"), "inf")])
def test_a_graph_that_differs_is_refused(by: float, differs: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^wrong: ONNX Runtime gives y that differ by {differs}"):
        graph(Otherwise(by), (3, 5)).write(tmp_path / "wrong.onnx")


def test_an_export_that_failed_changes_nothing_for_the_next_one(tmp_path: Path) -> None:
    """torch leaves marks on the tensors of an export that fails, by which the next one may have fixed sizes."""
    failed = graph(Branching(), (3, 5))
    with pytest.raises(InputError, match="torch cannot export it"):
        failed.write(tmp_path / "branch.onnx")
    assert not any(vars(tensor) for tensor in failed.inputs.values())
    later = Graph(Whole(lambda x, mask: x * mask.unsqueeze(2), tuple), failed.inputs, failed.axes, ("y",))
    later.write(tmp_path / "later.onnx")
    shapes = [
        [size.dim_param for size in one.type.tensor_type.shape.dim[:2]]
        for one in onnx.load(tmp_path / "later.onnx").graph.input
    ]
    assert shapes == [["batch", "length"]] * 2


class Branching(nn.Module):
    """Looks at values."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x if bool(mask.all()) else 0.0 * x


def test_what_torch_cannot_trace_is_refused_in_a_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"^branch: torch cannot export it: ") as error:
        graph(Branching(), (3, 5)).write(tmp_path / "branch.onnx")
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")
