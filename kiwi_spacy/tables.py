"""Arrow tables of what Docs carry (docs/tables.md); the extra `tables` brings pyarrow."""

from .formats.arrow import schema_of, to_batch
from .formats.tables import TABLES, VERSION, columns_of

__all__ = ["TABLES", "VERSION", "columns_of", "schema_of", "to_batch"]
