"""Writes a synthetic OmniReID: in parallel, resumable, the same bytes for any number of workers."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from pathlib import Path

from instructions.errors import InputError
from omnireid.files import sole_writer, write_whole
from omnireid.synthetic.image_files import render_files
from omnireid.synthetic.layouts import LAYOUTS
from omnireid.synthetic.manifest import claim, finished
from omnireid.synthetic.plan import ImagePlan, Plan, SyntheticSpec
from omnireid.synthetic.presets import Preset

_CHUNK = 16  # images that a worker takes at a time: small enough to stop soon, of one person mostly
_WORTH_WORKERS = 400  # below so many images, starting processes costs more than they save


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: images drawn of those missing; ``total`` is 0 while a data set is planned."""

    dataset: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Written:
    """What a run wrote of a data set."""

    plan: Plan
    num_files: int  # image files of the data set, old and new
    num_reused: int  # of these, how many were there before
    num_drawn: int  # images rendered in this run; one image may be several files
    seconds: float  # work of all processes together


Report = Callable[[Progress], None]


def write_omnireid(
    out: Path,
    preset: Preset,
    seed: int = 0,
    workers: int | None = None,
    progress: Report | None = None,
    *,
    datasets: Sequence[str] | None = None,
) -> tuple[Written, ...]:
    """Write the tree, or what is missing of it.

    Args:
        out: Root of the tree: a new or empty folder, or one that an earlier run began.
        preset: Its size.
        seed: Seed of everything drawn; not negative.
        workers: Number of processes; None for one per core available to this process.
        progress: Called after each small batch of images.
        datasets: Write only these data sets; others may be added later.

    Raises:
        InputError: a wrong argument, a folder with other files, or one that cannot be written to.
    """
    names = _checked(seed, workers, datasets)
    report = progress or (lambda _: None)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with sole_writer(out, f"another run is writing {out}; wait for it or choose another folder"):
            manifest = claim(out, preset, seed)
            spec = SyntheticSpec(preset, seed)
            plans = []
            for name in names:
                report(Progress(name, 0, 0))
                plans.append(LAYOUTS[name](spec))
            written = _write_plans(out, spec, plans, workers or _num_cores(), report)
            wanted = finished(manifest, plans)
            if wanted != manifest:
                wanted.write(out)
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{out} cannot be written: {error.strerror}") from error
    return written


def _checked(seed: int, workers: int | None, datasets: Sequence[str] | None) -> list[str]:
    if seed < 0:
        raise InputError(f"the seed is {seed}; it must be 0 or more")
    if workers is not None and workers < 1:
        raise InputError(f"the number of workers is {workers}; it must be 1 or more")
    unknown = [name for name in datasets or () if name not in LAYOUTS]
    if unknown:
        raise InputError(f"no data set is called {unknown[0]!r}; known are {', '.join(LAYOUTS)}")
    return [name for name in LAYOUTS if datasets is None or name in datasets]


def _write_plans(
    out: Path, spec: SyntheticSpec, plans: list[Plan], workers: int, report: Report
) -> tuple[Written, ...]:
    missing: dict[str, list[ImagePlan]] = {}
    num_reused: dict[str, int] = {}
    for plan in plans:
        there = {file.path for p in plan.images for file in p.files if _is_written(out / file.path)}
        num_reused[plan.dataset] = len(there)
        missing[plan.dataset] = [p for p in plan.images if any(file.path not in there for file in p.files)]
        _make_folders(out, plan)
        _write_texts(out, plan)
    seconds: dict[str, float] = defaultdict(float)
    done, total = 0, sum(map(len, missing.values()))
    for dataset, num_images, spent in _draw_all(out, spec, missing, workers if total > _WORTH_WORKERS else 1):
        seconds[dataset] += spent
        done += num_images
        report(Progress(dataset, done, total))
    return tuple(
        Written(
            plan=plan,
            num_files=sum(len(image.files) for image in plan.images),
            num_reused=num_reused[plan.dataset],
            num_drawn=len(missing[plan.dataset]),
            seconds=seconds[plan.dataset],
        )
        for plan in plans
    )


def _num_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # what this process may use, where the system can say
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _make_folders(out: Path, plan: Plan) -> None:
    paths = [file.path for image in plan.images for file in image.files] + list(plan.texts)
    for folder in sorted({path.rpartition("/")[0] for path in paths}):
        (out / folder).mkdir(parents=True, exist_ok=True)


def _write_texts(out: Path, plan: Plan) -> None:
    for name, content in plan.texts.items():
        path = out / name
        if not path.exists() or path.read_bytes() != content:
            write_whole(path, content, durable=True)


def _draw_all(
    out: Path, spec: SyntheticSpec, missing: dict[str, list[ImagePlan]], workers: int
) -> Iterator[tuple[str, int, float]]:
    """Draw what is missing; yields data set, images and seconds of each chunk as it is finished."""
    chunks = [
        (dataset, images[start : start + _CHUNK])
        for dataset, images in missing.items()
        for start in range(0, len(images), _CHUNK)
    ]
    if workers == 1:
        for dataset, images in chunks:
            yield dataset, len(images), _draw(out, spec, images)
        return
    pool = ProcessPoolExecutor(
        workers,
        mp_context=get_context("spawn"),
        initializer=_start_worker,
        initargs=(out, spec.preset, spec.seed),
    )
    try:
        futures = {pool.submit(_draw_in_worker, images): (dataset, len(images)) for dataset, images in chunks}
        for future in as_completed(futures):
            yield *futures.pop(future), future.result()
    except BrokenProcessPool:
        raise InputError(
            "a worker process was killed (out of memory?); run the same command again to resume"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _draw(out: Path, spec: SyntheticSpec, images: Sequence[ImagePlan]) -> float:
    start = time.perf_counter()
    for image in images:
        for path, content in render_files(spec, image):
            write_whole(out / path, content)
    return time.perf_counter() - start


_worker: tuple[Path, SyntheticSpec]  # of a worker process, set once when it starts


def _start_worker(out: Path, preset: Preset, seed: int) -> None:
    global _worker
    _worker = (out, SyntheticSpec(preset, seed))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's; chunks under way are finished
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """End a worker whose parent was killed, which would otherwise wait for work forever."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _draw_in_worker(images: Sequence[ImagePlan]) -> float:
    out, spec = _worker
    return _draw(out, spec, images)


def _is_written(path: Path) -> bool:
    """Whether a file is there; an empty one is what a power cut leaves and counts as missing."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
