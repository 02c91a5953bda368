/** Leadpush Relay as a contestant: a real process with a config file, as a user starts it, everything switched on. */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePort } from '../support/postfix.ts';
import {
  BULK_DOMAIN,
  type Contestant,
  DOMAIN,
  end,
  type Place,
  type Running,
  SAMPLE_DOMAIN,
  SLOW_DOMAIN,
  untilGreeted,
} from './contestant.ts';

const SOURCES = join(import.meta.dirname, '..', '..', 'src');
/** As many as the peers may open to one next hop. */
const CONNECTIONS = 50;

export const relay: Contestant = {
  name: 'Leadpush Relay',
  absent: () => (existsSync(join(SOURCES, 'main.ts')) ? null : 'src/main.ts is missing'),
  start,
};

async function start(place: Place): Promise<Running> {
  const port = await freePort();
  const config = join(place.dir, 'relay.yaml');
  writeFileSync(config, stringify(settings(place, port, await freePort())));
  const errors = openSync(join(place.dir, 'stderr'), 'w');
  const child = spawn(
    process.execPath,
    ['--max-semi-space-size=4', join(SOURCES, 'bin.mjs'), 'serve', '--config', config],
    {
      cwd: place.dir,
      stdio: ['ignore', 'ignore', errors],
    },
  );
  closeSync(errors);
  try {
    await untilGreeted(port, () => child.exitCode === null && child.signalCode === null);
  } catch (error) {
    child.kill('SIGKILL');
    throw new Error(`${readFileSync(join(place.dir, 'stderr'), 'utf8').slice(-2_000)}\n${String(error)}`, {
      cause: error,
    });
  }
  return {
    port,
    about: `Node ${process.version}, ${CONNECTIONS} connections to the next hop`,
    pids: [child.pid ?? 0],
    stop: () => end(child),
  };
}

function settings(place: Place, port: number, httpPort: number): Record<string, unknown> {
  const hop = { type: 'smtp', host: '127.0.0.1', tls: 'none', connections: CONNECTIONS };
  return {
    hostname: 'relay.bench.example',
    data: join(place.dir, 'data'),
    smtp: { listeners: [{ host: '127.0.0.1', port, tls: 'none' }], trusted_networks: ['127.0.0.0/8'] },
    http: { host: '127.0.0.1', port: httpPort },
    senders: [{ domain: DOMAIN, dkim: [{ selector: place.dkim.selector, key: place.dkim.file }] }],
    routes: {
      bulk: { ...hop, port: place.bulkPort },
      sample: { ...hop, port: place.samplePort },
      slow: { ...hop, port: place.slowPort },
    },
    rules: [
      { name: 'bulk', when: { recipient_domain: [BULK_DOMAIN] }, via: ['bulk'] },
      { name: 'sample', when: { recipient_domain: [SAMPLE_DOMAIN] }, via: ['sample'] },
      { name: 'slow', when: { recipient_domain: [SLOW_DOMAIN] }, via: ['slow'] },
    ],
    log: { level: 'info', format: 'json', file: join(place.dir, 'relay.log') },
  };
}
