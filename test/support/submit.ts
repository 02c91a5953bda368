/** Submits one message over a raw SMTP connection, with any envelope parameters, and keeps all that the relay answered. */
import { connectSmtp } from './smtp-client.ts';

export interface SubmitOptions {
  /** Envelope sender; default app@example.com; empty: `<>`. */
  readonly from?: string;
  /** Addresses, each with what is to stand behind it: `ann@example.net` or `ann@example.net> NOTIFY=NEVER`. */
  readonly to: string | readonly string[];
  /** Parameters of MAIL: `RET=HDRS ENVID=1`. */
  readonly mail?: string;
  readonly tag?: string;
  /** Further header lines, without line ends. */
  readonly headers?: readonly string[];
  readonly subject?: string;
  /** The From header; default app@example.com. */
  readonly author?: string;
  readonly body?: string;
}

export interface Submitted {
  /** The message's id. */
  readonly id: string;
  /** Every reply from the greeting to the one to the final dot, with `msg_*` in place of the id. */
  readonly replies: readonly string[];
}

/** Submits to 127.0.0.1:`port`; rejects when anything but 2xx and 354 is answered. */
export async function submit(port: number, options: SubmitOptions): Promise<Submitted> {
  const { from = 'app@example.com', author = 'app@example.com', mail = '', tag, headers = [] } = options;
  const { subject = 'a test', body = 'hello' } = options;
  const recipients = typeof options.to === 'string' ? [options.to] : options.to;
  const client = await connectSmtp({ port });
  try {
    const replies = [(await client.reply()).raw];
    const lines = [
      'EHLO client.example.com',
      `MAIL FROM:<${from}>${mail === '' ? '' : ` ${mail}`}`,
      ...recipients.map((to) => `RCPT TO:<${to.includes('>') ? to : `${to}>`}`),
      'DATA',
      [
        `From: ${author}`,
        'To: a person <someone@example.net>',
        `Subject: ${subject}`,
        ...(tag === undefined ? [] : [`X-Leadpush-Tag: ${tag}`]),
        ...headers,
        '',
        body,
        '.',
      ].join('\r\n'),
    ];
    for (const line of lines) {
      const reply = await client.command(line);
      if (reply.code >= 400) throw new Error(`${line.split('\r\n')[0]} was answered ${reply.raw}`);
      replies.push(reply.raw);
    }
    const id = /msg_[0-9a-z]{26}/.exec(replies.at(-1) ?? '')?.[0] ?? '';
    return { id, replies: replies.map((reply) => reply.replace(id, 'msg_*')) };
  } finally {
    client.destroy();
  }
}
