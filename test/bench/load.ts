/**
 * The two ways mail is sent: Debian's smtp-source for throughput, and single mails of our own whose way is followed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { BULK_DOMAIN, DOMAIN, SAMPLE_DOMAIN, SLOW_DOMAIN } from './contestant.ts';

export interface Mode {
  readonly name: string;
  readonly connections: number;
  /** True: a connection is used again for the next mail; false: a connection for every mail. */
  readonly kept: boolean;
}

const MAIL_BYTES = 4096;

/** Sends `messages` mails; rejects with what smtp-source said when it did not end well. */
export async function sendBulk(port: number, mode: Mode, messages: number): Promise<void> {
  const args = ['-s', String(mode.connections), '-l', String(MAIL_BYTES), '-m', String(messages), '-M', DOMAIN];
  const envelope = ['-f', `load@${DOMAIN}`, '-t', `sink@${BULK_DOMAIN}`];
  const child = spawn(
    '/usr/sbin/smtp-source',
    [...(mode.kept ? ['-d'] : []), ...args, ...envelope, `127.0.0.1:${port}`],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  await once(child, 'close');
  if (child.exitCode !== 0)
    throw new Error(`smtp-source ended with ${child.exitCode ?? child.signalCode}: ${said.trim()}`);
}

export interface Sent {
  /** From the start of the connection to the final 250. */
  readonly connectTo250Ms: number;
  /** `performance.now()` of the final 250. */
  readonly repliedAt: number;
}

const BODY = 'A line of a sample that has to arrive as it was written. \u003d\r\n'.repeat(64);

/** The content of the sample `token`, as it is sent and as it has to arrive after its header. */
export function sampleBody(token: string): string {
  return `${BODY}${token}\r\n`;
}

/** A mail as urgent as it can be, for servers that know the header. */
const RESET = 'X-Leadpush-Tag: password-reset\r\n';

/** Sends one mail over a connection of its own, a command at a time; `domain`: where it is to go. */
export async function sendSample(port: number, token: string, domain: string = SAMPLE_DOMAIN): Promise<Sent> {
  const header = `From: load@${DOMAIN}\r\nTo: ${token}@${domain}\r\nSubject: Sample ${token}\r\nX-Bench-Sample: ${token}\r\n${RESET}`;
  const dated = `${header}Date: ${new Date().toUTCString().replace('GMT', '+0000')}\r\nMessage-ID: <${token}@${DOMAIN}>\r\n`;
  const began = performance.now();
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  const replies = repliesOf(socket);
  const step = async (line: string | null, expected: string): Promise<void> => {
    if (line !== null) socket.write(line);
    const { value: reply = 'the end of the connection' } = await replies.next();
    if (!reply.startsWith(expected))
      throw new Error(`sample ${token}: ${expected} was expected, and ${reply.trim()} came`);
  };
  try {
    await step(null, '220');
    await step(`EHLO ${DOMAIN}\r\n`, '250');
    await step(`MAIL FROM:<load@${DOMAIN}>\r\n`, '250');
    await step(`RCPT TO:<${token}@${domain}>\r\n`, '250');
    await step('DATA\r\n', '354');
    await step(`${dated}\r\n${sampleBody(token)}.\r\n`, '250');
    const repliedAt = performance.now();
    socket.end('QUIT\r\n');
    return { connectTo250Ms: repliedAt - began, repliedAt };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Sends `messages` of the least urgent mail for the slow next hop, over ten connections with a message at a time on each. */
export async function sendBacklog(port: number, messages: number): Promise<void> {
  let left = messages;
  const content = `From: load@${DOMAIN}\r\nTo: sink@${SLOW_DOMAIN}\r\nSubject: News\r\nX-Leadpush-Priority: bulk\r\n\r\n${BODY}\r\n.\r\n`;
  const sendSome = async (): Promise<void> => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const replies = repliesOf(socket);
    const step = async (text: string | null, expected: string): Promise<void> => {
      if (text !== null) socket.write(text);
      const { value: reply = 'the end of the connection' } = await replies.next();
      if (!reply.startsWith(expected)) throw new Error(`backlog: ${expected} was expected, and ${reply.trim()} came`);
    };
    await step(null, '220');
    await step(`EHLO ${DOMAIN}\r\n`, '250');
    while (left-- > 0) {
      await step(`MAIL FROM:<load@${DOMAIN}>\r\nRCPT TO:<sink@${SLOW_DOMAIN}>\r\nDATA\r\n`, '250');
      await step(null, '250');
      await step(null, '354');
      await step(content, '250');
    }
    socket.end('QUIT\r\n');
  };
  await Promise.all(Array.from({ length: 10 }, sendSome));
}

/** Whole replies, each up to and with its last line. */
async function* repliesOf(socket: AsyncIterable<Buffer>): AsyncGenerator<string, undefined> {
  let text = '';
  for await (const chunk of socket) {
    text += chunk.toString('latin1');
    for (;;) {
      const whole = /^(?:\d{3}-.*\r\n)*\d{3}(?: .*)?\r\n/.exec(text)?.[0];
      if (whole === undefined) break;
      text = text.slice(whole.length);
      yield whole;
    }
  }
  return undefined;
}
