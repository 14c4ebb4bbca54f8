"""Memory is recycled when it is free, and never while it is in use."""

import pickle

import torch

from omnireid.loading.room import Room


def test_memory_is_recycled_when_its_last_tensor_is_freed():
    room = Room()
    first = room.take((2, 3))
    address = first.data_ptr()
    view = first[1:]
    del first
    assert room.take((2, 3)).data_ptr() != address, "a view still looks at it"
    del view
    assert address in {room.take((2, 3)).data_ptr() for _ in range(2)}


def test_memory_in_use_is_never_overwritten():
    room = Room()
    held = [room.take((5,)).fill_(number) for number in range(4)]
    array = room.take((5,)).fill_(9).numpy()  # numpy keeps the memory too
    for _ in range(8):
        room.take((5,)).fill_(-1)
    assert [tensor[0].item() for tensor in held] == [0, 1, 2, 3]
    assert (array == 9).all()


def test_no_more_memory_is_kept_than_was_in_use_at_once():
    room = Room()
    for size in (1, 10, 100, 50, 2, 100):
        assert room.take((size, 4)).shape == (size, 4)
    assert room.num_bytes == 4 * 400


def test_memory_serves_any_type_and_a_spawned_process_has_its_own():
    room = Room()
    levels = room.take((2, 4), torch.uint8)
    assert (levels.dtype, levels.shape) == (torch.uint8, (2, 4))
    address = levels.data_ptr()
    del levels
    assert room.take((2,)).data_ptr() == address and room.num_bytes == 8
    assert pickle.loads(pickle.dumps(room)).num_bytes == 0
