"""Which charts a report has, from numbers as steps give them and from whatever else is in their place."""

import copy
import re
from itertools import pairwise

import pytest

from datadiet_cli.report.html.graphs import graphs_of, overview_of
from tests.report.test_charts import EVIL, number, of_kind, parsed

ROC = {"fpr": [0.0, 0.1, 1.0], "tpr": [0.0, 0.8, 1.0], "of": "macro average, one class against the rest"}
VERDICT = {"difference": -0.002, "lower": -0.009, "upper": 0.005, "margin": 0.01}


def arm(mean, half=0.01):
    figure = {"mean": mean, "lower": mean - half, "upper": mean + half}
    return {"metrics": {"accuracy": figure, "macro_f1": figure, "worst_class_recall": figure}, "roc_curve": ROC}


PROOF = {
    "protocols": {
        "epochs": {
            "score": "accuracy",
            "seeds": 5,
            "test_samples": 2000,
            "confidence": 0.95,
            "verdict": VERDICT,
            "arms": {"before": arm(0.93), "after": arm(0.928), "random": arm(0.9)},
            "differences": {"before": {"verdict": VERDICT}, "random": {"verdict": VERDICT}},
        }
    }
}
NUMBERS = {
    "protocols": {
        "epochs": {
            "score": "r2",
            "seeds": 1,
            "verdict": VERDICT,
            "arms": {"before": {"metrics": {"r2": {"mean": 0.7, "lower": None, "upper": None}}}},
            "differences": {"before": {"verdict": VERDICT}},
        }
    }
}
TRAINING = {
    "history": [
        {"loss": 2.0, "accuracy": 0.2, "validation_loss": 2.2, "validation_accuracy": 0.1, "share_seen": 1.0},
        {"loss": 1.0, "accuracy": 0.6, "validation_loss": None, "validation_accuracy": float("nan"), "share_seen": 0.5},
        {"loss": 0.5, "accuracy": 0.9, "validation_loss": 0.9, "validation_accuracy": 0.8, "share_seen": 0.5},
    ],
    "best_epoch": 2,
    "test": {"roc_curve": ROC},
    "dynamic": {
        "method": "infobatch",
        "arms": {
            "dynamic": {"accuracy": 0.9, "accuracy_by_seed": [0.88, 0.92], "share_of_full_training": 0.6},
            "epochs": {"accuracy": 0.85, "accuracy_by_seed": [0.85], "share_of_full_training": 0.6},
        },
        "differences": {"epochs": {"mean": 0.05, "lower": 0.01, "upper": 0.09}},
    },
}
CHOICE = {
    "groups": {"a": {"before": 10, "after": 5}, "b": {"before": 4, "after": 4}},
    "tournament": [
        {"candidate": "random", "accuracy": 0.9, "difference": None, "interval": None, "picked": False},
        {"candidate": "el2n", "accuracy": 0.92, "difference": 0.02, "interval": [0.01, 0.03], "picked": True},
        {"candidate": "aum", "accuracy": 0.9, "difference": 0.0, "interval": None, "picked": False},
    ],
    "search": [
        {"part": "search", "share": 0.5, **VERDICT, "noninferior": False, "words": "0.2 points"},
        {"part": "confirm", "share": 0.8, **VERDICT, "noninferior": True, "words": "0.2 points"},
    ],
}
PRUNED = {
    "structure": "channels",
    "task": "classes",
    "costs": {"dense": {"parameters": 1000, "macs": 4e9}, "pruned": {"parameters": 250, "macs": 1e9}},
    "stages": {"dense": {"accuracy": 0.9, "roc_curve": ROC}, "fine_tuned": {"accuracy": 0.88}},
    "target": {"asked": 0.02, "tried": [{"share": 0.3, "difference": 0.0, "loss_bound": 0.01, "passed": True}]},
    "layers": [
        {"layer": "conv", "kind": "Conv2d", "shape": "16x3x3x3", "shape_after": "4x3x3x3", "parameters": 432},
        {"layer": "norm", "kind": "BatchNorm2d", "shape": "16", "shape_after": "4", "parameters": 32},
    ],
    "sensitivity": [
        {"layer": "conv", "share": 0.3, "accuracy_pruned": 0.5, "accuracy_recalibrated": 0.8},
        {"layer": "conv", "share": 0.7, "accuracy_pruned": 0.2, "accuracy_recalibrated": None},
    ],
}
FOUND = {
    "histograms": [
        {"of": "outlier", "unit": "score", "edges": [0, 1, 2], "counts": [9, 1], "threshold": 1.0, "side": "above"}
    ]
}
LATENCY = {
    "latency": {
        "before": [{"batch": 1, "cpu": 0.002, "runtime": "torch", "processor": "any"}],
        "after": [{"batch": 1, "cpu": 0.001, "runtime": "torch", "processor": "any"}],
    }
}
TITLES = {
    "proof": (PROOF, ["Accuracy of each arm", "Difference of after to the others", "ROC curves"]),
    "numbers": (NUMBERS, ["R2 of each arm", "Difference of after to the others"]),
    "training": (
        TRAINING,
        [
            "Loss by epoch",
            "Accuracy by epoch",
            "Share of the samples seen by epoch",
            "Dynamic training and its controls",
            "Dynamic training ahead of its controls",
            "ROC curve, test samples",
        ],
    ),
    "choice": (CHOICE, ["Groups before and after", "Tournament: ahead of random", "Search for the fewest samples"]),
    "pruned": (
        PRUNED,
        [
            "Size before and after",
            "Accuracy at each stage",
            "How much may go",
            "Channels left of each layer",
            "Accuracy where a layer is pruned alone",
            "ROC curves by stage",
        ],
    ),
    "found": (FOUND, ["Scores: outlier"]),
}


def document(metrics, timings=None):
    return {"steps": [{"name": "any", "metrics": metrics}], "run": {"steps": [{"timings": timings or {}}]}}


def drawn(metrics, timings=None, beside=None):
    return {graph.title: graph for graph in graphs_of(document(metrics, timings), 0, beside)}


@pytest.mark.parametrize("family", TITLES)
def test_a_step_has_the_charts_that_it_has_numbers_for(family):
    metrics, titles = TITLES[family]
    found = drawn(metrics)
    assert list(found) == titles
    for graph in found.values():
        assert parsed(graph.svg).findtext("title") == graph.title


JUNK = [None, "x", -1, 10**400, float("nan"), [], {}, [None], {"a": 1}, True, "<b>"]


def routes(value):
    """All ways into nested metrics; of a list the first entry stands for all."""
    yield ()
    inside = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, one in inside:
        yield from ((key, *rest) for rest in routes(one))


def put(value, route, junk):
    made = copy.deepcopy(value)
    place = made
    for key in route[:-1]:
        place = place[key]
    place[route[-1]] = junk
    return made


@pytest.mark.parametrize("family", TITLES)
def test_numbers_of_another_version_are_no_chart_and_no_failure(family):
    metrics, _ = TITLES[family]
    for i, route in enumerate(routes(metrics)):
        # Each place gets a few; all of them everywhere would take long and find no more.
        for junk in [one for k, one in enumerate(JUNK) if route and (i + k) % 3 == 0]:
            for graph in drawn(put(metrics, route, junk)).values():
                parsed(graph.svg)
                assert "<b>" not in graph.svg


@pytest.mark.parametrize("metrics", [{}, None, {"history": [], "groups": {}, "protocols": {}, "layers": []}])
def test_no_numbers_no_charts(metrics):
    assert drawn(metrics) == {}


@pytest.mark.parametrize(
    ("edges", "counts", "limit", "side", "inclusive", "aside"),
    [
        # Exact copies have a similarity of 1, which is found where that is the threshold.
        ([0.8, 0.9, 1.0], [5, 3], 1.0, "above", True, False),
        ([0.8, 0.9, 1.0], [5, 3], 1.0, "above", False, True),
        ([-0.5, 0.5, 1.5], [0, 3], 1, "below", True, False),
        ([-0.5, 0.5, 1.5], [0, 3], 1, "below", False, True),
        ([0.5, 1.5, 2.5], [0, 3], 2, "above", False, True),
        ([0.5, 1.5, 2.5], [0, 3], 2, "above", True, False),
    ],
)
def test_a_histogram_without_findings_is_folded_away(edges, counts, limit, side, inclusive, aside):
    own = {"of": "duplicate", "unit": "score", "edges": edges, "counts": counts, "threshold": limit, "side": side}
    [graph] = drawn({"histograms": [own | {"inclusive": inclusive}]}).values()
    assert graph.aside == aside


def test_a_document_without_a_run_has_charts():
    assert [graph.title for graph in graphs_of({"steps": [{"metrics": FOUND}]}, 0)] == ["Scores: outlier"]
    assert overview_of({}) == []


def test_files_beside_output_stand_in_for_numbers():
    files = {
        ".layers.csv": b"layer,kind,shape,shape_after,parameters\nconv,Conv2d,16x3,4x3,432\nbad,Linear,,x,\n",
        ".sensitivity.csv": b"layer,share,accuracy_pruned,accuracy_recalibrated\nconv\xff,0.3,0.5,\n",
    }
    metrics = {"structure": "channels", "costs": {}}
    found = drawn(metrics, beside=files.get)
    assert list(found) == ["Channels left of each layer", "Accuracy where a layer is pruned alone"]
    assert "conv: 16 → 4" in parsed(found["Channels left of each layer"].svg).findtext("desc")
    assert r"conv\udcff: 30% 50.0%" in parsed(found["Accuracy where a layer is pruned alone"].svg).findtext("desc")
    assert drawn(metrics, beside=lambda _ending: None) == {}
    assert drawn({"history": []}, beside=files.get) == {}


def test_weights_of_layers_are_counted_where_no_channels_went():
    layers = [
        {"layer": "a", "kind": "Linear", "shape": "4x4", "shape_after": "4x4", "parameters": 20, "nonzero_after": 5}
    ]
    found = drawn({"structure": "weights", "layers": layers})
    svg = parsed(found["Weights left of each layer"].svg)
    before, after = (of_kind(svg, "rect", kind)[1] for kind in ("before", "after"))
    assert number(after, "width") == pytest.approx(number(before, "width") / 4, abs=0.02)


def test_of_many_layers_the_largest_are_drawn_in_their_order():
    layers = [
        {"layer": f"l{i}", "kind": "Conv2d", "shape": "8x1", "shape_after": "4x1", "parameters": 1000 - i}
        for i in range(80)
    ]
    graph = drawn({"structure": "channels", "layers": layers})["Channels left of each layer"]
    names = [text.text for text in parsed(graph.svg).iter("text") if (text.text or "").startswith("l")]
    assert names == [f"l{i}" for i in range(60)]
    assert "The 60 largest of 80 layers" in graph.words


def test_latency_is_before_and_after():
    found = drawn({}, LATENCY)["Time of a batch before and after"]
    assert "batch of 1: 2 → 1 ms" in parsed(found.svg).findtext("desc")
    assert drawn({}, {"latency": {"after": LATENCY["latency"]["after"]}}) == {}


def test_arms_stand_where_their_figures_are():
    svg = parsed(drawn(PROOF)["Accuracy of each arm"].svg)
    marks = {text.text: number(text, "x") for text in of_kind(svg, "text", "mark") if text.text.endswith("%")}
    (a, xa), (b, xb) = [(float(said[:-1]), x) for said, x in marks.items()][:2]
    before = next(svg.iter("circle"))
    assert number(before, "cx") == pytest.approx(xa + (93 - a) / (b - a) * (xb - xa), abs=0.1)
    border = [line for line in of_kind(svg, "line", "border") if line.get("x1") == line.get("x2")]
    assert number(border[0], "x1") == pytest.approx(xa + (92 - a) / (b - a) * (xb - xa), abs=0.1)
    assert "before less 1 point" in "".join(svg.itertext())


def test_the_best_epoch_is_marked_where_it_is_not_the_last():
    words = "".join(parsed(drawn(TRAINING)["Loss by epoch"].svg).itertext())
    assert "the best epoch, 2" in words
    last = parsed(drawn({**TRAINING, "best_epoch": 3})["Loss by epoch"].svg)
    assert "the best epoch" not in "".join(last.itertext())


def test_losses_of_very_different_size_are_all_seen():
    history = [{"loss": 10.0**-i} for i in range(8)]
    svg = parsed(drawn({"history": history})["Loss by epoch"].svg)
    heights = [float(y) for y in re.findall(r" ([\d.]+)", of_kind(svg, "path", "line-0")[0].get("d"))]
    steps = [b - a for a, b in pairwise(heights)]
    assert max(steps) - min(steps) < 0.3


def test_classes_are_told_by_the_largest_change():
    sizes = {"same": 100, "few": 20, "many": 80, "gone": 5}
    after = {"same": 100, "few": 19, "many": 10, "new": 30}
    graph = overview_of({"input": {"classes": sizes}, "output": {"classes": after}})[0]
    told = parsed(graph.svg).findtext("desc")
    assert told == "many: 80 → 10; new: 0 → 30; gone: 5 → 0; few: 20 → 19; same: 100"


def test_50_000_classes_are_told_in_a_line():
    before = {f"class {i}": 100 + i % 7 for i in range(50_000)}
    after = {name: size - (50 if i < 40 else 0) for i, (name, size) in enumerate(before.items())}
    graph = overview_of({"input": {"classes": before}, "output": {"classes": after}})[0]
    assert len(graph.svg) < 50_000
    assert graph.words == "And 49,970 more classes, from 50 to 106 samples each."
    assert len(of_kind(parsed(graph.svg), "rect", "after")) == 1 + 30


def test_classes_that_nothing_went_from_are_shown_as_they_are():
    graphs = overview_of({"input": {"classes": {"a": 3}, "splits": {}}, "output": {"classes": {"a": 3}, "splits": {}}})
    assert [(graph.title, graph.words) for graph in graphs] == [
        ("Classes before and after", "None of the classes changed in size.")
    ]


def test_hostile_class_names_show_as_what_they_are():
    names = {name: 9 - i for i, name in enumerate(EVIL)}
    graph = overview_of({"input": {"classes": names}, "output": {"classes": dict.fromkeys(names, 1)}})[0]
    svg = parsed(graph.svg)
    assert "<img" not in graph.svg
    assert '<img src=x onerror="alert(1)">' in [text.text for text in svg.iter("text")]
    assert all(letter.isprintable() for letter in "".join(svg.itertext()))


def test_groups_of_other_sorts_are_left_out():
    assert drawn({"groups": 19, "largest_group": 2}) == {}
    assert drawn({"groups": {"a": {"before": 3, "after": 3}}}) == {}
    assert drawn({"groups": {"a": 3}}) == {}


def test_curves_of_the_worst_classes():
    roc = [
        {"class": f"c{i}", "area": 1 - i / 100, "false_positives": [0.0, 1.0], "true_positives": [0.0, 1.0]}
        for i in range(7)
    ]
    metrics = {"protocols": {"epochs": {"arms": {"after": {"roc": roc}}}}}
    graph = drawn(metrics)["ROC curves of the classes that are told worst"]
    assert parsed(graph.svg).findtext("desc").startswith("c6 (0.940): area 0.940, true positives")
    assert graph.words.endswith("2 more are told as well or better.")


def test_features_are_filled_where_they_were_kept():
    columns = [
        {"step_number": i % 2, "column": f"f{i}", "action": "keep" if i > 50 else "drop", "score": float(i)}
        for i in range(100)
    ]
    odd = [
        {"step_number": 1, "column": "label", "action": "keep", "score": None},
        {"step_number": 1, "score": -1.0},
        None,
    ]
    steps = [{"metrics": {}}, {"metrics": {"score_unit": "F"}}]
    (graph,) = graphs_of({"steps": steps, "columns": [*columns, *odd]}, 1)
    assert graph.title == "Scores of features, F"
    assert graph.words == "And 20 more with lower scores, of which 0 were kept."
    svg = parsed(graph.svg)
    before, after = (of_kind(svg, "rect", kind)[1:] for kind in ("before", "after"))
    assert [text.text for text in svg.iter("text")][2:6] == ["f99", "99", "f97", "97"]
    assert [number(one, "width") > 0 for one in after] == [True] * 25 + [False] * 5
    assert all(number(one, "width") > 0 for one in before)
    assert graphs_of({"steps": steps, "columns": "none"}, 1) == []
