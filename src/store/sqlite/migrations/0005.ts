/**
 * Migration 5: counters for statistics over time. Never edited once released: a change is a new migration.
 *
 * `stats` counts deliveries by the five minutes in which they were accepted, and by tag: how many, and what became of them;
 * `stats_times` how long those that were delivered took, in steps of a factor e^(1/4); `stats_faults` the tries that did not
 * deliver, by the hour, with the answer that was given last. Triggers keep them exact, whoever writes: so statistics over a month
 * read some thousand rows, whatever the traffic was. `width` is the length of a slot in milliseconds: what is older than a day or so
 * is folded into hours (`upkeep.ts`). A tag of none is ''.
 */
const SLOT_MS = 300_000;
const FINAL = [
  'delivered',
  'bounced',
  'expired',
  'superseded',
  'suppressed',
  'throttled',
  'canceled',
  'quarantined',
] as const;
const FINAL_LIST = FINAL.map((state) => `'${state}'`).join(', ');

/** 1 in the column of `row`'s state, 0 in the others. */
const inState = (row: 'new' | 'old' | 'd'): string => FINAL.map((state) => `${row}.state = '${state}'`).join(', ');
/** Adds or takes off what the row that was to be inserted says. */
const change = (sign: '+' | '-'): string =>
  FINAL.map((state) => `${state} = ${state} ${sign} excluded.${state}`).join(', ');

const SLOT_OF_MESSAGE = `${SLOT_MS}, m.accepted_at - m.accepted_at % ${SLOT_MS}, coalesce(m.tag, '')`;
const STEP = 'CAST(ln(max(d.delivered_at - m.accepted_at, 1)) * 4 AS INTEGER)';

export const sql: string = `
CREATE TABLE stats (
  width INTEGER NOT NULL,
  slot INTEGER NOT NULL,
  tag TEXT NOT NULL,
  accepted INTEGER NOT NULL,
${FINAL.map((state) => `  ${state} INTEGER NOT NULL,`).join('\n')}
  PRIMARY KEY (width, slot, tag)
) STRICT, WITHOUT ROWID;

CREATE TABLE stats_times (
  width INTEGER NOT NULL,
  slot INTEGER NOT NULL,
  tag TEXT NOT NULL,
  step INTEGER NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (width, slot, tag, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE stats_faults (
  slot INTEGER NOT NULL,
  tag TEXT NOT NULL,
  route TEXT NOT NULL,
  outcome TEXT NOT NULL,
  cause TEXT NOT NULL,
  stage TEXT NOT NULL,
  code INTEGER NOT NULL,
  enhanced TEXT NOT NULL,
  number INTEGER NOT NULL,
  response TEXT NOT NULL,
  last_at INTEGER NOT NULL,
  PRIMARY KEY (slot, tag, route, outcome, cause, stage, code, enhanced)
) STRICT, WITHOUT ROWID;

INSERT INTO stats (width, slot, tag, accepted, ${FINAL.join(', ')})
  SELECT ${SLOT_OF_MESSAGE}, count(*), ${FINAL.map((state) => `sum(d.state = '${state}')`).join(', ')}
  FROM deliveries d JOIN messages m ON m.mid = d.mid GROUP BY 2, 3;
INSERT INTO stats_times (width, slot, tag, step, number)
  SELECT ${SLOT_OF_MESSAGE}, ${STEP}, count(*)
  FROM deliveries d JOIN messages m ON m.mid = d.mid WHERE d.delivered_at IS NOT NULL GROUP BY 2, 3, 4;
INSERT INTO stats_faults (slot, tag, route, outcome, cause, stage, code, enhanced, number, response, last_at)
  SELECT a.started_at - a.started_at % 3600000, coalesce(m.tag, ''), a.route, a.outcome, coalesce(a.cause, ''), a.stage,
    coalesce(a.code, 0), coalesce(a.enhanced, ''), count(*), a.response, max(a.started_at)
  FROM attempts a JOIN deliveries d ON d.did = a.did JOIN messages m ON m.mid = d.mid
  WHERE a.outcome <> 'delivered' GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;

CREATE TRIGGER stats_born AFTER INSERT ON deliveries
BEGIN
  INSERT INTO stats (width, slot, tag, accepted, ${FINAL.join(', ')})
    SELECT ${SLOT_OF_MESSAGE}, 1, ${inState('new')} FROM messages m WHERE m.mid = new.mid
    ON CONFLICT (width, slot, tag) DO UPDATE SET accepted = accepted + 1, ${change('+')};
END;
CREATE TRIGGER stats_ended AFTER UPDATE OF state ON deliveries
WHEN new.state IN (${FINAL_LIST}) AND new.state <> old.state
BEGIN
  INSERT INTO stats (width, slot, tag, accepted, ${FINAL.join(', ')})
    SELECT ${SLOT_OF_MESSAGE}, 0, ${inState('new')} FROM messages m WHERE m.mid = new.mid
    ON CONFLICT (width, slot, tag) DO UPDATE SET ${change('+')};
END;
CREATE TRIGGER stats_reopened AFTER UPDATE OF state ON deliveries
WHEN old.state IN (${FINAL_LIST}) AND new.state <> old.state
BEGIN
  INSERT INTO stats (width, slot, tag, accepted, ${FINAL.join(', ')})
    SELECT ${SLOT_OF_MESSAGE}, 0, ${inState('old')} FROM messages m WHERE m.mid = new.mid
    ON CONFLICT (width, slot, tag) DO UPDATE SET ${change('-')};
END;
CREATE TRIGGER stats_delivered AFTER UPDATE OF delivered_at ON deliveries
WHEN new.delivered_at IS NOT NULL AND old.delivered_at IS NULL
BEGIN
  INSERT INTO stats_times (width, slot, tag, step, number)
    SELECT ${SLOT_OF_MESSAGE}, ${STEP.replace('d.', 'new.')}, 1 FROM messages m WHERE m.mid = new.mid
    ON CONFLICT (width, slot, tag, step) DO UPDATE SET number = number + 1;
END;
CREATE TRIGGER stats_fault AFTER INSERT ON attempts
WHEN new.outcome <> 'delivered'
BEGIN
  INSERT INTO stats_faults (slot, tag, route, outcome, cause, stage, code, enhanced, number, response, last_at)
    SELECT new.started_at - new.started_at % 3600000, coalesce(m.tag, ''), new.route, new.outcome, coalesce(new.cause, ''),
      new.stage, coalesce(new.code, 0), coalesce(new.enhanced, ''), 1, new.response, new.started_at
    FROM deliveries d JOIN messages m ON m.mid = d.mid WHERE d.did = new.did
    ON CONFLICT (slot, tag, route, outcome, cause, stage, code, enhanced)
      DO UPDATE SET number = number + 1, response = excluded.response, last_at = excluded.last_at;
END;
`;
