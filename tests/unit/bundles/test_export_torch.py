"""Torch modules leave the notebook as graphs for batches of any size, weights inside, and stay as they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
from torch import nn  # noqa: E402

from mlmagic.bundles.exporters import graph_of  # noqa: E402
from mlmagic.bundles.graph import ExportError  # noqa: E402
from mlmagic.bundles.scorer import Scorer  # noqa: E402
from tests.unit.bundles.exported import gated, matrix  # noqa: E402

SEEN = matrix(0, rows=20, columns=4)


class Pictures(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.filters, self.norm, self.last = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(4 * 16, 3)

    def forward(self, x: Any) -> Any:
        return self.last(torch.relu(self.norm(self.filters(x))).flatten(1))


class Sequences(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.memory, self.last = nn.Embedding(20, 4), nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 2)

    def forward(self, x: Any) -> Any:
        found, _ = self.memory(self.words(x))
        return self.last(found[:, -1])


class Several(nn.Module):
    def forward(self, x: Any) -> Any:
        return {"doubled": 2 * x, "best": x.argmax(1)}


class Branching(nn.Module):
    def forward(self, x: Any) -> Any:
        return 2 * x if x.sum() > 0 else x - 1


class Three(nn.Module):
    def forward(self, x: Any) -> Any:
        return 2 * x.reshape(3, 4)


class TwoInputs(nn.Module):
    def forward(self, x: Any, mask: Any) -> Any:
        return x * mask


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 2))


def test_a_network_takes_batches_of_any_size_and_holds_its_weights() -> None:
    graph, _ = gated(network(), SEEN)
    assert (graph.schema.layout, graph.schema.shape, graph.schema.answers) == ("tensor", (4,), "output")
    scorer = Scorer(graph.content, graph.schema)
    assert [len(scorer.score({"input": np.zeros((n, 4), np.float32)})["output"]) for n in (1, 2, 17)] == [1, 2, 17]
    assert not any(tensor.external_data for tensor in onnx.load_model_from_string(graph.content).graph.initializer)


def test_the_module_its_mode_and_the_random_state_stay_as_they_were(capfd: pytest.CaptureFixture[str]) -> None:
    model = network()
    model[2].eval()
    modes = [part.training for part in model.modules()]
    weights = [weight.clone() for weight in model.parameters()]
    state = torch.get_rng_state()
    graph = graph_of(model, torch.as_tensor(SEEN, dtype=torch.float32))
    graph.ask({"input": SEEN.astype(np.float32)})
    assert [part.training for part in model.modules()] == modes
    assert all(torch.equal(one, other) for one, other in zip(weights, model.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    assert graph.notes == ("it was in training mode, and is exported as in evaluation",)
    assert capfd.readouterr() == ("", "")


def test_pictures() -> None:
    graph, _ = gated(Pictures().eval(), np.random.default_rng(0).normal(size=(6, 1, 6, 6)))
    assert (graph.schema.shape, graph.notes) == ((1, 6, 6), ())


def test_sequences_of_whole_numbers() -> None:
    graph, _ = gated(Sequences(), np.random.default_rng(0).integers(0, 20, (6, 7)))
    assert (graph.schema.fields[0].type, graph.schema.fields[0].high) == ("int64", 19.0)


def test_a_frame_gives_the_columns_their_names() -> None:
    frame = pd.DataFrame(SEEN, columns=list("abcd"))
    graph, _ = gated(network(), frame)
    assert (graph.schema.layout, graph.schema.names, graph.schema.named) == ("matrix", tuple("abcd"), True)


def test_several_outputs_have_their_own_names() -> None:
    graph, _ = gated(Several(), SEEN)
    assert [(one.name, one.type, one.shape) for one in graph.schema.outputs] == [
        ("doubled", "float32", (4,)),
        ("best", "int64", ()),
    ]


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (Branching(), "Branching cannot be exported: its forward branches on values of its input .* torch.where"),
        (Three(), "Three cannot be exported: it answers 3 rows, but not 1"),
        (TwoInputs(), "TwoInputs.forward takes x, mask; expected one tensor"),
        (nn.Linear(4, 2).double(), r"Linear has weights of float64; expected float32: call its float\(\)"),
        (nn.Linear(5, 2), r"Linear fails on the example, of shape \(20, 4\)"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_one_line(
    model: Any, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ExportError, match=told) as refusal:
        graph_of(model, SEEN)
    assert "\n" not in str(refusal.value)
    assert capfd.readouterr() == ("", "")
