/**
 * A listener for reports about our mail: the SMTP port of smtp-port.ts, with all its limits and defences, and the policy that
 * takes bounces and complaints alone (bounce-policy.ts). Nobody can log in to it, and nothing that it takes is sent on.
 */
import { createBouncePolicy, type BouncePolicyDeps } from './bounce-policy.ts';
import { createBriefLog } from './smtp-brief-log.ts';
import { createSmtpPort, type SmtpListener, type SmtpPortDeps } from './smtp-port.ts';

export interface BounceListenerDeps
  extends Omit<SmtpPortDeps, 'policy' | 'settings' | 'configKey'>,
    Omit<BouncePolicyDeps, 'brief'> {}

/**
 * Makes a bounce listener; a RelayError `key` when its TLS mode needs a certificate and there is none, or it is unfit. `limits`
 * is shared by the bounce listeners, and not with those for submission.
 */
export function createBounceListener(deps: BounceListenerDeps): SmtpListener {
  const { settings, clock, log } = deps;
  return createSmtpPort({
    ...deps,
    settings: () => settings().smtp,
    policy: createBouncePolicy({ ...deps, brief: createBriefLog(clock, log) }),
    configKey: 'bounces.listeners',
  });
}
