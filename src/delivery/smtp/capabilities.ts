/** What a server offers, read from its answer to EHLO (RFC 5321, section 4.1.1.1). Pure. */

export interface Capabilities {
  readonly startTls: boolean;
  readonly pipelining: boolean;
  readonly eightBitMime: boolean;
  readonly smtpUtf8: boolean;
  readonly dsn: boolean;
  /** DELIVERBY (RFC 2852): the shortest time in seconds that it takes; 0: it names none; null: DELIVERBY is not offered. */
  readonly deliverBySeconds: number | null;
  /** SIZE (RFC 1870): octets that it takes; 0: it names no limit; null: SIZE is not offered. */
  readonly maxBytes: number | null;
  /** SASL mechanisms in upper case; empty when AUTH is not offered. */
  readonly authMechanisms: ReadonlySet<string>;
}

/**
 * Reads an EHLO reply: lines joined with LF, codes included. A server that only knows HELO answers with one line and so
 * offers nothing. Keywords that we do not use are passed over.
 */
export function parseCapabilities(reply: string): Capabilities {
  const keywords = new Set<string>();
  const authMechanisms = new Set<string>();
  let maxBytes: number | null = null;
  let deliverBySeconds: number | null = null;
  for (const line of reply.split('\n').slice(1)) {
    const words = line
      .replace(/^\d{3}[ -]/, '')
      .trim()
      .split(/[ \t]+/);
    const keyword = (words[0] ?? '').toUpperCase();
    keywords.add(keyword);
    if (keyword === 'SIZE') maxBytes = /^\d{1,15}$/.test(words[1] ?? '') ? Number(words[1]) : 0;
    // Up to nine digits, and a comma may follow for later extensions (RFC 2852, section 3).
    if (keyword === 'DELIVERBY') deliverBySeconds = Number(/^(\d{1,9})(?:,|$)/.exec(words[1] ?? '')?.[1] ?? 0);
    // `AUTH=LOGIN` is the form of servers older than RFC 2554; it is still met beside the proper one.
    if (keyword === 'AUTH' || keyword.startsWith('AUTH=')) {
      for (const word of [keyword.slice('AUTH='.length), ...words.slice(1)]) {
        if (word !== '') authMechanisms.add(word.toUpperCase());
      }
    }
  }
  return {
    startTls: keywords.has('STARTTLS'),
    pipelining: keywords.has('PIPELINING'),
    eightBitMime: keywords.has('8BITMIME'),
    smtpUtf8: keywords.has('SMTPUTF8'),
    dsn: keywords.has('DSN'),
    deliverBySeconds,
    maxBytes,
    authMechanisms,
  };
}
