/** What `send` says when its mail was not taken: the answer, and what most likely helps. Pure. */
import { errorCode, errorText, RelayError } from '../core/errors.ts';
import { clean } from '../api/story/clean.ts';

export interface FailedSend {
  readonly host: string;
  readonly port: number;
  /** What next steps repeat: ` --config FILE`, or nothing. */
  readonly place: string;
  /** How the relay of this config is started. */
  readonly start: string;
}

const NO_CONNECTION = /\b(ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)\b/;

/** The error of a command from what the SMTP library threw. */
export function sendError(error: unknown, send: FailedSend): RelayError {
  const reply =
    error instanceof Error && 'response' in error && typeof error.response === 'string' ? error.response : null;
  const text = errorText(error);
  const what =
    reply === null ? (text.includes('ECONNREFUSED') ? 'nothing listens there' : text) : `the answer was: ${reply}`;
  return new RelayError(clean(`not sent through ${send.host}:${send.port}: ${what}`), {
    code: 'listen',
    op: 'cli.send',
    hint: reply === null ? hintWithoutReply(error, send) : hintOnReply(reply, error, send),
    cause: error,
  });
}

function hintWithoutReply(error: unknown, { start }: FailedSend): string {
  if (NO_CONNECTION.test(errorText(error))) return `Is the relay running? Start it with: ${start}`;
  if (errorCode(error) === 'EENVELOPE')
    return 'Write addresses whole: --to ann@example.net --from no-reply@example.com';
  return errorCode(error) === 'ETLS'
    ? 'smtp.listeners in the config says whether the listener has TLS; --tls names it.'
    : '';
}

function hintOnReply(reply: string, error: unknown, { place }: FailedSend): string {
  const code = reply.slice(0, 3);
  if (code === '530') {
    return reply.includes('STARTTLS')
      ? 'The listener wants TLS first: --tls starttls'
      : 'Log in with --username NAME; the password comes from LEADPUSH_PASSWORD, or is asked for on a terminal.';
  }
  if (code === '535') return "Check the password of --username; the relay's log has the reason.";
  const header = /^550[ -]5\.7\.1 Header (\S+) is not allowed/.exec(reply)?.[1];
  if (header !== undefined) {
    const without = header.toLowerCase() === 'x-leadpush-tag' ? "--tag '' sends no tag" : 'leave it out';
    return `This credential may not set the header ${header}: ${without}, or add it to credentials[].headers.allow.`;
  }
  // Only what was refused after the whole mail was read has events; refused commands are in the log alone.
  const wasRead = error instanceof Error && 'command' in error && error.command === 'DATA';
  return wasRead && reply.startsWith('5')
    ? `The refusal with its whole reason: leadpush-relay tail${place}`
    : "The relay's log may say more.";
}
