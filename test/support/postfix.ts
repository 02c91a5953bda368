/**
 * A real next hop: an instance of Debian's Postfix with its own configuration, queue and port on loopback.
 *
 * It offers STARTTLS with a certificate made for it and puts what it accepts for any user of example.net into a Maildir.
 * Needs root, as Postfix's master does.
 */
import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { generate } from 'selfsigned';
import { needProgram } from './relay.ts';

const run = promisify(execFile);
/** An unprivileged owner for the mailbox: Debian's `nobody`. */
const MAIL_UID = 65534;

export interface PostfixOptions {
  /** Where mail goes instead of the Maildir, by address or domain: `smtp:[127.0.0.1]:2526`, `error:5.1.1 user unknown`. */
  readonly transports?: Readonly<Record<string, string>>;
  /** Addresses in place of others, rewritten after a message was accepted. */
  readonly aliases?: Readonly<Record<string, string>>;
}

export interface Postfix {
  readonly port: number;
  /** The certificate to trust, as a file. */
  readonly caFile: string;
  /** Every message delivered so far, as it was stored. */
  messages(): Promise<readonly Buffer[]>;
  stop(): Promise<void>;
}

/** Starts Postfix and waits until it takes connections. */
export async function startPostfix({ transports = {}, aliases = {} }: PostfixOptions = {}): Promise<Postfix> {
  needProgram('/usr/sbin/postfix', 'postfix');
  const dir = await mkdtemp(path.join(os.tmpdir(), 'leadpush-postfix-'));
  await chmod(dir, 0o755);
  const at = (...parts: readonly string[]): string => path.join(dir, ...parts);
  for (const folder of ['etc', 'queue', 'data', 'mail']) await mkdir(at(folder));
  const { stdout: postfixIds } = await run('id', ['-u', 'postfix']);
  await chown(at('data'), Number(postfixIds), 0);
  await chown(at('mail'), MAIL_UID, MAIL_UID);
  const port = await freePort();

  const pem = await generate([{ name: 'commonName', value: 'localhost' }], {
    keySize: 2048,
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
    ],
  });
  await writeFile(at('etc', 'cert.pem'), pem.cert);
  await writeFile(at('etc', 'key.pem'), pem.private, { mode: 0o600 });
  await writeFile(at('etc', 'main.cf'), mainCf(dir));
  await writeFile(at('etc', 'transport'), tableOf(transports));
  await writeFile(at('etc', 'virtual'), tableOf(aliases));
  await writeFile(at('etc', 'master.cf'), masterCf(port));
  const control = (verb: string): Promise<unknown> => run('/usr/sbin/postfix', ['-c', at('etc'), verb]);
  try {
    await control('start');
  } catch (error) {
    throw new Error(`postfix did not start: ${error instanceof Error ? error.message : String(error)}`);
  }

  return {
    port,
    caFile: at('etc', 'cert.pem'),
    async messages() {
      const folder = at('mail', 'box', 'new');
      const names = await readdir(folder).catch(() => []);
      return Promise.all(names.sort().map((name) => readFile(path.join(folder, name))));
    },
    async stop() {
      await control('stop').catch(() => {});
      await rm(dir, { recursive: true, force: true });
    },
  };
}

function tableOf(entries: Readonly<Record<string, string>>): string {
  return Object.entries(entries)
    .map(([key, value]) => `${key} ${value}\n`)
    .join('');
}

function mainCf(dir: string): string {
  return `compatibility_level = 3.6
queue_directory = ${dir}/queue
data_directory = ${dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = ${dir}/mail.log
maillog_file_prefixes = ${dir}
multi_instance_enable = yes
multi_instance_name = postfix-leadpush
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = next-hop.example.net
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
alias_database =
virtual_mailbox_domains = example.net
virtual_mailbox_base = ${dir}/mail
virtual_mailbox_maps = static:box/
virtual_minimum_uid = 100
virtual_uid_maps = static:${MAIL_UID}
virtual_gid_maps = static:${MAIL_UID}
transport_maps = texthash:${dir}/etc/transport
virtual_alias_maps = texthash:${dir}/etc/virtual
smtp_tls_security_level = may
smtpd_tls_security_level = may
smtpd_tls_cert_file = ${dir}/etc/cert.pem
smtpd_tls_key_file = ${dir}/etc/key.pem
smtpd_recipient_restrictions = permit_mynetworks, reject
smtputf8_enable = yes
`;
}

function masterCf(port: number): string {
  return `127.0.0.1:${port} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
smtp unix - - n - - smtp
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
proxymap unix - - n - - proxymap
`;
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', () => resolve()));
  const address = server.address();
  await new Promise<void>((resolve) => void server.close(() => resolve()));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
