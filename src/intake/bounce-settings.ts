/**
 * What the bounce listeners need of the config, prepared once per reload and read at each use.
 *
 * Their clients are strangers from everywhere, so they have limits of their own: a flood of bounces takes no connection and no
 * memory from the apps that submit mail.
 */
import type { Config } from '../config/types.ts';
import { createNetworks } from './networks.ts';
import type { SmtpSettings } from './smtp-settings.ts';

export interface BounceSettings {
  /** For the session: no client is known, nobody can log in. */
  readonly smtp: SmtpSettings;
  /** Return path domains of the senders: lower case, A-labels. */
  readonly domains: ReadonlySet<string>;
  /** How long a suppression lasts. */
  readonly suppressForMs: number;
}

/** Octets of a report: some send the whole message back, with what was attached to it. */
export const MAX_REPORT_BYTES = 1_048_576;
/** A report has one recipient; some servers send one message to several return paths. */
export const MAX_REPORT_RECIPIENTS = 10;
const MAX_CONNECTIONS = 200;
const MAX_CONNECTIONS_PER_IP = 20;

/** Prepares the settings that `config` asks for. */
export function createBounceSettings(config: Pick<Config, 'hostname' | 'senders' | 'bounces'>): BounceSettings {
  return {
    smtp: {
      hostname: config.hostname,
      maxMessageBytes: MAX_REPORT_BYTES,
      maxRecipients: MAX_REPORT_RECIPIENTS,
      maxConnections: MAX_CONNECTIONS,
      maxConnectionsPerIp: MAX_CONNECTIONS_PER_IP,
      trusted: createNetworks([]),
      hasCredentials: false,
    },
    domains: new Set(config.senders.map((sender) => sender.returnPath).filter((domain) => domain !== null)),
    suppressForMs: config.bounces.suppressForMs,
  };
}
