"""How much faster a pruned network is on a CUDA device: half of the channels of ResNet-18's layout, and 2 of 4 weights.

Dense and pruned networks take turns, timed by CUDA events; ratios are taken round by round: the median and its 95 %
interval. Weights are by chance, as time does not depend on them. Linear layers in half precision keep 2 of 4
neighbours by magnitude, as `--structure n:m` leaves them, and are then handed to torch's sparse kernels; what these
compute is compared with the dense layer. A network of small kernels is bound by the time that it takes to start them,
so it is also timed as a CUDA graph, which starts all of them at once.
"""

import argparse
import copy
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from bench_prune_speed import halved
from prune_nets import ResNet18
from torch import nn
from torch.sparse import SparseSemiStructuredTensorCUSPARSELT, SparseSemiStructuredTensorCUTLASS

from datadiet_cli.nn.cost import Latency, latency, processor_of, ratio
from datadiet_cli.nn.pruning.criteria import weight_scores
from datadiet_cli.nn.pruning.masks import n_of_m

GPU = torch.device("cuda")
SIZES = ((1024, 1024), (4096, 1024), (4096, 4096), (8192, 8192))
ROWS, BATCHES = (64, 1024, 8192), (1, 64)
FORMS = (SparseSemiStructuredTensorCUSPARSELT, SparseSemiStructuredTensorCUTLASS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64, help="channels of the first stage (default: 64)")
    parser.add_argument("--rounds", type=int, default=15, help="how often each is measured (default: 15)")
    parser.add_argument("--out", type=Path, help="write all figures there, as JSON")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print("there is no CUDA device")
        return 2
    print(f"{processor_of(GPU)}, torch {torch.__version__}, {args.rounds} rounds\n")
    print("| | batch | dense ms | pruned ms | times as fast |\n|---|---:|---:|---:|---:|")
    figures = [*channels(args.width, args.rounds), *two_of_four(args.rounds)]
    if args.out:
        args.out.write_text(json.dumps(figures, indent=1))
    return 0


def channels(width: int, rounds: int) -> Iterator[dict[str, object]]:
    """Time the dense network and one with half of its channels."""
    torch.manual_seed(0)
    dense = ResNet18(width).eval()
    small = halved(dense)
    for kind in (torch.float32, torch.bfloat16):
        models: dict[str, nn.Module] = {
            name: copy.deepcopy(own).to(GPU, kind, memory_format=torch.channels_last)
            for name, own in (("dense", dense), ("pruned", small))
        }
        name = f"half of the channels, {str(kind).removeprefix('torch.')}"
        for batch in BATCHES:
            x = torch.randn(batch, 3, 32, 32, device=GPU, dtype=kind).to(memory_format=torch.channels_last)
            yield from timed(name, models, x, rounds)


class Replayed(nn.Module):
    """A network recorded as a CUDA graph."""

    def __init__(self, network: nn.Module, x: torch.Tensor) -> None:
        super().__init__()
        self.x, self.graph = x.clone(), torch.cuda.CUDAGraph()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.inference_mode(), torch.cuda.stream(side):
            for _ in range(3):
                network(self.x)
        torch.cuda.current_stream().wait_stream(side)
        with torch.inference_mode(), torch.cuda.graph(self.graph):
            self.found = network(self.x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        self.x.copy_(x)
        self.graph.replay()
        return self.found


def two_of_four(rounds: int) -> Iterator[dict[str, object]]:
    """Time linear layers, dense and with 2 of 4 weights in each of torch's sparse forms."""
    for out, into in SIZES:
        torch.manual_seed(0)
        layer = nn.Linear(into, out)
        scores = weight_scores("magnitude", layer, ["weight"], None, device=torch.device("cpu"), seed=0)
        (mask,) = n_of_m(scores, {"weight": layer.weight.detach()}, n=2, m=4).values()
        with torch.no_grad():
            layer.weight.mul_(mask)
        dense = layer.to(GPU, torch.float16).eval().requires_grad_(False)
        for form in FORMS:
            sparse = copy.deepcopy(dense)
            sparse.weight = nn.Parameter(form.from_dense(sparse.weight), requires_grad=False)
            name = f"2 of 4, {out} x {into}, float16, {form.BACKEND}"
            for rows in ROWS:
                x = torch.randn(rows, into, device=GPU, dtype=torch.float16)
                try:
                    compare(dense(x), sparse(x))
                    yield from timed(name, {"dense": dense, "pruned": sparse}, x, rounds)
                except RuntimeError as error:
                    print(f"| {name} | {rows} | | | {str(error).splitlines()[0]} |")


def compare(one: torch.Tensor, other: torch.Tensor) -> None:
    """Stop if two results are not the same up to the precision."""
    apart, most = float((one - other).abs().max()), float(one.abs().max())
    if apart > 0.01 * most + 0.01:
        raise SystemExit(f"the sparse layer gives something else: by {apart:.3g} of {most:.3g}")


def timed(name: str, models: dict[str, nn.Module], x: torch.Tensor, rounds: int) -> Iterator[dict[str, object]]:
    """Times of both as torch calls them, and as CUDA graphs."""
    ways = {name: models, f"{name}, CUDA graph": {key: Replayed(own, x) for key, own in models.items()}}
    for way, both in ways.items():
        found = latency(both, {key: [x] for key in both}, batches=(len(x),), rounds=rounds)
        yield told(way, found)


def told(name: str, found: dict[str, list[Latency]]) -> dict[str, object]:
    """Print times and their ratio; all of them."""
    (dense,), (pruned,) = found["dense"], found["pruned"]
    faster = ratio(dense, pruned)
    interval = f"{faster.median:.2f} ({faster.low:.2f} to {faster.high:.2f})"
    print(f"| {name} | {dense.batch} | {1000 * dense.wall:.3f} | {1000 * pruned.wall:.3f} | {interval} |", flush=True)
    return {"what": name, "ratio": faster._asdict(), "dense": dense.as_json(), "pruned": pruned.as_json()}


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message=".*SparseSemiStructuredTensor.*")
    sys.exit(main())
