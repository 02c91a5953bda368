/**
 * A feedback report, read (RFC 5965, section 3): somebody called a message of ours spam, or something of the kind.
 *
 * Values are the sender's own, cut to a bounded length and not cleaned. Providers leave out or black out what names the person;
 * what is missing is null.
 */
import { addressIn, firstValue, readFieldGroups, untyped } from './report-fields.ts';

export interface FeedbackFields {
  /** `abuse`, `fraud`, `not-spam` ..., in lower case. */
  readonly feedbackType: string;
  readonly userAgent: string | null;
  readonly reportingMta: string | null;
  readonly originalMailFrom: string | null;
  readonly originalRcptTo: readonly string[];
  readonly arrivalDate: string | null;
}

const TYPE = /^[a-z0-9-]{1,40}$/;
const MAX_RECIPIENTS = 20;

/** Reads the text of a `message/feedback-report` part; null when it has no feedback type. */
export function readFeedbackFields(text: string): FeedbackFields | null {
  const [group] = readFieldGroups(text, 1);
  const feedbackType = (firstValue(group, 'feedback-type') ?? '').toLowerCase();
  if (!TYPE.test(feedbackType)) return null;
  const recipients = (group?.get('original-rcpt-to') ?? []).map((value) => addressIn(untyped(value)));
  return {
    feedbackType,
    userAgent: firstValue(group, 'user-agent'),
    reportingMta: untyped(firstValue(group, 'reporting-mta')),
    originalMailFrom: addressIn(firstValue(group, 'original-mail-from')),
    originalRcptTo: recipients.filter((address) => address !== null).slice(0, MAX_RECIPIENTS),
    arrivalDate: firstValue(group, 'arrival-date') ?? firstValue(group, 'received-date'),
  };
}
