"""Halls for the clients of submission."""

from __future__ import annotations

from gateway.intake.services import Services
from gateway.intake.session import SubmissionSession
from gateway.intake.sessions import Sessions


def submission_hall(services: Services) -> Sessions:
    """Serves the clients of one door for submission in this process."""
    return Sessions(
        lambda peer: SubmissionSession(services, peer),
        services.metrics,
        services.handshake_context,
        implicit=services.listener.tls == "implicit",
    )
