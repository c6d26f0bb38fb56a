"""From a sample and settings to all numbers of a calibration, and to the pipeline that it proposes."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from datadiet_cli.calibrating.alternatives import try_others
from datadiet_cli.calibrating.faults import LIKE_CLASSES, Fault, Part, faults_of
from datadiet_cli.calibrating.loading import Configured
from datadiet_cli.calibrating.meant import by_dedup, by_denoise
from datadiet_cli.calibrating.measuring import named, told
from datadiet_cli.calibrating.planting import Garden, Planted
from datadiet_cli.calibrating.proposing import choose, missed
from datadiet_cli.calibrating.running import Laboratory
from datadiet_cli.calibrating.sample import Sample
from datadiet_cli.calibrating.section import Section, comment, given
from datadiet_cli.calibrating.sweeping import (
    Plots,
    alone,
    method_of,
    movable_limits,
    stricter,
    sweep_dedup,
    sweep_denoise,
)
from datadiet_cli.calibrating.writing import pipeline
from datadiet_cli.changes import Workshop
from datadiet_cli.config.base import Settings
from datadiet_cli.config.dedup import Dedup
from datadiet_cli.config.denoise import Denoise
from datadiet_cli.data.dataset import UNKNOWN
from datadiet_cli.errors import ConfigError

_PARTS: Mapping[Part, str] = {
    "copies": "dedup",
    "broken": "denoise",
    "quality": "denoise",
    "outliers": "denoise",
    "labels": "denoise",
}
"""What is planted, in this order, and the step that is to find it."""
_SWITCHES: Mapping[Part, str] = {
    "broken": "invalid",
    "quality": "quality",
    "outliers": "outliers",
    "labels": "labels",
}


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to be found out.

    Attributes:
        settings: what is judged.
        sample: what is planted in.
        faults: kinds to plant; None for all.
        max_false: see `proposing.choose`.
    """

    settings: Configured
    sample: Sample
    faults: tuple[str, ...] | None
    max_false: float


class Examiner:
    """Runs a calibration.

    Args:
        plan: what is to be found out.
        room: an empty folder for planted files and for what is remembered between runs; nothing else is written to.
        environment: environment variables of the process.
        progress: told of each run of a step.

    Raises:
        DatadietError: as the steps themselves, or there is nothing to plant.
    """

    def __init__(self, plan: Plan, room: str, environment: Mapping[str, str], progress: Callable[[int], None]) -> None:
        self._plan, self._sample = plan, plan.sample
        self._kind = plan.sample.dataset.kind
        # Accepted findings, gates and the cache of the user say nothing about how well faults are found.
        self._common = plan.settings.common.model_copy(
            update={"baseline": None, "max_removed": None, "unreadable": "keep", "cache": True}
        )
        garden, cache = os.path.join(room, "planted"), os.path.join(room, "cache")
        os.mkdir(garden)
        self._garden = Garden(self._sample, self._common, garden)
        self._left_out: dict[str, str] = {}
        with Workshop() as workshop:
            env = {**environment, "DATADIET_CACHE_DIR": cache}
            self._lab = Laboratory(plan.sample.dataset.source.path, self._common, workshop, env, progress)
            self._sections = self._examined()
        if not self._sections:
            whys = dict.fromkeys(self._left_out.values())
            raise ConfigError(f"nothing can be planted: {'; '.join(whys) or 'this kind of data has no such fault'}")

    def _examined(self) -> list[Section]:
        plain = self._garden.plain()
        self._garden.leave_out(*self._faulty(plain))
        sections = []
        for part, step in _PARTS.items():
            place = self._plan.settings.place(step)
            faults = self._faults(part, step, place)
            if not faults or place is None:
                continue
            planted = self._garden.planted(part, faults)
            self._left_out |= planted.unfit
            if planted.plants:
                sections.append(self._section(part, self._plan.settings.steps[place].settings, faults, plain, planted))
        return sections

    def _faulty(self, plain: Planted) -> tuple[set[int], set[int]]:
        """Rows that a step cannot read, in which nothing can be planted, and rows that are copies as they are."""
        broken: set[int] = set()
        copies: set[int] = set()
        judged = [step for step in self._plan.settings.steps if step.name in _PARTS.values()]
        # The first one tells what cannot be read, and dedup, wherever it stands, what are copies.
        asked = {step.name: step for step in reversed(judged) if step is judged[0] or step.name == "dedup"}
        for step in asked.values():
            if step.name == "dedup":
                settings: Settings = step.settings.model_copy(update={"against": None})
            else:
                settings = alone(cast(Denoise, step.settings), "broken")
            verdicts = self._lab.run("plain", step.name, settings, plain).verdicts
            broken |= set(verdicts.sample[verdicts.reason == "unreadable"].tolist())
            copies |= set(named("copies", verdicts)[0])
        return broken, copies

    def _faults(self, part: Part, step: str, place: int | None) -> dict[str, Fault]:
        """The kinds of faults to plant for a part; of those left out it is noted why."""
        wanted = self._plan.faults
        faults = {
            name: fault
            for name, fault in faults_of(self._kind).items()
            if fault.part == part and (wanted is None or name in wanted)
        }
        why = f"there is no {step}" if place is None else self._why_not(part, place)
        if why is None and len(set(self._sample.labels.tolist()) - {UNKNOWN}) < 2:
            for name in sorted(LIKE_CLASSES & faults.keys()):
                self._left_out[name] = "there are no two classes"
                del faults[name]
        if why is None:
            return faults
        self._left_out |= dict.fromkeys(faults, why)
        return {}

    def _why_not(self, part: Part, place: int) -> str | None:
        if part == "copies":
            return None
        settings = cast(Denoise, self._plan.settings.steps[place].settings)
        switch = _SWITCHES[part]
        if getattr(settings, switch) == "none":
            return f"{switch}: none"
        if part == "labels" and settings.pred_probs is not None:
            return "pred_probs judge the labels, and not the samples"
        if part == "labels" and (self._sample.dataset.class_sets or self._annotated()):
            return "the labels are annotations"
        return None

    def _annotated(self) -> bool:
        return self._sample.dataset.source.layout.startswith(("YOLO", "COCO"))

    def _section(
        self, part: Part, settings: Settings, faults: Mapping[str, Fault], plain: Planted, planted: Planted
    ) -> Section:
        planted_kinds = [plant.fault for plant in planted.plants]
        counts = {name: planted_kinds.count(name) for name in faults if name in planted_kinds}
        kinds = {name: faults[name] for name in counts}
        plots = Plots(part, plain, planted, kinds)
        samples, most = len(self._sample), self._plan.max_false
        if part == "copies":
            # Another dataset has no part in how well copies are told.
            judged = cast(Dedup, settings).model_copy(update={"against": None})
            meant = by_dedup(judged, method_of(judged, self._kind), kinds)
            sweeps = sweep_dedup(self._lab, plots, judged, self._kind)
            gone = missed(sweeps, counts)
            choice = choose(sweeps, meant, counts, samples, most)
            others = try_others(self._lab, plots, judged, self._kind, gone, counts, choice.before, most)
            return Section(part, plots, counts, meant, sweeps, choice, gone, others)
        noise = cast(Denoise, settings)
        meant = by_denoise(noise, self._kind, kinds)
        sweeps = sweep_denoise(self._lab, plots, noise, self._kind)
        choice = choose(sweeps, meant, counts, samples, most)
        gone = [name for name in missed(sweeps, counts) if name in meant]
        return Section(part, plots, counts, meant, sweeps, choice, gone)

    def document(self) -> dict[str, Any]:
        """All numbers as JSON values, the same for the same samples, settings and seed."""
        sample = self._sample
        source = sample.dataset.source
        return {
            "command": "calibrate",
            "input": {"path": source.path, "kind": self._kind, "layout": source.layout, "training": sample.training},
            "samples": len(sample),
            "seed": self._common.seed,
            "max_false": self._plan.max_false,
            "parts": [self._told(section) for section in self._sections],
            "not_planted": self._left_out,
        }

    def _told(self, section: Section) -> dict[str, Any]:
        ids, choice = self._sample.ids, section.choice
        step = _PARTS[section.part]
        return {
            "part": section.part,
            "step": step,
            "faults": {
                name: {
                    "what": section.plots.faults[name].words,
                    "planted": count,
                    "meant": name in section.meant,
                    "reasons": sorted(section.plots.faults[name].reasons),
                }
                for name, count in section.counts.items()
            },
            "sweeps": [
                {"setting": sweep.setting, "points": [told(point, section.counts, ids) for point in sweep.points]}
                for sweep in section.sweeps
            ],
            "proposal": {
                "settings": self._moved(section),
                "setting": choice.setting,
                "value": choice.point.value if choice.setting else choice.before.value,
                "recall": round(choice.point.recall(section.meant, section.counts), 4),
                "recall_before": round(choice.before.recall(section.meant, section.counts), 4),
                "words": choice.words,
            },
            "missed": list(section.missed),
            "others": [
                {
                    "settings": dict(other.settings),
                    "finds": list(other.finds),
                    "more_named": other.more,
                    "fits": other.fits,
                    **told(other.point, section.counts, ids),
                }
                for other in section.others
            ],
        }

    def _moved(self, section: Section) -> dict[str, Any]:
        """What the proposal changes, as settings of the step."""
        choice = section.choice
        if not choice.setting:
            return {}
        if choice.setting != "strictness":
            return {choice.setting: choice.point.value}
        place = self._plan.settings.place("denoise")
        base = cast(Denoise, self._plan.settings.steps[cast(int, place)].settings)
        limits = movable_limits(alone(base, "quality"), section.plots.faults, self._kind)
        return {"limits": stricter(base, limits, choice.point.value).limits}

    def proposal(self) -> str:
        """The proposed pipeline as YAML, with what it rests on as comments.

        Raises:
            ConfigError: it cannot be written.
        """
        settings, sample = self._plan.settings, self._sample
        steps, comments = list(settings.steps), {}
        for name in dict.fromkeys(_PARTS.values()):
            place = settings.place(name)
            mine = [section for section in self._sections if _PARTS[section.part] == name]
            if place is None or not mine:
                continue
            moved = {key: value for section in mine for key, value in self._moved(section).items()}
            step = steps[place]
            steps[place] = replace(step, settings=type(step.settings).model_validate(given(step, moved)))
            comments[place] = [line for section in mine for line in comment(section)]
        head = [
            f"Proposed by datadiet calibrate: {len(sample):,} of {sample.training:,} training samples, seed "
            f"{self._common.seed}.",
            "Try it first: datadiet run THIS_FILE --dry-run",
        ]
        return pipeline(
            sample.dataset.source.path, settings.output, settings.common, steps, settings.expect, comments, head
        )
