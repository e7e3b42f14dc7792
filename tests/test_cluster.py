"""Rows, weights and sweeps on two workers of dask, on pools, and with workers that die."""

from __future__ import annotations

import os
import pickle
import signal
import time
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster

from lth_sketch import Product, checkpoints, montecarlo, scale, verify
from lth_sketch.checkpoints.shards import header
from lth_sketch.parallel import executors
from lth_sketch.parallel.executors import spread
from lth_sketch.statements import REGISTER

# What dask's own threads and sockets leave behind is not ours to judge.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def client():
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def square(common, task):
    return common + task**2


def fail(common, task):
    if task in (17, 4):
        raise ValueError(f"task {task}")
    return task


def once(common, task):
    """End the process that first meets task 3."""
    mark = Path(common)
    if task == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def always(common, task):
    os.kill(os.getpid(), signal.SIGKILL)


# --- one loop, whatever the engine --------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_order_and_the_first_fault_is_raised(threads):
    assert list(spread(square, range(50), common=1, threads=threads)) == [
        1 + n**2 for n in range(50)
    ]
    met = []
    with pytest.raises(ValueError, match="task 4"):
        met.extend(spread(fail, range(50), threads=threads))
    assert list(spread(square, [], common=1, threads=threads)) == []


def test_no_more_than_a_window_is_read_ahead():
    taken = []

    def tasks():
        for n in range(100):
            taken.append(n)
            yield n

    with ThreadPoolExecutor(2) as pool:
        results = spread(square, tasks(), pool, common=0)
        next(results)
        assert len(taken) <= executors.AHEAD * 2 + 1
        results.close()


def test_a_process_that_dies_costs_its_own_tasks(tmp_path):
    with ProcessPoolExecutor(2) as pool:
        assert list(spread(once, range(8), pool, common=str(tmp_path / "mark"))) == list(range(8))
    with ProcessPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="time after time"):
        list(spread(always, range(2), pool))


def test_what_is_no_executor_is_refused(monkeypatch):
    class Engine:
        def get_executor(self):
            """As dask's client."""

    for given, text in ((Engine(), "get_executor()"), (3, "concurrent.futures.Executor")):
        with pytest.raises(TypeError, match="executor must be") as caught:
            next(spread(square, [1], given))
        assert text in str(caught.value)
    monkeypatch.setattr(executors, "PATIENCE", 0.5)
    with (
        pytest.raises(OSError, match="no scheduler answers"),
        executors.connected("tcp://127.0.0.1:9"),
    ):
        pass
    assert issubclass(BrokenExecutor, RuntimeError)


# --- rows, weights and sweeps --------------------------------------------------------------------


def test_rows_on_a_cluster_are_those_of_threads(client):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((3_000, 20)), rng.standard_normal((3_000, 2))
    x, t = da.from_array(X, chunks=(170, 7)), da.from_array(y, chunks=(200, 1))
    here = scale.rows(x, t)
    there = scale.rows(x, t, executor=client.get_executor())
    parts = scale.rows(X, y, executor=client.get_executor())
    for name in ("X", "y"):
        np.testing.assert_array_equal(getattr(here, name), getattr(there, name))
        np.testing.assert_array_equal(getattr(parts, name), getattr(scale.rows(X, y), name))
    np.testing.assert_array_equal(scale.norms(x), scale.norms(x, executor=client.get_executor()))
    X[170 * 2 + 5, 3] = X[2_900, 1] = np.nan
    x = da.from_array(X, chunks=(170, 7))
    with pytest.raises(ValueError, match=r"X\[345, 3\] = nan"):
        scale.rows(x, executor=client.get_executor())


def test_of_many_chunks_the_first_fault_is_named(size):
    X = np.zeros((size(17_200, 1_800), 2))
    X[17, 1] = X[size(17_123, 1_723), 0] = np.nan
    blocks = iter([X[i : i + 1] for i in range(len(X))])
    with pytest.raises(ValueError, match=r"X\[17, 1\] = nan"):
        scale.norms(blocks, n_jobs=2)


def checkpoint(folder, count):
    """bf16 weights in two files."""
    folder.mkdir()
    rng = np.random.default_rng(2)
    for shard in range(2):
        values = rng.standard_normal((count // 2, 100), dtype=np.float32)
        codes = (values.view(np.uint32) >> 16).astype(np.uint16)
        head = header({f"layer{shard}": ("BF16", codes.shape)}, {})
        (folder / f"part{shard}.safetensors").write_bytes(head + codes.tobytes())
    return folder


@pytest.mark.parametrize("design", ["top", "poisson", "priority"])
def test_weights_on_a_cluster_are_those_of_threads(client, design, tmp_path, size):
    model = checkpoint(tmp_path / "model", size(6_000, 60))
    options = {"density": 0.2, "design": design, "rng": 3}
    checkpoints.prune(model, tmp_path / "here", **options)
    checkpoints.prune(model, tmp_path / "there", **options, executor=client.get_executor())
    for file in (tmp_path / "here").iterdir():
        assert file.read_bytes() == (tmp_path / "there" / file.name).read_bytes()


@pytest.mark.parametrize("design", ["multinomial", "poisson", "systematic", "top"])
def test_simulated_errors_on_a_cluster_are_those_of_threads(client, design):
    rng = np.random.default_rng(1)
    product = Product(rng.standard_normal((30, 12)), rng.standard_normal(12))
    options = {"trials": 300, "design": design, "rng": 4}
    here = montecarlo.squared_errors(product, np.ones(12), [2, 5], **options)
    for executor in (client.get_executor(), ThreadPoolExecutor(2)):
        there = montecarlo.squared_errors(
            product, np.ones(12), [2, 5], **options, executor=executor
        )
        np.testing.assert_array_equal(here, there)


def test_a_process_prepares_for_all_trials_once(monkeypatch):
    prepare, made = montecarlo.SIMULATIONS["top"], []

    def counted(*arguments):
        made.append(arguments)
        return prepare(*arguments)

    monkeypatch.setitem(montecarlo.SIMULATIONS, "top", counted)
    monkeypatch.setattr(montecarlo, "TASK", 1e-9)
    product = Product(np.eye(3), np.ones(3))
    with ThreadPoolExecutor(1) as pool:
        options = {"trials": 1_000, "design": "top", "rng": 0}
        montecarlo.squared_errors(product, np.ones(3), 2, **options, executor=pool)
    assert len(made) == 1
    common = montecarlo._Common("top", product, np.ones(3), np.array([2]))
    assert callable(common.simulate)
    assert "simulate" not in vars(pickle.loads(pickle.dumps(common)))


def test_verdicts_on_a_cluster_are_those_of_one_process(client):
    chosen = [statement for statement in REGISTER if statement.label in ("S0", "S3")]
    options = {"trials": 200, "rng": 1}
    here = verify.run(chosen, **options)
    there = verify.run(chosen, **options, executor=client.get_executor())
    assert here.json() == there.json()


def slow(common, task):
    time.sleep(0.2)
    return task, os.getpid()


def test_a_worker_that_is_killed_changes_nothing(client):
    results = spread(slow, range(12), client.get_executor(), common=np.zeros(3))
    first, process = next(results)
    os.kill(process, signal.SIGKILL)
    assert [first, *(task for task, _ in results)] == list(range(12))
