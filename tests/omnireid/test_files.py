"""Files and folders are written whole or not at all."""

import os
import signal

import pytest

from instructions.errors import InputError
from omnireid.files import check_new_folder, replace_folder, sole_writer, write_whole


def test_a_file_is_replaced_only_once_the_new_one_is_whole(tmp_path):
    path = tmp_path / "report.json"
    write_whole(path, b"old")
    with pytest.raises(TypeError):
        write_whole(path, "text where bytes belong")
    assert path.read_bytes() == b"old"
    write_whole(path, b"new", durable=True)
    assert path.read_bytes() == b"new"


def test_a_pipe_or_device_is_written_to_and_stays_what_it_is(tmp_path):
    """``--json /dev/stdout`` as root would otherwise put a file in its place, for every other program."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(pipe, b"figures")
        assert os.read(reader, 100) == b"figures"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_folder_is_replaced_only_once_the_new_one_is_whole(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").write_text("old")

    def breaks_off(beside):
        beside.mkdir()
        (beside / "half").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        replace_folder(folder, breaks_off)
    assert [path.name for path in folder.iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"], "nothing half written stays beside it"

    def finishes(beside):
        beside.mkdir()
        (beside / "new").write_text("new")

    replace_folder(folder, finishes)
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_new_folder_is_neither_a_file_nor_full(tmp_path):
    check_new_folder(tmp_path / "new")
    check_new_folder(tmp_path)
    (tmp_path / "file").write_text("here")
    with pytest.raises(InputError, match="is a file; name a new folder"):
        check_new_folder(tmp_path / "file")
    with pytest.raises(InputError, match="is not empty"):
        check_new_folder(tmp_path)


def test_a_held_folder_is_refused_until_it_is_let_go(tmp_path):
    first, second = sole_writer(tmp_path, "taken"), sole_writer(tmp_path, "taken")
    with first, pytest.raises(InputError, match="taken"), second:
        pass
    with sole_writer(tmp_path, "taken"):
        pass
    assert not any(tmp_path.iterdir())


def test_a_worker_that_outlives_its_killed_parent_does_not_hold_the_folder(tmp_path):
    told, tell = os.pipe()
    parent = os.fork()
    if not parent:
        with sole_writer(tmp_path, "taken"):
            worker = os.fork()
            if worker:
                os.write(tell, f"{worker}".encode())
            signal.pause()
    worker = int(os.read(told, 32))
    try:
        with pytest.raises(InputError, match="taken"), sole_writer(tmp_path, "taken"):
            pass
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        with sole_writer(tmp_path, "taken"):
            os.kill(worker, 0)  # it lives
    finally:
        os.kill(worker, signal.SIGKILL)
