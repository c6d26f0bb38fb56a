"""Rules of layers: which rows make their outputs, and which columns take their inputs."""

from typing import Any

import numpy as np
from torch import fx

from datadiet_cli.nn.pruning.axes import Dim, Ints, Shape, axis, is_one, numbers, plain, size_of
from datadiet_cli.nn.pruning.rules import Walk, kind, listed, named, rule, shapes_of

_INPUT = "it is joined with something of a fixed width"
_SCALED = "attention is scaled by the width of its heads"
_BARE = "its norm has no weights that could tell its width"


def _bias(walk: Walk, node: fx.Node, made: Ints, name: str = "bias") -> None:
    bias = walk.given(node, name)
    if bias is not None:
        walk.ties.tie(numbers(bias), made) if numbers(bias).size else walk.ties.hold(made, _INPUT)


@rule("linear")
def _linear(walk: Walk, node: fx.Node) -> Shape:
    arguments = named(node)
    x, weight = walk.of(arguments["input"]), walk.of(arguments["weight"])
    walk.meet(x[-1], weight[-1], _INPUT)
    walk.makes(arguments["weight"], 0)
    bias = walk.given(node, "bias")
    made = weight[0] if len(weight) > 1 else ()
    if bias is not None and bias and made:
        walk.meet(made, bias[0], _INPUT)
    return x[:-1] + ((made,) if len(weight) > 1 else ())


_CONVOLUTIONS = {f"conv{n}d": n for n in (1, 2, 3)} | {f"conv_transpose{n}d": n for n in (1, 2, 3)}


@rule("convolution", *_CONVOLUTIONS)
def _convolution(walk: Walk, node: fx.Node) -> Shape | None:
    """Plain, grouped and depthwise ones, also transposed."""
    arguments = named(node)
    x, weight = walk.of(arguments["input"]), walk.of(arguments["weight"])
    at = len(x) - (len(weight) - 2) - 1
    walk.hold(x[at + 1 :], f"{kind(node)} runs over its outputs")
    transposed = "transpose" in kind(node) or bool(arguments.get("transposed"))
    w0, w1 = (walk.flat(dim, _INPUT) for dim in weight[:2])
    if w0 is None or w1 is None:
        return None
    ids = walk.flat(x[at], _INPUT)
    if ids is None:
        ids = walk.ties.new(size_of(x[at]))
        walk.ties.hold(ids, "it takes the network's input, or something else of a fixed width")
    depthwise = 1 < arguments["groups"] == len(ids)
    walk.makes(arguments["weight"], 1 if transposed and not depthwise else 0)
    made = (_backward if transposed else _forward)(walk, ids, w0, w1, arguments["groups"])
    _pairs(walk, ids, arguments["groups"], len(made))
    _bias(walk, node, made)
    return (*x[:at], axis(made), *shapes_of(node.meta["val"])[at + 1 :])


def _pairs(walk: Walk, ids: Ints, groups: int, made: int) -> None:
    """With one channel left for each group it would become a depthwise one; such a one of one channel a plain one."""
    if 1 < groups < len(ids):
        walk.pairs.append(ids[: len(ids) // groups])
    elif 1 < groups < made:
        walk.pairs.append(ids)


def _forward(walk: Walk, ids: Ints, rows: Ints, columns: Ints, groups: int) -> Ints:
    """Tie the channels of a convolution of rows (outputs) and columns (inputs of a group)."""
    if groups == 1:
        walk.ties.tie(ids, columns)
    elif groups == len(ids):
        walk.ties.tie(ids[:, None], rows.reshape(groups, -1))
    else:
        walk.ties.tie(ids.reshape(groups, -1), columns)
        across = rows.reshape(groups, -1)
        walk.ties.tie(across, across[:1])
    return rows


def _backward(walk: Walk, ids: Ints, rows: Ints, columns: Ints, groups: int) -> Ints:
    """Tie the channels of a transposed convolution of rows (inputs) and columns (outputs of a group)."""
    walk.ties.tie(ids, rows)
    if groups == 1:
        return columns
    if groups == len(ids):
        walk.ties.hold(columns, "each channel makes them")
        return np.repeat(ids, len(columns))
    across = ids.reshape(groups, -1)
    walk.ties.tie(across, across[:1])
    return np.tile(columns, groups)


@rule("batch_norm", "instance_norm", "_native_batch_norm_legit_no_training", "native_batch_norm")
def _batch_norm(walk: Walk, node: fx.Node) -> Any:
    arguments = named(node)
    x = walk.of(arguments["input"])
    for name in ("weight", "bias", "running_mean", "running_var"):
        shape = walk.given(node, name)
        if shape is not None:
            walk.meet(x[1], shape[0], "its norm has a fixed width")
    if kind(node) == "instance_norm" and arguments["weight"] is None and arguments["running_mean"] is None:
        walk.coded.append((numbers(x[1:2]), _BARE))
    result = shapes_of(node.meta["val"])
    return [x, *result[1:]] if isinstance(result, list) else x


@rule("layer_norm", "rms_norm", "native_layer_norm")
def _layer_norm(walk: Walk, node: fx.Node) -> Any:
    arguments = named(node)
    x = walk.of(arguments["input"])
    over = x[len(x) - len(arguments["normalized_shape"]) :]
    for name in ("weight", "bias"):
        shape = walk.given(node, name) if name in arguments else None
        for a, b in zip(over, shape or (), strict=False):
            walk.meet(a, b, "its norm has a fixed width")
    if arguments["weight"] is None:
        walk.coded.append((numbers(over), _BARE))
    result = shapes_of(node.meta["val"])
    return [x, *result[1:]] if isinstance(result, list) else x


@rule("group_norm", "native_group_norm")
def _group_norm(walk: Walk, node: fx.Node) -> Any:
    """Each group loses as much as the others."""
    arguments = named(node)
    x = walk.of(arguments["input"])
    ids = walk.flat(x[1], "its norm has a fixed width")
    for name in ("weight", "bias"):
        shape = walk.given(node, name)
        if shape is not None:
            walk.meet(x[1], shape[0], "its norm has a fixed width")
    groups = arguments.get("num_groups", arguments.get("group"))
    if ids is not None and groups is not None:
        across = ids.reshape(groups, -1)
        walk.ties.tie(across, across[:1])
    result = shapes_of(node.meta["val"])
    return [x, *result[1:]] if isinstance(result, list) else x


@rule("embedding")
def _embedding(walk: Walk, node: fx.Node) -> Shape:
    arguments = named(node)
    weight = walk.of(arguments["weight"])
    walk.hold(weight[:1], "its rows are looked up")
    walk.makes(arguments["weight"], 1)
    return walk.of(arguments["indices"]) + weight[1:]


@rule("embedding_bag", "_embedding_bag")
def _embedding_bag(walk: Walk, node: fx.Node) -> Any:
    arguments = named(node)
    weight = walk.of(arguments["weight"])
    walk.hold(weight[:1], "its rows are looked up")
    walk.makes(arguments["weight"], 1)
    first, *others = shapes_of(node.meta["val"])
    return [first[:1] + weight[1:], *others]


@rule("lstm", "gru", "rnn_tanh", "rnn_relu")
def _recurrent(walk: Walk, node: fx.Node) -> Any:
    """A hidden unit is a row of every gate, in all layers and directions: a module has one hidden size."""
    arguments = named(node)
    if "params" not in arguments or "num_layers" not in arguments or "input" not in arguments:
        return None
    weights, biased = arguments["params"], arguments["has_biases"]
    ways, step = (2 if arguments["bidirectional"] else 1), (4 if biased else 2)
    states = [state for state in listed(arguments["hx"]) if isinstance(state, fx.Node)]
    if len(weights) != arguments["num_layers"] * ways * step:
        return None  # a projection of the hidden state
    x = walk.of(arguments["input"])
    unit = walk.of(weights[1])[1][0].ids
    if unit is None:
        return None
    given = x[-1]
    for i in range(0, len(weights), step):
        if i and i % (ways * step) == 0:
            given = axis(np.tile(unit, ways))
        _cell(walk, weights[i : i + step], given, unit)
    for state in states:
        walk.meet(walk.of(state)[-1], axis(unit), "its first state has a fixed width")
    result = shapes_of(node.meta["val"])
    ends = [(*part[:-1], axis(unit)) for part in result[1:]]
    return [(*x[:-1], axis(np.tile(unit, ways))), *ends]


def _cell(walk: Walk, weights: list[fx.Node], given: Dim, unit: Ints) -> None:
    """Tie the weights of one layer and direction: from inputs, from the state, and biases."""
    for i, weight in enumerate(weights):
        shape = walk.of(weight)
        rows = numbers(shape[:1])
        walk.ties.tie(rows.reshape(-1, len(unit)), unit)
        if i < 2:
            walk.makes(weight, 0)
            walk.meet(shape[1], axis(unit) if i else given, _INPUT)


@rule("matmul", "mm", "bmm")
def _matmul(walk: Walk, node: fx.Node) -> Shape:
    arguments = named(node)
    first, second = arguments["self"], arguments.get("other", arguments.get("mat2"))
    a, b = walk.of(first), walk.of(second)
    walk.meet(a[-1], b[-2] if len(b) > 1 else b[-1], "it is multiplied with something of a fixed width")
    if len(b) == 2:
        walk.makes(second, 1)
    batch = walk.broadcast([a[:-2], b[:-2]], "it is multiplied with something of a fixed width") if a or b else ()
    return batch + a[-2:-1] + (b[-1:] if len(b) > 1 else ())


@rule("addmm", "baddbmm")
def _addmm(walk: Walk, node: fx.Node) -> Shape:
    arguments = named(node)
    names = ("mat1", "mat2") if "mat1" in arguments else ("batch1", "batch2")
    a, b = (walk.of(arguments[name]) for name in names)
    walk.meet(a[-1], b[-2], "it is multiplied with something of a fixed width")
    if len(b) == 2:
        walk.makes(arguments[names[1]], 1)
    return walk.broadcast([a[:-1] + b[-1:], walk.of(arguments["self"])], _INPUT)


@rule("einsum")
def _einsum(walk: Walk, node: fx.Node) -> Shape | None:
    """Dimensions of one letter go together."""
    arguments = named(node)
    equation = arguments["equation"].replace(" ", "")
    if "." in equation or "->" not in equation:
        return None
    taken, given = equation.split("->")
    letters: dict[str, Dim] = {}
    for term, source in zip(taken.split(","), arguments["tensors"], strict=True):
        for letter, dim in zip(term, walk.of(source), strict=True):
            letters[letter] = walk.meet(letters[letter], dim, _INPUT) if letter in letters else dim
        if source in walk.names and len(term) > 1 and term[-1] in given:
            walk.makes(source, len(term) - 1)
    return tuple(letters[letter] for letter in given)


@rule("scaled_dot_product_attention")
def _attention(walk: Walk, node: fx.Node) -> Shape | None:
    """Heads go as one through queries, keys and values; of these the width of a head may change too."""
    arguments = named(node)
    q, k, v = (walk.of(arguments[name]) for name in ("query", "key", "value"))
    if arguments["scale"] is None:
        walk.hold([q[-1], k[-1]], _SCALED)
    walk.meet(q[-1], k[-1], _INPUT)
    walk.hold([q[-2], k[-2], v[-2]], "attention runs over it")
    heads = [_spread(walk, part[:-2], q[:-2]) for part in (k, v)] if arguments["enable_gqa"] else [k[:-2], v[:-2]]
    batch = walk.broadcast([q[:-2], *heads], "attention joins it with something of a fixed width")
    mask = walk.given(node, "attn_mask")
    if mask is not None:
        walk.hold(mask[-2:], "attention runs over it")
        if len(mask) > 2:
            walk.broadcast([batch, mask[:-2]], "the mask of attention has a fixed width")
    return (*batch, q[-2], v[-1])


def _spread(walk: Walk, heads: Shape, queries: Shape) -> Shape:
    """Heads of keys and values as often as queries share one."""
    ids, count = walk.flat(heads[-1], "heads are shared"), walk.flat(queries[-1], "heads are shared")
    if ids is None or count is None:
        walk.hold([heads[-1], queries[-1]], "heads are shared")
        return (*heads[:-1], queries[-1])
    return (*heads[:-1], axis(np.repeat(ids, len(count) // len(ids))))


@rule("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "im2col")
def _blocks(walk: Walk, node: fx.Node) -> Shape:
    """Channels that become parts of a picture, or the other way round."""
    x = walk.of(node.args[0])
    result: Shape = shapes_of(node.meta["val"])
    name = kind(node)
    at = 1 if name == "im2col" else len(x) - 3
    ids = walk.flat(x[at], f"{name} takes it")
    walk.hold(x[at + 1 :], f"{name} runs over its outputs")
    if ids is None or is_one(x[at]):
        return x[:at] + result[at:]
    if name == "channel_shuffle":
        grid = ids.reshape(int(named(node)["groups"]), -1)
        walk.ties.tie(grid, grid[:1])
        return (*x[:at], axis(grid.T.ravel()), *x[at + 1 :])
    wide = int(plain(node.meta["val"].shape[at]))
    if name == "pixel_shuffle":
        grid = ids.reshape(wide, -1)
        walk.ties.tie(grid, grid[:, :1])
        return (*x[:at], axis(grid[:, 0]), *result[at + 1 :])
    return (*x[:at], axis(np.repeat(ids, wide // len(ids))), *result[at + 1 :])
