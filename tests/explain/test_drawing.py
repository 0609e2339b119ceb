from matplotlib.backends.backend_agg import FigureCanvasAgg

import graphnn as gn
from graphnn.explain.drawing import Bend, arrange, dot, draw


def network(name="hidden"):
    net = gn.Network("n")
    x, y = net.input("x", ("N", 4)), net.input("y", ("N",), dtype="int64")
    hidden = gn.dense(x, 3, activation=gn.sigmoid, name=name)
    gn.softmax_cross_entropy(gn.dense(gn.concatenate([hidden, x], axis=1), 3, name="out"), y, name="loss")
    return net


def test_edges_run_from_left_to_right_one_layer_at_a_time():
    net = network()
    layers = arrange(net)
    layer = {slot: n for n, row in enumerate(layers) for slot in row}
    assert sorted(s for s in layer if isinstance(s, str)) == sorted(net.graph)
    assert sum(map(len, layers)) == len(layer)
    for source, target in set(net.graph.edges()):
        between = range(layer[source] + 1, layer[target])
        assert layer[source] < layer[target]
        assert all(layer[Bend(source, target, n)] == n for n in between)


def test_a_parameter_stands_right_before_its_first_reader():
    layer = {slot: n for n, row in enumerate(arrange(network())) for slot in row}
    assert layer["out.b"] == layer["out"] - 1
    assert layer["y"] == min(layer[t] for _, t in network().graph.out_edges("y")) - 1


def test_a_chain_is_a_line_and_an_empty_network_nothing():
    net = gn.Network()
    gn.exp(gn.exp(net.input("x", (2,)), name="a"), name="b")
    assert arrange(net) == [["x"], ["a"], ["b"]]
    assert arrange(gn.Network()) == []


def test_crossings_are_undone():
    net = gn.Network()
    a, b = net.input("a", (2,)), net.input("b", (2,))
    gn.exp(b, name="of b")
    gn.exp(a, name="of a")
    left, right = arrange(net)
    assert [f"of {name}" for name in left] == right


def test_boxes_do_not_overlap_and_hold_their_labels(tmp_path):
    figure = draw(network("a_rather_long_name"), tmp_path / "net.png")
    assert (tmp_path / "net.png").read_bytes().startswith(b"\x89PNG")
    (axes,) = figure.axes
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [p.get_window_extent(renderer) for p in axes.patches if type(p).__name__ == "FancyBboxPatch"]
    assert len(boxes) == len(network("a_rather_long_name").graph)
    for n, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:n])
    assert len(axes.texts) == 2 * len(boxes)
    for text in axes.texts:
        label = text.get_window_extent(renderer)
        assert any(b.x0 <= label.x0 and label.x1 <= b.x1 and b.y0 <= label.y0 and label.y1 <= b.y1 for b in boxes)


def test_names_are_inert_in_pictures_and_graphviz_text():
    net = gn.Network()
    net.input('x"]; evil [label="\\', (2,))
    net.input("$\\frac{$\x1b\n", (2,))
    lines = dot(net).splitlines()
    assert lines[3] == r'  n0 [label="x\"]; evil [label=\"\\\ninput\n[2]", fillcolor="#cfe3f7"];'
    assert r"$\\frac{$\\x1b\\n\ninput" in lines[4]
    assert draw(net).axes[0].texts[0].get_text() == 'x"]; evil [label="\\'


def test_graphviz_text_names_every_edge():
    net = gn.Network()
    a, b = net.input("a", (2,)), net.input("b", (2,))
    gn.add(a, b, name="c")
    assert [line for line in dot(net).splitlines() if "->" in line] == ["  n0 -> n2;", "  n1 -> n2;"]
