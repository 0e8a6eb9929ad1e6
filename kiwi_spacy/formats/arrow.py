"""Arrow and parquet: the tables of `formats.tables` as record batches, and notes that stand in a parquet file."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..contract import NOTE
from ..errors import FormatError
from ..extras import extra
from .outputs import Output, Shards
from .records import Row
from .tables import VERSION, Column, Type, columns_of, rows_of_doc

with extra("tables"):
    import pyarrow as pa
    import pyarrow.parquet as pq

_AT_ONCE = 64  # rows that are read at a time: a note may be a megabyte
_PART = 2_000  # notes in a file that is written
_GROUP = 20_000  # rows after which a row group ends with the note: about 10 MB of facts in memory


def schema_of(table: str, carried: Mapping[str, Type] | None = None) -> pa.Schema:
    """Return the Arrow schema of a table; its metadata say the table and `VERSION`.

    carried (Mapping[str, Type] | None): Columns of the input, which stand at the end.
    RAISES (KiwiError): There is no table of this name.

    >>> schema_of("facts").metadata
    {b'kiwi_table': b'facts', b'kiwi_version': b'1'}
    """
    fields = [pa.field(c.name, _type(c), metadata={"about": c.about}) for c in columns_of(table, carried)]
    return pa.schema(fields, metadata={"kiwi_table": table, "kiwi_version": str(VERSION)})


def _type(column: Column) -> pa.DataType:
    kind = pa.type_for_alias
    if column.fields:
        return pa.list_(pa.struct([(name, kind(each)) for name, each in column.fields]))
    return kind(column.type)


def to_batch(docs: Iterable[Doc], table: str, carried: Mapping[str, Type] | None = None) -> pa.RecordBatch:
    """Return the rows of Docs in one table, in the order of the Docs and in reading order.

    Facts are those that `kiwi_facts` kept, else they are derived. Half a surrogate pair, which Arrow cannot hold, becomes
    U+FFFD: offsets stay.

    table (str): One of `TABLES`.
    carried (Mapping[str, Type] | None): Columns that Docs have from their input (`get_columns`), which stand at the end.
    RAISES (KiwiError): There is no table of this name.
    """
    schema = schema_of(table, carried)
    return pa.RecordBatch.from_pylist([row for doc in docs for row in rows_of_doc(doc, table, carried)], schema=schema)


def parquet_output(table: str, carried: Mapping[str, Type] | None) -> Output:
    """Return how a table is written as parquet files of many notes each; notes without rows have a place, too.

    RAISES (KiwiError): There is no table of this name.
    """
    schema = schema_of(table, carried)
    shards = Shards(_PART, partial(_rows_of, schema), partial(_pack, schema), partial(_unpack, schema))
    return Output("shards", ".parquet", partial(_render, table, carried), shards=shards)


def _render(table: str, carried: Mapping[str, Type] | None, name: str, doc: Doc) -> bytes:
    doc.user_data[NOTE] = name
    return bytes(to_batch([doc], table, carried).serialize().to_pybytes())


def _batch(schema: pa.Schema, data: bytes) -> pa.RecordBatch:
    return pa.ipc.read_record_batch(pa.py_buffer(data), schema)


def _rows_of(schema: pa.Schema, data: bytes) -> int:
    return int(_batch(schema, data).num_rows)


def _pack(schema: pa.Schema, parts: Iterable[bytes], path: Path) -> None:
    """Write batches as a file. Row groups end where notes do, so that the same notes make the same bytes."""
    held: list[pa.RecordBatch] = []
    with pq.ParquetWriter(path, schema) as writer:
        for part in parts:
            held.append(_batch(schema, part))
            if sum(batch.num_rows for batch in held) >= _GROUP:
                writer.write_table(pa.Table.from_batches(held, schema).combine_chunks())
                held = []
        if any(batch.num_rows for batch in held):
            writer.write_table(pa.Table.from_batches(held, schema).combine_chunks())


def _unpack(schema: pa.Schema, path: Path, vocab: Vocab) -> Callable[[int, int], bytes]:
    whole = pq.read_table(path, schema=schema).combine_chunks()

    def cut(start: int, end: int) -> bytes:
        batches = whole.slice(start, end - start).to_batches()
        rows = batches[0] if end > start else pa.RecordBatch.from_pylist([], schema=schema)
        return bytes(rows.serialize().to_pybytes())

    return cut


def join_parquet(parts: Iterable[Path], table: str, carried: Mapping[str, Type] | None, path: Path) -> None:
    """Write parquet files of one table as one, a row group at a time; of no files a table without rows."""
    with pq.ParquetWriter(path, schema_of(table, carried)) as writer:
        for part in parts:
            with _open(part) as file:
                for group in range(file.num_row_groups):
                    writer.write_table(file.read_row_group(group))


def parquet_columns(path: Path) -> dict[str, Type]:
    """Return the columns of a parquet file and the types that their values have in an output; text of those that are neither.

    RAISES (FormatError): It is no parquet file, or cut short. RAISES (OSError): It cannot be read.
    """
    with _open(path) as file:
        return {field.name: _kind(field.type) for field in file.schema_arrow}


def _kind(kind: pa.DataType) -> Type:
    if pa.types.is_boolean(kind):
        return "bool"
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return "int64"
    if pa.types.is_floating(kind):
        return "double"
    if pa.types.is_date(kind):
        return "date32"
    return "timestamp[us]" if pa.types.is_timestamp(kind) and kind.tz is None else "string"


def read_parquet(path: Path, name: str, place: str, columns: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of a parquet file with these columns, a few at a time read from the file.

    RAISES (FormatError): The file cannot be read on. RAISES (OSError): It cannot be read.
    """
    with _open(path) as file:
        number = 0
        if not columns:
            for number in range(1, file.metadata.num_rows + 1):
                yield Row(f"{name}-{number:06d}", f"{place}, row {number}", {})
            return
        try:
            for batch in file.iter_batches(batch_size=_AT_ONCE, columns=list(columns)):
                for values in _micro(batch).to_pylist():
                    number += 1
                    yield Row(f"{name}-{number:06d}", f"{place}, row {number}", values)
        except pa.ArrowException as error:
            raise FormatError(f"not parquet after row {number} ({type(error).__name__}). Write it again") from None


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, pre_buffer=False)  # else all of a row group's text is in memory
    except pa.ArrowException as error:
        raise FormatError(f"not a parquet file, or cut short ({type(error).__name__}). Write it again") from None


def _micro(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch whose times have microseconds, which Python holds; pandas writes nanoseconds."""
    columns = [
        column.cast(pa.timestamp("us", column.type.tz), safe=False) if pa.types.is_timestamp(column.type) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
