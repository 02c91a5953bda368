/**
 * A DNS server for tests, on one UDP and TCP port of 127.0.0.1: a zone given as data, and misfortunes by name and type.
 *
 * It answers like a resolver: aliases are followed inside the zone, a name that is not in the zone does not exist, and both
 * kinds of "there is none" carry an SOA. The AD flag is set only when the query asks for it, as real resolvers do.
 */
import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import {
  type Answer,
  AUTHENTIC_DATA,
  decode,
  encode,
  type Question,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
} from 'dns-packet';

export type DnsRecordType = 'A' | 'AAAA' | 'CNAME' | 'MX' | 'PTR' | 'TLSA' | 'TXT';

/**
 * `timeout`: no answer. `truncated`: over UDP the TC flag and no records. `garbage`: id and question, then noise.
 * `wrong-id`, `wrong-question`: an answer to something else. `cut-chain`: an alias without what it stands for. `referral`:
 * the names of other servers. `no-soa`: "there is none" without an SOA. `no-edns`: FORMERR to queries with EDNS.
 */
export type DnsBehaviour =
  | 'nxdomain'
  | 'servfail'
  | 'refused'
  | 'timeout'
  | 'truncated'
  | 'garbage'
  | 'wrong-id'
  | 'wrong-question'
  | 'cut-chain'
  | 'referral'
  | 'no-soa'
  | 'no-edns';

/**
 * Records in presentation form: MX `10 mx.example.test`, TLSA `3 1 1 <hex>`, CNAME and PTR a name, TXT one string or, in parts, an
 * array inside `records`. A TTL is in seconds.
 */
export type DnsZoneAnswer =
  | DnsBehaviour
  | readonly string[]
  | {
      readonly records?: readonly (string | readonly string[])[];
      readonly behaviour?: DnsBehaviour;
      readonly ttl?: number;
      /** Whether the AD flag is set when asked for; default: the server's. */
      readonly authentic?: boolean;
    };

/** By name, lower case without the dot at the end; `ANY` is for every type that is not given. */
export type DnsZone = Readonly<Record<string, Readonly<Partial<Record<DnsRecordType | 'ANY', DnsZoneAnswer>>>>>;

export interface DnsServerOptions {
  readonly zone: DnsZone;
  /** The server "validates": AD is set on every answer unless it says otherwise. Default false. */
  readonly authentic?: boolean;
  /** Seconds; default 300. */
  readonly ttl?: number;
  /** Seconds that "there is none" may be kept; default 60. */
  readonly soaMinimum?: number;
}

export interface SeenDnsQuery {
  readonly name: string;
  readonly type: string;
  readonly transport: 'udp' | 'tcp';
  readonly id: number;
  /** The client's port. */
  readonly port: number;
  readonly asksAd: boolean;
  /** The UDP size of the EDNS record, or null without one. */
  readonly ednsBytes: number | null;
}

export interface TestDnsServer {
  /** `127.0.0.1:PORT` */
  readonly address: string;
  readonly port: number;
  /** Every query so far, in order. */
  readonly queries: readonly SeenDnsQuery[];
  /** Changes what is answered from now on; null takes the entry away. */
  set(name: string, type: DnsRecordType | 'ANY', answer: DnsZoneAnswer | null): void;
  /** How often `name` (and `type`) was asked for. */
  count(name: string, type?: string): number;
  /** Resolves when `name` and `type` have been asked for `times` times in all. */
  asked(name: string, type: string, times?: number): Promise<void>;
  close(): Promise<void>;
}

const SOA_NAME = 'test';
const MAX_ALIASES = 20;

interface ReplyParts {
  readonly rcode: number;
  readonly answers: Answer[];
  readonly authorities: Answer[];
  readonly authentic: boolean;
  readonly behaviour: DnsBehaviour | null;
}

/** Starts a server; `close` it at the end of the test. */
export async function startDnsServer(options: DnsServerOptions): Promise<TestDnsServer> {
  const { authentic = false, ttl = 300, soaMinimum = 60 } = options;
  const zone = new Map<string, Map<string, DnsZoneAnswer>>(
    Object.entries(options.zone).map(([name, types]) => [name.toLowerCase(), new Map(Object.entries(types))]),
  );
  const queries: SeenDnsQuery[] = [];
  const watchers = new Set<() => void>();

  const soa = (): Answer => ({
    type: 'SOA',
    name: SOA_NAME,
    ttl: soaMinimum,
    class: 'IN',
    data: { mname: 'ns.test', rname: 'root.test', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: soaMinimum },
  });

  const answerTo = ({ name, type }: Question): ReplyParts => {
    const answers: Answer[] = [];
    let owner = name.toLowerCase();
    let isAuthentic = true;
    let behaviour: DnsBehaviour | null = null;
    for (let aliases = 0; aliases < MAX_ALIASES; aliases++) {
      const types = zone.get(owner);
      const given = types?.get(type) ?? types?.get('ANY');
      const alias = given === undefined ? types?.get('CNAME') : undefined;
      const entry = normalise(given ?? alias);
      behaviour ??= entry.behaviour;
      isAuthentic &&= entry.authentic ?? authentic;
      if (types === undefined || behaviour === 'nxdomain') {
        return { rcode: 3, answers, authorities: [soa()], authentic: isAuthentic, behaviour };
      }
      if (alias === undefined) {
        answers.push(...entry.records.map((text) => toAnswer(owner, type as DnsRecordType, text, entry.ttl ?? ttl)));
        const none = answers.length === 0 || entry.records.length === 0;
        return { rcode: 0, answers, authorities: none ? [soa()] : [], authentic: isAuthentic, behaviour };
      }
      const [target = ''] = entry.records;
      answers.push(toAnswer(owner, 'CNAME', target, entry.ttl ?? ttl));
      if (behaviour === 'cut-chain') return { rcode: 0, answers, authorities: [], authentic: isAuthentic, behaviour };
      owner = String(target).toLowerCase();
    }
    return { rcode: 2, answers: [], authorities: [], authentic: false, behaviour };
  };

  const reply = (packet: Buffer, transport: 'udp' | 'tcp', port: number): Buffer | null => {
    const query = decode(packet);
    const [question] = query.questions ?? [];
    if (question === undefined) return null;
    const edns = query.additionals?.find((record) => record.type === 'OPT');
    const seen: SeenDnsQuery = {
      name: question.name,
      type: question.type,
      transport,
      id: query.id ?? 0,
      port,
      asksAd: query.flag_ad,
      ednsBytes: edns?.type === 'OPT' ? edns.udpPayloadSize : null,
    };
    queries.push(seen);
    for (const watcher of watchers) watcher();

    const parts = answerTo(question);
    const flags = RECURSION_DESIRED | RECURSION_AVAILABLE | (parts.authentic && query.flag_ad ? AUTHENTIC_DATA : 0);
    const base = { type: 'response', id: query.id, questions: [question], additionals: edns ? [edns] : [] } as const;
    const refusal = (rcode: number): Buffer =>
      encode({ ...base, questions: [question], additionals: [], flags: flags | rcode });
    const full = (): Buffer =>
      encode({
        ...base,
        questions: [question],
        additionals: [...base.additionals],
        flags: flags | parts.rcode,
        answers: parts.answers,
        authorities: parts.authorities,
      });
    switch (parts.behaviour) {
      case 'timeout':
        return null;
      case 'servfail':
        return refusal(2);
      case 'refused':
        return refusal(5);
      case 'no-edns':
        return edns === undefined ? full() : refusal(1);
      case 'garbage':
        return Buffer.concat([
          encode({ ...base, questions: [question], additionals: [], flags }),
          randomBytes(200),
        ]).fill(0xff, 6, 8);
      case 'wrong-id':
        return encode({ ...base, id: (seen.id + 1) & 0xffff, questions: [question], additionals: [], flags });
      case 'wrong-question':
        return encode({ ...base, questions: [{ ...question, name: 'other.test' }], additionals: [], flags });
      case 'referral':
        parts.authorities.splice(0, parts.authorities.length, {
          type: 'NS',
          name: 'test',
          class: 'IN',
          data: 'ns.test',
        });
        return full();
      case 'no-soa':
        parts.authorities.length = 0;
        return full();
      case 'truncated':
        if (transport === 'udp') return refusal(TRUNCATED_RESPONSE);
        return full();
      case 'nxdomain':
      case 'cut-chain':
      case null: {
        const bytes = full();
        return transport === 'udp' && bytes.length > (seen.ednsBytes ?? 512) ? refusal(TRUNCATED_RESPONSE) : bytes;
      }
    }
  };

  const { udp, tcp, port } = await listen();
  udp.on('message', (packet, from) => {
    const bytes = reply(packet, 'udp', from.port);
    if (bytes !== null) udp.send(bytes, from.port, from.address);
  });
  const connections = new Set<net.Socket>();
  tcp.on('connection', (socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
    socket.on('error', () => socket.destroy());
    let received = Buffer.alloc(0);
    socket.on('data', (part: Buffer) => {
      received = Buffer.concat([received, part]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const bytes = reply(received.subarray(2), 'tcp', socket.remotePort ?? 0);
      received = Buffer.alloc(0);
      if (bytes === null) return;
      const length = Buffer.alloc(2);
      length.writeUInt16BE(bytes.length);
      // In two pieces, as TCP may give them.
      socket.write(length);
      socket.write(bytes);
    });
  });

  const count = (name: string, type?: string): number =>
    queries.filter((query) => query.name === name && (type === undefined || query.type === type)).length;

  return {
    address: `127.0.0.1:${port}`,
    port,
    queries,
    set(name, type, answer) {
      const types = zone.get(name.toLowerCase()) ?? new Map<string, DnsZoneAnswer>();
      if (answer === null) types.delete(type);
      else types.set(type, answer);
      if (types.size === 0) zone.delete(name.toLowerCase());
      else zone.set(name.toLowerCase(), types);
    },
    count,
    asked(name, type, times = 1) {
      return new Promise((resolve) => {
        const look = (): void => {
          if (count(name, type) < times) return;
          watchers.delete(look);
          resolve();
        };
        watchers.add(look);
        look();
      });
    },
    async close() {
      for (const socket of connections) socket.destroy();
      await Promise.all([
        new Promise<void>((resolve) => udp.close(() => resolve())),
        new Promise<void>((resolve) => tcp.close(() => resolve())),
      ]);
    },
  };
}

/** The system gives a TCP port; the same UDP port is free but for a rare accident. */
async function listen(): Promise<{ udp: dgram.Socket; tcp: net.Server; port: number }> {
  for (let tries = 0; ; tries++) {
    const tcp = net.createServer();
    tcp.listen(0, '127.0.0.1');
    await once(tcp, 'listening');
    const { port } = tcp.address() as net.AddressInfo;
    const udp = dgram.createSocket('udp4');
    try {
      udp.bind(port, '127.0.0.1');
      await once(udp, 'listening');
      return { udp, tcp, port };
    } catch (error) {
      udp.close();
      tcp.close();
      if (tries === 10) throw error;
    }
  }
}

function normalise(answer: DnsZoneAnswer | undefined): {
  readonly records: readonly (string | readonly string[])[];
  readonly behaviour: DnsBehaviour | null;
  readonly ttl: number | null;
  readonly authentic: boolean | null;
} {
  if (typeof answer === 'string') return { records: [], behaviour: answer, ttl: null, authentic: null };
  if (answer === undefined) return { records: [], behaviour: null, ttl: null, authentic: null };
  if (!('records' in answer || 'behaviour' in answer || 'ttl' in answer || 'authentic' in answer)) {
    return { records: answer as readonly string[], behaviour: null, ttl: null, authentic: null };
  }
  const { records = [], behaviour = null, ttl = null, authentic = null } = answer;
  return { records, behaviour, ttl, authentic };
}

function toAnswer(name: string, type: DnsRecordType, given: string | readonly string[], ttl: number): Answer {
  const common = { name, ttl, class: 'IN' } as const;
  const text = typeof given === 'string' ? given : given.join('');
  const words = text.split(' ');
  switch (type) {
    case 'A':
    case 'AAAA':
    case 'CNAME':
    case 'PTR':
      return { ...common, type, data: text };
    case 'MX':
      return { ...common, type, data: { preference: Number(words[0]), exchange: words[1] ?? '.' } };
    case 'TXT':
      // The library changes the array that it is given.
      return { ...common, type, data: typeof given === 'string' ? [given] : [...given] };
    case 'TLSA': {
      const [usage, selector, matchingType, hex = ''] = words;
      return {
        ...common,
        type,
        data: {
          usage: Number(usage),
          selector: Number(selector),
          matchingType: Number(matchingType),
          certificate: Buffer.from(hex, 'hex'),
        },
      };
    }
  }
}
