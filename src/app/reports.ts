/**
 * Sends the reports that are owed to envelope senders (RFC 3464), oldest first.
 *
 * A report goes in like any mail, and what it pays for is struck out in the transaction that accepts it: after a crash it is
 * either still owed, or accepted once. One that can never go out (its sender is gone, no rule routes it, it cannot be composed)
 * is dropped with a log line. Trouble of the store or of signing stops the round; it is tried again after a wait that grows.
 *
 * It never reports on a report: those have the null sender, and nothing is owed to that.
 */
import type { EnvelopeAddress } from '../core/address.ts';
import { bugText } from '../core/bug-text.ts';
import { RelayError } from '../core/errors.ts';
import type { MessageId } from '../core/ids.ts';
import type { Refusal } from '../core/refusal.ts';
import type { CancelTimer, Clock } from '../core/time.ts';
import { composeReport } from '../mail/compose-report.ts';
import type { PendingReport, ReportStore } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';

export interface ReportsDeps {
  readonly reports: ReportStore;
  /** The message's bytes, or null when they are gone. */
  readonly content: (id: MessageId) => Promise<Uint8Array | null>;
  /** Accepts the report durably and strikes out what it pays for, or says why not. */
  readonly submit: (report: {
    readonly to: EnvelopeAddress;
    readonly content: Uint8Array;
    readonly paysReport: number;
  }) => Promise<{ readonly kind: 'accepted' | 'duplicate' } | Refusal>;
  readonly clock: Clock;
  readonly log: Log;
  /** Read for each report. */
  readonly hostname: () => string;
  /** Whether mail with this tag restores access to an account: a report about it quotes nothing of it. */
  readonly isRecovery: (tag: string | null) => boolean;
}

export interface Reports {
  /** Something may be owed: look soon. */
  wake(): void;
  /** Finishes the report at hand and sends no other. */
  stop(): Promise<void>;
}

const BATCH = 20;
const WAITS_MS = [5_000, 15_000, 60_000, 300_000] as const;
const LONGEST_WAIT_MS = 300_000;
/** A report that could not be accepted for so long is of no use to anybody. */
const MAX_AGE_MS = 5 * 86_400_000;

/** Makes the job; it looks for the first time when it is woken. */
export function createReports(deps: ReportsDeps): Reports {
  const { reports, clock, log } = deps;
  let stopping = false;
  let wanted = false;
  let running: Promise<void> | null = null;
  let failures = 0;
  let cancelWait: CancelTimer | null = null;

  const wake = (): void => {
    wanted = true;
    if (stopping || running !== null || cancelWait !== null) return;
    running = run().finally(() => {
      running = null;
      if (wanted && cancelWait === null) wake();
    });
  };

  async function run(): Promise<void> {
    wanted = false;
    try {
      if (await sendAll()) failures = 0;
      else waitThenWake();
    } catch (error) {
      log.error(
        {
          event: 'report.failed',
          error: bugText(error),
          ...(error instanceof RelayError ? { code: error.code } : {}),
        },
        'reports to envelope senders could not be sent; they are tried again',
      );
      waitThenWake();
    }
  }

  function waitThenWake(): void {
    if (stopping) return;
    const waitMs = WAITS_MS[failures] ?? LONGEST_WAIT_MS;
    failures++;
    cancelWait = clock.after(waitMs, () => {
      cancelWait = null;
      wake();
    });
  }

  /** False: some could not be accepted now. */
  async function sendAll(): Promise<boolean> {
    const seen = new Set<number>();
    for (;;) {
      const batch = await reports.pending(BATCH);
      let left = 0;
      for (const report of batch) {
        if (stopping) return true;
        // Owed although it was just sent: whatever is wrong, the same report must not go out in a loop.
        if (seen.has(report.number)) return false;
        seen.add(report.number);
        if ((await send(report)) === 'later') left++;
      }
      if (left > 0) return false;
      if (batch.length < BATCH) return true;
    }
  }

  async function send(report: PendingReport): Promise<'done' | 'later'> {
    const to = report.record.mailFrom;
    // Nothing is owed to the null sender; the store does not write such a report.
    if (to === '') return drop(report, 'the message had the null sender');
    const content = await deps.content(report.record.id);
    let composed: Uint8Array;
    try {
      const { action, at, record, recipient, recipientDsn, state, attempt, bounce, reason } = report;
      const facts = { action, at, record, recipient, recipientDsn, state, attempt, bounce, reason };
      composed = composeReport({
        ...facts,
        recovery: deps.isRecovery(record.tag),
        to,
        content,
        now: clock.now(),
        hostname: deps.hostname(),
      });
    } catch (error) {
      // A bug, but one report must not hold up the others.
      return drop(report, `it cannot be composed: ${bugText(error)}`);
    }
    const answer = await deps.submit({ to, content: composed, paysReport: report.number });
    if (answer.kind !== 'refused') {
      log.info(fieldsOf(report, 'report.sent'), 'a report to the envelope sender was accepted');
      return 'done';
    }
    if (answer.code >= 500) return drop(report, answer.reason);
    if (clock.now() - report.at > MAX_AGE_MS)
      return drop(report, `it could not be accepted for days: ${answer.reason}`);
    log.warn({ ...fieldsOf(report, 'report.deferred'), reason: answer.reason }, 'a report is tried again later');
    return 'later';
  }

  async function drop(report: PendingReport, reason: string): Promise<'done'> {
    await reports.drop(report.number);
    log.warn({ ...fieldsOf(report, 'report.dropped'), reason }, 'a report to the envelope sender was given up');
    return 'done';
  }

  return {
    wake,
    async stop() {
      stopping = true;
      cancelWait?.();
      cancelWait = null;
      await running;
    },
  };
}

function fieldsOf(report: PendingReport, event: string): Parameters<Log['info']>[0] {
  return { event, message: report.record.id, delivery: report.deliveryId, outcome: report.action };
}
