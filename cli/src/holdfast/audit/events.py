"""Nothing is left lying: outboxes are empty, nothing is dead, nothing waits for ever."""

from __future__ import annotations

# In every service's own schema, which is put in for {schema}.
CHECKS = {
    "outbox_stuck": """
SELECT '{schema}' AS id, format('%s events of {schema} wait in its outbox, the oldest since %s s.', count(*),
       round(extract(epoch FROM now() - min(created_at)))) AS sentence
FROM {schema}.outbox WHERE created_at < now() - interval '60 s' HAVING count(*) > 0
""",
    "event_dead": """
SELECT event_id AS id, format('{schema} could not handle %s %s: %s', headers ->> 'ce_type', key, left(reason, 200))
  AS sentence
FROM {schema}.parked WHERE kind = 'dead'
""",
    "event_waits": """
SELECT event_id AS id, format('{schema} waits since %s to handle %s %s: %s', to_char(parked_at, 'HH24:MI:SS'),
       headers ->> 'ce_type', key, left(reason, 200)) AS sentence
FROM {schema}.parked WHERE kind = 'early' AND parked_at < now() - interval '10 min'
""",
}
SCHEMAS = "SELECT table_schema FROM information_schema.tables WHERE table_name = 'parked' ORDER BY table_schema"
