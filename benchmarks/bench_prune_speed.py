"""How much faster a pruned network is on this machine's CPU: the layout of ResNet-18, for pictures of 32 x 32 pixels.

Half of the channels of each layer are cut, or nine tenths of the weights are set to zero; weights are by chance, as
time does not depend on them. Dense and pruned networks take turns, in torch and in ONNX Runtime, with batches of 1 and
16 on one thread. Ratios are of CPU time, round by round: the median and its 95 % interval. Beside them stand those that
were measured without datadiet (`prune_reference.json`).
"""

import argparse
import copy
import json
import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from measure import workplace
from prune_nets import ResNet18
from torch import nn

from datadiet_cli.nn.cost import Latency, bytes_of, effective_macs, latency, macs, parameters, ratio
from datadiet_cli.nn.onnxfile import ort_session, write_onnx
from datadiet_cli.nn.pruning.base import cut, slices_of
from datadiet_cli.nn.pruning.choosing import choose_units
from datadiet_cli.nn.pruning.criteria import weight_scores
from datadiet_cli.nn.pruning.masks import masks_of
from datadiet_cli.nn.pruning.tracing import structure_of
from datadiet_cli.nn.pruning.units import unit_scores
from datadiet_cli.nn.resize import resize_to

BATCHES, ROUNDS = (1, 16), 15
CPU = torch.device("cpu")
WANTED = {"torch": 2.9, "onnxruntime": 3.7}
"""How many times as fast half of the channels must be for one picture; exit code 1 says that the interval is below."""
REFERENCE = json.loads(Path(__file__).with_name("prune_reference.json").read_text())["speed"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64, help="channels of the first stage (default: 64)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each is measured (default: 15)")
    parser.add_argument("--out", type=Path, help="write all figures there, as JSON")
    args = parser.parse_args()
    torch.set_num_threads(1)
    networks = made(args.width)
    x = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    sizes(networks, x)
    models: dict[str, Callable[..., object]] = {f"{name} in torch": network for name, network in networks.items()}
    with workplace(None) as place:
        for name, network in networks.items():
            path = str(place / f"{len(models)}.onnx")
            write_onnx(network, [x[:4]], path)
            models[f"{name} in onnxruntime"] = ort_session(path, 1)
        found = latency(models, {name: [x] for name in models}, batches=BATCHES, rounds=args.rounds)
    figures = told(found)
    if args.out:
        args.out.write_text(json.dumps(figures, indent=1))
    slow = [one for one in figures if one["wanted"] is not None and one["ratio"]["high"] < one["wanted"]]
    for one in slow:
        print(f"{one['what']}, {one['dense']['runtime']}: at most {one['ratio']['high']:.2f}, wanted {one['wanted']}")
    return 1 if slow else 0


def made(width: int) -> dict[str, nn.Module]:
    """The dense network, one with half of its channels, and one with a tenth of its weights."""
    torch.manual_seed(0)
    dense = ResNet18(width).eval()
    return {"dense": dense, "half of the channels": halved(dense), "nine tenths of the weights": thinned(dense)}


def halved(dense: nn.Module) -> nn.Module:
    program = torch.export.export(dense, (torch.zeros(2, 3, 32, 32),), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    structure = structure_of(program)
    scores = unit_scores("magnitude", dense, structure, None, device=CPU, seed=0)
    kept = choose_units(scores, {group.name: group.units for group in structure.groups}, share=0.5)
    return resize_to(copy.deepcopy(dense), cut(dense.state_dict(), slices_of(structure, kept))).eval()


def thinned(dense: nn.Module) -> nn.Module:
    model = copy.deepcopy(dense)
    names = [name for name, weight in model.named_parameters() if weight.dim() > 1]
    masks = masks_of(weight_scores("magnitude", model, names, None, device=CPU, seed=0), model.state_dict(), share=0.9)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name in masks:
                weight.masked_fill_(~masks[name], 0)
    return model


def sizes(networks: Mapping[str, nn.Module], x: torch.Tensor) -> None:
    print("| | parameters | not 0 | MMACs | without zeros | MB | compressed |\n|---|---:|---:|---:|---:|---:|---:|")
    for name, network in networks.items():
        count, size = parameters(network), bytes_of(network.state_dict())
        operations = f"{macs(network, [x]) / 1e6:.1f} | {effective_macs(network, [x]) / 1e6:.1f}"
        numbers = f"{count.total:,} | {count.nonzero:,} | {operations}"
        print(f"| {name} | {numbers} | {size.raw / 1e6:.1f} | {size.compressed / 1e6:.1f} |")


def told(found: Mapping[str, list[Latency]]) -> list[dict[str, Any]]:
    """Print times and ratios; all of them."""
    figures: list[dict[str, Any]] = []
    first = found["dense in torch"][0]
    print(f"\n{first.processor}, {first.threads} thread, {first.rounds} rounds, CPU time\n")
    print("| | batch | dense ms | pruned ms | times as fast | elsewhere |\n|---|---:|---:|---:|---:|---:|")
    for name in REFERENCE:
        for runtime in ("torch", "onnxruntime"):
            for number, batch in enumerate(BATCHES):
                dense, pruned = (found[f"{one} in {runtime}"][number] for one in ("dense", name))
                faster = ratio(dense, pruned)
                known = REFERENCE[name][f"{runtime}, batch {batch}"]
                times = f"{1000 * dense.cpu:.2f} | {1000 * pruned.cpu:.2f}"
                interval = f"{faster.median:.2f} ({faster.low:.2f} to {faster.high:.2f})"
                print(f"| {name}, {dense.runtime} | {batch} | {times} | {interval} | {known:.2f} |")
                figures.append({"what": name, "ratio": faster._asdict(), "dense": dense.as_json()})
                wanted = WANTED[runtime] if name == "half of the channels" and batch == 1 else None
                figures[-1] |= {"pruned": pruned.as_json(), "wanted": wanted}
    return figures


if __name__ == "__main__":
    sys.exit(main())
