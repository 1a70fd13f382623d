"""A graph is looked at before it is run: operators by name, weights inside."""

from __future__ import annotations

import pytest

from mlmagic.bundles.operators import check_operators
from mlmagic.errors import MisuseError

onnx = pytest.importorskip("onnx")
helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT


def graph(*nodes, weights=(), functions=(), domains=("",)):
    takes = [helper.make_tensor_value_info("x", FLOAT, [None, 2])]
    gives = [helper.make_tensor_value_info("y", FLOAT, [None, 2])]
    made = helper.make_graph(list(nodes), "g", takes, gives, list(weights))
    imports = [helper.make_opsetid(domain, 17 if not domain else 1) for domain in domains]
    return helper.make_model(made, opset_imports=imports, functions=list(functions)).SerializeToString()


def relu(domain=""):
    return helper.make_node("Relu", ["x"], ["y"], domain=domain)


def branches(inner):
    condition = helper.make_tensor("yes", onnx.TensorProto.BOOL, [], [True])
    body = helper.make_graph([inner], "branch", [], [helper.make_tensor_value_info("y", FLOAT, None)])
    return graph(helper.make_node("If", ["yes"], ["y"], then_branch=body, else_branch=body), weights=[condition])


def external():
    weights = helper.make_tensor("w", FLOAT, [2], [1.0, 2.0])
    weights.ClearField("float_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="/etc/passwd")
    return weights


def test_standard_operators_pass():
    check_operators(graph(relu()))
    check_operators(branches(relu()))


def test_an_operator_of_another_domain_is_named():
    with pytest.raises(MisuseError, match=r"com\.evil\.Relu, which is not allowed"):
        check_operators(graph(relu("com.evil"), domains=("", "com.evil")))


def test_also_inside_a_branch():
    with pytest.raises(MisuseError, match=r"com\.evil\.Relu"):
        check_operators(branches(relu("com.evil")))


def test_a_function_of_the_model_may_be_used_if_it_computes_only():
    fine = helper.make_function(
        "own", "Twice", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], [helper.make_opsetid("", 17)]
    )
    check_operators(graph(helper.make_node("Twice", ["x"], ["y"], domain="own"), functions=[fine], domains=("", "own")))
    wrong = helper.make_function("own", "Twice", ["x"], ["y"], [relu("com.evil")], [helper.make_opsetid("com.evil", 1)])
    with pytest.raises(MisuseError, match=r"com\.evil\.Relu"):
        check_operators(
            graph(helper.make_node("Twice", ["x"], ["y"], domain="own"), functions=[wrong], domains=("", "own"))
        )


def test_weights_in_another_file_are_refused():
    add = helper.make_node("Add", ["x", "w"], ["y"])
    with pytest.raises(MisuseError, match="keeps weights in another file"):
        check_operators(graph(add, weights=[external()]))


def test_also_as_a_constant():
    constant = helper.make_node("Constant", [], ["w"], value=external())
    with pytest.raises(MisuseError, match="keeps weights in another file"):
        check_operators(graph(constant, helper.make_node("Add", ["x", "w"], ["y"])))


@pytest.mark.parametrize("content", [b"no model", b"\x80\x04pickle", b"\xff" * 100])
def test_what_is_no_graph_is_refused(content):
    with pytest.raises(MisuseError, match="no ONNX model"):
        check_operators(content)


def test_also_a_constant_inside_a_function_of_the_model():
    body = [helper.make_node("Constant", [], ["w"], value=external()), helper.make_node("Add", ["x", "w"], ["y"])]
    function = helper.make_function("own", "Plus", ["x"], ["y"], body, [helper.make_opsetid("", 17)])
    with pytest.raises(MisuseError, match="keeps weights in another file"):
        check_operators(
            graph(helper.make_node("Plus", ["x"], ["y"], domain="own"), functions=[function], domains=("", "own"))
        )


def test_graphs_inside_graphs_take_no_longer_than_they_are_large():
    node = relu()
    for _ in range(25):  # if each level looked at the next one twice, this would not end
        body = helper.make_graph([node], "branch", [], [helper.make_tensor_value_info("y", FLOAT, None)])
        node = helper.make_node("If", ["yes"], ["y"], then_branch=body)
    check_operators(graph(node))
