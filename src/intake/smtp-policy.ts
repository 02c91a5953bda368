/**
 * What a listener is for: who may send there, to whom, and what becomes of a message.
 *
 * The session (smtp-session) keeps the protocol, its limits and its defences; every question about mail goes to one of these.
 * A policy never sees a socket and never writes a reply: its refusals are values.
 */
import type { EnvelopeAddress, ReversePath } from '../core/address.ts';
import type { Refusal } from '../core/refusal.ts';
import type { CredentialCheck } from './credentials.ts';
import type { SmtpSettings } from './smtp-settings.ts';
import type { Intake, Submission, Submitter } from './submission.ts';

/** A message that was taken, durably; `text` goes behind the 250 to the final dot. */
export interface Receipt {
  readonly kind: 'taken';
  readonly text: string;
}

export interface SmtpPolicy {
  /** EHLO keywords besides those of the session itself. */
  readonly offers: readonly string[];
  /** For HELP: what this port takes. */
  readonly purpose: string;
  /** Who may log in; null: AUTH is neither offered nor accepted. */
  readonly credentials: CredentialCheck | null;
  /** Whether a client at `address` may send without a login. */
  admits(address: string): boolean;
  /** Asked at MAIL, before anything else of the message is known. */
  checkMail(submitter: Submitter, mailFrom: ReversePath): Refusal | null;
  /** Asked at RCPT; null at once when every recipient is taken. Environment trouble is a refusal (451, 452). */
  checkRcpt(recipient: EnvelopeAddress): Promise<Refusal | null> | null;
  /** Asked at the final dot: the 250 follows only a `taken`. */
  accept(submission: Submission): Promise<Receipt | Refusal>;
}

export interface SubmissionPolicyDeps {
  readonly settings: () => SmtpSettings;
  readonly credentials: CredentialCheck;
  readonly intake: Intake;
}

/**
 * The policy of a submission listener: senders are known, and no answer depends on who the recipient is, for that would let a
 * stranger learn which accounts exist.
 */
export function createSubmissionPolicy(deps: SubmissionPolicyDeps): SmtpPolicy {
  const { settings, credentials, intake } = deps;
  return {
    // RFC 3461; RFC 2852.
    offers: ['DSN', 'DELIVERBY'],
    purpose: 'this is a relay for submitted mail',
    credentials,
    admits: (address) => settings().trusted.contains(address),
    checkMail: (submitter, mailFrom) => intake.ready() ?? intake.checkSender(submitter, mailFrom),
    checkRcpt: () => null,
    async accept(submission) {
      const answer = await intake.accept(submission);
      return answer.kind === 'refused' ? answer : { kind: 'taken', text: `Ok: queued as ${answer.id}` };
    },
  };
}
