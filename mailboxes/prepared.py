"""A statement that is put together once and then goes straight to the driver.

SQLAlchemy Core takes some 45 us of Python for a statement whose SQL it has cached, this 10, half of
it in SQLite. A document takes sixty statements from the door to its receipt, so that this was a
third of its cost. Nothing else is left out: the SQL comes from the same Core expression, for
the connection's dialect, and an error of the driver goes the way that SQLAlchemy's own would take
(wrapped in `exc.DBAPIError`, with the connection invalidated if it is dead).

For what every document needs. Anything rare reads better as a plain Core expression.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import Boolean, Connection, Delete, Dialect, Insert, LargeBinary, Select, Update
from sqlalchemy.sql.compiler import SQLCompiler

Statement = Select[Any] | Insert | Update | Delete
Values = Mapping[str, Any]
_NONE: Values = {}


@dataclass(frozen=True, slots=True)
class _Plan:
    """The statement for one dialect and, if it has a list, for one length of it; an INSERT, for
    one number of columns."""

    text: str
    arguments: Callable[[Values], Any]
    row: Callable[..., Any]


class Prepared:
    """One statement. Rows come back as named tuples, in a list."""

    def __init__(self, statement: Statement, *, some: str = "") -> None:
        """`some` names the one parameter that is a list (`bindparam(some, expanding=True)`)."""
        self._statement = statement
        self._some = some
        self._inserts = isinstance(statement, Insert)
        self._plans: dict[tuple[str, int], _Plan] = {}

    def all(self, connection: Connection, values: Values = _NONE) -> list[Any]:
        """All rows. Raises exc.DBAPIError, as do the others."""
        plan, cursor = self._execute(connection, values)
        try:
            return [plan.row(row) for row in cursor]
        finally:
            cursor.close()

    def first(self, connection: Connection, values: Values = _NONE) -> Any | None:
        """The first row, if there is one."""
        plan, cursor = self._execute(connection, values)
        try:
            row = cursor.fetchone()
        finally:
            cursor.close()
        return None if row is None else plan.row(row)

    def scalar(self, connection: Connection, values: Values = _NONE) -> Any:
        """The first value of the first row; None if there is no row."""
        _, cursor = self._execute(connection, values)
        try:
            row = cursor.fetchone()
        finally:
            cursor.close()
        return None if row is None else row[0]

    def scalars(self, connection: Connection, values: Values = _NONE) -> list[Any]:
        """The first value of each row."""
        _, cursor = self._execute(connection, values)
        try:
            return [row[0] for row in cursor]
        finally:
            cursor.close()

    def run(self, connection: Connection, values: Values = _NONE) -> int:
        """How many rows were written."""
        _, cursor = self._execute(connection, values)
        try:
            return int(cursor.rowcount)
        finally:
            cursor.close()

    def run_each(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Run it for each of these, in one go where the driver can. All have the same keys."""
        if len(rows) == 1:
            self.run(connection, rows[0])
        elif rows:
            plan = self._plan(connection, rows[0])
            if any(row.keys() != rows[0].keys() for row in rows):
                raise TypeError("rows that are written in one go have the same columns")
            cursor = connection.connection.cursor()
            self._call(connection, cursor, plan, [plan.arguments(row) for row in rows], many=True)
            cursor.close()

    def _execute(self, connection: Connection, values: Values) -> tuple[_Plan, Any]:
        if self._some:
            values = {**values, self._some: _padded(values[self._some])}
        plan = self._plan(connection, values)
        cursor = connection.connection.cursor()
        self._call(connection, cursor, plan, plan.arguments(values))
        return plan, cursor

    def _plan(self, connection: Connection, values: Values) -> _Plan:
        length = len(values[self._some]) if self._some else len(values) if self._inserts else 0
        key = (connection.dialect.name, length)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = self._make(connection.dialect, values)
        return plan

    def _call(
        self,
        connection: Connection,
        cursor: Any,
        plan: _Plan,
        arguments: Any,
        *,
        many: bool = False,
    ) -> None:
        if not connection.in_transaction():
            connection.begin()
        try:
            if many:
                cursor.executemany(plan.text, arguments)
            else:
                cursor.execute(plan.text, arguments)
        except BaseException as error:  # noqa: BLE001  # which is raised again, whatever it is
            # What SQLAlchemy does with its own: wraps, tells the listeners, invalidates.
            connection._handle_dbapi_exception(error, plan.text, arguments, cursor, None)

    def _make(self, dialect: Dialect, values: Values) -> _Plan:
        statement = self._statement
        compiled = statement.compile(
            dialect=dialect,
            column_keys=list(values) if self._inserts else None,
        )
        assert isinstance(compiled, SQLCompiler)  # noqa: S101  # only DDL compiles to anything else
        for parameter in compiled.binds.values():
            _refuse_conversion(parameter.type, dialect)
        state = compiled.construct_expanded_state(dict(values))
        named = state.positiontup is None
        needed = list(state.parameters) if named else list(state.positiontup or ())
        own = {name: value for name, value in state.parameters.items() if name not in values}
        return _Plan(
            state.statement,
            _taker(needed, own, self._some, named=named),
            _row_maker(statement, dialect),
        )


def _padded(values: Sequence[Any]) -> list[Any]:
    """As many as the next power of two, the last one repeated: few lengths, few plans."""
    missing = (1 << (len(values) - 1).bit_length()) - len(values)
    return [*values, *([values[-1]] * missing)]


def _taker(
    needed: Sequence[str], own: Values, some: str, *, named: bool
) -> Callable[[Values], Any]:
    """What makes the driver's arguments of a caller's values: a dictionary or a tuple."""
    spread = [name for name in needed if some and name.startswith(f"{some}_")]
    if named:

        def take_by_name(values: Values) -> Any:
            return {**own, **values, **_spread(values)}

        def _spread(values: Values) -> Values:
            return dict(zip(spread, values[some], strict=True)) if some else _NONE

        return take_by_name
    if not needed:
        return lambda _values: ()
    if not own and not some and len(needed) > 1:
        return itemgetter(*needed)

    def take_in_order(values: Values) -> Any:
        known = {**own, **values}
        if some:
            known.update(zip(spread, values[some], strict=True))
        return tuple(known[name] for name in needed)

    return take_in_order


def _row_maker(statement: Statement, dialect: Dialect) -> Callable[..., Any]:
    """A row as a named tuple; SQLite's 0 and 1 as the booleans that they are."""
    columns = list(statement.exported_columns)
    if not columns:
        return tuple
    kind: Any = namedtuple("Row", [column.key for column in columns], rename=True)  # type: ignore[misc]
    make: Callable[..., Any] = kind._make
    switches = [n for n, column in enumerate(columns) if isinstance(column.type, Boolean)]
    if not switches or dialect.name != "sqlite":
        return make

    def with_switches(row: Sequence[Any]) -> Any:
        values = list(row)
        for n in switches:
            values[n] = None if values[n] is None else bool(values[n])
        return make(values)

    return with_switches


def _refuse_conversion(kind: Any, dialect: Dialect) -> None:
    """Raises TypeError for a type whose values SQLAlchemy would convert on their way."""
    if isinstance(kind, LargeBinary | Boolean):
        return  # octets and booleans go as they are
    if kind.dialect_impl(dialect).bind_processor(dialect) is not None:
        raise TypeError(f"{kind!r} needs a conversion that a prepared statement does not make")
