/** `--resolver`: the DNS server that checks ask. */
import { parseServer } from '../config/network.ts';
import { RelayError } from '../core/errors.ts';

export const RESOLVER_HELP = 'DNS server to ask: 127.0.0.1:53 (default: that of the first mx route, or the system)';

const DNS_PORT = 53;

/** `address:port` of the server that `text` names; throws a `RelayError` (`usage`) when it names none. */
export function resolverIn(text: string): string {
  const server = parseServer(text, DNS_PORT);
  if (server !== null) return server.text;
  throw new RelayError('--resolver is not the address of a DNS server', {
    code: 'usage',
    op: 'cli.resolver',
    hint: 'For instance: --resolver 127.0.0.1:53, or [2001:db8::1]:53',
  });
}
