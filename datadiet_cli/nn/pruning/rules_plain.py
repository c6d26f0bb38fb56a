"""Rules of operations that work value by value, along a dimension, on pictures, or make tensors of one value."""

import numpy as np
from torch import fx

from datadiet_cli.nn.pruning.axes import Shape, axis, fixed, plain
from datadiet_cli.nn.pruning.rules import Walk, filled, kind, listed, named, rule, shapes_of

_SAME = (
    "dropout feature_dropout alpha_dropout feature_alpha_dropout contiguous _to_copy to alias detach hardswish "
    "zeros_like ones_like full_like empty_like rand_like randn_like fill log_sigmoid type_as float double half "
    "lift_fresh_copy lift_fresh bernoulli softshrink tanhshrink"
)
_ALONG = (
    "mean sum amax amin var std prod any all argmax argmin logsumexp norm linalg_vector_norm max min median nansum "
    "var_mean std_mean aminmax count_nonzero quantile"
)
_WITHIN = (
    "softmax log_softmax _softmax _log_softmax cumsum cumprod logcumsumexp cummax cummin sort argsort flip roll topk"
)
_POOLS = "max_pool avg_pool adaptive_avg_pool adaptive_max_pool lp_pool"
_SIZES = "upsample_nearest upsample_bilinear upsample_linear upsample_bicubic upsample_trilinear"


@rule("pointwise", "rsub", "masked_fill", "floor_divide", "where", *_SAME.split())
def _pointwise(walk: Walk, node: fx.Node) -> Shape | None:
    """Tensors of one shape, or stretched to one; numbers beside them do not matter."""
    given = [
        value for value in named(node).values() if isinstance(value, fx.Node) and walk.shapes.get(value) is not None
    ]
    if kind(node) in ("type_as", "full_like", "fill"):
        given = given[:1]
    shapes = [walk.of(value) for value in given]
    return walk.broadcast(shapes, f"{kind(node)} joins its outputs with something of a fixed width") if shapes else None


@rule(*_ALONG.split())
def _along(walk: Walk, node: fx.Node) -> object:
    """What runs over dimensions and leaves one value of each; the other dimensions pass."""
    arguments = named(node)
    x = walk.of(arguments.get("self", arguments.get("input")))
    if isinstance(arguments.get("other"), fx.Node):
        return _pointwise(walk, node)
    given = arguments.get("dim")
    over = range(len(x)) if given is None or given == [] else [dim % len(x) for dim in listed(given)]
    walk.hold([x[dim] for dim in over], f"{kind(node)} runs over its outputs")
    made = [dim for i, dim in enumerate(x) if i not in over]
    if arguments.get("keepdim"):
        made = [fixed(1) if i in over else dim for i, dim in enumerate(x)]
    several = shapes_of(node.meta["val"])
    return [tuple(made)] * len(several) if isinstance(several, list) else tuple(made)


@rule(*_WITHIN.split())
def _within(walk: Walk, node: fx.Node) -> object:
    """What mixes values along dimensions, which stay as they are; the other dimensions pass."""
    arguments = named(node)
    x = walk.of(arguments["self"])
    given = arguments.get("dim", arguments.get("dims"))
    over = range(len(x)) if given is None or given == [] else [dim % max(len(x), 1) for dim in listed(given)]
    result = shapes_of(node.meta["val"])
    several = result if isinstance(result, list) else [result]
    walk.hold([x[dim] for dim in over if dim < len(x)], f"{kind(node)} runs over its outputs")
    made = [tuple(part[i] if i in over else dim for i, dim in enumerate(x)) for part in several]
    return made if isinstance(result, list) else made[0]


def _spatial(walk: Walk, node: fx.Node, count: int) -> object:
    """The last dimensions become others; those before them pass."""
    x = walk.of(node.args[0])
    cut = len(x) - count
    walk.hold(x[cut:], f"{kind(node)} runs over its outputs")
    result = shapes_of(node.meta["val"])
    if isinstance(result, list):
        return [x[:cut] + part[cut:] for part in result]
    return x[:cut] + result[cut:]


for _name in [*_POOLS.split(), *_SIZES.split()]:
    for _count in (1, 2, 3):
        for _form in (f"{_name}{_count}d", f"{_name}{_count}d_with_indices"):

            @rule(_form)
            def _resized(walk: Walk, node: fx.Node, count: int = _count) -> object:
                return _spatial(walk, node, count)


@rule("pad", "constant_pad_nd", *(f"{name}_pad{n}d" for name in ("reflection", "replication") for n in (1, 2, 3)))
def _pad(walk: Walk, node: fx.Node) -> Shape | None:
    """Values put beside those of the last dimensions: constant ones may go like those of a layer."""
    arguments = named(node)
    x = walk.of(arguments["self"])
    pads = listed(arguments.get("pad", arguments.get("padding")))
    constant = kind(node) == "constant_pad_nd" or arguments.get("mode") == "constant"
    if not all(isinstance(pad, int) for pad in pads):
        return None
    made = list(x)
    for i in range(len(pads) // 2):
        before, after, at = pads[2 * i], pads[2 * i + 1], len(x) - 1 - i
        if before == after == 0:
            continue
        if not constant or min(before, after) < 0:
            walk.hold([x[at]], f"{kind(node)} runs over its outputs")
        ids = walk.flat(x[at], f"{kind(node)} runs over its outputs") if constant and min(before, after) >= 0 else None
        if ids is None:
            made[at] = fixed(plain(node.meta["val"].shape[at]))
        else:
            wide = np.concatenate([walk.ties.new(before), ids, walk.ties.new(after)])
            walk.coded.append((wide, "the code of the network may say how wide it is padded"))
            made[at] = axis(wide)
    return tuple(made)


@rule("glu")
def _glu(walk: Walk, node: fx.Node) -> Shape:
    """One half of a dimension times the sigmoid of the other."""
    arguments = named(node)
    x = list(walk.of(arguments["self"]))
    at = arguments["dim"] % len(x)
    ids = walk.flat(x[at], "glu takes it apart")
    if ids is None:
        x[at] = fixed(plain(node.meta["val"].shape[at]))
    else:
        half = len(ids) // 2
        walk.ties.tie(ids[:half], ids[half:])
        x[at] = axis(ids[:half])
    return tuple(x)


@rule("prelu")
def _prelu(walk: Walk, node: fx.Node) -> Shape:
    """A slope for each channel, or one for all."""
    arguments = named(node)
    x, slope = walk.of(arguments["self"]), walk.of(arguments["weight"])
    if slope and len(x) > 1:
        walk.broadcast([x[1:2], slope], "prelu has a fixed number of slopes")
    return x


@rule("zeros", "ones", "full", "empty", "new_zeros", "new_ones", "new_full", "new_empty")
def _made(walk: Walk, node: fx.Node) -> Shape:
    """A tensor of one value, of any width."""
    return filled(walk, shapes_of(node.meta["val"]))


@rule("unfold")
def _unfold(walk: Walk, node: fx.Node) -> Shape:
    """Windows that overlap."""
    arguments = named(node)
    x, result = walk.of(arguments["self"]), shapes_of(node.meta["val"])
    at = arguments["dimension"] % len(x)
    walk.hold([x[at]], "unfold runs over its outputs")
    return (*x[:at], result[at], *x[at + 1 :], result[-1])


@rule("sym_size", "sym_numel", "sym_stride", "_assert_tensor_metadata")
def _asked(walk: Walk, node: fx.Node) -> Shape | None:
    """What asks for sizes, which are then computed with."""
    if kind(node) == "_assert_tensor_metadata":
        return ()
    x = walk.of(node.args[0])
    dims = [x[named(node)["dim"] % len(x)]] if kind(node) == "sym_size" else x
    walk.hold(dims, "its width is computed with")
    return ()
