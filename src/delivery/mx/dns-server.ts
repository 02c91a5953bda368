/** Which DNS servers are asked: those of the config, or the system's. */
import { Resolver } from 'node:dns';
import { isIP } from 'node:net';
import type { Clock } from '../../core/time.ts';

export interface DnsServer {
  /** IP address without brackets. */
  readonly address: string;
  readonly port: number;
  /** `address:port`, for people. */
  readonly text: string;
}

const DNS_PORT = 53;
/** The system's servers change when its network does; reading the file costs less than a query. */
const SYSTEM_SERVERS_MS = 30_000;

/** Parses `192.0.2.1`, `192.0.2.1:53`, `2001:db8::1`, `[2001:db8::1]:53`; null when it is none of them. */
export function parseDnsServer(text: string): DnsServer | null {
  if (isIP(text) !== 0) return makeServer(text, DNS_PORT);
  const [, bracketed, plain, portText] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? '';
  const port = portText === undefined ? DNS_PORT : Number(portText);
  const family = bracketed === undefined ? 4 : 6;
  return isIP(address) === family && port >= 1 && port <= 65_535 ? makeServer(address, port) : null;
}

function makeServer(address: string, port: number): DnsServer {
  return { address, port, text: isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}` };
}

/** The servers to ask, at each call: `configured`, or what the system has (`/etc/resolv.conf`), read anew now and then. */
export function createServerList(configured: readonly string[] | null, clock: Clock): () => readonly DnsServer[] {
  const parse = (texts: readonly string[]): readonly DnsServer[] => texts.flatMap((text) => parseDnsServer(text) ?? []);
  if (configured !== null) {
    const servers = parse(configured);
    return () => servers;
  }
  let known: readonly DnsServer[] = [];
  let readAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    if (clock.monotonicMs() - readAtMs >= SYSTEM_SERVERS_MS) {
      // A new resolver reads the system's settings; the default one has those from the start of the process.
      known = parse(new Resolver().getServers());
      readAtMs = clock.monotonicMs();
    }
    return known;
  };
}
