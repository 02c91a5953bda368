/**
 * From a report that came in by mail to the deliveries that it is about, and what it says of them. It writes nothing.
 *
 * A report at a return path names its delivery by the address, which nobody can make up (return-path.ts). What counts there:
 *   failed                      bounced, late; its class says whether the recipient is suppressed
 *   delayed                     the next hop is still trying
 *   delivered, relayed, expanded, and what is no report (out of office, a challenge)   nothing; one log line
 * When the recipient is an alias and only some of its targets failed, the bounce is recorded and nobody is suppressed.
 *
 * At a fixed address (`fbl@`, `abuse@`, `postmaster@`) only complaints are taken. They are matched by the return path in
 * `Original-Mail-From` or in the returned message's `Return-Path`, else by Message-ID and recipient. A bounce there is
 * refused: ours go to return paths, and one at a fixed address would rest on a Message-ID alone.
 *
 * A Message-ID can be guessed: a complaint that rests on one alone is recorded and suppresses nobody. Known limit: who has seen
 * a message, with its return path, can complain about it in somebody else's name. That ends no delivery, and the suppression
 * that follows lasts a limited time and does not count for tags with `suppression: bypass`.
 *
 * Of the feedback types `abuse`, `fraud` and `opt-out` are complaints; `not-spam` is the contrary, `auth-failure` is about
 * something else, and both are passed over.
 */
import { addressKey, type EnvelopeAddress, parseEnvelopeAddress } from '../core/address.ts';
import type { DeliveryId } from '../core/ids.ts';
import { cleanRemoteText } from '../mail/clean.ts';
import type { DsnRecipient } from '../mail/dsn.ts';
import type { MailReport } from '../mail/report.ts';
import type { Feedback, FeedbackStore } from '../store/store.ts';
import { classifyReport } from './classify.ts';
import type { ReturnPaths } from './return-path.ts';

export type Match =
  | { readonly kind: 'matched'; readonly feedback: readonly Feedback[] }
  /** It is about our mail, or at least at an address that only our mail has, and nothing is to be recorded. */
  | { readonly kind: 'ignored'; readonly reason: string }
  | { readonly kind: 'unmatched'; readonly reason: string };

export interface MatchDeps {
  readonly feedback: Pick<FeedbackStore, 'byMessageId'>;
  readonly paths: ReturnPaths;
  /** How long a suppression lasts. */
  readonly suppressForMs: number;
  /** Epoch milliseconds. */
  readonly now: number;
}

const COMPLAINTS: ReadonlySet<string> = new Set(['abuse', 'fraud', 'opt-out', 'opt-out-list']);
const MAX_NAME_CHARACTERS = 200;
const MAX_DIAGNOSTIC_CHARACTERS = 500;

type Dsn = Extract<MailReport, { kind: 'dsn' }>;
type Arf = Extract<MailReport, { kind: 'arf' }>;

/** What `report` (null: the message was none) says at the return path of `deliveryId`. Pure. */
export function matchAtReturnPath(
  report: MailReport | null,
  deliveryId: DeliveryId,
  deps: Pick<MatchDeps, 'suppressForMs' | 'now'>,
): Match {
  if (report === null)
    return { kind: 'ignored', reason: 'it is no report: an automatic reply, or a message of a person' };
  return report.kind === 'dsn' ? fromDsn(report, deliveryId, deps) : fromArf(report, [deliveryId], deps);
}

/** What `report` says at a fixed address; rejects as the store does. */
export async function matchAtFixedAddress(report: MailReport, deps: MatchDeps): Promise<Match> {
  if (report.kind === 'dsn')
    return { kind: 'unmatched', reason: 'a bounce belongs at the return path of its delivery' };
  for (const address of [report.originalMailFrom, report.returned.returnPath]) {
    const deliveryId = address === null ? null : deps.paths.read(address);
    if (deliveryId !== null) return fromArf(report, [deliveryId], deps);
  }
  const { messageId } = report.returned;
  if (messageId === null)
    return { kind: 'unmatched', reason: 'neither a return path nor a Message-ID of ours is in it' };
  const deliveries = await deps.feedback.byMessageId(messageId);
  if (deliveries.length === 0) return { kind: 'unmatched', reason: 'no message with that Message-ID is known' };
  const named = new Set(report.originalRcptTo.map(keyOf).filter((key) => key !== null));
  const onlyOne = named.size === 0 && deliveries.length === 1;
  const meant = onlyOne ? deliveries : deliveries.filter((delivery) => named.has(addressKey(delivery.recipient)));
  if (meant.length === 0) return { kind: 'unmatched', reason: 'it does not name a recipient of that message' };
  // Newest message first: an app that uses a Message-ID again means the last one.
  const newest = meant.filter(
    (delivery, index) => meant.findIndex((other) => sameRecipient(other.recipient, delivery.recipient)) === index,
  );
  return fromArf(
    report,
    newest.map((delivery) => delivery.id),
    { now: deps.now, suppressForMs: null },
  );
}

function fromDsn(report: Dsn, deliveryId: DeliveryId, deps: Pick<MatchDeps, 'suppressForMs' | 'now'>): Match {
  const { recipients } = report;
  const failed = recipients.find((recipient) => recipient.action === 'failed');
  const delayed = recipients.find((recipient) => recipient.action === 'delayed');
  const decisive = failed ?? delayed;
  if (decisive === undefined) {
    const actions = new Set(recipients.map((recipient) => recipient.action ?? 'unknown'));
    return { kind: 'ignored', reason: `the report says: ${[...actions].join(', ')}` };
  }
  const common = { deliveryId, at: deps.now, report: dsnReport(report, decisive) };
  if (failed === undefined) return { kind: 'matched', feedback: [{ ...common, kind: { type: 'delayed' } }] };
  const bounce = classifyReport(failed.status, failed.unstruck());
  const allGone = recipients.every(
    (recipient) =>
      recipient.action === 'failed' && classifyReport(recipient.status, recipient.unstruck()).class === 'recipient',
  );
  const suppressUntil = allGone ? deps.now + deps.suppressForMs : null;
  return { kind: 'matched', feedback: [{ ...common, kind: { type: 'bounced', bounce, suppressUntil } }] };
}

function dsnReport(report: Dsn, recipient: DsnRecipient): Feedback['report'] {
  return {
    kind: 'dsn',
    reporter: cleanName(report.reportingMta),
    status: recipient.status,
    diagnostic: cleanRemoteText(recipient.diagnostic ?? '', MAX_DIAGNOSTIC_CHARACTERS),
  };
}

function fromArf(
  report: Arf,
  deliveries: readonly DeliveryId[],
  deps: { readonly now: number; readonly suppressForMs: number | null },
): Match {
  const suppressUntil = deps.suppressForMs === null ? null : deps.now + deps.suppressForMs;
  if (!COMPLAINTS.has(report.feedbackType)) {
    return { kind: 'ignored', reason: `feedback of type ${report.feedbackType} is no complaint` };
  }
  return {
    kind: 'matched',
    feedback: deliveries.map((deliveryId) => ({
      deliveryId,
      at: deps.now,
      report: {
        kind: 'arf',
        reporter: cleanName(report.reportingMta ?? report.userAgent),
        status: null,
        diagnostic: report.feedbackType,
      },
      kind: { type: 'complained', suppressUntil },
    })),
  };
}

function cleanName(text: string | null): string | null {
  const clean = text === null ? '' : cleanRemoteText(text, MAX_NAME_CHARACTERS);
  return clean === '' ? null : clean;
}

function keyOf(text: string): string | null {
  const parsed = parseEnvelopeAddress(text, { smtpUtf8: true });
  return parsed.kind === 'malformed' ? null : addressKey(parsed.address);
}

function sameRecipient(one: EnvelopeAddress, other: EnvelopeAddress): boolean {
  return addressKey(one) === addressKey(other);
}
