-- name: daemon.position
SELECT 'sqlite-' || value AS result FROM pierre_meta WHERE key = 'database'
