/* Counts of usage rows that retention has dropped, as SQL: what the rollups hold beyond the rows
 * that exist. The target rolls its rows up anew, beginning with these counts.
 *
 * t: the log; p: the column of its parent; parents: its parent's table; list: the column with a
 * list that makes a row odd, or NULL (see migrations 0010 and 0012 of SQLite, 0006 and 0009 of
 * PostgreSQL). */
#ifndef PIERRE_TRANSFER_DROPPED_H
#define PIERRE_TRANSFER_DROPPED_H

#define DROPPED_SUMS                                                                               \
	"sum(c.requests) AS requests, sum(c.successful) AS successful, sum(c.failed) AS failed, "  \
	"sum(c.time_ms) AS time_ms, sum(c.timed) AS timed, sum(c.odd) AS odd "
#define DROPPED_ANY                                                                                \
	"HAVING sum(c.requests) <> 0 OR sum(c.successful) <> 0 OR sum(c.failed) <> 0 OR "          \
	"sum(c.time_ms) <> 0 OR sum(c.timed) <> 0 OR sum(c.odd) <> 0"
/* Of a row or an entry, whose sign says whether it counts. */
#define DROPPED_PARTS                                                                              \
	"sign AS requests, "                                                                       \
	"CASE WHEN NOT odd AND status_code BETWEEN 200 AND 299 THEN sign ELSE 0 END AS "           \
	"successful, CASE WHEN NOT odd AND status_code >= 400 THEN sign ELSE 0 END AS failed, "    \
	"CASE WHEN odd THEN 0 ELSE sign * COALESCE(response_time_ms, 0) END AS time_ms, "          \
	"CASE WHEN NOT odd AND response_time_ms IS NOT NULL THEN sign ELSE 0 END AS timed, "       \
	"CASE WHEN odd THEN sign ELSE 0 END AS odd"

#define DROPPED_SQLITE(t, p, parents, list)                                                        \
	"(SELECT c." p ", c.hour, c.tool_name, " DROPPED_SUMS "FROM usage_rolled s CROSS JOIN ("   \
	"SELECT " p ", hour, tool_name, requests, successful, failed, time_ms, timed, odd FROM " t \
	"_hours UNION ALL SELECT " p ", hour_of(timestamp_us), tool_name, " DROPPED_PARTS          \
	" FROM (SELECT " p ", timestamp_us, tool_name, status_code, response_time_ms, "            \
	"odd_usage(status_code, response_time_ms, " list ") AS odd, sign FROM " t "_changes "      \
	"UNION ALL SELECT " p ", timestamp_us, tool_name, status_code, response_time_ms, "         \
	"odd_usage(status_code, response_time_ms, " list "), -1 FROM usage_rolled s CROSS JOIN " t \
	" WHERE s.source = '" t "' AND timestamp_us < s.kept_from AND id <= s.last_id)) AS c "     \
	"WHERE s.source = '" t "' AND c.hour * 3600000000 < s.kept_from "                          \
	"AND EXISTS (SELECT 1 FROM " parents " WHERE id = c." p ") "                               \
	"GROUP BY 1, 2, 3 " DROPPED_ANY ")"

#define DROPPED_POSTGRES(t, p, parents, list)                                                      \
	"(SELECT c." p ", c.hour, c.tool_name, " DROPPED_SUMS "FROM usage_rolled s CROSS JOIN ("   \
	"SELECT " p ", hour, tool_name, requests, successful, failed, time_ms, timed, odd FROM " t \
	"_hours UNION ALL SELECT " p ", date_trunc('hour', timestamp, 'UTC'), "                    \
	"tool_name, " DROPPED_PARTS " FROM (SELECT " p ", timestamp, tool_name, status_code, "     \
	"response_time_ms, odd_time(response_time_ms) OR array_position(" list ", NULL) IS NOT "   \
	"NULL AS odd, sign FROM " t "_changes JOIN usage_rolled s ON s.source = '" t "' "          \
	"WHERE usage_id <= s.last_id UNION ALL SELECT " p ", timestamp, tool_name, status_code, "  \
	"response_time_ms, odd_time(response_time_ms) OR array_position(" list ", NULL) IS NOT "   \
	"NULL, -1 FROM " t " JOIN usage_rolled s ON s.source = '" t "' "                           \
	"WHERE timestamp < s.kept_from AND id <= s.last_id) AS single) AS c "                      \
	"WHERE s.source = '" t "' AND c.hour < s.kept_from "                                       \
	"AND EXISTS (SELECT 1 FROM " parents " WHERE number = c." p ") "                           \
	"GROUP BY 1, 2, 3 " DROPPED_ANY ")"

/* The same of the capabilities of agents. */
#define DROPPED_CAPABILITIES_SQLITE                                                                \
	"(SELECT c.client_id, c.hour, c.capability, sum(c.requests) AS requests "                  \
	"FROM usage_rolled s CROSS JOIN ("                                                         \
	"SELECT client_id, hour, capability, requests, NULL FROM a2a_usage_capabilities "          \
	"UNION ALL SELECT DISTINCT r.client_id, hour_of(r.timestamp_us), e.value, r.sign, r.n "    \
	"FROM (SELECT -number AS n, sign, client_id, timestamp_us, client_capabilities, "          \
	"status_code, response_time_ms FROM a2a_usage_changes UNION ALL SELECT id, -1, "           \
	"client_id, timestamp_us, client_capabilities, status_code, response_time_ms "             \
	"FROM usage_rolled s CROSS JOIN a2a_usage WHERE s.source = 'a2a_usage' "                   \
	"AND timestamp_us < s.kept_from AND id <= s.last_id) AS r, json_each(CASE WHEN "           \
	"odd_usage(r.status_code, r.response_time_ms, r.client_capabilities) THEN NULL ELSE "      \
	"r.client_capabilities END) AS e) AS c WHERE s.source = 'a2a_usage' "                      \
	"AND c.hour * 3600000000 < s.kept_from "                                                   \
	"AND EXISTS (SELECT 1 FROM a2a_clients WHERE id = c.client_id) GROUP BY 1, 2, 3 "          \
	"HAVING sum(c.requests) <> 0)"

#define DROPPED_CAPABILITIES_POSTGRES                                                              \
	"(SELECT c.client, c.hour, c.capability, sum(c.requests) AS requests "                     \
	"FROM usage_rolled s CROSS JOIN ("                                                         \
	"SELECT client, hour, capability, requests FROM a2a_usage_capabilities UNION ALL "         \
	"SELECT r.client, date_trunc('hour', r.timestamp, 'UTC'), e.capability, r.sign FROM ("     \
	"SELECT sign, client, timestamp, client_capabilities, response_time_ms "                   \
	"FROM a2a_usage_changes JOIN usage_rolled s ON s.source = 'a2a_usage' "                    \
	"WHERE usage_id <= s.last_id UNION ALL SELECT -1, client, timestamp, "                     \
	"client_capabilities, response_time_ms FROM a2a_usage JOIN usage_rolled s "                \
	"ON s.source = 'a2a_usage' WHERE timestamp < s.kept_from AND id <= s.last_id) AS r, "      \
	"LATERAL (SELECT DISTINCT capability FROM unnest(r.client_capabilities) "                  \
	"AS u(capability)) AS e WHERE NOT (odd_time(r.response_time_ms) "                          \
	"OR array_position(r.client_capabilities, NULL) IS NOT NULL)) AS c "                       \
	"WHERE s.source = 'a2a_usage' AND c.hour < s.kept_from "                                   \
	"AND EXISTS (SELECT 1 FROM a2a_clients WHERE number = c.client) GROUP BY 1, 2, 3 "         \
	"HAVING sum(c.requests) <> 0)"

/* In the target: hours before the end of these cannot be divided, months follow from hours, and the
 * daemon is to sum the days. */
#define DROPPED_END_SQLITE(t, p)                                                                   \
	"UPDATE usage_rolled SET kept_from = COALESCE((SELECT (max(hour) + 1) * 3600000000 "       \
	"FROM " t "_hours), kept_from), days_to = -17268696, days_next = NULL "                    \
	"WHERE source = '" t "'; "                                                                 \
	"INSERT INTO " t "_months (" p ", month, requests) "                                       \
	"SELECT " p ", strftime('%Y-%m', hour * 3600, 'unixepoch'), sum(requests) "                \
	"FROM " t "_hours GROUP BY 1, 2"
#define DROPPED_END_POSTGRES(t, p)                                                                 \
	"UPDATE usage_rolled SET kept_from = COALESCE((SELECT max(hour) + interval '1 hour' "      \
	"FROM " t "_hours), kept_from), days_to = DEFAULT, days_next = NULL "                      \
	"WHERE source = '" t "'; "                                                                 \
	"INSERT INTO " t "_months (" p ", month, requests) "                                       \
	"SELECT " p ", date_trunc('month', hour, 'UTC'), sum(requests) "                           \
	"FROM " t "_hours GROUP BY 1, 2"

#endif
