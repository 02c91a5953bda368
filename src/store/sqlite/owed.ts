/**
 * Which events owe the envelope sender a report (RFC 3461, section 4.1 and 5.2), and the note of it, written in the
 * transaction of the event.
 *
 * `NOTIFY` decides; without it a failure is reported and nothing else. Mail with a null sender is never marked as wanting
 * reports, and nobody is told of a suppressed or throttled recipient.
 */
import type Database from 'better-sqlite3';
import type { Bounce } from '../../core/bounce.ts';
import type { RecipientDsn } from '../../core/message.ts';
import type { PendingReport } from '../store.ts';

/** What the note keeps; `attempt`: number of the last one, 0 when there was none. */
export interface OwedReport {
  readonly did: number;
  readonly action: PendingReport['action'];
  readonly at: number;
  readonly state: string;
  readonly attempt: number;
  readonly bounce: Bounce | null;
  readonly reason: string | null;
}

/** Whether a recipient's DSN parameters (JSON of a `RecipientDsn`, or null) ask for a report of `action`. */
export function asksFor(action: PendingReport['action'], recipientDsn: string | null): boolean {
  const dsn: RecipientDsn | null = recipientDsn === null ? null : JSON.parse(recipientDsn);
  const notify = dsn?.notify ?? [];
  if (notify.includes('NEVER')) return false;
  switch (action) {
    case 'failed':
      return notify.length === 0 || notify.includes('FAILURE');
    case 'delayed':
      return notify.includes('DELAY');
    case 'relayed':
    case 'delivered':
      return notify.includes('SUCCESS');
  }
}

/** Makes the note of a report that is owed. */
export function createOwe(db: Database.Database): (report: OwedReport) => void {
  const insert = db.prepare<(string | number | null)[]>(
    'INSERT INTO reports (did, action, at, state, attempt, bounce, reason) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  return ({ did, action, at, state, attempt, bounce, reason }) => {
    insert.run(did, action, at, state, attempt, bounce === null ? null : JSON.stringify(bounce), reason);
  };
}
