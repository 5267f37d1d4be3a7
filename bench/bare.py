"""A door without TLS and without AUTH, for one comparison only: `bench.compare --bare`.

Such a door does not exist in the product and must not. It is the real daemon, whose sessions
believe that they are encrypted and that everybody is the account of their MAIL FROM.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gateway import config_file, daemon
from gateway.directory.model import Account
from gateway.intake import reception
from gateway.intake.login import LoggedIn
from gateway.intake.session import SubmissionSession


class BareSession(SubmissionSession):
    """A session of somebody who need not say who he is."""

    async def smtp_MAIL(self, argument: str) -> None:  # noqa: N802  # aiosmtpd finds it by name
        self.tls_version = "none"
        directory = await self.services.directory.current()
        login = argument.partition("<")[2].partition("@")[0]
        account: Account | None = directory.account(login)
        if account is not None:
            self.logged_in = LoggedIn(account, "password")
        await super().smtp_MAIL(argument)


def main() -> None:
    """Serve the office of that configuration file."""
    reception.SubmissionSession = BareSession  # type: ignore[misc]
    path = Path(sys.argv[1])
    daemon.run(config_file.load(path), path)


if __name__ == "__main__":
    main()
