/**
 * What the listeners need of the config, prepared once per reload and read at each use: a session that is open when the
 * config changes goes on under the new one.
 */
import type { Config } from '../config/types.ts';
import { createNetworks, type Networks } from './networks.ts';

export interface SmtpSettings {
  readonly hostname: string;
  readonly maxMessageBytes: number;
  readonly maxRecipients: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerIp: number;
  /** Clients here may submit without AUTH. */
  readonly trusted: Networks;
  /** Whether there is anything to log in with. */
  readonly hasCredentials: boolean;
}

/** Prepares the settings that `config` asks for. */
export function createSmtpSettings(config: Pick<Config, 'hostname' | 'smtp' | 'credentials'>): SmtpSettings {
  const { hostname, smtp, credentials } = config;
  return {
    hostname,
    maxMessageBytes: smtp.maxMessageBytes,
    maxRecipients: smtp.maxRecipients,
    maxConnections: smtp.maxConnections,
    maxConnectionsPerIp: smtp.maxConnectionsPerIp,
    trusted: createNetworks(smtp.trustedNetworks),
    hasCredentials: credentials.length > 0,
  };
}
