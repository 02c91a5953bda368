/**
 * Whether a page of another site made a request: browsers tell in `Origin` and `Sec-Fetch-Site`, other clients send neither.
 *
 * A loopback relay without tokens trusts whoever reaches it, and every web page that a developer opens reaches it: so calls are
 * refused to other sites whatever their method or content type. Nothing here answers to CORS preflights.
 */
import type { IncomingHttpHeaders } from 'node:http';

/** True unless the request comes from a page of this very host, from the address bar, or from no browser. */
export function isCrossOrigin(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true;
  const { origin, host } = headers;
  if (origin === undefined) return false;
  // `null` is a sandboxed page or a file. The scheme is not compared: TLS may end at a proxy.
  const named = /^https?:\/\/([^/\s]+)$/i.exec(origin)?.[1];
  return named === undefined || host === undefined || withoutDefaultPort(named) !== withoutDefaultPort(host);
}

function withoutDefaultPort(host: string): string {
  return host.toLowerCase().replace(/:(?:80|443)$/, '');
}
