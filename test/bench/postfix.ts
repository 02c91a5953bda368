/**
 * Postfix with OpenDKIM as a milter on a unix socket: an instance of its own, set for speed where that costs no mail.
 *
 * Queue and log are in the contestant's folder, on the same disk as the relay's database. Needs root, as Postfix's master
 * does. No lookups in DNS, no TLS, no limit on clients; `in_flow_delay` off; up to 50 connections to the next hop.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../support/postfix.ts';
import {
  type Contestant,
  DOMAIN,
  end,
  makeFolder,
  pause,
  type Place,
  type Running,
  SAMPLE_DOMAIN,
  SLOW_DOMAIN,
  untilGreeted,
} from './contestant.ts';

const run = promisify(execFile);
const POSTFIX = '/usr/sbin/postfix';
const OPENDKIM = '/usr/sbin/opendkim';

export const postfix: Contestant = {
  name: 'Postfix + OpenDKIM',
  absent() {
    const missing = [POSTFIX, OPENDKIM].filter((program) => !existsSync(program));
    if (missing.length > 0) return `not installed: ${missing.join(', ')}`;
    return process.getuid?.() === 0 ? null : 'needs root';
  },
  start,
};

async function start(place: Place): Promise<Running> {
  const port = await freePort();
  const etc = makeFolder(place.dir, 'etc');
  makeFolder(place.dir, 'queue');
  const uid = Number(execFileSync('id', ['-u', 'postfix'], { encoding: 'utf8' }));
  chownSync(makeFolder(place.dir, 'data'), uid, 0);
  writeFileSync(join(etc, 'main.cf'), mainCf(place));
  writeFileSync(join(etc, 'master.cf'), masterCf(port));
  const signer = await startOpenDkim(place);
  try {
    await run(POSTFIX, ['-c', etc, 'start']);
    await untilGreeted(port, () => true);
  } catch (error) {
    await stop(etc, signer);
    throw error;
  }
  const master = Number(readFileSync(join(place.dir, 'queue', 'pid', 'master.pid'), 'utf8'));
  const version = execFileSync('/usr/sbin/postconf', ['-hd', 'mail_version'], { encoding: 'utf8' }).trim();
  return {
    port,
    about: `Postfix ${version}, OpenDKIM on a unix socket`,
    pids: [master, signer.pid ?? 0],
    stop: () => stop(etc, signer),
  };
}

async function startOpenDkim(place: Place): Promise<ChildProcess> {
  const config = join(place.dir, 'opendkim.conf');
  const socket = join(place.dir, 'opendkim.sock');
  writeFileSync(
    config,
    `Mode s
Domain ${DOMAIN}
Selector ${place.dkim.selector}
KeyFile ${place.dkim.file}
Canonicalization relaxed/relaxed
SignatureAlgorithm rsa-sha256
OversignHeaders From
RequireSafeKeys no
Socket local:${socket}
UMask 000
Syslog no
`,
  );
  const child = spawn(OPENDKIM, ['-f', '-x', config], { stdio: ['ignore', 'ignore', 'inherit'] });
  for (let tries = 0; tries < 100 && !existsSync(socket); tries++) await pause(50);
  if (!existsSync(socket)) throw new Error(`opendkim did not start with ${config}`);
  return child;
}

/** Stops this instance's master, by its pid file, and our OpenDKIM. */
async function stop(etc: string, signer: ChildProcess): Promise<void> {
  await run(POSTFIX, ['-c', etc, 'stop']).catch((error: unknown) => console.error(String(error)));
  await end(signer);
}

function mainCf(place: Place): string {
  return `compatibility_level = 3.6
queue_directory = ${place.dir}/queue
data_directory = ${place.dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = ${place.dir}/mail.log
maillog_file_prefixes = ${place.dir}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = postfix.${DOMAIN}
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
relayhost = [127.0.0.1]:${place.bulkPort}
transport_maps = inline:{${SAMPLE_DOMAIN}=smtp:[127.0.0.1]:${place.samplePort}, ${SLOW_DOMAIN}=smtp:[127.0.0.1]:${place.slowPort}}
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtp_host_lookup = native
smtpd_milters = unix:${place.dir}/opendkim.sock
milter_default_action = tempfail
default_process_limit = 100
default_destination_concurrency_limit = 50
initial_destination_concurrency = 50
in_flow_delay = 0
`;
}

function masterCf(port: number): string {
  return `127.0.0.1:${port} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
smtp unix - - n - - smtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
proxymap unix - - n - - proxymap
`;
}
