"""`yizhan policy`: test the rules, explain a verdict, list checks and rules."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.office import ConfigOption, JsonOption, emit, opened, table
from gateway.errors import CommandError

if TYPE_CHECKING:
    from gateway.cli.office import Office
    from gateway.policy.engine import Policy
    from gateway.policy.facts import Value
    from gateway.policy.trial import Trial

app = typer.Typer(help="Rules: test, explain, checks, rules.", no_args_is_help=True)

FolderArgument = Annotated[
    Path | None,
    typer.Argument(metavar="[FOLDER]", help="Folder of rule files; else the office's, else ours."),
]


@app.command()
def test(
    folder: FolderArgument = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Load the rules and run the table of cases beside each file; exit status 1 if one fails.

    A rule that no case reaches fails too.

    Example: yizhan policy test /etc/yizhan/policies
    """
    from gateway.policy import signing
    from gateway.policy.cases import case_files, run_cases
    from gateway.policy.command import run_signing_cases

    folder = _folder(folder, config)
    policy = _load(folder)
    results = run_cases(policy, case_files(policy)) + run_signing_cases(signing.load(folder))
    failed = [result for result in results if result.faults]

    def show() -> None:
        for result in failed:
            for fault in result.faults:
                sys.stderr.write(f"{result.file}: {result.case}: {fault}\n")
        rules = sum(len(file.rules) for file in policy.files)
        print(f"{rules} rules, {len(results)} cases, {len(failed)} failed")

    data = [{"file": r.file, "case": r.case, "faults": list(r.faults)} for r in results]
    emit(data, as_json, show)
    if failed:
        raise typer.Exit(1)


@app.command()
def explain(
    file: Annotated[Path, typer.Argument(metavar="FILE.eml", help="The message.")],
    *,
    from_: Annotated[str, typer.Option("--from", metavar="A", help="MAIL FROM.")],
    to: Annotated[list[str], typer.Option("--to", metavar="B", help="RCPT TO; may be repeated.")],
    account: Annotated[
        str, typer.Option(help="Login that submits; else the first that may send as A.")
    ] = "",
    every: Annotated[bool, typer.Option("--all", help="Show all facts and all rules.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which rule decides about a message, and why. Nothing is sent or kept.

    Neither subject nor text is shown. Encrypted content is opened with the office key if this user
    may use it.

    Example: yizhan policy explain notice.eml --from water@heping.test --to all@heping.test
    """
    try:
        octets = file.read_bytes()
    except OSError as error:
        raise CommandError(f"{file}: cannot be read: {error.strerror}") from None
    with opened(config) as office:
        trial = _try_out(office, octets, sender=from_, to=to, login=account)
    emit(_as_data(trial), as_json, lambda: _show(trial, every))


@app.command()
def checks(as_json: JsonOption = False) -> None:
    """List the checks and the facts that rules may speak of.

    Example: yizhan policy checks
    """
    from gateway.policy.checks import CHECKS, DECIDED

    facts = [(check.name, fact) for check in CHECKS for fact in check.facts]
    facts += [("(rules)", fact) for fact in DECIDED]
    data = [
        {
            "name": check.name,
            "description": check.description,
            "facts": [
                {
                    "name": f.name,
                    "kind": f.kind.value,
                    "meaning": f.meaning,
                    "choices": list(f.choices),
                    "quotable": f.quotable,
                }
                for f in check.facts
            ],
        }
        for check in CHECKS
    ]

    def show() -> None:
        table("Checks", ("check", "looks whether"), [(c.name, c.description) for c in CHECKS])
        rows = [(n, f.name, f.kind.value, f.meaning, ", ".join(f.choices)) for n, f in facts]
        table("Facts", ("check", "fact", "kind", "meaning", "words"), rows)

    emit(data, as_json, show)


@app.command()
def rules(
    folder: FolderArgument = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List the rules in the order in which they are asked.

    Example: yizhan policy rules
    """
    policy = _policy(folder, config)
    data = [
        {
            "file": file.path.name,
            "decides": file.decides.value,
            "rule": rule.name,
            "when": [c.text for c in rule.when],
            "unless": [c.text for c in rule.unless],
            "then": rule.outcome(file.decides),
            "about": " ".join(rule.about.split()),
        }
        for file in policy.files
        for rule in file.rules
    ]

    def show() -> None:
        for file in policy.files:
            rows = [
                (
                    rule.name,
                    "\n".join(
                        [c.text for c in rule.when] + [f"unless {c.text}" for c in rule.unless]
                    )
                    or "always",
                    rule.outcome(file.decides),
                )
                for rule in file.rules
            ]
            title = f"{file.path.name} decides the {file.decides.value}"
            table(title, ("rule", "when", "then"), rows)

    emit(data, as_json, show)


def _load(directory: Path | None) -> Policy:
    from gateway.policy.engine import Policy

    return Policy.load(directory)


def _policy(folder: Path | None, config: Path | None) -> Policy:
    """The rules of the folder named, else of the office if there is one here, else the shipped."""
    return _load(_folder(folder, config))


def _folder(folder: Path | None, config: Path | None) -> Path | None:
    """The folder named, else the office's; None: the shipped one."""
    from gateway import config_file

    if folder is None:
        path = config_file.find(config)
        if config is not None or path.exists():
            folder = config_file.load(path).policy.directory
    return folder


def _try_out(office: Office, octets: bytes, *, sender: str, to: list[str], login: str) -> Trial:
    import asyncio
    from contextlib import ExitStack, closing

    from gateway.directory.live import LiveDirectory
    from gateway.errors import YizhanError
    from gateway.policy.trial import try_out
    from gateway.seals.live import LiveSeals
    from gateway.seals.signer import OfficeOpener, load_office_opener

    settings = office.config
    with ExitStack() as stack:
        opener: OfficeOpener | None = None
        try:
            opener = load_office_opener(settings.seals, settings.state.directory)
            stack.enter_context(closing(opener))
        except YizhanError as error:
            sys.stderr.write(f"encrypted content cannot be opened: {error.public}\n")
        return asyncio.run(
            try_out(
                octets,
                sender=sender,
                recipients=to,
                login=login,
                config=settings,
                directory=LiveDirectory(office.database, settings.office.domain).now(),
                book=LiveSeals(office.database).now(),
                policy=_load(settings.policy.directory),
                opener=opener,
                now=office.clock.now(),
            )
        )


def _as_data(trial: Trial) -> dict[str, object]:
    verdict = trial.explanation.verdict
    error = verdict.error()
    return {
        "account": trial.account.login,
        "unit": trial.unit.code,
        "outcome": verdict.outcome.value,
        "rule": verdict.rule,
        "class": verdict.message_class.value,
        "seal": verdict.seal_rule.value,
        "alert": verdict.alert_security,
        "reasons": [{"code": r.code.value, "detail": r.detail} for r in verdict.reasons],
        "warnings": list(verdict.warnings),
        "reply": str(error.reply) if error else "",
        "texts": dict(verdict.texts),
        "facts": dict(trial.explanation.facts.items()),
        "rules": [
            {"file": s.file, "rule": s.rule, "matched": s.matched, "because": s.because}
            for s in trial.explanation.steps
        ],
    }


def _show(trial: Trial, every: bool) -> None:
    from gateway.policy.checks import known_facts

    verdict, steps = trial.explanation.verdict, trial.explanation.steps
    print(f"{verdict.outcome.value}, by the rule {verdict.rule}")
    print(f"  as {trial.account.login} for the unit {trial.unit.code}")
    print(f"  class {verdict.message_class.value}, seal: {verdict.seal_rule.value}")
    error = verdict.error()
    if error is not None:
        print(f"  reply: {error.reply}")
        print(f"  zh-CN: {verdict.text('zh-CN')}")
    if verdict.alert_security:
        print("  the security officer is told")
    for warning in verdict.warnings:
        print(f"  warning: {warning}")
    asked = [s for s in steps if every or s.matched]
    rows = [(s.file, s.rule, "matched" if s.matched else s.because) for s in asked]
    table("Rules that were asked" if every else "Rules that matched", ("file", "rule", ""), rows)
    known = known_facts()
    facts = [
        (name, _say(value))
        for name, value in trial.explanation.facts.items()
        if every or value != known[name].usual
    ]
    table("Facts" if every else "Facts that differ from plain mail", ("fact", "value"), facts)


def _say(value: Value) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case tuple():
            return ", ".join(value)
    return str(value)
