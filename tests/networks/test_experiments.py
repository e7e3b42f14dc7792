"""Experiments: fair, repeatable, resumed where they stopped, with controls that control."""

from __future__ import annotations

import csv
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from experiments import __main__ as command_line
from experiments import budgets, deciders, kernels, known, plans, predictors, runs, store, summary
from experiments.__main__ import KNOWN, RESULTS, main, options
from experiments.architectures import ARCHITECTURES, INITS, SCALES, build
from experiments.figures import collapse, layers, tangent_kernel
from lth_sketch import networks
from lth_sketch.tolerances import CONDITIONED, HALF, LAYER


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


TINY = plans.Setting("fc", "digits", 30, 128, 100, 1, 0.05)


def one(**changes):
    run = next(iter(plans.grid(1, TINY, (0.1,), (("snip", "random", 1),))))
    return run._replace(density=0.1, score="snip", data="random", **changes)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 8, 8)])
def test_networks_have_the_weights_of_their_seed(name, shape):
    one, other, third = (build(name, shape, 6, seed) for seed in (0, 0, 1))
    weights = [networks.vector(networks.prunable(net)) for net in (one, other, third)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert (weights[0] != weights[2]).any()
    assert one(torch.ones(2, *shape)).shape == (2, 10)


def test_the_paper_network():
    sizes = [w.numel() for w in networks.prunable(build("fc", (1, 28, 28), 300, 0)).values()]
    assert sizes == [235_200, 30_000, 1_000]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_run_is_repeatable_and_keeps_its_density(architecture):
    run = one(architecture=architecture, width=4, design="priority")
    row, again = runs.perform(run), runs.perform(run)
    assert row["accuracy"] == again["accuracy"]
    assert row["kept_by_layer"] == again["kept_by_layer"]
    assert row["kept"] == int(np.floor(0.1 * row["weights"] + 0.5))


@pytest.mark.parametrize("control", ["shuffle", "inverted"])
@pytest.mark.parametrize("design", plans.DESIGNS)
def test_controls_change_the_mask(control, design):
    images = runs.images("digits", 128, 100)
    net = build("fc", (1, 8, 8), 30, 0)
    plain = runs.masks(net, one(design=design), images)
    changed = runs.masks(net, one(design=design, control=control), images)
    assert any((changed[name] != mask).any() for name, mask in plain.items())
    if control == "shuffle":
        assert networks.kept(plain) == networks.kept(changed)


def test_designs_share_scores_weights_and_batches(monkeypatch):
    top, drawn = (one(design=design) for design in plans.DESIGNS)
    assert top._replace(design=drawn.design) == drawn
    images = runs.images("digits", 128, 100)
    seen, real = [], networks.source

    def spy(*arguments, **options):
        seen.append(real(*arguments, **options))
        return seen[-1]

    monkeypatch.setattr(networks, "source", spy)
    trained = []
    for run in (top, drawn):
        net = build("fc", (1, 8, 8), 30, run.seed)
        runs.masks(net, run, images)
        runs.train(net, images, run)
        trained.append(networks.vector(networks.prunable(net)))
    for one_part, other in zip(*seen, strict=True):
        np.testing.assert_array_equal(one_part, other)
    # Without their masks both are one network.
    np.testing.assert_array_equal(*trained)


def fake(accuracy):
    calls = []

    def perform(run):
        calls.append(run)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return {**run._asdict(), "accuracy": accuracy}

    return perform


def test_an_interrupted_experiment_resumes(tmp_path):
    path = tmp_path / "results" / "runs.csv"
    wanted = list(plans.trial(1))
    perform = fake(0.5)
    with pytest.raises(KeyboardInterrupt):
        store.complete(wanted, path, perform, lambda _: None)
    assert len(store.read(path)) == 3
    assert [file.name for file in path.parent.iterdir()] == ["runs.csv"]

    done = []
    rows = store.complete(
        wanted, path, lambda run: done.append(run) or {**run._asdict(), "accuracy": 0.6}, print
    )
    assert done == wanted[3:]
    assert [float(row["accuracy"]) for row in rows] == [0.5] * 3 + [0.6] * (len(wanted) - 3)
    with path.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(wanted)
    # Nothing is left to do, and another epoch is another run.
    assert store.complete(wanted, path, fake(0.1), print) == store.read(path)
    longer = [run._replace(epochs=9) for run in wanted[:1]]
    store.complete(longer, path, lambda run: {**run._asdict(), "accuracy": 0.7}, print)
    assert len(store.read(path)) == len(wanted) + 1


def test_no_run_starts_when_the_time_is_over(tmp_path):
    path, wanted, told = tmp_path / "runs.csv", list(plans.trial(1))[:4], []

    clock = [100.0]

    def slow(run):
        clock.append(200.0)
        return {**run._asdict(), "accuracy": 0.5}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store.time, "time", lambda: sum(clock))
        rows = store.complete(wanted, path, slow, told.append, until=400.0)
    assert len(rows) == len(store.read(path)) == 2
    assert told[-1].startswith("the time is over: 2 of 4 runs are left")
    rest = store.complete(wanted, path, fake(0.6), print)
    assert [float(row["accuracy"]) for row in rest] == [0.5, 0.5, 0.6, 0.6]


def test_workers_give_the_rows_of_one_process(tmp_path, monkeypatch, capsys):
    def pool(workers, *, mp_context, initializer, initargs):
        # What fresh processes would be told. A thread of this one is faster to come by: one, for
        # initial weights are drawn from PyTorch's state.
        assert mp_context.get_start_method() == "spawn"
        assert initializer is torch.set_num_threads
        assert (workers, initargs) == (2, (1,))
        return ThreadPoolExecutor(1)

    task = store._performed, (runs.perform, np.inf), one()
    assert pickle.loads(pickle.dumps(task)) == task
    monkeypatch.setattr(command_line, "ProcessPoolExecutor", pool)
    command = ["experiments", "--threads", "1", "--workers", "2", "grid", "--seeds", "1"]
    command += ["--densities", "0.1", "--no-controls", "--scores", "magnitude", "snip:random:2"]
    for name, value in TINY._replace(n_train=64, batch=32)._asdict().items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    monkeypatch.setattr("sys.argv", [*command, "--out", str(tmp_path / "two.csv")])
    main()
    rows = store.read(tmp_path / "two.csv")
    assert [row["score"] for row in rows] == ["unpruned", *["magnitude"] * 2, *["snip"] * 2]
    assert {row["rounds"] for row in rows if row["score"] == "snip"} == {"2"}
    run = one(design="top")._replace(score="magnitude", data="none", n_train=64, batch=32)
    assert str(runs.perform(run)["accuracy"]) == rows[1]["accuracy"]
    assert "draw - top" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--workers", "0", "who"], "--workers: must be >= 1"),
        (["--minutes", "0", "who"], "--minutes: must be > 0"),
        (["grid", "--scores", "snip:some"], "'snip:some' is no NAME:DATA"),
        (["grid", "--scores", "snip:real:x"], "'snip:real:x' is no NAME:DATA"),
    ],
)
def test_options_that_cannot_be(monkeypatch, capsys, options, words):
    monkeypatch.setattr("sys.argv", ["experiments", *options])
    with pytest.raises(SystemExit):
        main()
    assert words in capsys.readouterr().err


def test_each_command_prints_its_help():
    parser = options()
    (commands,) = (action for action in parser._actions if action.choices)
    assert {"trial", "grid", "who", "patterns", "kernels", "figures"} <= set(commands.choices)
    for name, other in {"experiments": parser, **commands.choices}.items():
        assert other.format_help().startswith(f"usage: {other.prog}")
        assert name in other.prog


def test_a_mask_with_two_of_every_four_inputs():
    run = next(run for run in plans.patterns(1) if run.control == "2:4")
    net = build("mlp", (1, 8, 8), 32, 0)
    images = runs.images("digits", 128, 100)
    for design in plans.PATTERNED:
        masks = runs.masks(net, run._replace(design=design), images)
        for mask in masks.values():
            assert (mask.reshape(-1, 4).sum(1) == 2).all()


def test_means_and_paired_differences():
    rows = [
        {**run._asdict(), "accuracy": 0.5 + 0.1 * (run.design == "priority") + 0.01 * run.seed}
        for run in plans.trial(3)
    ]
    gaps = summary.differences(rows)
    assert len(gaps) == len(plans.TRIAL)
    for gap in gaps.values():
        assert gap.seeds == 3
        assert gap.value == pytest.approx(0.1)
        assert gap.half == pytest.approx(0, abs=CONDITIONED)
    # t(0.975, 2) = 4.302653 and standard deviation 0.01
    whole = summary.mean([0.5, 0.51, 0.52])
    assert whole.half == pytest.approx(4.302653 * 0.01 / np.sqrt(3), rel=HALF)
    assert summary.mean([0.5]).half == np.inf
    assert "draw - top +10.00" in summary.describe(rows)


def accuracies(values, **changes):
    return [
        {**one(seed=seed)._asdict(), **changes, "accuracy": value}
        for seed, value in enumerate(values)
    ]


def test_the_markdown_table_has_means_intervals_and_paired_differences():
    # Differences 0.10, 0.20, 0.30: mean 0.2, deviation 0.1, t(0.975, 2) = 4.302653.
    rows = accuracies([0.1, 0.2, 0.3], design="top")
    rows += accuracies([0.2, 0.4, 0.6, 0.8], design="priority")
    rows += accuracies([0.5], design="top", control="shuffle")
    rows += accuracies([0.9, 0.9], design="top", density=0.2, rounds=100)
    rows += accuracies([0.7], design="top", epochs=9)
    half = 100 * 4.302653 * 0.1 / np.sqrt(3)
    # t(0.975, 3) = 3.182446 and deviation 0.2581989
    drawn = 100 * 3.182446 * 0.2581989 / 2
    assert summary.markdown(rows).splitlines() == [
        "**fc, digits**: width 30, 128 training and 100 test images, 1 epochs, rate 0.05",
        "",
        *summary.HEAD,
        "| 20% | snip, 100 rounds | random |  | 2 | 90.0 +- 0.0 |  |  |",
        f"| 10% | snip | random |  | 3 | 20.0 +- {half:.1f} | 50.0 +- {drawn:.1f} (4) "
        f"| +20.0 +- {half:.1f} |",
        "| 10% | snip | random | shuffle | 1 | 50.0 |  |  |",
        "",
        "**fc, digits**: width 30, 128 training and 100 test images, 9 epochs, rate 0.05",
        "",
        *summary.HEAD,
        "| 10% | snip | random |  | 1 | 70.0 |  |  |",
    ]


def test_a_difference_beyond_its_interval_is_bold():
    rows = accuracies([0.50, 0.51, 0.52], design="top")
    rows += accuracies([0.40, 0.41, 0.42], design="priority")
    assert "| 51.0 +- 2.5 | 41.0 +- 2.5 | **-10.0 +- 0.0** |" in summary.markdown(rows)


def test_the_summary_of_stored_files(monkeypatch, capsys, tmp_path):
    stored = RESULTS / "trial_fc_fashion_mnist.csv"
    monkeypatch.setattr("sys.argv", ["experiments", "summary", str(stored)])
    main()
    text = capsys.readouterr().out
    # The table of docs/results/README.md.
    assert "| 25.7 +- 19.2 | 78.1 +- 0.8 | **+52.4 +- 19.5** |" in text
    assert "| 77.8 +- 0.3 | 65.8 +- 5.6 | **-12.1 +- 5.7** |" in text
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    for path, words in ((other, "is no table of runs: it lacks"), (tmp_path / "no", "no file")):
        monkeypatch.setattr("sys.argv", ["experiments", "summary", str(stored), str(path)])
        with pytest.raises(SystemExit, match=words):
            main()


def test_plans_hold_what_they_say():
    grid = list(plans.grid(1, plans.FC))
    assert len(grid) == len(set(grid)) == 1 + 4 * (2 * len(plans.SCORES) + 1 + 12)
    assert {run.density for run in grid} == {1.0, *plans.DENSITIES}
    paper = {(run.architecture, run.dataset, run.seed) for run in plans.paper()}
    assert len(paper) == 3 * 2 * 5
    smoke = list(plans.smoke())
    assert {run.architecture for run in smoke} == {"fc", "vgg", "resnet"}


def test_too_few_images_are_named():
    with pytest.raises(ValueError, match="digits has 1297 training and 500 test images"):
        runs.images("digits", 5000, 500)


def test_the_figures_are_published(tmp_path, monkeypatch, capsys):
    sizes = {
        tangent_kernel: {"samples": 2, "trials": 20, "widest": 64, "masks": 2},
        collapse: {"masks": 2, "points": 3},
        layers: {"samples": 8, "width": 8, "masks": 2},
    }
    for script, small in sizes.items():
        monkeypatch.setattr(script, "SIZES", {"smoke": small})
    few = list(plans.grid(1, TINY, (0.1,), (("synflow", "none", 1),), controls=False))
    monkeypatch.setattr(plans, "smoke", lambda: iter(few))
    command = ["experiments", "figures", "--size", "smoke", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", command)
    main()
    assert "index.html" in capsys.readouterr().out
    names = {"tangent_kernel", "networks", "collapse", "layers"}
    made = {f"{name}.{kind}" for name in names for kind in ("csv", "pdf", "png")}
    assert {path.name for path in tmp_path.iterdir()} == made | {
        "index.html",
        "manifest.json",
        "runs_smoke.csv",
    }
    assert "1 threads" in store.read(tmp_path / "runs_smoke.csv")[0]["machine"]
    page = (tmp_path / "index.html").read_text()
    assert all(f'id="{name}"' in page for name in names)


def test_the_trial_runs_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(plans, "TRIAL", (("magnitude", "none", 1),))
    out = tmp_path / "trial.csv"
    options = {"dataset": "digits", "width": 20, "n-train": 64, "n-test": 50, "epochs": 1}
    command = ["experiments", "--threads", "1", "trial", "--seeds", "1", "--out", str(out)]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    monkeypatch.setattr("sys.argv", command)
    main()
    assert len(store.read(out)) == 3
    assert "draw - top" in capsys.readouterr().out


def test_stored_results_are_whole():
    """Each row of docs/results is a run, once, with its machine and the number it kept."""
    for path in RESULTS.glob("*.csv"):
        rows = store.read(path)
        assert len({store.key(row) for row in rows}) == len(rows) > 0
        for row in rows:
            assert int(row["kept"]) == int(float(row["density"]) * int(row["weights"]) + 0.5)
            assert 0 < float(row["accuracy"]) < 1
            assert row["machine"]


def test_the_trial_shows_what_it_must():
    """Issue: five seeds at 1%; the draw saves scores on random data and SynFlow in one shot."""
    rows = store.read(RESULTS / "trial_fc_fashion_mnist.csv")
    means = {
        (score, data, rounds, design): summary.mean(list(values.values()))
        for (*_, score, data, rounds, _, design), values in summary.groups(rows).items()
    }
    assert {mean.seeds for mean in means.values()} == {5}
    sound = means["snip", "real", "1", "top"].value
    for score, data in (("snip", "random"), ("synflow", "none")):
        drawn = means[score, data, "1", "priority"].value
        assert drawn > sound - 0.02
        assert drawn > means[score, data, "1", "top"].value + 0.3
    # And where the score is sound the draw loses.
    lost = summary.differences(rows)
    gap = next(gap for condition, gap in lost.items() if "magnitude" in condition)
    assert gap.value + gap.half < 0


@pytest.mark.parametrize("init", INITS)
def test_initial_weights_are_what_they_are_called(init):
    net = build("mlp", (1, 8, 8), 32, 0, init)
    weight = net[1].weight.detach().numpy()
    if init in SCALES:
        assert weight.std() == pytest.approx(SCALES[init] * np.sqrt(2 / 64), rel=0.05)
    elif init == "orthogonal":
        np.testing.assert_allclose(weight @ weight.T, 2 * np.eye(32), atol=LAYER)
    else:
        assert abs(weight).max() <= 1 / 8
    assert (net[1].bias.detach() == 0).all() == (init != "default")


def test_an_unknown_kind_of_weights_is_told():
    with pytest.raises(ValueError, match="init must be one of"):
        build("mlp", (1, 8, 8), 32, 0, "zeros")


@pytest.mark.parametrize("design", plans.DESIGNS)
def test_erk_keeps_its_budgets(design):
    rng = np.random.default_rng(0)
    scores = {"a": rng.random((40, 30)), "b": rng.random((20, 40)), "c": rng.random((4, 20))}
    masks = budgets.erk(scores, 0.1, design, rng)
    kept = {name: int(mask.sum()) for name, mask in masks.items()}
    assert sum(kept.values()) == 208
    raw = {name: sum(values.shape) for name, values in scores.items()}
    for name in kept:
        assert kept[name] == pytest.approx(208 * raw[name] / sum(raw.values()), abs=1)


def test_predictors_by_hand():
    """A chain of two layers in which one hidden unit of three is connected on both sides."""
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    masks = {
        "0.weight": np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]]),
        "2.weight": np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]),
    }
    values = predictors.known(net, masks, torch.randn(6, 2))
    assert set(values) | {"concentration"} == set(predictors.NAMES)
    # Paths: two inputs, one hidden unit, two outputs; the kept weight of unit two ends nowhere.
    assert values["log_paths"] == pytest.approx(np.log10(4))
    assert values["effective"] == pytest.approx(4 / 5)
    assert values["dead_units"] == pytest.approx(1 / 5)
    assert values["least_kept"] == 1.0
    assert values["emptied"] == 0
    assert predictors.concentration({"a": np.array([3.0, -5.0, 1.0, 1.0])}, 0.5) == 0.8
    cut = {**masks, "2.weight": np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])}
    assert predictors.known(net, cut, torch.randn(6, 2))["effective"] == 0


def test_rank_correlations_of_what_is_known():
    rows = [
        {
            **one(seed=seed)._asdict(),
            "density": density,
            "design": design,
            "accuracy": 0.5 + (density if design == "priority" else 0.0),
            **dict.fromkeys(predictors.NAMES, 1.0),
            "log_paths": 10 * density if design == "priority" else 0.0,
        }
        for seed in range(2)
        for density in (0.1, 0.2, 0.3, 0.4)
        for design in plans.DESIGNS
    ]
    table = deciders.cells(rows)
    assert [cell["gap"] for cell in table] == pytest.approx([10, 20, 30, 40])
    with np.errstate(invalid="ignore"), pytest.warns(Warning, match="constant"):
        correlations = deciders.correlations(rows)
    assert correlations["log_paths"][0] == pytest.approx(1.0)


def test_masks_of_finished_runs_are_looked_at_again(tmp_path):
    table, out = tmp_path / "runs.csv", tmp_path / "known" / "runs.csv"
    tried = [one(design=design) for design in plans.DESIGNS]
    rows = [runs.perform(run) for run in (*tried, one(control="shuffle"), one(seed=1))]
    store.write(table, rows)
    looked = known.complete(table, out, 1, print)
    assert [store.run(row) for row in looked] == tried
    for row, again in zip(rows, looked, strict=False):
        assert {name: again[name] for name in predictors.NAMES} == {
            name: row[name] for name in predictors.NAMES
        }
    assert known.complete(table, out, 1, print) == store.read(out)
    bare = [{**run._asdict(), "accuracy": 0.5} for run in (*tried, one(seed=1))]
    joined = known.joined(bare, store.read(out))
    assert float(joined[0]["error"]) == rows[0]["error"]
    assert joined[2] == bare[2]


def test_what_is_known_belongs_to_runs_that_are_stored():
    for path in KNOWN.glob("*.csv"):
        stored = {store.key(row) for row in store.table(RESULTS / path.name)}
        keys = [store.key(row) for row in store.read(path)]
        assert len(set(keys)) == len(keys) > 0
        assert stored >= set(keys)


def test_tangent_kernels_go_on_where_they_stopped(tmp_path, monkeypatch):
    asked = []

    def measure(width, seed):
        asked.append((width, seed))
        return {"width": width, "seed": seed, "exact": "0.1"}

    monkeypatch.setattr(kernels, "measure", measure)
    command = ["experiments", "kernels", "--seeds", "2", "--out", str(tmp_path / "widths.csv")]
    for widths in (["8"], ["8", "16"]):
        monkeypatch.setattr("sys.argv", [*command, "--widths", *widths])
        main()
    assert asked == [(8, 0), (8, 1), (16, 0), (16, 1)]
    rows = store.read(tmp_path / "widths.csv", {})
    assert [set(row) for row in rows] == [{"width", "seed", "exact"}] * 4


def test_kernels_of_pruned_networks():
    """N2: the measured error is that of the exact moment, at any width."""
    row = kernels.measure(64, 0)
    assert float(row["measured"]) == pytest.approx(float(row["exact"]), rel=0.3)
    assert 0 < float(row["cosine"]) < 1
