"""Every verb that changes the directory; each runs inside one transaction and is logged.

A verb takes the connection, the values, `actor` (who does it) and `now`; it raises the version
first, so that all changes stand in one line, and CommandError with a sentence if it cannot be done.
"""

from gateway.directory.accounts import (
    AccountChanges,
    add_account,
    change_account,
    find_account,
    remove_account,
    set_password,
    unlock_account,
)
from gateway.directory.changes import Change, log
from gateway.directory.duty import DutyChanges, add_duty, change_duty, remove_duty
from gateway.directory.groups import (
    add_desk,
    add_group,
    change_desk,
    change_group,
    remove_desk,
    remove_group,
    set_members,
    set_senders,
)
from gateway.directory.units import (
    UnitChanges,
    add_unit,
    change_unit,
    find_unit,
    merge_units,
    past_names,
    remove_unit,
)

__all__ = [
    "AccountChanges",
    "Change",
    "DutyChanges",
    "UnitChanges",
    "add_account",
    "add_desk",
    "add_duty",
    "add_group",
    "add_unit",
    "change_account",
    "change_desk",
    "change_duty",
    "change_group",
    "change_unit",
    "find_account",
    "find_unit",
    "log",
    "merge_units",
    "past_names",
    "remove_account",
    "remove_desk",
    "remove_duty",
    "remove_group",
    "remove_unit",
    "set_members",
    "set_password",
    "set_senders",
    "unlock_account",
]
