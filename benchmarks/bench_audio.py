"""Copies among sounds: what `dedup --method fingerprint` finds and costs, against Chromaprint and decoding alone.

Songs are made from a seed; with --data, recordings of your own are used as well (the spoken digits of FSDD, say, whose
takes of one digit by one speaker are the hardest sounds not to confuse). Some sounds get variants that are copies
(other formats, weaker, resampled, in stereo, with silence added or taken away) and variants that are none (5 % faster,
the first sixth of it); all other sounds are no copies of anything.

The peer is fpcalc of Chromaprint (apt-get install libchromaprint-tools), its raw fingerprints compared over all
shifts of up to 40 frames; it tells nothing of sounds shorter than about three seconds. Decoding alone is soundfile in
as many threads.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import combinations
from pathlib import Path

import numpy as np
import soundfile
from measure import CORES, DATADIET, Contender, alternate, apart, table, workplace
from numpy.typing import NDArray

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.data.open import open_dataset
from datadiet_cli.encode.sounds import resample
from datadiet_cli.engine import Engine
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.likeness.pool import Pool
from datadiet_cli.steps.likeness.sounds import by_fingerprint

Sound = NDArray[np.float64]
RATE = 22_050
NO_COPIES = ("faster", "excerpt")
PEER_SHIFT, PEER_LEAST = 40, 10

DECODE = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
import soundfile
def decode(path):
    with soundfile.SoundFile(path) as file:
        while len(file.read(1 << 18, dtype="float32")):
            pass
paths = [os.path.join(folder, name) for folder, _, names in os.walk(sys.argv[1]) for name in names]
with ThreadPoolExecutor(int(sys.argv[2])) as pool:
    print(sum(1 for _ in pool.map(decode, sorted(paths))))
"""

FPCALC = """
import os, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
def fingerprint(path):
    subprocess.run(["fpcalc", "-raw", path], capture_output=True)
paths = [os.path.join(folder, name) for folder, _, names in os.walk(sys.argv[1]) for name in names]
with ThreadPoolExecutor(int(sys.argv[2])) as pool:
    print(sum(1 for _ in pool.map(fingerprint, sorted(paths))))
"""


def song(seed: int, seconds: float, speed: float = 1.0) -> Sound:
    """Three voices of plucked notes over a little noise; at another speed, the same notes at the same pitch."""
    rng = np.random.default_rng(seed)
    moments = np.arange(int(RATE * seconds / speed)) / RATE * speed
    sound = np.zeros_like(moments)
    for voice in range(3):
        begin = 0.0
        while begin < seconds:
            length = rng.choice([0.25, 0.5, 1.0])
            pitch = 110 * 2 ** ((rng.choice([0, 2, 3, 5, 7, 8, 10, 12]) + 12 * voice) / 12)
            part = (moments >= begin) & (moments < begin + length)
            since = (moments[part] - begin) / speed
            waves = sum(np.sin(2 * np.pi * pitch * partial * since) / partial for partial in (1, 2, 3))
            sound[part] += np.exp(-3 * since) * waves
            begin += length
    sound += 0.02 * rng.standard_normal(len(sound))
    return sound * (0.8 / np.abs(sound).max())


def variants(sound: Sound, rate: int, faster: Sound) -> Iterator[tuple[str, str, Sound, int, dict[str, object]]]:
    """Name, suffix, samples, rate and coding of every variant."""
    yield "wav copy", "wav", sound, rate, {}
    yield "flac", "flac", sound, rate, {}
    yield "aiff, 24 bits", "aiff", sound, rate, {"subtype": "PCM_24"}
    # Of constant bitrate: the scale goes from 320 down to 32 kb/s, for low sampling rates from 160 down to 8.
    most, least = (320, 32) if rate >= 32_000 else (160, 8)
    level = (most - 64) / (most - least)
    yield "mp3 64k", "mp3", sound, rate, {"compression_level": level, "bitrate_mode": "CONSTANT"}
    yield "mp3, worst quality", "mp3", sound, rate, {"compression_level": 0.999, "bitrate_mode": "CONSTANT"}
    yield "ogg, worst quality", "ogg", sound, rate, {"compression_level": 1.0}
    yield "-10 dB", "wav", sound * 10 ** (-10 / 20), rate, {}
    yield "8 kHz", "wav", resample(sound.astype(np.float32), rate).astype(np.float64), 8000, {}
    yield "48 kHz", "wav", _at_48_khz(sound, rate), 48_000, {}
    yield "stereo", "wav", np.stack([sound, sound * 0.7], axis=1), rate, {}
    yield "inverted", "wav", -sound, rate, {}
    yield "+1 s silence", "wav", np.concatenate([np.zeros(rate), sound]), rate, {}
    yield "silence at both ends, mp3", "mp3", np.pad(sound, rate // 2), rate, {"compression_level": level}
    yield "noise, 20 dB", "wav", _noisy(sound), rate, {}
    yield "first 10 % cut", "wav", sound[len(sound) // 10 :], rate, {}
    yield "faster", "wav", faster, rate, {}
    yield "excerpt", "wav", sound[: len(sound) // 6], rate, {}


def _at_48_khz(sound: Sound, rate: int) -> Sound:
    length = len(sound) * 48_000 // rate
    spectrum = np.zeros(length // 2 + 1, dtype=np.complex128)
    found = np.fft.rfft(sound)
    spectrum[: len(found)] = found[: len(spectrum)]
    return np.fft.irfft(spectrum, length) * (length / len(sound))


def _noisy(sound: Sound) -> Sound:
    noise = np.random.default_rng(len(sound)).standard_normal(len(sound))
    return np.clip(sound + noise * sound.std() * 0.1, -1, 1)


def make_sounds(folder: Path, songs: int, seconds: float, with_variants: int, data: Path | None, seed: int) -> None:
    folder.mkdir()
    for number in range(songs):
        made = song(seed + number, seconds)
        faster = song(seed + number, seconds, 1.05) if number < with_variants else made
        _write(folder, f"song{number:04d}", made, RATE, faster, number < with_variants)
    paths = sorted(path for path in data.rglob("*.wav")) if data else []
    chosen = set(random.Random(seed).sample(range(len(paths)), min(len(paths), 5 * with_variants)))
    for number, path in enumerate(paths):
        sound, rate = soundfile.read(path)
        steps = np.arange(0, len(sound) - 1, 1.05)
        _write(folder, f"real-{path.stem}", sound, rate, np.interp(steps, range(len(sound)), sound), number in chosen)


def _write(folder: Path, name: str, sound: Sound, rate: int, faster: Sound, with_variants: bool) -> None:
    soundfile.write(folder / f"{name}=original.wav", sound, rate)
    for variant, suffix, samples, own_rate, coding in variants(sound, rate, faster) if with_variants else ():
        soundfile.write(folder / f"{name}={variant}.{suffix}", samples, own_rate, **coding)


def what_of(path: str) -> tuple[str, str]:
    """The sound that a file is a copy of, and by which variant; what is no copy is a sound of its own."""
    name, variant = os.path.splitext(os.path.basename(path))[0].split("=")
    return (f"{name} {variant}", "original") if variant in NO_COPIES else (name, variant)


def ours(data: Path) -> tuple[list[str], set[tuple[int, int]]]:
    """The files, and the pairs of them that are copies."""
    pool = Pool(open_dataset(str(data)))
    with Engine("threads", CORES) as engine, ExitStack() as stack:
        like = by_fingerprint(pool, Dedup(method="fingerprint"), Context(engine), stack)
        edges = like.candidates.edges
        members: dict[int, list[int]] = {}
        for sample, node in enumerate(like.candidates.node.tolist()):
            if node >= 0:
                members.setdefault(node, []).append(sample)
        pairs = [pair for alike in members.values() for pair in combinations(alike, 2)]
        pairs += [(a, b) for one, other in edges.tolist() for a in members[one] for b in members[other]]
        # What two copies of one sound have in common with each other is not asked, only with the original.
        told = [what_of(path) for path in pool.paths]
        pairs = [(a, b) for a, b in pairs if told[a][0] != told[b][0] or "original" in (told[a][1], told[b][1])]
        a, b = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        close = like.measure(a, b).distance <= like.threshold
        a, b = a[close], b[close]
        confirmed = like.confirm(a, b) if like.confirm else np.ones(len(a), dtype=bool)
        unreadable = sum(cause is not None for cause in like.causes)
        print(f"datadiet: {unreadable} unreadable, {len(edges)} candidate pairs, {len(a)} within the threshold")
    return pool.paths, {(min(pair), max(pair)) for pair in zip(a[confirmed], b[confirmed], strict=True)}


def chromaprint(paths: list[str]) -> Callable[[float], set[tuple[int, int]]]:
    """The pairs of files whose raw fingerprints of fpcalc are at least this similar."""

    def raw(path: str) -> NDArray[np.uint32]:
        told = subprocess.run(["fpcalc", "-raw", path], capture_output=True, text=True).stdout
        found = [line.partition("=")[2] for line in told.splitlines() if line.startswith("FINGERPRINT=")]
        return np.array([int(word) for word in found[0].split(",") if word] if found else [], dtype=np.uint32)

    def similarity(a: NDArray[np.uint32], b: NDArray[np.uint32]) -> float:
        best = 0.0
        for shift in range(-PEER_SHIFT, PEER_SHIFT + 1):
            x, y = a[max(0, shift) :], b[max(0, -shift) :]
            run = min(len(x), len(y))
            if run >= PEER_LEAST:
                best = max(best, 1 - float(np.bitwise_count(x[:run] ^ y[:run]).mean()) / 32)
        return best

    with ThreadPoolExecutor(CORES) as pool:
        prints = list(pool.map(raw, paths))
    long = [i for i, words in enumerate(prints) if len(words) >= PEER_LEAST]
    print(f"fpcalc: {len(paths) - len(long)} of {len(paths)} sounds are too short for it")
    found = {pair: similarity(prints[pair[0]], prints[pair[1]]) for pair in combinations(long, 2)}
    return lambda least: {pair for pair, how in found.items() if how >= least}


def quality(paths: list[str], answers: dict[str, set[tuple[int, int]]]) -> None:
    """Print recall by variant, and precision."""
    told = [what_of(path) for path in paths]
    originals = {name: i for i, (name, variant) in enumerate(told) if variant == "original"}
    print(f"\n| recall | {' | '.join(answers)} |\n|---|{'---:|' * len(answers)}")
    for kind in ("song", "real"):
        for variant in dict.fromkeys(variant for _, variant in told if variant != "original"):
            mine = [(name, i) for i, (name, v) in enumerate(told) if v == variant and name.startswith(kind)]
            pairs = [(min(i, originals[name]), max(i, originals[name])) for name, i in mine]
            if pairs:
                shares = [sum(pair in found for pair in pairs) / len(pairs) for found in answers.values()]
                print(f"| {kind}: {variant} ({len(pairs)}) | {' | '.join(f'{share:.2f}' for share in shares)} |")
    right = {name: sum(told[a][0] == told[b][0] for a, b in found) for name, found in answers.items()}
    wrong = [f"{right[name]} of {len(found)}" for name, found in answers.items()]
    print(f"| **precision: pairs that are right** | {' | '.join(wrong)} |")
    for a, b in sorted(answers["datadiet"]):
        if told[a][0] != told[b][0]:
            print(f"  wrong: {os.path.basename(paths[a])}, {os.path.basename(paths[b])}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of WAV recordings of your own, no two of them copies")
    parser.add_argument("--songs", type=int, default=40, help="songs to make")
    parser.add_argument("--seconds", type=float, default=25)
    parser.add_argument(
        "--variants", type=int, default=8, help="how many songs get variants (five times as many --data)"
    )
    parser.add_argument("--workers", type=int, default=CORES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-peers", action="store_true", help="compare with decoding only")
    parser.add_argument("--work", type=Path, help="where to make sounds (default: the folder for temporary files)")
    args = parser.parse_args()
    peers = not args.no_peers and shutil.which("fpcalc") is not None
    with workplace(args.work) as work:
        data = work / "sounds"
        apart(make_sounds, data, args.songs, args.seconds, args.variants, args.data, args.seed)
        flags = ["--method", "fingerprint", "--dry-run", "--no-cache", "-q", "--list", "dropped"]
        contenders = {"datadiet": Contender([*DATADIET, "dedup", data, *flags, "--workers", str(args.workers)])}
        if peers:
            contenders["fpcalc, no search"] = Contender([sys.executable, "-c", FPCALC, data, str(args.workers)])
        contenders["decoding"] = Contender([sys.executable, "-c", DECODE, data, str(args.workers)])
        if args.rounds:
            table(alternate(contenders, args.rounds))
        apart(compare, data, peers)


def compare(data: Path, peers: bool) -> None:
    started = time.perf_counter()
    paths, found = ours(data)
    print(f"datadiet, all these pairs confirmed: {time.perf_counter() - started:.1f} s, {len(paths)} sounds")
    answers = {"datadiet": found}
    if peers:
        at_least = chromaprint(paths)
        answers |= {f"fpcalc {least}": at_least(least) for least in (0.85, 0.9)}
    quality(paths, answers)


if __name__ == "__main__":
    main()
