"""The register of networks: the whole theory page, certified; a tenth off, refuted."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from experiments.figures import layers, tangent_kernel
from figures import gallery
from lth_sketch import cli, datasets, verify
from lth_sketch.networks.statements import NETWORKS, PRODUCTS
from lth_sketch.statements import REGISTER

DIGITS = datasets.load("digits", subset=400)
OWN = [statement for statement in NETWORKS if statement.label in ("N1", "N2", "N3")]
# Enough for Catoni's interval at the risk of a row, and no more.
TRIALS = 100_000


def run(statements, trials=TRIALS, rng=0):
    return verify.run(statements, DIGITS, trials=trials, rng=rng, products=PRODUCTS)


def test_the_labels_of_the_theory_page_are_all_registered():
    page = (Path(__file__).parents[2] / "docs" / "theory.md").read_text()
    proved = set(re.findall(r"^### ([A-Z][0-9]+)\b", page, re.MULTILINE))
    assert {statement.label for statement in (*REGISTER, *NETWORKS)} == proved
    assert {statement.label for statement in OWN} == {"N1", "N2", "N3"}


def test_every_statement_says_what_it_is():
    for statement in NETWORKS:
        assert len(statement.claim) <= 110, statement.label
        assert set(statement.products) <= set(PRODUCTS)
        assert statement.figure, statement.label
        if statement.status == "bound":
            assert statement.trivial is not None, statement.label


def test_n1_to_n3_are_shown_with_their_claims():
    for statement in OWN:
        script = layers if statement.label == "N3" else tangent_kernel
        assert statement.figure == script.NAME
        claims = gallery.shown(script, (*REGISTER, *NETWORKS))
        assert statement.claim in claims[statement.label]
    listed = [claim for texts in claims.values() for claim in texts]
    assert len(listed) == len(set(listed))


def test_n1_to_n3_are_certified():
    report = run(OWN)
    assert len(report.verdicts) == 14
    assert {row.verdict for row in report.verdicts} == {"certified"}


def test_what_holds_for_products_holds_for_networks():
    report = run([statement for statement in NETWORKS if statement not in OWN])
    assert not report.refuted
    identities = [row for row in report.verdicts if row.status == "identity"]
    assert {row.label for row in identities} == {f"S{i}" for i in range(7)}
    assert {row.verdict for row in identities} == {"certified"}
    sharp = {row.label for row in report.verdicts if row.verdict == "certified"}
    assert {"B6", "B7", "A1"} <= sharp


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_ten_percent_are_noticed(factor):
    """Each identity of N1, N2 and N3 is refuted when its value is off by a tenth."""
    off = [
        dataclasses.replace(s, value=lambda case, value=s.value: factor * value(case))
        for s in OWN
        if s.status == "identity"
    ]
    report = run(off)
    assert len(report.verdicts) == 12
    assert {row.verdict for row in report.verdicts} == {"refuted"}


def test_the_bounds_can_be_refuted():
    for bound in (statement for statement in OWN if statement.status == "bound"):
        less = dataclasses.replace(bound, value=lambda case, bound=bound: bound.value(case) / 4)
        assert run([less], trials=10).refuted


def test_a_network_with_a_bias_refutes_n1(monkeypatch):
    """The statement hangs on its assumption: the factor L is lost with biases."""
    from lth_sketch.networks import statements as register

    plain = register.relu_network

    def biased(sizes, rng):
        net = plain(sizes, rng)
        for layer in net[::2]:
            values = register.torch.as_tensor(rng.standard_normal(layer.out_features))
            layer.bias = register.nn.Parameter(10 * values)
        return net

    monkeypatch.setattr(register, "relu_network", biased)
    report = run([OWN[0], OWN[1]], trials=10)
    assert {row.verdict for row in report.verdicts} == {"refuted"}


def test_other_seeds_and_narrow_data():
    exact = [s for s in OWN if s.products == OWN[0].products]
    narrow = datasets.load("digits", subset=5)
    narrow = dataclasses.replace(narrow, X=narrow.X[:, 20:23])
    for data, seed in ((DIGITS, 1), (narrow, 2)):
        report = verify.run(exact, data, trials=10, rng=seed, products=PRODUCTS)
        assert {row.verdict for row in report.verdicts} <= {"certified", verify.NOT_MET}


def test_the_command_adds_the_networks(capsys):
    options = ["--statements", "N1", "S6", "--trials", "10", "--json"]
    assert cli.main(["verify", "--networks", *options]) == 0
    rows = json.loads(capsys.readouterr().out)
    labels = [row["label"] for row in rows]
    assert labels == ["S6"] * 3 + ["N1"] * 8 + ["S6"]
    assert rows[-1]["product"] == "tangent_3"
    assert np.isfinite(rows[-1]["value"])
