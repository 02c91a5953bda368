/**
 * The relay's own reports (RFC 3464) on their way in: the same page as all mail, so that they are routed, signed, stored and
 * shown like it, from the null sender, without a credential.
 *
 * What pays for a report and what the report is are one transaction: `paysReport` travels with the message to the commit.
 */
import type { EnvelopeAddress } from '../core/address.ts';
import type { Submission } from './submission.ts';

export interface OutgoingReport {
  /** The envelope sender of the message that it is about. */
  readonly to: EnvelopeAddress;
  /** The whole report, CRLF line ends; Received and Message-ID are added on the way. */
  readonly content: Uint8Array;
  /** Number of the pending report. */
  readonly paysReport: number;
}

const NON_ASCII = /[\u0080-\uffff]/;

/** `report` as a submission of the relay `hostname` itself. */
export function reportSubmission(report: OutgoingReport, hostname: string): Submission {
  return {
    submitter: { credential: null, address: '', helo: hostname, tls: null, protocol: 'LOCAL' },
    envelope: {
      mailFrom: '',
      recipients: [{ address: report.to, dsn: { notify: ['NEVER'], orcpt: null } }],
      dsn: { ret: null, envid: null },
      smtpUtf8: NON_ASCII.test(report.to),
      deliverBySeconds: null,
    },
    content: report.content,
    paysReport: report.paysReport,
  };
}
