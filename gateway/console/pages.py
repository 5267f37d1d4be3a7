"""What the console answers: the health page for people and programs, and the metrics."""

from __future__ import annotations

import json

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.console.health import Health, State
from gateway.console.metrics import Metrics


def make_app(health: Health, metrics: Metrics, name: str) -> Starlette:
    """The application; `name` is the office's, as the page shows it."""

    async def ask() -> State:
        state = await health.state()
        metrics.set("yizhan_healthy", float(state.ok))
        return state

    async def show_health(request: Request) -> Response:
        state = await ask()
        status = 200 if state.ok else 503
        if request.url.path == "/" or _prefers_text(request):
            return PlainTextResponse(_page(state, name), status)
        return Response(_as_json(state), status, media_type="application/json")

    async def show_metrics(_request: Request) -> Response:
        await ask()  # an alarm on yizhan_healthy must not need somebody to open the page
        return Response(metrics.page(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return Starlette(
        routes=[
            Route("/", show_health),
            Route("/health", show_health),
            Route("/metrics", show_metrics),
        ]
    )


def _prefers_text(request: Request) -> bool:
    """A browser asks for HTML or text; programs ask for JSON, for anything, or say nothing."""
    accepted = request.headers.get("accept", "")
    return "json" not in accepted and "text/" in accepted


def _page(state: State, name: str) -> str:
    width = max((len(finding.name) for finding in state.findings), default=0)
    lines = [f"{name}: {state.word}", ""]
    lines += [f"{one.name:<{width}}  {one.sentence or 'ok'}" for one in state.findings]
    return "\n".join(lines) + "\n"


def _as_json(state: State) -> bytes:
    probes = {one.name: one.sentence or "ok" for one in state.findings}
    return json.dumps({"status": state.word, "probes": probes}, ensure_ascii=False).encode() + b"\n"
