/**
 * The machine's clock, as far as it can be judged without a clock to trust: it is not behind what the database has seen, and
 * where an HTTPS server was named, not far from what that says.
 *
 * How it was judged is part of every finding. Nothing is set.
 */
import https from 'node:https';
import { errorText } from '../core/errors.ts';
import { type Clock, isoTime } from '../core/time.ts';
import { type CheckFinding, createFindings, type Findings } from './finding.ts';

const BACK_MS = 5000;
const WARNING_MS = 30_000;
const ERROR_MS = 5 * 60_000;
const ANSWER_MS = 10_000;
const WHY = 'Links expire too early or too late, DKIM signatures lie in the future, and certificates seem invalid.';
const HINT = 'Let the machine keep its time: timedatectl set-ntp true; then look at `timedatectl timesync-status`.';

/** Compares `now` with the newest event of the database (epoch milliseconds; null: there is none). */
export function checkClockAgainstEvents(newestEventAt: number | null, now: number): readonly CheckFinding[] {
  const found = createFindings('clock', '');
  if (newestEventAt === null) {
    found.ok('the clock was not judged: the database has no event yet');
  } else if (now < newestEventAt - BACK_MS) {
    found.error('back', {
      message: `the clock says ${isoTime(now)}, and the newest event of the database is of ${isoTime(newestEventAt)}`,
      why: `The clock went back, or was ahead when the event was written. ${WHY}`,
      hint: HINT,
    });
  } else {
    found.ok(
      `the clock is not behind the newest event of the database (${isoTime(newestEventAt)}); more that does not tell`,
    );
  }
  return found.list;
}

export interface ServerClockDeps {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** The `Date` header of the answer to a HEAD request; null: it has none. For tests; default: over HTTPS. */
  readonly dateOf?: (url: URL, signal: AbortSignal) => Promise<string | null>;
}

/** Compares the clock with the `Date` header of `url`. */
export async function checkClockAgainstServer(url: URL, deps: ServerClockDeps): Promise<readonly CheckFinding[]> {
  const { clock, dateOf = headDate } = deps;
  const found = createFindings('clock', url.host);
  const limit = new AbortController();
  const cancel = clock.after(ANSWER_MS, () => limit.abort(new Error(`no answer within ${ANSWER_MS} ms`)));
  const before = clock.now();
  try {
    const header = await dateOf(url, AbortSignal.any([deps.signal, limit.signal]));
    const spent = clock.now() - before;
    const theirs = Date.parse(header ?? '');
    if (Number.isNaN(theirs)) found.ok(`the clock was not compared: ${url.host} answers without a Date header`);
    // The header has whole seconds, and was written somewhere between question and answer.
    else judge(url.host, before + spent / 2 - (theirs + 500), found);
  } catch (error) {
    found.warning('unknown', {
      message: `the clock could not be compared with ${url.host}: ${errorText(error)}`,
      why: 'Whether the clock is right is not known. A certificate that seems invalid may be a sign that it is not.',
      hint: 'Name another server: --time-from https://HOST/',
    });
  } finally {
    cancel();
  }
  return found.list;
}

function judge(host: string, aheadMs: number, found: Findings): void {
  const seconds = Math.round(Math.abs(aheadMs) / 1000);
  const message = `the clock is ${seconds} s ${aheadMs > 0 ? 'ahead of' : 'behind'} that of ${host}`;
  if (Math.abs(aheadMs) > ERROR_MS) found.error('wrong', { message, why: WHY, hint: HINT });
  else if (Math.abs(aheadMs) > WARNING_MS) found.warning('off', { message, why: WHY, hint: HINT });
  else found.ok(`the clock agrees with that of ${host} (within ${Math.max(1, seconds)} s)`);
}

function headDate(url: URL, signal: AbortSignal): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const request = https.request(url, { method: 'HEAD', agent: false, signal }, (response) => {
      response.resume();
      resolve(response.headers.date ?? null);
    });
    request.on('error', reject);
    request.end();
  });
}
