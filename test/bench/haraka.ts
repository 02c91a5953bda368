/**
 * Haraka with haraka-plugin-dkim, where it is installed: `HARAKA_DIR` names the folder whose node_modules holds both.
 *
 * Runs on the same Node as the relay, one process, queueing and delivering by itself. It writes its queue to disk without
 * an fsync, so its figures are for mail that a power cut may lose.
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../support/postfix.ts';
import {
  type Contestant,
  DOMAIN,
  end,
  makeFolder,
  type Place,
  type Running,
  SAMPLE_DOMAIN,
  SLOW_DOMAIN,
  untilGreeted,
} from './contestant.ts';

const installed = process.env['HARAKA_DIR'] ?? '';
const program = join(installed, 'node_modules', 'Haraka', 'bin', 'haraka');
const signer = join(installed, 'node_modules', 'haraka-plugin-dkim', 'package.json');

export const haraka: Contestant = {
  name: 'Haraka (no fsync)',
  absent() {
    if (installed === '') return 'not installed: set HARAKA_DIR to a folder with Haraka and haraka-plugin-dkim in it';
    const missing = [program, signer].filter((file) => !existsSync(file));
    return missing.length > 0 ? `not installed: ${missing.join(', ')}` : null;
  },
  start,
};

async function start(place: Place): Promise<Running> {
  const port = await freePort();
  const dir = place.dir;
  const dkimDir = makeFolder(dir, 'config', 'dkim', DOMAIN);
  makeFolder(dir, 'plugins');
  makeFolder(dir, 'queue');
  symlinkSync(join(installed, 'node_modules'), join(dir, 'node_modules'));
  const settings: Readonly<Record<string, string>> = {
    me: `haraka.${DOMAIN}\n`,
    plugins: 'bench\ndkim\n',
    // Without the sections of the shipped file Haraka fails at the first connection.
    'connection.ini': readFileSync(join(installed, 'node_modules', 'Haraka', 'config', 'connection.ini'), 'utf8'),
    'smtp.ini': `listen=127.0.0.1:${port}\nnodes=0\n`,
    'log.ini': '[main]\nlevel=notice\n',
    'outbound.ini': 'local_mx_ok=true\nconcurrency_max=50\nenable_tls=false\n',
    'dkim.ini':
      '[sign]\nenabled=true\nheaders=From,To,Date,Message-ID,Subject\n[canon]\nbody=relaxed\n[verify]\nenabled=false\n',
  };
  for (const [name, text] of Object.entries(settings)) writeFileSync(join(dir, 'config', name), text);
  writeFileSync(join(dkimDir, 'private'), place.dkim.pem);
  writeFileSync(join(dkimDir, 'selector'), place.dkim.selector);
  writeFileSync(join(dir, 'plugins', 'bench.js'), plugin(place));

  const output = openSync(join(dir, 'output'), 'w');
  const child = spawn(process.execPath, [program, '-c', dir], { stdio: ['ignore', output, output], cwd: dir });
  closeSync(output);
  try {
    await untilGreeted(port, () => child.exitCode === null && child.signalCode === null);
  } catch (error) {
    child.kill('SIGKILL');
    throw new Error(`${readFileSync(join(dir, 'output'), 'utf8').slice(-2_000)}\n${String(error)}`, { cause: error });
  }
  const { version } = JSON.parse(readFileSync(join(installed, 'node_modules', 'Haraka', 'package.json'), 'utf8')) as {
    version: string;
  };
  return {
    port,
    about: `Haraka ${version}, haraka-plugin-dkim`,
    pids: [child.pid ?? 0],
    stop: () => end(child),
  };
}

/** Relays for everybody on loopback, and names the next hop. */
function plugin(place: Place): string {
  const ports = JSON.stringify({ [SAMPLE_DOMAIN]: place.samplePort, [SLOW_DOMAIN]: place.slowPort });
  return `exports.hook_connect = (next, connection) => { connection.relaying = true; next(); };
exports.hook_rcpt = (next) => next(OK);
exports.hook_get_mx = (next, hmail, domain) =>
  next(OK, { priority: 0, exchange: '127.0.0.1', port: ${ports}[domain] ?? ${place.bulkPort} });
`;
}
