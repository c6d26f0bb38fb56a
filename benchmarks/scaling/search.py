"""Search made hashes for near-identical ones on an engine, through bucket files if memory is limited; a command."""

import argparse
import hashlib

from datadiet_cli.engine import Engine, Limits
from datadiet_cli.grouping.hamming import pairs_within
from scaling.make import hashes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="threads")
    parser.add_argument("--scheduler")
    parser.add_argument("--shared-dir")
    parser.add_argument("--memory-limit", type=int, help="bytes")
    parser.add_argument("--n", type=int, default=1_000_000, help="hashes")
    parser.add_argument("--radius", type=int, default=6, help="bits")
    args = parser.parse_args()
    limits = Limits(args.scheduler, args.shared_dir, args.memory_limit)
    with Engine(args.engine, None, limits) as engine:
        pairs = pairs_within(hashes(args.n, args.radius), args.radius, engine)
    print(len(pairs), hashlib.sha256(pairs.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
