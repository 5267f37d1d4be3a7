"""The one MetaData on which every package registers its own tables; one history of migrations.

Times are integers: Unix milliseconds, UTC (`domain.clock.milliseconds`). Ids of documents,
evidence and reminders are the 26-letter texts of `domain.ids`.
"""

from sqlalchemy import MetaData

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
