"""`yizhan delivery`: signing for a document in a unit's name."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli.office import ConfigOption, JsonOption, emit, opened
from gateway.errors import CommandError

app = typer.Typer(help="Deliveries: sign for a document in a unit's name.", no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Deliveries: one document for one recipient."""


@app.command()
def sign(
    document: Annotated[str, typer.Argument(metavar="ID", help="Document id.")],
    name: Annotated[str, typer.Option(help="Name of the person who signs for it.")],
    unit: Annotated[str, typer.Option(help="Code of the unit that has received it.")] = "",
    owner: Annotated[
        str, typer.Option(help="Or its mailbox: desk:report, person:wang (see `document show`).")
    ] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign for a document (签收) in a unit's name; no further reminder goes out.

    Example: yizhan delivery sign 06hs3kx9qe7w2v5m8n4r1t0abc --unit water --name 王伟
    """
    from gateway.composition import compose_means
    from gateway.domain.states import Way
    from gateway.evidence.record import Actor
    from gateway.exchange.documents import find_delivery
    from gateway.exchange.sign_for import sign_for

    if not name.strip() or not name.isprintable():
        raise CommandError("say who signs, on one line: --name 王伟")
    if bool(unit) == bool(owner):
        raise CommandError("say who has received it: --unit water, or --owner desk:report")
    owner = owner or f"unit:{unit}"
    with opened(config) as office:
        means = compose_means(office.config)
        now = office.clock.now()

        def work(connection: Any) -> Any:
            delivery = find_delivery(connection, document, owner)
            if delivery is None:
                raise CommandError(
                    f"{document} was not delivered to {owner}; "
                    f"see `yizhan document show {document}`"
                )
            actor = Actor(
                account=f"operator:{office.actor}",
                unit=owner.partition(":")[2],
                name=name.strip(),
                login="operator",
            )
            return sign_for(connection, means, delivery, actor=actor, way=Way.OPERATOR, now=now)

        signed = office.database.write_now(work)
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
