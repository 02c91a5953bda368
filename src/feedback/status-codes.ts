/**
 * Enhanced status codes and what they say about a bounce: RFC 3463, the IANA registry (RFC 5248 and its followers), and the
 * three-digit details that Exchange Online uses beside it.
 *
 * `certain`: the code is enough. `unless`: it is, unless the words say clearly that something else is meant; servers use
 * 5.1.1 for blocked senders too. `words`: the code is used for everything, the words decide, and the class given here counts
 * when they say nothing.
 */
import type { BounceClass } from '../core/bounce.ts';

export interface StatusMeaning {
  readonly class: BounceClass;
  readonly trust: 'certain' | 'unless' | 'words';
  /** The registry's name of it, in short. */
  readonly name: string;
}

const meaning = (bounce: BounceClass, trust: StatusMeaning['trust'], name: string): StatusMeaning => ({
  class: bounce,
  trust,
  name,
});

/** By subject and detail, without the digit of the class. */
const MEANINGS: ReadonlyMap<string, StatusMeaning> = new Map([
  ['1.1', meaning('recipient', 'unless', 'bad destination mailbox address')],
  ['1.2', meaning('recipient', 'unless', 'bad destination system address')],
  ['1.3', meaning('recipient', 'unless', 'bad destination mailbox address syntax')],
  ['1.4', meaning('undetermined', 'words', 'destination mailbox address ambiguous')],
  ['1.6', meaning('recipient', 'unless', 'destination mailbox has moved')],
  ['1.7', meaning('policy', 'certain', 'bad address of the sender')],
  ['1.8', meaning('policy', 'certain', 'bad domain of the sender')],
  ['1.9', meaning('infrastructure', 'certain', 'relayed to a server that does not comply')],
  ['1.10', meaning('recipient', 'unless', 'recipient not found, or its domain takes no mail')],
  ['1.20', meaning('infrastructure', 'words', 'several addresses for one recipient')],
  ['2.1', meaning('recipient', 'unless', 'mailbox disabled')],
  ['2.2', meaning('mailbox-full', 'certain', 'mailbox full')],
  ['2.3', meaning('content', 'certain', 'message longer than the mailbox takes')],
  ['2.4', meaning('infrastructure', 'words', 'mailing list cannot be expanded')],
  ['3.4', meaning('content', 'certain', 'message too big for the system')],
  ['4.4', meaning('infrastructure', 'words', 'unable to route')],
  ['4.310', meaning('infrastructure', 'words', 'the domain has no usable DNS record')],
  ['4.1', meaning('infrastructure', 'words', 'no answer from the host, or access denied')],
  ['5.0', meaning('infrastructure', 'words', 'other protocol status')],
  ['5.3', meaning('policy', 'words', 'too many recipients')],
  ['7.7', meaning('content', 'certain', 'message integrity failure')],
  ['7.12', meaning('infrastructure', 'certain', 'the login must be renewed')],
  ['7.13', meaning('infrastructure', 'certain', 'the sending account is disabled')],
  ['7.16', meaning('content', 'certain', 'message too big for its priority')],
  ['7.17', meaning('recipient', 'unless', 'the mailbox has another owner now')],
  ['7.18', meaning('recipient', 'unless', 'the domain has another owner now')],
  ['7.19', meaning('infrastructure', 'certain', 'the owner of the mailbox cannot be checked')],
  ['7.20', meaning('policy', 'certain', 'no passing DKIM signature')],
  ['7.21', meaning('policy', 'certain', 'no acceptable DKIM signature')],
  ['7.22', meaning('policy', 'certain', 'no DKIM signature of the author')],
  ['7.23', meaning('policy', 'certain', 'SPF validation failed')],
  ['7.24', meaning('policy', 'certain', 'SPF validation error')],
  ['7.25', meaning('policy', 'certain', 'reverse DNS validation failed')],
  ['7.26', meaning('policy', 'certain', 'several authentication checks failed')],
  ['7.27', meaning('policy', 'certain', 'the sender fails SPF or takes no mail')],
  ['7.28', meaning('reputation', 'certain', 'mail flood detected')],
  ['7.29', meaning('policy', 'words', 'ARC validation failed, or TLS is required')],
  ['7.30', meaning('policy', 'words', 'REQUIRETLS, or a DKIM signature, is needed')],
  ['7.57', meaning('infrastructure', 'certain', 'the client is not logged in')],
  ['7.64', meaning('infrastructure', 'certain', 'relay access denied by the tenant')],
  ['7.505', meaning('policy', 'certain', 'the receiver takes no mail for this recipient')],
  ['7.506', meaning('policy', 'certain', 'bad HELO')],
  ['7.509', meaning('policy', 'certain', 'the sending domain does not pass DMARC')],
  ['7.512', meaning('content', 'certain', 'the From header is not valid')],
  ['7.515', meaning('policy', 'certain', 'the sending domain is not authenticated well enough')],
]);

/** By subject alone, for details that the table does not name. */
const BY_SUBJECT: ReadonlyMap<string, StatusMeaning> = new Map([
  ['1', meaning('undetermined', 'words', 'about the address')],
  ['2', meaning('undetermined', 'words', 'about the mailbox')],
  ['3', meaning('infrastructure', 'words', 'about the mail system')],
  ['4', meaning('infrastructure', 'certain', 'about network and routing')],
  ['5', meaning('infrastructure', 'words', 'about the protocol')],
  ['6', meaning('content', 'certain', 'about the content or its form')],
  ['7', meaning('policy', 'words', 'about security or policy')],
]);

/** Details from here to there have one meaning at Exchange Online. */
const RANGES: readonly { readonly from: number; readonly to: number; readonly meaning: StatusMeaning }[] = [
  { from: 501, to: 503, meaning: meaning('reputation', 'certain', 'spam was seen from this sender') },
  { from: 508, to: 508, meaning: meaning('reputation', 'certain', 'too much mail from this address range') },
  { from: 511, to: 511, meaning: meaning('reputation', 'certain', 'banned sender') },
  { from: 606, to: 649, meaning: meaning('reputation', 'certain', 'banned sending IP') },
  { from: 700, to: 750, meaning: meaning('reputation', 'certain', 'the sending tenant is distrusted') },
];

/** RFC 7372 and others leave 7.8 to 7.14 to the login and encryption of the client. */
const LOGIN_DETAILS = { from: 3, to: 14 };

/** What `enhanced` (`5.1.1`) says; null for x.0.0 and for what is no code. */
export function meaningOfStatus(enhanced: string): StatusMeaning | null {
  const [, subject = '', detail = ''] = enhanced.split('.');
  const known = MEANINGS.get(`${subject}.${detail}`);
  if (known !== undefined) return known;
  const number = Number(detail);
  if (subject === '7') {
    const range = RANGES.find(({ from, to }) => number >= from && number <= to);
    if (range !== undefined) return range.meaning;
    if (number >= LOGIN_DETAILS.from && number <= LOGIN_DETAILS.to) {
      return meaning('infrastructure', 'words', 'login or encryption between the servers');
    }
  }
  return BY_SUBJECT.get(subject) ?? null;
}
