"""Exact top-10 search of 768-d vectors: our store, faiss flat and plain torch, in turns in one process.

python -m benchmarks.search --sizes 250000 --json search.json

Times are CPU time over all threads. Vectors are clustered as people are (twenty images each), unit length,
made from a seed. Ours reads codes of 8 bits and takes the last word from the ledger's file, so its time
includes SQLite. faiss (faiss-cpu, optional) and torch hold float32 in memory. Every list is compared with
float64 brute force.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from irm.retrieval.ledger import Ledger, SpaceRow
from irm.retrieval.local import LocalStore
from irm.retrieval.question import Filter
from irm.retrieval.views import Space
from omnireid.loading.transforms import Preprocessing

DIM, TOP, EACH, BLOCK = 768, 10, 20, 10_000
MIB = 2**20


def blocks(count: int, spread: float) -> Iterator[np.ndarray]:
    """Unit vectors, a block at a time; every EACH of them lie around a centre."""
    for first in range(0, count, BLOCK):
        generator = torch.Generator().manual_seed(first)
        size = min(BLOCK, count - first)
        centres = torch.randn(-(-size // EACH), DIM, generator=generator).repeat_interleave(EACH, 0)[:size]
        rows = centres + spread * torch.randn(size, DIM, generator=generator)
        yield torch.nn.functional.normalize(rows, dim=1).numpy()


def gathered(count: int, spread: float) -> torch.Tensor:
    """All of them in memory."""
    vectors = torch.empty(count, DIM)
    for number, block in enumerate(blocks(count, spread)):
        vectors[number * BLOCK : number * BLOCK + len(block)] = torch.from_numpy(block)
    return vectors


def questions(count: int, num_queries: int, spread: float) -> torch.Tensor:
    """Further images of people of the gallery."""
    generator = torch.Generator().manual_seed(7)
    first = next(blocks(min(count, BLOCK), spread))
    rows = torch.from_numpy(first)[torch.randint(len(first), (num_queries,), generator=generator)]
    noise = torch.randn(num_queries, DIM, generator=generator) / DIM**0.5
    return torch.nn.functional.normalize(rows + 0.7 * noise, dim=1)


def write(folder: Path, count: int, spread: float) -> tuple[Ledger, SpaceRow]:
    """A ledger of so many images without pictures."""
    ledger = Ledger(folder, create=True)
    space = ledger.add_space(Space("0" * 64, "trad", "trad/x", "", Preprocessing()), DIM)
    ids = iter(range(1, count + 1))
    for block in blocks(count, spread):
        with ledger.writing() as connection:
            numbers = [next(ids) for _ in block]
            connection.executemany(
                "INSERT INTO images (key, path, size, changed, content, pid, modality, captions, width, "
                "height, added, revision) VALUES (?, '', 0, 0, '', ?, 'rgb', '[]', 1, 1, 0, 1)",
                [(str(number), number // EACH) for number in numbers],
            )
            connection.executemany(
                f"INSERT INTO {space.table} VALUES (?, ?)",
                [(number, row.tobytes()) for number, row in zip(numbers, block, strict=True)],
            )
    ledger.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return ledger, space


def brute_force(queries: torch.Tensor, count: int, spread: float) -> np.ndarray:
    """Ids of the nearest by float64, a block of the gallery at a time."""
    best = torch.full((len(queries), 0), 0.0, dtype=torch.float64)
    ids = torch.zeros((len(queries), 0), dtype=torch.int64)
    for number, block in enumerate(blocks(count, spread)):
        scores = queries.double() @ torch.from_numpy(block).double().T
        value, place = scores.topk(TOP, dim=1)
        best, ids = torch.cat([best, value], 1), torch.cat([ids, place + number * BLOCK + 1], 1)
        best, order = best.topk(TOP, dim=1)
        ids = ids.gather(1, order)
    return ids.numpy()


def resident() -> float:
    """MiB that belong to this process alone: what it reads of files is the system's to keep or drop."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    return float("nan")


def cpu(run: Callable[[], object], repeats: int) -> list[float]:
    """CPU seconds of each repetition."""
    run()
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return taken


def measure(
    name: str,
    search: Callable[[torch.Tensor], np.ndarray],
    queries: torch.Tensor,
    truth: np.ndarray,
    repeats: int,
) -> dict[str, float]:
    """One query at a time, then all at once; lists compared with the truth."""
    singles: list[float] = []
    wrong = 0
    search(queries[:1])
    for row, query in enumerate(queries[:repeats]):
        start = time.process_time()
        found = search(query[None])
        singles.append(time.process_time() - start)
        wrong += int((found[0] != truth[row]).any())
    start = time.process_time()
    together = search(queries)
    seconds = time.process_time() - start
    wrong_together = int((together != truth).any(axis=1).sum())
    row = {
        "one p50 ms": 1000 * float(np.median(singles)),
        "one p99 ms": 1000 * float(np.quantile(singles, 0.99)),
        f"{len(queries)} s": seconds, "wrong lists": wrong + wrong_together,
    }  # fmt: skip
    print(f"  {name:16}" + "  ".join(f"{key} {value:9.2f}" for key, value in row.items()), flush=True)
    return row


def ours(ledger: Ledger, space: SpaceRow) -> Callable[[torch.Tensor], np.ndarray]:
    store = LocalStore(ledger)

    def search(queries: torch.Tensor) -> np.ndarray:
        found = store.search(space, queries.numpy(), TOP, where=Filter(), now=0.0)
        return np.stack([one.ids for one in found])

    return search


def plain_torch(vectors: torch.Tensor) -> Callable[[torch.Tensor], np.ndarray]:
    def search(queries: torch.Tensor) -> np.ndarray:
        found = [(part @ vectors.T).topk(TOP, dim=1).indices for part in queries.split(64)]
        return torch.cat(found).numpy() + 1

    return search


def faiss_flat(vectors: torch.Tensor) -> Callable[[torch.Tensor], np.ndarray] | None:
    try:
        import faiss
    except ImportError:
        return None
    faiss.omp_set_num_threads(torch.get_num_threads())
    index = faiss.IndexFlatIP(DIM)
    index.add(vectors.numpy())
    return lambda queries: index.search(queries.numpy(), TOP)[1] + 1


def run(count: int, num_queries: int, repeats: int, spread: float) -> dict[str, object]:
    """One size of gallery."""
    queries = questions(count, num_queries, spread)
    truth = brute_force(queries, count, spread)
    size = count * DIM * 4 / MIB
    folder = Path(tempfile.mkdtemp(prefix="search"))
    try:
        ledger, space = write(folder, count, spread)
        disk = sum(path.stat().st_size for path in folder.iterdir()) / MIB
        print(f"{count} x {DIM}: {size:.0f} MiB of float32; the ledger has {disk:.0f} MiB on disk")
        before, start = resident(), time.perf_counter()
        search = ours(ledger, space)
        search(queries[:1])
        opened, used = time.perf_counter() - start, resident() - before
        print(
            f"  ours: {opened:.1f} s until the first answer; {used:.0f} MiB of memory, "
            f"{used / size:.2f} x the vectors"
        )
        told: dict[str, object] = {
            "memory MiB": used,
            "disk MiB": disk,
            "vectors MiB": size,
            "open s": opened,
        }
        told["ours"] = measure("ours", search, queries, truth, repeats)
        told["peak ratio"] = (resident() - before) / size
        del search
        vectors = gathered(count, spread)
        told["torch"] = measure("torch float32", plain_torch(vectors), queries, truth, repeats)
        if (faiss := faiss_flat(vectors)) is not None:
            told["faiss"] = measure("faiss flat", faiss, queries, truth, repeats)
        # Once more, so that what the machine did meanwhile shows.
        told["ours again"] = measure("ours again", ours(ledger, space), queries, truth, repeats)
        ledger.close()
    finally:
        shutil.rmtree(folder)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[250_000], help="images of the gallery")
    parser.add_argument("--queries", type=int, default=1000, help="asked together")
    parser.add_argument("--repeats", type=int, default=50, help="asked one by one")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--spread", type=float, default=1.0, help="of a person's images, against that of people"
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    told = {
        count: run(count, arguments.queries, arguments.repeats, arguments.spread) for count in arguments.sizes
    }
    print(f"peak memory of the whole run {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    if arguments.json:
        arguments.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
