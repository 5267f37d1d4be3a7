"""What the portal answers: login, own data, new password, and what mail programs fetch.

Nothing needs JavaScript, and the pages forbid it. Each form carries a token that no other site can
know, the cookie never leaves with a request from another site, and a wrong password costs the same
as at the mail doors, because the same authenticator counts it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

import structlog
from sqlalchemy import Connection
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.config import Config
from gateway.directory.edit import set_password
from gateway.directory.live import LiveDirectory
from gateway.directory.logins import Authenticator, LoginFailed
from gateway.directory.model import Account
from gateway.directory.passwords import LONGEST, SHORTEST, hash_password
from gateway.directory.presence import PORTAL
from gateway.domain.address import Address, InvalidAddress
from gateway.domain.clock import Clock
from gateway.errors import CommandError, Reply, StoreError
from gateway.portal import autoconfig, person
from gateway.portal.choice import Fault, find_fault
from gateway.portal.sessions import Sessions
from gateway.store.database import Database
from gateway.templating import Templates

COOKIE = "__Host-yizhan"
_LARGEST_FORM = 8192  # octets
_LARGEST_REQUEST = 16_384  # octets of XML
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",
    "Cache-Control": "no-store",
}
log = structlog.stdlib.get_logger("yizhan.portal")

_STYLE = Path(__file__).parent / "style.css"

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Means:
    """What the pages work with."""

    config: Config
    database: Database
    directory: LiveDirectory
    authenticator: Authenticator
    templates: Templates
    clock: Clock
    hashing: Executor
    facts: Callable[[], autoconfig.Facts]


class Pages:
    """The answers, and the sessions that they keep."""

    def __init__(self, means: Means, minutes: float) -> None:
        self._means = means
        self._sessions = Sessions(means.clock, minutes)
        self._style = _STYLE.read_bytes()

    def app(self) -> ASGIApp:
        """The application."""
        discover = ("/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.xml",
                    "/AutoDiscover/AutoDiscover.xml")  # fmt: skip
        config = ("/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml")
        app = Starlette(
            routes=[
                Route("/", self._home),
                Route("/login", self._login, methods=["POST"]),
                Route("/password", self._password, methods=["POST"]),
                Route("/logout", self._logout, methods=["POST"]),
                Route("/style.css", self._give_style),
                Route("/ca.crt", self._give_ca),
                Route("/email.mobileconfig", self._apple),
                *(Route(path, self._thunderbird) for path in config),
                *(Route(path, self._outlook, methods=["POST"]) for path in discover),
            ],
            exception_handlers={
                HTTPException: self._http_error,
                StoreError: self._store_error,
                Exception: self._other_error,
            },
        )
        return _Headers(app)

    # People

    async def _home(self, request: Request) -> Response:
        account = await self._account(request)
        if account is None:
            return self._show_login(request)
        return await self._show_account(request, account)

    async def _login(self, request: Request) -> Response:
        form = await self._form(request)
        try:
            account = await self._means.authenticator.check_password(
                form.get("login", ""), form.get("password", ""), _client(request), door=PORTAL
            )
        except LoginFailed as failed:
            log.warning("login-failed", peer=_client(request), cause=failed.cause)
            return self._show_login(request, failed.reply, form.get("login", ""), 403)
        log.info("login", peer=_client(request), account=account.login)
        return self._enter(account, "/")

    async def _password(self, request: Request) -> Response:
        form = await self._form(request)
        account = await self._account(request)
        if account is None:
            return _redirect("/")
        old, new = form.get("present", ""), form.get("new", "")
        fault = find_fault(account.login, old, new, form.get("again", ""))
        if fault is not None:
            return await self._show_account(request, account, fault)
        means = self._means
        try:
            await means.authenticator.check_password(
                account.login, old, _client(request), door=PORTAL
            )
        except LoginFailed as failed:
            return await self._show_account(request, account, Fault.WRONG, failed.reply)
        loop = asyncio.get_running_loop()
        stored = await loop.run_in_executor(means.hashing, hash_password, new)

        def change(connection: Connection) -> None:
            set_password(
                connection, account.login, stored, instead_of=account.password_hash,
                actor=f"{account.login} (portal)", now=means.clock.now(),
            )  # fmt: skip

        try:
            await means.database.write(change)
        except CommandError:
            return await self._show_account(request, account, Fault.CHANGED)
        log.info("password-changed", peer=_client(request), account=account.login)
        changed = (await means.directory.current()).account_by_id(account.id)
        if changed is None:
            return _redirect("/")
        self._sessions.end(_token(request))
        return self._enter(changed, "/?changed")

    async def _logout(self, request: Request) -> Response:
        await self._form(request)
        self._sessions.end(_token(request))
        answer = _redirect("/")
        answer.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")
        return answer

    async def _account(self, request: Request) -> Account | None:
        """Who is logged in; a session does not outlive the password that it began with."""
        found = self._sessions.find(_token(request))
        if found is None:
            return None
        account = (await self._means.directory.current()).account_by_id(found.account_id)
        if account is None or not account.active or account.password_hash != found.password_hash:
            self._sessions.end(_token(request))
            return None
        return account

    def _enter(self, account: Account, place: str) -> Response:
        answer = _redirect(place)
        _set_cookie(answer, self._sessions.begin(account))
        return answer

    async def _form(self, request: Request) -> dict[str, str]:
        """The fields of a form that came from our own page. Raises HTTPException."""
        fetched = request.headers.get("sec-fetch-site", "same-origin")
        if fetched not in ("same-origin", "none"):
            raise HTTPException(403)
        octets = await _body(request, _LARGEST_FORM)
        try:
            parsed = parse_qs(octets.decode(), keep_blank_values=True, max_num_fields=10)
        except ValueError:  # too many fields, or not UTF-8
            raise HTTPException(400) from None
        form = {name: values[0] for name, values in parsed.items()}
        if not self._sessions.is_form_token(_token(request), form.get("form_token", "")):
            raise HTTPException(403)
        return form

    def _show_login(
        self, request: Request, reply: Reply | None = None, login: str = "", status: int = 200
    ) -> Response:
        language = _language(request)
        token = _token(request) or self._sessions.new_token()
        answer = self._render(
            "portal_login.html.j2",
            language,
            status,
            form_token=self._sessions.form_token(token),
            sentence=_sentence(reply, language),
            login=login,
            has_ca=bool(self._means.facts().ca),
        )
        if not _token(request):
            _set_cookie(answer, token)
        return answer

    async def _show_account(
        self,
        request: Request,
        account: Account,
        fault: Fault | None = None,
        reply: Reply | None = None,
    ) -> Response:
        means = self._means
        directory = await means.directory.current()
        language = directory.language_of(account)
        shown = await means.database.read(
            lambda c: person.read_person(c, directory, account, means.clock.now())
        )
        return self._render(
            person.TEMPLATE,
            language,
            400 if fault else 200,
            form_token=self._sessions.form_token(_token(request)),
            person=shown,
            fault=fault.value if fault else "",
            sentence=_sentence(reply, language),
            changed=request.url.query == "changed" and not fault,
            shortest=SHORTEST,
            longest=LONGEST,
        )

    def _render(self, template: str, language: str, status: int, **values: object) -> Response:
        office = self._means.config.office
        values["office"] = person.unit_name(office.name, office.name_en, language)
        text = self._means.templates.render(language, template, status=status, **values)
        return Response(text, status, media_type="text/html", headers={"Vary": "Accept-Language"})

    # Errors

    async def _http_error(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return self._render("portal_error.html.j2", _language(request), status)

    async def _store_error(self, request: Request, _error: Exception) -> Response:
        return self._render("portal_error.html.j2", _language(request), 503)

    async def _other_error(self, request: Request, _error: Exception) -> Response:
        return self._render("portal_error.html.j2", _language(request), 500)

    # Programs

    async def _give_style(self, _request: Request) -> Response:
        return Response(
            self._style, media_type="text/css", headers={"Cache-Control": "max-age=3600"}
        )

    async def _give_ca(self, _request: Request) -> Response:
        ca = self._means.facts().ca
        if not ca:
            raise HTTPException(404)
        return Response(
            ca,
            media_type="application/x-x509-ca-cert",
            headers={"Content-Disposition": 'attachment; filename="office-ca.crt"'},
        )

    async def _thunderbird(self, _request: Request) -> Response:
        return Response(autoconfig.thunderbird(self._means.facts()), media_type="text/xml")

    async def _outlook(self, request: Request) -> Response:
        facts = self._means.facts()
        try:
            address = autoconfig.read_autodiscover(await _body(request, _LARGEST_REQUEST))
            if address.domain != facts.domain:
                raise autoconfig.NotRead("the address is not of this office")
        except autoconfig.NotRead as error:
            return Response(autoconfig.autodiscover_error(str(error)), media_type="text/xml")
        return Response(autoconfig.autodiscover(facts, address), media_type="text/xml")

    async def _apple(self, request: Request) -> Response:
        facts = self._means.facts()
        address = None
        if given := request.query_params.get("email", ""):
            try:
                address = Address.parse(given)
            except InvalidAddress:
                raise HTTPException(400) from None
            if address.domain != facts.domain:
                raise HTTPException(400)
        return Response(
            autoconfig.mobileconfig(facts, address),
            media_type="application/x-apple-aspen-config",
            headers={"Content-Disposition": 'attachment; filename="office.mobileconfig"'},
        )


class _Headers:
    """Adds the headers that every answer has, those to errors too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, sending)


async def _body(request: Request, largest: int) -> bytes:
    """The request's body. Raises HTTPException (413) as soon as it is too large."""
    found = bytearray()
    async for piece in request.stream():
        found += piece
        if len(found) > largest:
            raise HTTPException(413)
    return bytes(found)


def _redirect(place: str) -> Response:
    return RedirectResponse(place, 303)


def _set_cookie(answer: Response, token: str) -> None:
    answer.set_cookie(COOKIE, token, path="/", secure=True, httponly=True, samesite="strict")


def _token(request: Request) -> str:
    return request.cookies.get(COOKIE, "")[:128]


def _client(request: Request) -> str:
    return request.client.host if request.client else ""


def _sentence(reply: Reply | None, language: str) -> str:
    if reply is None:
        return ""
    return reply.text_zh if language == "zh-CN" and reply.text_zh else reply.text


def _language(request: Request) -> str:
    """The first language of the browser that we speak; Chinese, if it says nothing of either."""
    for word in request.headers.get("accept-language", "").split(","):
        tag = word.partition(";")[0].strip().lower()
        if tag.startswith("zh"):
            return "zh-CN"
        if tag.startswith("en"):
            return "en"
    return "zh-CN"
