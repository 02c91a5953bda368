/**
 * An SMTP dialogue line by line, with the relay's own listeners: for the open-relay test alone, which must say what no mail
 * client says (source routes, `user%host`) and stop before DATA. The code that delivers cannot, and must not, do that.
 *
 * Connecting and TLS are those of `delivery/smtp`. Each command has a limit; a server that says too much, or something that is
 * no reply, ends the dialogue. Nothing here verifies a certificate: no secret is sent.
 */
import net from 'node:net';
import tls from 'node:tls';
import type { Clock } from '../core/time.ts';
import { connectTcp, secureSocket } from '../delivery/smtp/connect.ts';
import { createTlsContext, nextHopText, type SmtpEndpoint, tlsOptionsFor } from '../delivery/smtp/endpoint.ts';
import { runStep } from '../delivery/smtp/step.ts';
import { parseReply, type SmtpReply } from '../mail/reply.ts';

export interface DialogueTarget {
  readonly address: string;
  readonly port: number;
  /** Where to connect from. */
  readonly from: string;
  readonly implicitTls: boolean;
}

export interface Dialogue {
  /** All lines as the server wrote them, for EHLO. null: the connection is over. */
  say(line: string): Promise<{ readonly reply: SmtpReply; readonly lines: string } | null>;
  /** STARTTLS; false when there is no TLS after it, and then the dialogue is over. */
  startTls(): Promise<boolean>;
  close(): void;
}

export interface DialogueDeps {
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const CONNECT_MS = 3000;
const ANSWER_MS = 5000;
const MAX_BYTES = 64 * 1024;
/** The last line of a reply: its code is not followed by a hyphen. */
const LAST_LINE = /^\d{3}(?: [^\r\n]*)?\r?$/;

/** Connects and hears the greeting; a text when that fails. */
export async function openDialogue(target: DialogueTarget, deps: DialogueDeps): Promise<Dialogue | string> {
  const endpoint = endpointOf(target);
  const connected = await connectTcp(endpoint, CONNECT_MS, deps.clock, deps.signal);
  if (!(connected instanceof net.Socket)) return connected.text;
  let socket: net.Socket = connected;
  if (target.implicitTls) {
    const secured = await secureSocket(connected, endpoint, ANSWER_MS, deps.clock, deps.signal);
    if (!(secured instanceof tls.TLSSocket)) return secured.text;
    socket = secured;
  }
  let hear = listenTo(socket);
  const close = (): void => void socket.destroy();
  const answer = (): Promise<Heard | null> => nextReply(hear, deps, close);

  const dialogue: Dialogue = {
    async say(line) {
      if (!socket.writable) return null;
      socket.write(`${line}\r\n`);
      return answer();
    },
    async startTls() {
      const go = await dialogue.say('STARTTLS');
      if (go?.reply.code !== 220) return false;
      socket.removeAllListeners('data');
      const secured = await secureSocket(socket, endpoint, ANSWER_MS, deps.clock, deps.signal);
      if (!(secured instanceof tls.TLSSocket)) return false;
      socket = secured;
      hear = listenTo(socket);
      return true;
    },
    close,
  };
  const greeting = await answer();
  if (greeting?.reply.code === 220) return dialogue;
  close();
  return greeting === null ? 'there was no greeting' : `it greets with ${greeting.reply.code} ${greeting.reply.text}`;
}

type Heard = { readonly reply: SmtpReply; readonly lines: string };

/** What has come and was not taken; `wake` is called at each change. */
interface Ear {
  buffer: string;
  over: boolean;
  wake: () => void;
}

function listenTo(socket: net.Socket): Ear {
  const ear: Ear = { buffer: '', over: false, wake: () => {} };
  socket.on('data', (chunk: Buffer) => {
    ear.buffer += chunk.toString('latin1');
    if (ear.buffer.length > MAX_BYTES) socket.destroy();
    ear.wake();
  });
  socket.on('close', () => {
    ear.over = true;
    ear.wake();
  });
  return ear;
}

function nextReply(ear: Ear, { clock, signal }: DialogueDeps, close: () => void): Promise<Heard | null> {
  const giveUp = (): null => {
    close();
    return null;
  };
  return runStep<Heard | null>(clock, signal, giveUp, (step) => {
    step.limit(ANSWER_MS, () => step.settle(giveUp()));
    const look = (): void => {
      const lines = takeReply(ear);
      if (lines !== null) {
        const reply = parseReply(lines);
        step.settle(reply === null ? giveUp() : { reply, lines });
      } else if (ear.over) step.settle(null);
    };
    ear.wake = look;
    look();
  });
}

/** Takes the lines of one reply out of what has come; null when it is not whole yet. */
function takeReply(ear: Ear): string | null {
  let end = -1;
  for (let at = ear.buffer.indexOf('\n'); at !== -1; at = ear.buffer.indexOf('\n', at + 1)) {
    const line = ear.buffer.slice(end + 1, at);
    end = at;
    if (!LAST_LINE.test(line) && /^\d{3}-/.test(line)) continue;
    const lines = ear.buffer.slice(0, at + 1);
    ear.buffer = ear.buffer.slice(at + 1);
    return lines;
  }
  return null;
}

function endpointOf({ address, port, from }: DialogueTarget): SmtpEndpoint {
  return {
    nextHop: nextHopText(address, null, port),
    host: address,
    address,
    port,
    tls: 'none',
    tlsOptions: tlsOptionsFor(address, createTlsContext(null), false),
    judge: null,
    tlsReason: '',
    tlsAdvice: '',
    auth: null,
    localAddress: from,
  };
}
