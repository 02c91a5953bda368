/**
 * DNS messages: a question as bytes, and what a packet that came in has to do with it (RFC 1035, section 4; RFC 6891).
 *
 * Pure, and it never throws: what the library cannot read is `malformed`. The library follows compression pointers backwards
 * only, so that loops end, but it believes lengths and reads past the end of a packet; that is checked here.
 *
 * The additional section is never read: nothing in it is asked for, and an option that the library cannot read would spoil
 * an answer that it can.
 */
import { type Answer, AUTHENTIC_DATA, decode, type DecodedPacket, encode, RECURSION_DESIRED } from 'dns-packet';

/** The types that are asked for: by direct delivery, and `CNAME` and `PTR` by the doctor. */
export type DnsType = 'A' | 'AAAA' | 'CNAME' | 'MX' | 'PTR' | 'TLSA' | 'TXT';

export interface DnsQuery {
  readonly id: number;
  /** ASCII, without the dot at the end; `isDnsName` holds. */
  readonly name: string;
  readonly type: DnsType;
}

export interface DnsAnswer {
  readonly kind: 'answer';
  readonly exists: boolean;
  /** The AD flag: the server has validated all of it (RFC 4035, section 3.2.3). */
  readonly authentic: boolean;
  readonly answers: readonly Answer[];
  readonly authorities: readonly Answer[];
}

export type DnsMessage =
  /** Not an answer to this query: to be ignored, because anybody may have sent it. */
  | { readonly kind: 'foreign' }
  /** The rest has to be asked for over TCP. */
  | { readonly kind: 'truncated' }
  /** The server says that it cannot or will not answer: `SERVFAIL`, `REFUSED`. */
  | { readonly kind: 'refused'; readonly rcode: string }
  | { readonly kind: 'malformed' }
  | DnsAnswer;

/** What fits into a packet that is never cut into fragments (DNS flag day 2020). */
const UDP_PAYLOAD_BYTES = 1232;
const HEADER_BYTES = 12;
const MAX_NAME_CHARS = 253;
const NAME = /^(?:[\x21-\x2d\x2f-\x7e]{1,63}\.)*[\x21-\x2d\x2f-\x7e]{1,63}$/;

const RCODES: Readonly<Record<number, string>> = {
  1: 'FORMERR',
  2: 'SERVFAIL',
  4: 'NOTIMP',
  5: 'REFUSED',
};
const NOERROR = 0;
const NXDOMAIN = 3;

/** Whether `name` can be asked for: printable ASCII, labels of 1 to 63 characters, 253 in all. */
export function isDnsName(name: string): boolean {
  return name.length <= MAX_NAME_CHARS && NAME.test(name);
}

/**
 * The query as a packet. AD is set, which asks the server to say whether it has validated the answer, without all the
 * signatures that DO would bring (RFC 6840, section 5.7). `edns` false is for servers older than EDNS.
 */
export function encodeQuery({ id, name, type }: DnsQuery, edns: boolean): Buffer {
  return encode({
    type: 'query',
    id,
    flags: RECURSION_DESIRED | AUTHENTIC_DATA,
    questions: [{ name, type, class: 'IN' }],
    additionals: edns
      ? [
          {
            type: 'OPT',
            name: '.',
            udpPayloadSize: UDP_PAYLOAD_BYTES,
            extendedRcode: 0,
            ednsVersion: 0,
            flags: 0,
            flag_do: false,
            options: [],
          },
        ]
      : [],
  });
}

/** What `packet`, which came from the server that was asked, says to `query`. */
export function readMessage(packet: Uint8Array, query: DnsQuery): DnsMessage {
  if (packet.length < HEADER_BYTES) return { kind: 'foreign' };
  const bytes = Buffer.from(packet);
  const flags = bytes.readUInt16BE(2);
  const isResponse = (flags & 0x8000) !== 0 && (flags & 0x7800) === 0;
  if (!isResponse || bytes.readUInt16BE(0) !== query.id) return { kind: 'foreign' };
  const rcode = flags & 0xf;
  const failed = rcode !== NOERROR && rcode !== NXDOMAIN;
  // Servers that do not understand a query may leave the question out of their refusal.
  if (!(failed && bytes.readUInt16BE(4) === 0) && !repeatsQuestion(bytes, query)) return { kind: 'foreign' };
  if (failed) return { kind: 'refused', rcode: RCODES[rcode] ?? `RCODE ${rcode}` };
  if ((flags & 0x0200) !== 0) return { kind: 'truncated' };
  bytes.writeUInt16BE(0, 10);
  const message = tryDecode(bytes);
  if (message === null) return { kind: 'malformed' };
  return {
    kind: 'answer',
    exists: rcode === NOERROR,
    authentic: message.flag_ad,
    answers: (message.answers ?? []).filter(isInternet),
    authorities: (message.authorities ?? []).filter(isInternet),
  };
}

function repeatsQuestion(bytes: Buffer, { name, type }: DnsQuery): boolean {
  // Read alone, so that it can be compared even when what follows is cut off or broken.
  const head = Buffer.from(bytes);
  head.fill(0, 6, HEADER_BYTES);
  if (head.readUInt16BE(4) !== 1) return false;
  const question = tryDecode(head)?.questions?.[0];
  return (
    question !== undefined &&
    question.type === type &&
    question.class === 'IN' &&
    question.name.toLowerCase() === name.toLowerCase()
  );
}

function isInternet(record: Answer): boolean {
  return record.type !== 'OPT' && record.class === 'IN';
}

/** The library throws at what it cannot read; a record that ends behind the packet's end is not read either. */
function tryDecode(bytes: Buffer): DecodedPacket | null {
  try {
    const message = decode(bytes);
    return decode.bytes <= bytes.length ? message : null;
  } catch {
    return null;
  }
}
