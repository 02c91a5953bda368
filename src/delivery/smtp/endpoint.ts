/**
 * One server as a conversation needs it: where to connect, what to verify, how far TLS must go. A smarthost has one for all
 * its mail; direct delivery makes one for each address of each MX host.
 *
 * TLS is 1.2 at least everywhere (RFC 8996): a server that has only older versions counts as one without TLS.
 */
import net from 'node:net';
import tls from 'node:tls';

/**
 * `required`: STARTTLS, or no mail. `implicit`: TLS from the first octet. `none`: plain, also where STARTTLS is offered.
 * `opportunistic`: STARTTLS where it is offered; when the handshake then fails, so does the connection, and whoever opened it
 * decides whether another one may be plain.
 */
export type EndpointTls = 'required' | 'implicit' | 'none' | 'opportunistic';

export interface SmtpEndpoint {
  /** For people: `host:port`, or `host[address]:port` where the address was chosen by us. */
  readonly nextHop: string;
  /** Name or address; resolved by the system when `address` is null. */
  readonly host: string;
  /** The address to connect to; null: those of the host, of both families in turn (RFC 8305). */
  readonly address: string | null;
  readonly port: number;
  readonly tls: EndpointTls;
  /** Made by `tlsOptionsFor`: holds the name to verify, and whether an unverified certificate ends the handshake. */
  readonly tlsOptions: tls.ConnectionOptions;
  /** Looks at the server's certificates after the handshake: why they do not do, or null. null: the handshake's word holds. */
  readonly judge: ((socket: tls.TLSSocket) => string | null) | null;
  /** Who asks for TLS, as the end of a sentence: `the route requires it`. */
  readonly tlsReason: string;
  /** Put behind the error when a certificate is of an unknown authority or for another name; may be empty. */
  readonly tlsAdvice: string;
  readonly auth: { readonly username: string; readonly password: string } | null;
  /** The address to connect from; null: the system chooses. */
  readonly localAddress: string | null;
}

/** `host:port`, an IPv6 address in brackets; with `address`: `host[address]:port`. */
export function nextHopText(host: string, address: string | null, port: number): string {
  if (address !== null) return `${host}[${address}]:${port}`;
  return net.isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The part of TLS that endpoints share: making it reads all authorities. `ca` (PEM) replaces the system's. */
export function createTlsContext(ca: string | null): tls.SecureContext {
  return tls.createSecureContext({ minVersion: 'TLSv1.2', ...(ca === null ? {} : { ca }) });
}

/**
 * TLS options for a server whose certificate is to be for `name`. Without `mustVerify` the handshake goes on with any
 * certificate, and the socket's `authorized` says whether it was a good one, its name included.
 */
export function tlsOptionsFor(name: string, context: tls.SecureContext, mustVerify: boolean): tls.ConnectionOptions {
  return {
    host: name,
    // SNI is for names (RFC 6066, section 3); an address is verified against the certificate all the same.
    ...(net.isIP(name) === 0 ? { servername: name } : {}),
    rejectUnauthorized: mustVerify,
    secureContext: context,
  };
}
