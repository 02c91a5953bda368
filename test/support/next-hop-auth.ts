/** AUTH as a next hop in tests does it: PLAIN and LOGIN, with or without an initial response (RFC 4954). */
import type { Wire } from './next-hop-wire.ts';

/** Leads the exchange that `line` begins and answers it. Returns the username, or null when it was refused. */
export async function authenticate(
  wire: Wire,
  line: string,
  right: { readonly username: string; readonly password: string } | null,
): Promise<string | null> {
  const decode = (text: string): string => Buffer.from(text, 'base64').toString('utf8');
  const ask = async (prompt: string): Promise<string> => {
    wire.socket.write(`334 ${Buffer.from(prompt).toString('base64')}\r\n`);
    return (await wire.line())?.toString('utf8') ?? '';
  };
  const [, mechanism = '', initial] = line.split(' ');
  let username: string | undefined;
  let password: string | undefined;
  if (mechanism.toUpperCase() === 'PLAIN') {
    [, username, password] = decode(initial ?? (await ask(''))).split('\0');
  } else {
    username = decode(initial ?? (await ask('Username:')));
    password = decode(await ask('Password:'));
  }
  const accepted = right !== null && username === right.username && password === right.password;
  wire.socket.write(accepted ? '235 2.7.0 welcome\r\n' : '535 5.7.8 username or password wrong\r\n');
  return accepted ? right.username : null;
}
