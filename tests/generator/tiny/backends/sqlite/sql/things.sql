-- Things, in SQLite.

-- name: create_thing
INSERT INTO things (id, label, number, colour, tags, owner, made_at, tip)
VALUES (:id, :label, :number, :colour, :tags, :owner, :made_at,
  'no :placeholder -- here')  -- nor :here
RETURNING id AS result;

-- name: get_thing
SELECT id, colour, width AS "size.width", unit AS "size.unit", document
FROM things /* all of :them */ WHERE id = :id

-- name: list_things
SELECT id, colour, width AS "size.width", unit AS "size.unit", document
FROM things WHERE :colour IS NULL OR colour = :colour
ORDER BY id LIMIT :limit

-- name: put_document
UPDATE things SET document = :data, name = :name, changed_at = :now WHERE id = :id

-- name: sweep
DELETE FROM things WHERE made_at < :days_start
