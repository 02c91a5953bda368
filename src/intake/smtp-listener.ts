/**
 * A listener for submitted mail: the SMTP port of smtp-port.ts with the policy that takes mail from known clients alone and
 * gives it to the intake.
 */
import type { CredentialCheck } from './credentials.ts';
import { createSubmissionPolicy } from './smtp-policy.ts';
import { createSmtpPort, type SmtpListener, type SmtpPortDeps } from './smtp-port.ts';
import type { Intake } from './submission.ts';

export type { SmtpListener } from './smtp-port.ts';

export interface SmtpListenerDeps extends Omit<SmtpPortDeps, 'policy' | 'configKey'> {
  readonly credentials: CredentialCheck;
  readonly intake: Intake;
}

/** Makes a listener; a RelayError `key` when its TLS mode needs a certificate and there is none, or it is unfit. */
export function createSmtpListener(deps: SmtpListenerDeps): SmtpListener {
  return createSmtpPort({ ...deps, policy: createSubmissionPolicy(deps), configKey: 'smtp.listeners' });
}
