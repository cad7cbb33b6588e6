"""
Keep the journal: the ordered truth from which every other store can be rebuilt.

`Journal` writes. Read it like this; a cursor is a file's (`name`, `head`) and `reader.position`:

    for file in journal_files(directory):
        reader = Reader(file, offset, kinds=frozenset({"run"}))
        for offset, end, record in reader:
            ...
        keep(file.name, file.head, reader.position)
"""

from .files import JournalFile, has_journal, journal_files
from .reading import Found, Reader, read_records
from .writer import FSYNC_MODES, Journal

__all__ = ["FSYNC_MODES", "Found", "Journal", "JournalFile", "Reader", "has_journal", "journal_files", "read_records"]
