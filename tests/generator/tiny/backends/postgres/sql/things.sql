-- name: create_thing
INSERT INTO things (id, label, number, colour, tags, owner, made_at)
VALUES (:id, :label, :number, :colour, ARRAY(SELECT jsonb_array_elements_text(:tags)), :owner,
  :made_at)
RETURNING id AS result;

-- name: get_thing
SELECT id, colour, width AS "size.width", unit AS "size.unit", document::text AS document
FROM things WHERE id = :id AND note <> E'it\'s :not' AND body <> $tag$ :nor 'this' $tag$

-- name: list_things
SELECT id, colour, width AS "size.width", unit AS "size.unit", document::text AS document
FROM things WHERE :colour IS NULL OR colour = :colour
ORDER BY id LIMIT :limit

-- name: put_document
UPDATE things SET document = :data, document_exact = :data_exact, name = :name,
  changed_at = :now WHERE id = :id

-- name: sweep
DELETE FROM things WHERE id IN (SELECT id FROM things WHERE made_at < :days_start
  ORDER BY id FOR NO KEY UPDATE)
