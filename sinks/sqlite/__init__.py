"""
Keep the runs in SQLite, behind the journal and rebuilt from it.

`connection.Database` is the one way to a store: `with database.writing(wait_s) as opened:` lends the connection and
the file's `Shape` inside a transaction under the lock of all our processes, `with database.reading() as opened:`
for queries. Fetch and let go inside it: other threads wait, and no connection is carried across a fork. Whoever
writes much calls `database.checkpoint(wait_s)` between its transactions.
"""
