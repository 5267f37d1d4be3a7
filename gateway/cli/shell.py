"""The completion scripts for bash and zsh, made from the commands themselves.

Commands, options and fixed words stand in the script, so that completing them starts nothing. Codes
of units and logins are asked of the office, by `yizhan completion --words unit`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from typing import Any

from gateway.cli.main import COMMANDS, load
from gateway.cli.manual import walk

FILE, UNIT, LOGIN = "@file", "@unit", "@login"

_METAVARS = {"UNIT": UNIT, "CODE": UNIT, "LOGIN": LOGIN, "FILE": FILE, "DIR": FILE, "FOLDER": FILE}
# How the help of an option shows fixed words: <a|b> or [a|b].
_CHOICES = re.compile(r"[<\[]([a-z-]+(?:\|[a-z-]+)+)[>\]]")
_UNIT_OPTIONS = ("--unit", "--parent", "--into", "--member", "--add", "--drop")

# Understood by both shells: $1 is the word to complete, $2 the one before it, then all words so
# far. Leaves the candidates, one a line, in `found`.
_THINK = """
_yizhan_think() {
    local current="$1" before="$2" way="" kind="" word office=""
    shift 2
    for word; do
        case "$word" in
            -*) ;;
            *) case " $(_yizhan_commands "$way") " in
                   *" $word "*) way="${way:+$way }$word" ;;
               esac ;;
        esac
    done
    kind="$(_yizhan_value "$way" "$before")"
    found=""
    if [ -z "$kind" ]; then
        case "$current" in
            -*) found="$(_yizhan_options "$way" | tr ' ' '\\n')"; return ;;
        esac
        found="$(_yizhan_commands "$way" | tr ' ' '\\n')"
        kind="$(_yizhan_argument "$way")"
    fi
    case "$kind" in
        @file) found="$found
@file" ;;
        @*) word=""
            for word in "$@" --; do
                case "$office" in -c|--config) office="$word"; break ;; esac
                office="$word"
            done
            [ "$word" = -- ] && office="${YIZHAN_CONFIG:-}"
            found="$found
$(YIZHAN_CONFIG="$office" yizhan completion --words "${kind#@}" 2>/dev/null)" ;;
        ?*) found="$(printf '%s' "$kind" | tr ' ' '\\n')" ;;
    esac
}
"""

_BASH = """
_yizhan() {
    local found current="${COMP_WORDS[COMP_CWORD]}"
    _yizhan_think "$current" "${COMP_WORDS[COMP_CWORD-1]}" "${COMP_WORDS[@]:1:COMP_CWORD-1}"
    COMPREPLY=($(compgen -W "${found//@file/}" -- "$current"))
    case "$found" in
        *@file*) compopt -o filenames 2>/dev/null
                 COMPREPLY+=($(compgen -f -- "$current")) ;;
    esac
}
complete -F _yizhan yizhan
"""

_ZSH = """
_yizhan() {
    local found
    _yizhan_think "${words[CURRENT]}" "${words[CURRENT-1]}" "${(@)words[2,CURRENT-1]}"
    compadd -- ${${(f)found}:#@file}
    case "$found" in *@file*) _files ;; esac
}
if [ "${funcstack[1]:-}" = _yizhan ]; then _yizhan "$@"; else compdef _yizhan yizhan; fi
"""


def script(shell: str) -> str:
    """The script for `bash` or `zsh`."""
    found = {path: command for name in COMMANDS for path, command in walk(name, load(name))}
    groups: dict[str, list[str]] = {"": list(COMMANDS)}
    for path in found:
        group, _, name = path.rpartition(" ")
        if group:
            groups.setdefault(group, []).append(name)
    first = "#compdef yizhan\n" if shell == "zsh" else ""
    return (
        f"{first}# Completion of yizhan for {shell}: `yizhan completion {shell}` has made it.\n"
        + _table("_yizhan_commands", ((way, " ".join(names)) for way, names in groups.items()))
        + _table("_yizhan_options", ((way, _options(one)) for way, one in found.items()))
        + _table("_yizhan_argument", ((way, _argument(one)) for way, one in found.items()))
        + _table("_yizhan_value", _values(found), "$1 $2")
        + _THINK
        + (_ZSH if shell == "zsh" else _BASH)
    )


def _table(name: str, rows: Iterable[tuple[str, str]], key: str = "$1") -> str:
    """A function of the shell that prints what belongs to a key."""
    lines = "".join(
        f"        {shlex.quote(way)}) echo {shlex.quote(text)} ;;\n" for way, text in rows if text
    )
    return f'{name}() {{\n    case "{key}" in\n{lines}    esac\n}}\n'


def _options(command: Any) -> str:
    names = [name for one in _given(command) for name in (*one.opts, *one.secondary_opts)]
    return " ".join([*(name for name in names if name.startswith("--")), "--help"])


def _given(command: Any) -> list[Any]:
    """The options that are shown; of a group that takes a folder at once, its first command's."""
    inner = getattr(command, "commands", None)
    if inner:
        command = next(iter(inner.values())) if _takes_folder(command) else command
    shown = (one for one in command.params if one.param_type_name == "option")
    return [one for one in shown if not getattr(one, "hidden", False)]


def _takes_folder(command: Any) -> bool:
    return type(command).__name__ == "FolderGroup"


def _argument(command: Any) -> str:
    """What the first argument is."""
    if _takes_folder(command):
        return FILE
    for one in command.params:
        if one.param_type_name == "argument":
            return _kind(command, one)
    return ""


def _values(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for way, command in found.items():
        for one in _given(command):
            if getattr(one, "is_flag", False):
                continue
            for name in one.opts:
                yield f"{way} {name}", _kind(command, one, name)


def _kind(command: Any, parameter: Any, name: str = "") -> str:
    """Fixed words, or what they are looked up from; empty: anything."""
    if name in _UNIT_OPTIONS:
        return UNIT
    context = command.context_class(command, info_name="yizhan")
    shown = str((parameter.get_help_record(context) or ("",))[0])
    choices = _CHOICES.search(shown)
    if choices:
        return str(choices[1]).replace("|", " ")
    metavar = (parameter.metavar or "").strip("[]").partition(".")[0]
    by_type = FILE if re.search(r"path|file", shown, re.IGNORECASE) else ""
    return _METAVARS.get(metavar, by_type)
