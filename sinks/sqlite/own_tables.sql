-- What the platform adds, beside the schema and never inside it: in stores of every version.
CREATE TABLE IF NOT EXISTS run_extras (
    run_id TEXT PRIMARY KEY,
    attributes_json TEXT,
    parent_run_id TEXT,
    status_detail TEXT,
    verdict INTEGER NOT NULL DEFAULT 0,
    writer TEXT,
    seq INTEGER,
    coerced_json TEXT
) WITHOUT ROWID;
-- 1 while the row was written from an agent's call alone and no line of its run has been read in the journal yet.
ALTER TABLE run_extras ADD COLUMN unread INTEGER NOT NULL DEFAULT 0;
CREATE INDEX IF NOT EXISTS idx_extras_parent ON run_extras (parent_run_id) WHERE parent_run_id IS NOT NULL;
CREATE TABLE IF NOT EXISTS run_commits (
    run_id TEXT NOT NULL,
    commit_hash TEXT NOT NULL,
    PRIMARY KEY (run_id, commit_hash)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS idx_run_commits_hash ON run_commits (commit_hash);
CREATE TABLE IF NOT EXISTS journal_files (
    file_no INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    head TEXT NOT NULL,
    runs_offset INTEGER NOT NULL DEFAULT 0,
    events_offset INTEGER NOT NULL DEFAULT 0,
    UNIQUE (name, head)
);
-- Each offset once more, and the bytes before it: a file that lost its end in a power cut and grew again has others.
ALTER TABLE journal_files ADD COLUMN runs_tail TEXT NOT NULL DEFAULT '';
ALTER TABLE journal_files ADD COLUMN events_tail TEXT NOT NULL DEFAULT '';
CREATE TABLE IF NOT EXISTS journal_writers (
    writer TEXT PRIMARY KEY,
    seq INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pruned_runs (
    run_id TEXT PRIMARY KEY,
    before TEXT NOT NULL,
    pruned_at TEXT NOT NULL
) WITHOUT ROWID;
