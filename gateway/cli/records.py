"""`yizhan records`: what the network's DNS should hold."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.office import ConfigOption, JsonOption, emit

app = typer.Typer(help="The DNS records that mail programs look for.")


@app.command()
def records(
    address: Annotated[
        list[str] | None,
        typer.Option(
            "--address",
            help="IP address of the server; repeatable; else those that the doors listen on.",
        ),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print the DNS records to enter, as lines of a zone file: A, MX, SRV, CNAME.

    Example: yizhan records --address 10.1.0.25
    """
    import ipaddress
    from dataclasses import asdict

    from gateway import config_file
    from gateway.errors import CommandError
    from gateway.portal import records as dns

    for one in address or ():
        try:
            ipaddress.ip_address(one)
        except ValueError:
            raise CommandError(f"--address {one}: is not an IP address") from None
    found = dns.records(config_file.load(config_file.find(config)), address or ())
    emit([asdict(one) for one in found], as_json, lambda: typer.echo(dns.zone(found), nl=False))
