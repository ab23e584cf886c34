-- The tier `trial`, which the old CHECK refuses. The schema's text is changed, not the table:
-- columns, indexes and triggers that are not ours stay, and so do the rows.

UPDATE sqlite_schema SET sql = widen_check(sql, 'trial', 'starter', 'professional', 'enterprise')
  WHERE type = 'table' AND name = 'api_keys' COLLATE NOCASE;
