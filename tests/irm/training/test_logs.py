"""What a run writes and shows."""

import io
import json

import pytest
from rich.console import Console

from irm.training.logs import RunLog, StepReport
from irm.training.progress import TrainingProgress


def report(step):
    return StepReport(
        step=step,
        lr=1e-5,
        losses={"trad/market1501": 2.5},
        terms={"trad/market1501": {"identification": 2.0, "adaptive_triplet": 0.5}},
        gradient_norm=1.0,
        images=8,
        seconds=0.5,
        wait_seconds=0.1,
    )


def write(folder, start, steps):
    with RunLog(folder, start=start) as log:
        for step in steps:
            log.write(report(step))


def steps_in(folder):
    return [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_rows_after_the_step_that_is_resumed_are_written_once(tmp_path):
    write(tmp_path, 0, [1, 2, 3, 4])
    write(tmp_path, 2, [3, 4, 5])
    assert steps_in(tmp_path) == [1, 2, 3, 4, 5]


def test_a_row_cut_off_in_the_middle_is_dropped(tmp_path):
    write(tmp_path, 0, [1, 2])
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text()[:-10])
    write(tmp_path, 2, [3])
    assert steps_in(tmp_path) == [1, 3]


def test_a_disk_that_takes_no_validation_stops_nothing(tmp_path):
    with RunLog(tmp_path, start=0) as log, pytest.warns(UserWarning, match="continues without its log"):
        (tmp_path / "validation.jsonl").mkdir()
        log.write_validation(1, {"trad/market1501": 0.5})
        log.write(report(2))


def test_tensorboard_has_every_term_by_task(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write(tmp_path, 0, [1, 2])
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert set(events.Tags()["scalars"]) == {
        "train/lr",
        "train/gradient_norm",
        "train/images_per_second",
        "train/data_wait",
        "loss/trad/market1501",
        "identification/trad/market1501",
        "adaptive_triplet/trad/market1501",
    }
    assert [event.step for event in events.Scalars("loss/trad/market1501")] == [1, 2]


def test_without_a_terminal_the_first_and_the_last_step_are_lines():
    text = io.StringIO()
    with TrainingProgress(Console(file=text, width=80), start=0, steps=3, line_seconds=1000) as progress:
        for step in (1, 2, 3):
            progress.show(report(step))
    first, last = text.getvalue().splitlines()
    assert first == "step 1/3  16 img/s  data wait 20%  lr 1e-05  loss trad/market1501 2.500  ETA 0:00:01"
    assert last.startswith("step 3/3")
    assert last.endswith("ETA 0:00:00")


def test_a_terminal_gets_one_bar():
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=160)
    with TrainingProgress(console, start=0, steps=3) as progress:
        progress.show(report(1))
        progress._bar.refresh()
    assert "1/3" in text.getvalue()
    assert "trad/market1501 2.500" in text.getvalue()
