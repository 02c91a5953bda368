/**
 * Who may speak to the HTTP server without a token: programs on this machine, called by this machine's own names.
 *
 * The Host check keeps a web page from reaching a loopback listener through a name that its owner pointed at 127.0.0.1
 * (DNS rebinding): the browser sends that name along.
 */
import { isLoopback } from '../config/network.ts';

/** What a proxy adds: the client behind it is not on this machine, whatever the socket says. */
const PROXY_HEADERS = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'] as const;

/** True when the Host header names this machine or `hostname`. An absent one (HTTP/1.0) is no browser's. */
export function isOwnHost(header: string | undefined, hostname: string): boolean {
  if (header === undefined) return true;
  const [, address, name] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::\d{1,5})?$/i.exec(header) ?? [];
  if (address !== undefined) return isLoopback(address);
  return name !== undefined && (name.toLowerCase() === hostname.toLowerCase() || isLoopback(name));
}

/** True when a request comes from this machine itself, and not through a proxy on it. */
export function isFromThisMachine(
  remoteAddress: string | undefined,
  headers: Readonly<Record<string, unknown>>,
  hostname: string,
): boolean {
  const host = headers['host'];
  return (
    remoteAddress !== undefined &&
    isLoopback(remoteAddress) &&
    (host === undefined || (typeof host === 'string' && isOwnHost(host, hostname))) &&
    PROXY_HEADERS.every((name) => headers[name] === undefined)
  );
}
