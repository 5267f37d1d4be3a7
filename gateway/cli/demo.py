"""`yizhan demo`: make the demo office, or play the story against the running daemon."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.office import ConfigOption, JsonOption, emit, opened

app = typer.Typer(help="Make the demo office, or play the demo story.")

_PATIENCE = 30.0  # seconds for receipts and reminders of one document


@app.command()
def demo(
    config: ConfigOption = None,
    make: Annotated[
        Path | None, typer.Option("--make", metavar="DIR", help="Make a demo office there.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Play the demo story against the running post office, or make the demo office first.

    Example: yizhan demo --make var/demo; yizhan demo --config var/demo/yizhan.toml
    """
    if make is not None:
        _make(make)
    else:
        _play(config, as_json)


def _say(sentence: str) -> None:
    sys.stderr.write(f"yizhan: {sentence}\n")
    sys.stderr.flush()


def _make(folder: Path) -> None:
    from gateway.demo import office
    from gateway.domain.clock import SystemClock

    path = office.make(folder, SystemClock().now(), _say)
    _say(f"the demo office is ready: {path}")


def _play(config: Path | None, as_json: bool) -> None:
    import asyncio

    from gateway import config_file

    path = config or (
        config_file.find(None) if config_file.find(None).exists()
        else Path("var/demo/yizhan.toml")
    )  # fmt: skip
    with opened(path) as office:
        results = asyncio.run(_tell(office))
    emit(results, as_json, lambda: _show(results))


async def _tell(office: Any) -> list[dict[str, Any]]:
    from gateway.demo.client import DemoClient
    from gateway.demo.story import STORY

    client = DemoClient(office.config, office.path.parent, office.clock)
    results: list[dict[str, Any]] = []
    for number, (what, letter) in enumerate(STORY, 1):
        _say(f"[{number}/{len(STORY)}] {what} ...")
        answer = await client.submit(letter)
        _say(f"      {answer.code} {answer.text}")
        results.append({"what": what, "code": answer.code, "reply": answer.text})
        found = await _settle(office, answer)
        if found is not None:
            results[-1]["document"] = found
    return results


async def _settle(office: Any, answer: Any) -> dict[str, Any] | None:
    """Wait until evidence and reminders of the document are there, with progress."""
    import asyncio

    from gateway.cli.document import describe
    from gateway.domain.clock import rfc3339
    from gateway.exchange.documents import newest_refusal

    document = answer.document_id or office.database.read_now(newest_refusal)
    if not document:
        return None
    waited = 0.0
    while True:
        found = describe(office, document)
        now = rfc3339(office.clock.now())
        waiting = [
            r
            for r in found["reminders"]
            if r["state"] in ("queued", "handing-over") and r["due"] <= now
        ]
        if not waiting or waited >= _PATIENCE:
            return found
        if waited and waited % 2 == 0:
            _say(f"      waiting for {len(waiting)} reminders ...")
        await asyncio.sleep(0.5)
        waited += 0.5


def _show(results: list[dict[str, Any]]) -> None:
    from gateway.cli.document import timeline

    for result in results:
        print(f"\n== {result['what']}\n   {result['code']} {result['reply']}")
        if "document" in result:
            timeline(result["document"])
