"""Looking a number up in what the stages wrote, or finding out why it is not there."""

from collections.abc import Callable
from math import floor, log10
from statistics import fmean, median, pstdev
from typing import TypeVar

from hdrbench import protocol, spec
from hdrbench import runs as settings
from hdrbench.datasets import catalog
from hdrbench.errors import HdrbenchError
from hdrbench.pipeline.cells import Measured, Missing
from hdrbench.pipeline.data import data_file
from hdrbench.pipeline.digest import data_code, evaluate_code, train_code
from hdrbench.pipeline.failures import failure_file
from hdrbench.pipeline.needs import evaluations
from hdrbench.pipeline.records import Json, Scores, Sheet, read_json, read_scores, read_speed
from hdrbench.pipeline.speed import speed_code, speed_file
from hdrbench.pipeline.stages import has_stage, stage_name
from hdrbench.runs import ResolvedRun
from hdrbench.spec import COSTS, COUNTS, TIMES, Asked, Row, Table
from hdrbench.workspace import results

T = TypeVar("T")


class Lookup:
    """Finds a paper's numbers under one profile; reads every file once."""

    def __init__(self, paper: str, profile_name: str) -> None:
        self.id, self.profile_name = paper, profile_name
        self.paper, self.runs = spec.load(paper), settings.load(paper)
        self.profile = settings.profile_of(self.runs, profile_name)
        self.folder = results(paper, profile_name)
        self.problems: list[str] = []
        self.scores: dict[tuple[str, str], Scores] = {}
        self._costs: Json = self.optional(lambda: read_json(self.folder.parent / "costs.json")) or {}
        self._times = self.optional(lambda: read_speed(speed_file(paper, profile_name)))
        self._verified: dict[str, list[str]] = {}
        self._resolved: dict[str, ResolvedRun] = {}
        self._data: dict[str, Json] = {}
        self._evaluations = evaluations(self.paper)

    def optional(self, read: Callable[[], T | None]) -> T | None:
        """Read something the page can do without; what is wrong with it becomes a line on the page."""
        try:
            return read()
        except HdrbenchError as error:
            self.problems.append(str(error))
            return None

    def run(self, run_id: str) -> ResolvedRun:
        """Resolve a run, once."""
        if run_id not in self._resolved:
            self._resolved[run_id] = settings.resolve(self.id, self.profile_name, run_id)
        return self._resolved[run_id]

    def facts(self, role: str) -> Json:
        """Facts of the data set that plays a role, empty where it is not prepared or another one plays it now."""
        if role not in self._data:
            facts = self.optional(lambda: read_json(data_file(self.id, self.profile_name, role))) or {}
            self._data[role] = facts if facts.get("dataset") == self.profile.data[role] else {}
        return self._data[role]

    def stage(self, run: ResolvedRun, cell: Asked) -> str | None:
        """Stage that makes a cell's number, where there is one."""
        file = f"replications/{self.id}/dvc.yaml"
        if cell.name in COUNTS:
            return f"{file}:cost"
        if cell.name in TIMES:
            return f"{file}:speed@{self.profile_name}"
        if (run.role, run.name, cell.test) not in self._evaluations or not has_stage(
            self.profile, (run.role, cell.test)
        ):
            return None
        return f"{file}:{stage_name('evaluate', run.role, cell.test)}@{self.profile_name}-{run.name}"

    def find(self, run: ResolvedRun, table: Table, row: Row, cell: Asked) -> Measured | Missing:
        """Find the number that a cell asks for."""
        if cell.name in COUNTS:
            return self._count(run, cell)
        if cell.name in TIMES:
            return self._speed(run, cell)
        scores = self._read_scores(run, cell)
        if isinstance(scores, Missing):
            return scores
        if cell.name in COSTS:
            return self._time(scores, cell)
        sheet = self._sheet(run, scores, cell)
        if isinstance(sheet, Missing):
            return sheet
        scenes = self._scenes(scores, table, row)
        if isinstance(scenes, Missing):
            return scenes
        values = [sheet.metrics[cell.name][index] for index in scenes]
        spread = pstdev(values) if len(values) > 1 else None
        reasons = [self._outdated(run, scores, cell), self._stands_in(scores, table, row, scenes)]
        reason = "; ".join(text for text in reasons if text) or None
        if cell.spread:
            if spread is None:
                return Missing("not_computable", "one image has no standard deviation")
            return Measured(spread, None, len(values), self.profile.comparable, reason)
        image = scores.images[scenes[0]] if row.scene else None
        return Measured(fmean(values), spread, len(values), self.profile.comparable, reason, image)

    def _count(self, run: ResolvedRun, cell: Asked) -> Measured | Missing:
        """Look a count up; it belongs to the paper's network, whatever the profile."""
        counted = self._costs.get(run.id)
        asked = self.runs.runs[run.role][run.name]
        if not isinstance(counted, dict) or cell.name not in counted:
            return Missing("not_run", "not counted yet")
        if (counted.get("method"), counted.get("options")) != (asked.method, asked.options):
            return Missing("not_run", f"counted for other options; run hdrbench cost {self.id}")
        if not counted["params"]:
            return Missing("not_computable", "there is no network to count")
        height, width = self.paper.cost_size
        return Measured(
            counted[cell.name], None, None, True, f"counted on the paper's configuration at {width}x{height}"
        )

    def _time(self, scores: Scores, cell: Asked) -> Measured:
        """Median time that the result of a scored image took, and its size."""
        sizes = sorted({f"{width}x{height}" for height, width in scores.sizes})
        device, count = scores.evaluation.environment.device, len(scores.seconds)
        reason = f"median over {count} images of {', '.join(sizes)} on {device}; printed: {self.paper.timed_on}"
        pixels = median(height * width / 1e6 for height, width in scores.sizes)
        return Measured(median(scores.seconds) if cell.name == "seconds" else pixels, None, count, False, reason)

    def _speed(self, run: ResolvedRun, cell: Asked) -> Measured | Missing:
        """Seconds of an image or a network call, or how many times as many an image takes as with the run to compare with."""
        asked, found = self.paper.speed, self._times
        if asked is None or found is None or not {run.id, asked.relative_to} <= found.runs.keys():
            return Missing("not_run", "not timed yet")
        for name, options in asked.runs.items():
            if name in (run.id, asked.relative_to) and found.runs[name].options != self.run(name).options | options:
                return Missing("not_run", f"timed with other options of {name}; run hdrbench speed {self.id}")
        timed, other = found.runs[run.id], found.runs[asked.relative_to]
        seconds = median(timed.seconds)
        value = {
            "image_seconds": seconds,
            "image_ratio": seconds / median(other.seconds),
            "call_seconds": seconds / timed.calls,
        }[cell.name]
        height, width = found.size
        repetitions = f"median of {len(timed.seconds)}" if len(timed.seconds) > 1 else "one measurement"
        reason = (
            f"{repetitions}, {timed.calls} network calls for an image of {width}x{height} on {found.environment.device}, "
            f"in turns with the other runs; printed: {self.paper.timed_on}"
        )
        if any(found.runs[name].code != speed_code(self.run(name).method) for name in (run.id, asked.relative_to)):
            reason += "; the code changed since this was measured"
        three_digits = max(0, 2 - floor(log10(value))) if value > 0 else 0
        return Measured(value, None, len(timed.seconds), False, reason, places=three_digits)

    def _sheet(self, run: ResolvedRun, scores: Scores, cell: Asked) -> Sheet | Missing:
        """Scores of what a cell shows, if they are of its protocol and hold its metric."""
        wanted = protocol.get(str(cell.protocol)).digest()
        for sheet in scores.sheets:
            if (sheet.subject, sheet.protocol.get("hash")) != (cell.subject, wanted):
                continue
            if cell.name in sheet.missing:
                again = f"dvc repro -sf {stage}" if (stage := self.stage(run, cell)) else "evaluate again"
                return Missing("weights_missing", f"{sheet.missing[cell.name]}; then: {again}")
            if cell.name in sheet.failed:
                return Missing("failed", sheet.failed[cell.name])
            if cell.name in sheet.metrics:
                return sheet
        return Missing("not_run", "scored under another protocol or without this metric; evaluate again")

    def _scenes(self, scores: Scores, table: Table, row: Row) -> list[int] | Missing:
        """Places of the scenes that a row is about; where the paper's scenes are not there, others stand in, in order."""
        if row.average:
            places: list[int] = []
            for other in table.rows:
                found = self._scenes(scores, table, other) if other.scene else []
                if isinstance(found, Missing):
                    return found
                places += found
            return places
        if row.scene is None:
            return list(range(len(scores.images)))
        if row.scene in scores.images:
            return [scores.images.index(row.scene)]
        if self.profile.comparable:
            return Missing("not_computable", f"'{scores.dataset}' has no scene of the name '{row.scene}'")
        place = table.scenes.index(row.scene)
        if place >= len(scores.images):
            return Missing("not_computable", f"'{scores.dataset}' has {len(scores.images)} test scenes only")
        return [place]

    def _stands_in(self, scores: Scores, table: Table, row: Row, scenes: list[int]) -> str | None:
        """Name the scene that stands in for the paper's, or say that the average is over such scenes."""
        if row.average:
            named = [other.scene for other in table.rows if other.scene]
            return None if set(named) <= set(scores.images) else "over the scenes that stand in for the paper's"
        if row.scene is None or row.scene in scores.images:
            return None
        return f"scene '{scores.images[scenes[0]]}' stands in for '{row.scene}'"

    def _outdated(self, run: ResolvedRun, scores: Scores, cell: Asked) -> str | None:
        """Say so if the number was made by other code, settings or data than there are now."""
        made, profile, task = scores.training.identity, self.profile, self.runs.task
        sets = {role: profile.data[role] for role in (cell.train, cell.test)}
        now_and_then = {
            "training code": (train_code(run.method, run.task), made.get("code")),
            "scoring code": (evaluate_code(run.method, run.task), scores.evaluation.code),
            "settings": (run.settings(), {key: made.get(key) for key in run.settings()}),
            "training data": (self._digest(cell.train, "train", made.get("data")), made.get("data")),
            "test data": (self._digest(cell.test, "test", scores.data), scores.data),
            "code that makes the training data": (data_code(sets[cell.train], task), made.get("data_code")),
            "code that makes the test data": (data_code(sets[cell.test], task), scores.data_code),
        }
        changed = [name for name, (here, there) in now_and_then.items() if here != there]
        return f"{' and '.join(changed)} changed since this was measured" if changed else None

    def _digest(self, role: str, split: str, otherwise: str | None) -> str | None:
        """Fingerprint of a split as it was last prepared, where it is known."""
        return self.facts(role).get("splits", {}).get(split, {}).get("digest", otherwise)

    def _read_scores(self, run: ResolvedRun, cell: Asked) -> Scores | Missing:
        """Read a run's scores, or find out why there are none; a failure hides what was measured before it."""
        for stage in ("train", f"evaluate-{cell.test}"):
            failure = failure_file(run, stage)
            if failure.is_file():
                return Missing("failed", failure.read_text(encoding="utf-8").strip())
        key = (run.id, cell.test)
        if key not in self.scores:
            try:
                found = read_scores(run.scores(cell.test))
            except HdrbenchError as error:
                return Missing("failed", str(error))
            if found is None:
                return self._why_missing(run, cell)
            if found.run != run.id:
                return Missing(
                    "failed", f"{run.scores(cell.test)}: holds the scores of run '{found.run}'; evaluate again"
                )
            if found.dataset != run.dataset(cell.test):
                return Missing(
                    "not_run", f"the scores here are of '{found.dataset}', which does not play this role now"
                )
            self.scores[key] = found
        return self.scores[key]

    def _why_missing(self, run: ResolvedRun, cell: Asked) -> Missing:
        for role in dict.fromkeys((cell.train, cell.test)):
            if self.facts(role):
                continue
            name = run.dataset(role)
            if name not in self._verified:
                self._verified[name] = catalog.verify(name)
            if self._verified[name]:
                return Missing("data_missing", self._verified[name][0])
        return Missing("not_run", "no scores yet")
