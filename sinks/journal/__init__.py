"""
Keep the journal: the ordered truth from which every other store can be rebuilt.

Read it like this; a cursor is a file's (`name`, `head`) and `reader.position`:

    for file in journal_files(directory):
        reader = Reader(file, offset, kinds=frozenset({"run"}))
        for offset, end, record in reader:
            ...
        keep(file.name, file.head, reader.position)
"""

from .files import JournalFile, journal_files
from .reading import Found, Reader, read_records

__all__ = ["Found", "JournalFile", "Reader", "journal_files", "read_records"]
