/**
 * A next hop for tests: a small SMTP server on a loopback address that keeps everything it is given and misbehaves on demand.
 *
 *     const hop = await startNextHop({ on: { RCPT: once(reply('450 4.2.1 busy')) } });
 *     ... deliver to hop.host, hop.port ...
 *     await hop.until(() => hop.messages.length === 1);
 *     await hop.close();
 *
 * Each step of the dialogue (`Step`) can be given a `Behaviour`, or a function that returns one (or null for the normal
 * answer), also while the hop runs (`hop.on`). It takes addresses and parameters as they come and checks nothing.
 */
import net from 'node:net';
import tls from 'node:tls';
import { authenticate } from './next-hop-auth.ts';
import { makeTestCertificate, type TestCertificate } from './next-hop-certificate.ts';
import { Wire } from './next-hop-wire.ts';

/**
 * Where a behaviour can be put: in place of the greeting, of the answer to a command, of the answer to the final dot; or at
 * the first octets of a content (`content`), where nothing is answered, so that what is said comes out of turn.
 */
export type Step =
  | 'connect'
  | 'EHLO'
  | 'HELO'
  | 'STARTTLS'
  | 'AUTH'
  | 'MAIL'
  | 'RCPT'
  | 'DATA'
  | 'content'
  | 'dot'
  | 'RSET'
  | 'NOOP'
  | 'QUIT';

export type Behaviour =
  | { readonly kind: 'say'; readonly octets: string | Uint8Array; readonly thenHangUp: boolean }
  | { readonly kind: 'hang-up' | 'reset' | 'stall' | 'deaf' }
  | { readonly kind: 'drip' | 'flood'; readonly octets: string };

export interface StepContext {
  readonly hop: NextHop;
  /** Number of the connection, from 1. */
  readonly connection: number;
  /** Number of the transaction on this connection, from 1 at the first MAIL. */
  readonly transaction: number;
  /** The command line; empty where there is none. */
  readonly line: string;
  /** Where the connection came from. */
  readonly remoteAddress: string | undefined;
  /** Sends `octets` on this connection, now or later, out of turn. */
  say(octets: string): void;
}

export type Hook = (context: StepContext) => Behaviour | null | Promise<Behaviour | null>;

/** A complete message, final dot included. */
export interface ReceivedMessage {
  readonly connection: number;
  /** What stood between the angle brackets of MAIL, and what came after them. */
  readonly mailFrom: string;
  readonly mailParameters: string;
  readonly recipients: readonly { readonly address: string; readonly parameters: string }[];
  /** Dots unstuffed. */
  readonly content: Buffer;
  /** When the final dot was read: epoch milliseconds, and monotonic ones for spans. */
  readonly at: number;
  readonly atMonotonicMs: number;
  /** `TLSv1.3`, or null. */
  readonly tls: string | null;
  readonly username: string | null;
  /** What was answered to the dot; null before that, empty when it was silence. */
  readonly reply: string | null;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

export interface NextHopOptions {
  readonly port?: number;
  /** The address to listen on; default 127.0.0.1. */
  readonly host?: string;
  /** Default: none. */
  readonly tls?: 'none' | 'starttls' | 'implicit';
  /** Default: a valid one for `localhost` and 127.0.0.1. */
  readonly certificate?: TestCertificate;
  /** Offers AUTH with these mechanisms and demands it before MAIL. On plain connections too. */
  readonly auth?: { readonly username: string; readonly password: string; readonly mechanisms?: readonly string[] };
  /** Keywords of the EHLO reply besides STARTTLS and AUTH. */
  readonly extensions?: readonly string[];
  readonly on?: Readonly<Partial<Record<Step, Behaviour | Hook>>>;
}

export interface NextHop {
  readonly host: string;
  readonly port: number;
  /** PEM of the authority that signed its certificate; empty without TLS. */
  readonly ca: string;
  /** Every complete message, in order of their final dots, whatever was answered. */
  readonly messages: readonly ReceivedMessage[];
  /** Every command line of every connection; passwords included. */
  readonly lines: readonly { readonly connection: number; readonly line: string }[];
  /** Messages that it answered with 250. */
  accepted(): readonly ReceivedMessage[];
  /** Connections so far, and those open now. */
  connections(): number;
  openConnections(): number;
  /** Octets received so far in the clear; of a TLS handshake after STARTTLS or `implicit`, none. */
  octets(): number;
  /** How often `step` was reached. */
  reached(step: Step): number;
  /** Changes what happens at `step` from now on; null: the normal answer. */
  on(step: Step, behaviour: Behaviour | Hook | null): void;
  /** Resolves as soon as `condition` holds; it is asked again after everything that happens. */
  until(condition: () => boolean): Promise<void>;
  /** Ends all connections, with FIN or RST; it goes on listening. */
  dropAll(how: 'hang-up' | 'reset'): void;
  /** Stops listening and ends all connections. */
  close(): Promise<void>;
}

export const DEFAULT_EXTENSIONS: readonly string[] = [
  'PIPELINING',
  'SIZE 26214400',
  '8BITMIME',
  'SMTPUTF8',
  'ENHANCEDSTATUSCODES',
  'DSN',
];

/** Answers with `text` (lines separated by LF) and goes on. */
export const reply = (text: string): Behaviour => say(`${text.replaceAll('\n', '\r\n')}\r\n`, false);
/** Answers with `text`, then ends the connection (FIN). */
export const replyAndHangUp = (text: string): Behaviour => say(`${text}\r\n`, true);
/** Sends `octets` as they are. */
export const raw = (octets: string | Uint8Array): Behaviour => say(octets, false);
/** Sends `octets` as they are, then ends the connection (FIN). */
export const rawAndHangUp = (octets: string | Uint8Array): Behaviour => say(octets, true);
/** Ends the connection (FIN) without an answer. */
export const hangUp: Behaviour = { kind: 'hang-up' };
/** Resets the connection (RST) without an answer. */
export const reset: Behaviour = { kind: 'reset' };
/** Never answers. */
export const stall: Behaviour = { kind: 'stall' };
/** Never answers, and reads nothing more. */
export const deaf: Behaviour = { kind: 'deaf' };
/** Sends `octets` one a millisecond, again and again, until the client goes. */
export const drip = (octets: string): Behaviour => ({ kind: 'drip', octets });
/** Sends `octets` as fast as they are taken, again and again, until the client goes. */
export const flood = (octets: string): Behaviour => ({ kind: 'flood', octets });
/** `behaviour` the first time, the normal answer after that. */
export const once = (behaviour: Behaviour): Hook => times(1, behaviour);
/** `behaviour` the first `count` times, the normal answer after that. */
export function times(count: number, behaviour: Behaviour): Hook {
  let left = count;
  return () => (left-- > 0 ? behaviour : null);
}

function say(octets: string | Uint8Array, thenHangUp: boolean): Behaviour {
  return { kind: 'say', octets, thenHangUp };
}

/** Starts a next hop; without options it takes everything, in the clear. */
export async function startNextHop(options: NextHopOptions = {}): Promise<NextHop> {
  const tlsMode = options.tls ?? 'none';
  const host = options.host ?? '127.0.0.1';
  const certificate = tlsMode === 'none' ? null : (options.certificate ?? (await makeTestCertificate()));
  const secureContext =
    certificate === null ? null : tls.createSecureContext({ cert: certificate.cert, key: certificate.key });
  const behaviours = new Map<Step, Behaviour | Hook>(Object.entries(options.on ?? {}) as [Step, Behaviour | Hook][]);
  const messages: ReceivedMessage[] = [];
  const lines: { connection: number; line: string }[] = [];
  const reached = new Map<Step, number>();
  const wires = new Set<Wire>();
  const waiting = new Set<() => void>();
  let connections = 0;
  let octets = 0;
  const changed = (): void => {
    for (const look of waiting) look();
  };

  const server = net.createServer({ noDelay: true }, (socket) => {
    const wire = new Wire(socket, (count) => {
      octets += count;
      changed();
    });
    const number = ++connections;
    wires.add(wire);
    changed();
    const done = (): void => {
      wires.delete(wire);
      changed();
    };
    void serve(wire, number).finally(done);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, host, resolve);
  });
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the next hop has no port');

  const hop: NextHop = {
    host,
    port: bound.port,
    ca: certificate?.ca ?? '',
    messages,
    lines,
    accepted: () => messages.filter((message) => message.reply?.startsWith('250') === true),
    connections: () => connections,
    openConnections: () => wires.size,
    octets: () => octets,
    reached: (step) => reached.get(step) ?? 0,
    on(step, behaviour) {
      if (behaviour === null) behaviours.delete(step);
      else behaviours.set(step, behaviour);
    },
    until: (condition) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!condition()) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
    dropAll(how) {
      for (const wire of wires) {
        if (how === 'reset') wire.socket.resetAndDestroy();
        else wire.socket.end();
      }
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const wire of wires) wire.socket.destroy();
      }),
  };

  /** Does what was ordered for `step`, and returns what was said; null: nothing was ordered. Silence ends the session. */
  const perform = async (wire: Wire, step: Step, context: Omit<StepContext, 'hop'>): Promise<string | null> => {
    reached.set(step, (reached.get(step) ?? 0) + 1);
    const ordered = behaviours.get(step) ?? null;
    changed();
    const behaviour = typeof ordered === 'function' ? await ordered({ ...context, hop }) : ordered;
    if (behaviour === null) return null;
    switch (behaviour.kind) {
      case 'say':
        wire.socket.write(behaviour.octets);
        if (!behaviour.thenHangUp) return Buffer.from(behaviour.octets).toString('utf8').trimEnd();
        wire.socket.end();
        break;
      case 'hang-up':
        wire.socket.end();
        break;
      case 'reset':
        wire.socket.resetAndDestroy();
        break;
      case 'drip':
        wire.drip(behaviour.octets);
        break;
      case 'flood':
        wire.flood(behaviour.octets);
        break;
      case 'deaf':
        wire.socket.pause();
        break;
      case 'stall':
        break;
    }
    await wire.closed();
    return '';
  };

  const serve = async (wire: Wire, connection: number): Promise<void> => {
    let transaction = 0;
    let username: string | null = null;
    let mail: { from: string; parameters: string } | null = null;
    let recipients: { address: string; parameters: string }[] = [];
    const context = (line: string): Omit<StepContext, 'hop'> => ({
      connection,
      transaction,
      line,
      remoteAddress: wire.socket.remoteAddress,
      say: (octets) => void wire.socket.write(octets),
    });
    const write = (text: string): void => void wire.socket.write(`${text}\r\n`);
    const secure = (plain: net.Socket): net.Socket =>
      new tls.TLSSocket(plain, { isServer: true, ...(secureContext === null ? {} : { secureContext }) });
    const answer = async (step: Step, line: string, normal: string): Promise<boolean> => {
      const said = await perform(wire, step, context(line));
      if (said === null) write(normal);
      // A command counts as accepted when what was said begins like its normal answer.
      return said === null || said[0] === normal[0];
    };

    if (tlsMode === 'implicit') wire.upgrade(secure);
    await answer('connect', '', '220 next-hop.test ESMTP');
    for (let next = await wire.line(); next !== null; next = await wire.line()) {
      const line = next.toString('utf8');
      lines.push({ connection, line });
      const verb = (/^[a-z]+/i.exec(line)?.[0] ?? '').toUpperCase();
      switch (verb) {
        case 'EHLO':
          await answer('EHLO', line, ehloReply(wire));
          break;
        case 'HELO':
          await answer('HELO', line, '250 next-hop.test');
          break;
        case 'STARTTLS':
          if (await answer('STARTTLS', line, tlsMode === 'starttls' ? '220 2.0.0 go ahead' : '502 5.5.1 no TLS here')) {
            if (tlsMode === 'starttls') wire.upgrade(secure);
          }
          break;
        case 'AUTH': {
          const said = await perform(wire, 'AUTH', context(line));
          if (said === null) username = await authenticate(wire, line, options.auth ?? null);
          break;
        }
        case 'MAIL': {
          transaction++;
          const refused = options.auth !== undefined && username === null;
          const normal = refused ? '530 5.7.0 authentication required' : '250 2.1.0 sender ok';
          mail = (await answer('MAIL', line, normal)) && !refused ? pathOf(line) : null;
          recipients = [];
          break;
        }
        case 'RCPT': {
          if (mail === null) write('503 5.5.1 MAIL first');
          else if (await answer('RCPT', line, '250 2.1.5 recipient ok')) {
            const { from, parameters } = pathOf(line);
            recipients.push({ address: from, parameters });
          }
          break;
        }
        case 'DATA': {
          if (mail === null || recipients.length === 0) {
            write('554 5.5.1 no valid recipients');
            break;
          }
          if (!(await answer('DATA', line, '354 go on'))) break;
          if (!(await wire.readable())) return;
          await perform(wire, 'content', context(''));
          const content = await wire.message();
          if (content === null) return;
          const message: Writable<ReceivedMessage> = {
            connection,
            mailFrom: mail.from,
            mailParameters: mail.parameters,
            recipients,
            content,
            at: Date.now(),
            atMonotonicMs: performance.now(),
            tls: wire.socket instanceof tls.TLSSocket ? wire.socket.getProtocol() : null,
            username,
            reply: null,
          };
          messages.push(message);
          const said = await perform(wire, 'dot', context(''));
          message.reply = said ?? `250 2.0.0 Ok: queued as ${connection}-${transaction}`;
          if (said === null) write(message.reply);
          changed();
          mail = null;
          break;
        }
        case 'RSET':
          mail = null;
          await answer('RSET', line, '250 2.0.0 reset');
          break;
        case 'NOOP':
          await answer('NOOP', line, '250 2.0.0 ok');
          break;
        case 'QUIT':
          await answer('QUIT', line, '221 2.0.0 bye');
          wire.socket.end();
          return;
        default:
          write('500 5.5.2 unknown command');
      }
    }
  };

  const ehloReply = (wire: Wire): string => {
    const keywords = [...(options.extensions ?? DEFAULT_EXTENSIONS)];
    if (tlsMode === 'starttls' && !(wire.socket instanceof tls.TLSSocket)) keywords.push('STARTTLS');
    if (options.auth !== undefined) keywords.push(`AUTH ${(options.auth.mechanisms ?? ['PLAIN', 'LOGIN']).join(' ')}`);
    const all = ['next-hop.test', ...keywords];
    return all.map((keyword, index) => `250${index === all.length - 1 ? ' ' : '-'}${keyword}`).join('\r\n');
  };

  return hop;
}

/** `MAIL FROM:<a@b> SIZE=1` as path and parameters. */
function pathOf(line: string): { from: string; parameters: string } {
  const open = line.indexOf('<');
  const close = line.indexOf('>', open);
  return { from: line.slice(open + 1, close), parameters: line.slice(close + 1).trim() };
}
