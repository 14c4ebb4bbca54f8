"""Memory is recycled when it is free, and never while it is in use."""

import pickle

import torch

from omnireid.loading.buffer_pool import BufferPool


def test_memory_is_recycled_when_its_last_tensor_is_freed():
    pool = BufferPool()
    first = pool.take((2, 3))
    address = first.data_ptr()
    view = first[1:]
    del first
    assert pool.take((2, 3)).data_ptr() != address, "a view still looks at it"
    del view
    assert address in {pool.take((2, 3)).data_ptr() for _ in range(2)}


def test_memory_in_use_is_never_overwritten():
    pool = BufferPool()
    held = [pool.take((5,)).fill_(number) for number in range(4)]
    array = pool.take((5,)).fill_(9).numpy()  # numpy keeps the memory too
    for _ in range(8):
        pool.take((5,)).fill_(-1)
    assert [tensor[0].item() for tensor in held] == [0, 1, 2, 3]
    assert (array == 9).all()


def test_no_more_memory_is_kept_than_was_in_use_at_once():
    pool = BufferPool()
    for size in (1, 10, 100, 50, 2, 100):
        assert pool.take((size, 4)).shape == (size, 4)
    assert pool.num_bytes == 4 * 400


def test_memory_serves_any_type_and_a_spawned_process_has_its_own():
    pool = BufferPool()
    levels = pool.take((2, 4), torch.uint8)
    assert (levels.dtype, levels.shape) == (torch.uint8, (2, 4))
    address = levels.data_ptr()
    del levels
    assert pool.take((2,)).data_ptr() == address and pool.num_bytes == 8
    assert pickle.loads(pickle.dumps(pool)).num_bytes == 0
