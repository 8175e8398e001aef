"""Objects in a notebook: what the cards show, and that nothing of a user's gets into the page as markup."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

import shipway
from shipway.client import HubClient
from shipway.deploy.progress import Point, Progress, Step
from shipway.kinds import Backend, Object, ObjectMeta, Route, RouteSpec
from shipway.sdk import curves, html
from shipway.sdk.values import Curve, Metrics, metrics_of
from shipway.sdk.views import view
from tests.cli.worlds import T0, job, model, resolved, revision, run, service, serving, succeeded

EVIL = "<script>alert('x')</script>\"&<b>"
NOWHERE = HubClient(url="http://127.0.0.1:1")  # a hub that is gone
VOID = {"br", "hr", "img"}


class Checker(HTMLParser):
    """Fails on a tag that is not closed in its turn, and on anything that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "style", "iframe", "link")
        assert [name for name, _ in attrs if name.startswith("on")] == []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def text_of(markup: str) -> str:
    """The words of well-formed markup. Pictures in it are well-formed XML."""
    checker = Checker()
    checker.feed(markup)
    checker.close()
    assert checker.open == []
    for picture in re.findall(r"<svg.*?</svg>", markup, re.DOTALL):
        ElementTree.fromstring(picture)
    return " ".join(" ".join(checker.text).split())


def shown(obj: Object) -> Any:
    return view(obj.to_json(), NOWHERE)


def test_a_job_shows_its_state_gate_metrics_and_curves() -> None:
    points = [{"run": "digits-abcd-1-1", "name": "loss", "value": 1 / (n + 1), "step": n} for n in range(20)]
    markup = html.job(succeeded(job(gate=True)), metrics_of(points, "digits-abcd-1"))
    text = text_of(markup)
    for part in ("ModelJob", "digits", "Succeeded", "digits:1", "passed", "accuracy 0.9722", "loss", "0.05", "step 0"):
        assert part in text
    assert markup.count("<polyline") == 1


def test_a_failed_job_shows_the_end_of_its_log() -> None:
    text = text_of(
        html.job(job().mark_failed(run(), "Error", "exit code 1", "ValueError: <no>", "/log", T0), Metrics())
    )
    assert "Failed" in text and "ValueError: <no>" in text and "/log" in text


def test_a_service_shows_where_it_answers_and_who_gets_the_traffic() -> None:
    share = Backend(revision="digits-00001")
    route = Route(metadata=ObjectMeta(name="digits"), spec=RouteSpec(service="digits", backends=(share,)))
    text = text_of(html.service(serving(service()), route.mark_live("http://x", T0), "curl -s 'a&b'"))
    for part in ("1/1 ready", "http://127.0.0.1:1/digits", "digits:1", "digits-00001 100 %", "curl -s 'a&b'"):
        assert part in text


def test_a_model_shows_versions_newest_first_and_where_they_are_live() -> None:
    text = text_of(html.model(model(1, 2, champion=1), {1: ["digits", "shop"]}))
    assert "2 versions" in text and "digits, shop" in text and "champion" in text
    assert text.index("digits:2") < text.index("digits:1")


def test_a_model_says_how_many_older_versions_there_are() -> None:
    listed = model(1, 2).status.versions
    text = text_of(html.model(model(1, 2).mark_versions(listed, T0, count=10_000), {}))
    assert "10,000 versions" in text and "and 9,998 older" in text


def test_progress_shows_the_latest_metrics_of_a_running_job() -> None:
    running = Step(("ModelJob", "digits"), "train digits", "running", elapsed=1.25)
    waits = Step(("ModelService", "digits"), "roll out digits", "waiting")
    text = text_of(html.progress(Progress((running, waits)), {"digits": {"loss": Point("digits", "loss", 0.5, 3)}}))
    assert "train digits 1.2 s loss 0.5" in text and "roll out digits" in text


@pytest.mark.parametrize(
    "markup",
    [
        html.job(job().mark_failed(run(), EVIL, EVIL, EVIL, EVIL, T0), Metrics({EVIL: Curve(EVIL, (1,), (2.0,))})),
        html.job(succeeded(job(), message=EVIL).model_copy(), Metrics({EVIL: Curve(EVIL, (1, 2), (2.0, 3.0))})),
        html.service(service().mark_rollout_failed("r", resolved(1), EVIL, EVIL, T0), None, f"curl {EVIL}"),
        html.service(serving(service(), url=f"javascript:{EVIL}"), None, EVIL),
        html.model(model(1).mark_alias(EVIL, 1), {1: [EVIL]}),
        html.other(revision().mark_failed(EVIL, EVIL, EVIL, EVIL, T0)),
        html.progress(
            Progress((Step(("ModelJob", EVIL), EVIL, "running"), Step(("ModelJob", "a"), EVIL, "failed", EVIL))),
            {EVIL: {EVIL: Point(EVIL, EVIL, 1.0)}},
        ),
        curves.drawn([(EVIL, (1, 2), (1.0, 2.0)), (EVIL, (1,), (math.nan,))]),
    ],
)
def test_what_users_chose_is_escaped(markup: str) -> None:
    assert EVIL[:25] in text_of(markup)
    assert 'href="javascript' not in markup


@pytest.mark.parametrize(
    "steps, values",
    [
        ((3,), (2.0,)),
        ((0, 1, 2), (1.0, 1.0, 1.0)),
        ((0, 1), (1e300, -1e300)),
        ((0, 1, 2), (1.0, math.nan, math.inf)),
        ((0,), (math.nan,)),
        ((), ()),
    ],
)
def test_any_curve_can_be_drawn(steps: tuple[int, ...], values: tuple[float, ...]) -> None:
    markup = curves.drawn([("loss", steps, values)])
    text_of(markup)
    assert "nan," not in markup and "inf," not in markup


def test_a_long_curve_keeps_its_spikes() -> None:
    values = [0.0] * 100_000
    values[54_321] = 9.0
    markup = curves.drawn([("loss", range(len(values)), values)])
    assert len(markup) < 10_000
    assert ">9</text>" in markup


# -- objects by themselves


@pytest.mark.parametrize(
    "obj, short",
    [
        (job(), "<ModelJob digits: Pending>"),
        (succeeded(job()), "<ModelJob digits: Succeeded, digits:1, accuracy 0.9722>"),
        (model(), "<Model digits: 0 versions>"),
        (model(1, 2, champion=1), "<Model digits: 2 versions, champion digits:1>"),
        (serving(service()), "<ModelService digits: 1/1 ready, digits:1, http://127.0.0.1:1/digits>"),
        (revision().mark_ready(T0), "<Revision digits-00001: Ready True>"),
    ],
)
def test_the_short_form_says_how_it_stands(obj: Object, short: str) -> None:
    assert repr(shown(obj)) == str(shown(obj)) == short


@pytest.mark.parametrize("obj", [succeeded(job()), model(1), serving(service()), revision()])
def test_a_card_is_shown_without_a_hub(obj: Object) -> None:
    assert "digits" in text_of(shown(obj)._repr_html_())


def test_a_view_is_the_object() -> None:
    one = shown(succeeded(job()))
    assert isinstance(one, shipway.ModelJob)
    assert one.to_json() == succeeded(job()).to_json()
    assert one.model_copy(update={"spec": one.spec})._repr_html_() == one._repr_html_()
