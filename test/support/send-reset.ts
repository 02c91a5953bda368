/** A password reset, as an app sends it with nodemailer. */
import { createTransport } from 'nodemailer';

/** Sends it to ann@example.net over `port` of this machine; resolves, after the 250, with the message's id. */
export async function sendReset(
  port: number,
  { token = 'secret', headers = {} }: { readonly token?: string; readonly headers?: Record<string, string> } = {},
): Promise<string> {
  const transport = createTransport({ host: '127.0.0.1', port, ignoreTLS: true });
  const { response } = await transport.sendMail({
    from: 'app@example.com',
    to: 'ann@example.net',
    subject: 'Reset your password',
    text: `https://accounts.example.com/reset?token=${token}`,
    headers: { 'X-Leadpush-Tag': 'password-reset', ...headers },
  });
  return /msg_\w+/.exec(response)?.[0] ?? '';
}
