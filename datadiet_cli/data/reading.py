"""How to read INPUT, as far as the user says it, and what is found out where nothing is said."""

from dataclasses import dataclass, field, replace

from datadiet_cli.data.kinds import SPLIT_COLUMNS, SPLIT_NAMES
from datadiet_cli.data.tables import TableFile, TableFormat


@dataclass(frozen=True)
class Reading:
    """How to read INPUT, as far as it cannot be found out.

    Attributes:
        label: the column that holds the label, of a table or of a labels file.
        label_pattern: of a folder, a regular expression whose first group is the label in the path of a file.
        split: the column that holds the split.
        id_column: the column that holds the id.
        follow_symlinks: whether links may lead out of INPUT and to directories.
        table: encoding, delimiter and header of tables.
    """

    label: str | None = None
    label_pattern: str | None = None
    split: str | None = None
    id_column: str | None = None
    follow_symlinks: bool = False
    table: TableFormat = field(default_factory=TableFormat)

    def of_another(self) -> "Reading":
        """How to read another dataset that this one is compared with; it need not have the named columns."""
        return replace(self, label=None, label_pattern=None, split=None, id_column=None)


def split_column(file: TableFile) -> str | None:
    """The column that tells train from test by its name and its values, if there is one: evaluation data is sacred."""
    for column in file.columns:
        if column.strip().lower() in SPLIT_COLUMNS:
            values = file.texts([column]).to_series().drop_nulls().unique().to_list()
            if values and all(value.strip().lower() in SPLIT_NAMES for value in values):
                return column
    return None
