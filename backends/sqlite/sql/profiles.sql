-- Profiles. The whole document is stored; the columns of the old server are filled from it, and the
-- rest goes into extra_data. The document is valid until a program that knows only the old columns
-- writes the row.

-- name: upsert_user_profile
INSERT INTO user_profiles (user_id, age, gender, weight_kg, height_cm, fitness_level,
  primary_sports, training_history_months, preferred_units, training_focus, injury_history,
  hours_per_week, preferred_days, preferred_duration_minutes, extra_data, document,
  document_updated_at, created_at, updated_at)
VALUES (:user_id,
  CASE WHEN json_type(:profile_data, '$.age') = 'integer' THEN json_extract(:profile_data,
    '$.age') END,
  CASE WHEN json_type(:profile_data, '$.gender') = 'text' THEN json_extract(:profile_data,
    '$.gender') END,
  CASE WHEN json_type(:profile_data, '$.weight_kg') IN ('integer', 'real')
    THEN json_extract(:profile_data, '$.weight_kg') END,
  CASE WHEN json_type(:profile_data, '$.height_cm') IN ('integer', 'real')
    THEN json_extract(:profile_data, '$.height_cm') END,
  CASE WHEN json_type(:profile_data, '$.fitness_level') = 'text' THEN json_extract(:profile_data,
    '$.fitness_level') ELSE 'beginner' END,
  CASE WHEN json_type(:profile_data, '$.primary_sports') = 'array' THEN json_extract(:profile_data,
    '$.primary_sports') END,
  CASE WHEN json_type(:profile_data, '$.training_history_months') = 'integer'
    THEN json_extract(:profile_data, '$.training_history_months') ELSE 0 END,
  CASE WHEN json_type(:profile_data, '$.preferred_units') = 'text' THEN json_extract(:profile_data,
    '$.preferred_units') ELSE 'metric' END,
  CASE WHEN json_type(:profile_data, '$.training_focus') = 'array' THEN json_extract(:profile_data,
    '$.training_focus') END,
  CASE WHEN json_type(:profile_data, '$.injury_history') = 'array' THEN json_extract(:profile_data,
    '$.injury_history') END,
  CASE WHEN json_type(:profile_data, '$.hours_per_week') IN ('integer', 'real')
    THEN json_extract(:profile_data, '$.hours_per_week') ELSE 0 END,
  CASE WHEN json_type(:profile_data, '$.preferred_days') = 'array' THEN json_extract(:profile_data,
    '$.preferred_days') END,
  CASE WHEN json_type(:profile_data, '$.preferred_duration_minutes') = 'integer'
    THEN json_extract(:profile_data, '$.preferred_duration_minutes') END,
  json_remove(:profile_data,
    CASE WHEN json_type(:profile_data, '$.age') = 'integer' THEN '$.age' ELSE '$.""' END,
    CASE WHEN json_type(:profile_data, '$.gender') = 'text' THEN '$.gender' ELSE '$.""' END,
    CASE WHEN json_type(:profile_data, '$.weight_kg') IN ('integer', 'real') THEN '$.weight_kg'
      ELSE '$.""' END,
    CASE WHEN json_type(:profile_data, '$.height_cm') IN ('integer', 'real') THEN '$.height_cm'
      ELSE '$.""' END,
    CASE WHEN json_type(:profile_data, '$.fitness_level') = 'text' THEN '$.fitness_level'
      ELSE '$.""' END,
    CASE WHEN json_type(:profile_data, '$.primary_sports') = 'array' THEN '$.primary_sports'
      ELSE '$.""' END,
    CASE WHEN json_type(:profile_data, '$.training_history_months') = 'integer'
      THEN '$.training_history_months' ELSE '$.""' END,
    CASE WHEN json_type(:profile_data, '$.preferred_units') = 'text' THEN '$.preferred_units'
      ELSE '$.""' END,
    CASE WHEN json_type(:profile_data, '$.training_focus') = 'array' THEN '$.training_focus'
      ELSE '$.""' END,
    CASE WHEN json_type(:profile_data, '$.injury_history') = 'array' THEN '$.injury_history'
      ELSE '$.""' END,
    CASE WHEN json_type(:profile_data, '$.hours_per_week') IN ('integer', 'real')
      THEN '$.hours_per_week' ELSE '$.""' END,
    CASE WHEN json_type(:profile_data, '$.preferred_days') = 'array' THEN '$.preferred_days'
      ELSE '$.""' END,
    CASE WHEN json_type(:profile_data, '$.preferred_duration_minutes') = 'integer'
      THEN '$.preferred_duration_minutes' ELSE '$.""' END),
  :profile_data, :now, :now, :now)
ON CONFLICT (user_id) DO UPDATE SET
  age = excluded.age,
  gender = excluded.gender,
  weight_kg = excluded.weight_kg,
  height_cm = excluded.height_cm,
  fitness_level = excluded.fitness_level,
  primary_sports = excluded.primary_sports,
  training_history_months = excluded.training_history_months,
  preferred_units = excluded.preferred_units,
  training_focus = excluded.training_focus,
  injury_history = excluded.injury_history,
  hours_per_week = excluded.hours_per_week,
  preferred_days = excluded.preferred_days,
  preferred_duration_minutes = excluded.preferred_duration_minutes,
  extra_data = excluded.extra_data, document = excluded.document,
  document_updated_at = excluded.document_updated_at, updated_at = excluded.updated_at

-- name: get_user_profile
SELECT CASE WHEN document IS NOT NULL AND document_updated_at = updated_at THEN document ELSE '{' ||
  substr(
  CASE WHEN age IS NOT NULL AND json_type(extra, '$.age') IS NULL
    THEN ',"age":' || whole_text(age, 'age', user_id) ELSE '' END ||
  CASE WHEN gender IS NOT NULL AND json_type(extra, '$.gender') IS NULL
    THEN ',"gender":' || word_text(gender, 'gender', user_id) ELSE '' END ||
  CASE WHEN weight_kg IS NOT NULL AND json_type(extra, '$.weight_kg') IS NULL
    THEN ',"weight_kg":' || real_text(weight_kg, 'weight_kg', user_id) ELSE '' END ||
  CASE WHEN height_cm IS NOT NULL AND json_type(extra, '$.height_cm') IS NULL
    THEN ',"height_cm":' || real_text(height_cm, 'height_cm', user_id) ELSE '' END ||
  CASE WHEN fitness_level IS NOT NULL AND json_type(extra, '$.fitness_level') IS NULL
    THEN ',"fitness_level":' || word_text(fitness_level, 'fitness_level', user_id) ELSE '' END ||
  CASE WHEN primary_sports IS NOT NULL AND json_type(extra, '$.primary_sports') IS NULL
    THEN ',"primary_sports":' || CASE WHEN json_valid(primary_sports) THEN primary_sports
      ELSE word_text(primary_sports, 'primary_sports', user_id) END ELSE '' END ||
  CASE WHEN training_history_months IS NOT NULL
    AND json_type(extra, '$.training_history_months') IS NULL
    THEN ',"training_history_months":' ||
      whole_text(training_history_months, 'training_history_months', user_id) ELSE '' END ||
  CASE WHEN preferred_units IS NOT NULL AND json_type(extra, '$.preferred_units') IS NULL
    THEN ',"preferred_units":' || word_text(preferred_units, 'preferred_units', user_id)
      ELSE '' END ||
  CASE WHEN training_focus IS NOT NULL AND json_type(extra, '$.training_focus') IS NULL
    THEN ',"training_focus":' || CASE WHEN json_valid(training_focus) THEN training_focus
      ELSE word_text(training_focus, 'training_focus', user_id) END ELSE '' END ||
  CASE WHEN injury_history IS NOT NULL AND json_type(extra, '$.injury_history') IS NULL
    THEN ',"injury_history":' || CASE WHEN json_valid(injury_history) THEN injury_history
      ELSE word_text(injury_history, 'injury_history', user_id) END ELSE '' END ||
  CASE WHEN hours_per_week IS NOT NULL AND json_type(extra, '$.hours_per_week') IS NULL
    THEN ',"hours_per_week":' || real_text(hours_per_week, 'hours_per_week', user_id) ELSE '' END ||
  CASE WHEN preferred_days IS NOT NULL AND json_type(extra, '$.preferred_days') IS NULL
    THEN ',"preferred_days":' || CASE WHEN json_valid(preferred_days) THEN preferred_days
      ELSE word_text(preferred_days, 'preferred_days', user_id) END ELSE '' END ||
  CASE WHEN preferred_duration_minutes IS NOT NULL
    AND json_type(extra, '$.preferred_duration_minutes') IS NULL
    THEN ',"preferred_duration_minutes":' ||
      whole_text(preferred_duration_minutes, 'preferred_duration_minutes', user_id) ELSE '' END ||
  CASE WHEN extra <> '{}' THEN ',' || substr(extra, 2, length(extra) - 2) ELSE '' END, 2) ||
    '}' END AS result
FROM (SELECT user_id, age, gender, weight_kg, height_cm, fitness_level,
  primary_sports, training_history_months, preferred_units,
    training_focus, injury_history, hours_per_week, preferred_days,
      preferred_duration_minutes, document,
    document_updated_at, updated_at,
    CASE WHEN json_valid(extra_data) AND json_type(extra_data) = 'object' THEN json(extra_data)
      ELSE '{}' END AS extra
  FROM user_profiles WHERE user_id = :user_id)
