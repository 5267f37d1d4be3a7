"""`yizhan delivery`: signing for a document, or returning it, in a unit's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from gateway.cli.office import ConfigOption, JsonOption, emit, opened
from gateway.errors import CommandError

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from gateway.evidence.record import Actor
    from gateway.exchange.means import Means

app = typer.Typer(help="Deliveries: sign, return, in a unit's name.", no_args_is_help=True)

DocumentArgument = Annotated[str, typer.Argument(metavar="ID", help="Document id.")]
UnitOption = Annotated[str, typer.Option(help="Code of the unit that has received it.")]
OwnerOption = Annotated[
    str, typer.Option(help="Or its mailbox: desk:report, person:wang (see `document show`).")
]


T = TypeVar("T")


@app.callback()
def _root() -> None:
    """Deliveries: one document for one recipient."""


@app.command()
def sign(
    document: DocumentArgument,
    name: Annotated[str, typer.Option(help="Name of the person who signs for it.")],
    unit: UnitOption = "",
    owner: OwnerOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign for a document (签收) in a unit's name; no further reminder goes out.

    Example: yizhan delivery sign 06hs3kx9qe7w2v5m8n4r1t0abc --unit water --name 王伟
    """
    from gateway.domain.states import Way
    from gateway.exchange.sign_for import sign_for

    owner = _owner(unit, owner)
    signed = _settle(
        config,
        document,
        owner,
        _name(name, "say who signs, on one line: --name 王伟"),
        lambda connection, means, delivery, actor, now: sign_for(
            connection, means, delivery, actor=actor, way=Way.OPERATOR, now=now
        ),
    )
    data = {
        "document": signed.document_id,
        "delivery": signed.delivery_id,
        "evidence": signed.record_id,
        "complete": signed.complete,
    }
    emit(
        data,
        as_json,
        lambda: print(
            f"{owner} has signed for {document} ({name.strip()})"
            + ("; all recipients have signed" if signed.complete else "")
        ),
    )


@app.command("return")
def return_(
    document: DocumentArgument,
    name: Annotated[str, typer.Option(help="Name of the person who returns it.")],
    reason: Annotated[str, typer.Option(help="Why; the sender is told.")],
    unit: UnitOption = "",
    owner: OwnerOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Return a document (退文) in a unit's name, before it has signed for it or after.

    Example: yizhan delivery return 06hs3kx9qe7w2v5m8n4r1t0abc --unit water --name 王伟
    --reason 缺少附件
    """
    from gateway.domain.states import Way
    from gateway.exchange import return_ as verb

    why = _name(reason, "say why it is returned, on one line: --reason 缺少附件")
    owner = _owner(unit, owner)
    returned = _settle(
        config,
        document,
        owner,
        _name(name, "say who returns it, on one line: --name 王伟"),
        lambda connection, means, delivery, actor, now: verb.return_(
            connection, means, delivery, actor=actor, way=Way.OPERATOR, reason=why, now=now
        ),
    )
    data = {
        "document": returned.document_id,
        "delivery": returned.delivery_id,
        "evidence": returned.record_id,
    }
    emit(data, as_json, lambda: print(f"{owner} has returned {document} ({name.strip()}): {why}"))


def _name(text: str, otherwise: str) -> str:
    if not text.strip() or not text.isprintable():
        raise CommandError(otherwise)
    return text.strip()


def _owner(unit: str, owner: str) -> str:
    if bool(unit) == bool(owner):
        raise CommandError("say who has received it: --unit water, or --owner desk:report")
    return owner or f"unit:{unit}"


def _settle(
    config: Path | None,
    document: str,
    owner: str,
    name: str,
    verb: Callable[[Connection, Means, int, Actor, datetime], T],
) -> T:
    """Run the verb on the delivery to that mailbox, as the operator in the unit's name."""
    from gateway.composition import compose_means
    from gateway.evidence.record import Actor
    from gateway.exchange.documents import find_delivery

    with opened(config) as office:
        means = compose_means(office.config)
        now = office.clock.now()

        def work(connection: Connection) -> T:
            delivery = find_delivery(connection, document, owner)
            if delivery is None:
                raise CommandError(
                    f"{document} was not delivered to {owner}; "
                    f"see `yizhan document show {document}`"
                )
            actor = Actor(
                account=f"operator:{office.actor}",
                unit=owner.partition(":")[2],
                name=name,
                login="operator",
            )
            return verb(connection, means, delivery, actor, now)

        return office.database.write_now(work)
