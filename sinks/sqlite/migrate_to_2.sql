-- Version 2: the insight that a run belongs to.
ALTER TABLE agent_runs ADD COLUMN insight_id TEXT;
