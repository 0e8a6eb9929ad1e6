"""Arrow tables of what Docs carry (docs/tables.md); the extra `tables` brings pyarrow."""

from .formats.tables import TABLES, VERSION, schema_of, to_batch

__all__ = ["TABLES", "VERSION", "schema_of", "to_batch"]
