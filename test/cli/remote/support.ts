/** A relay elsewhere for commands: the real HTTP server with tokens, over the same database that the commands can open. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import type { CallDeps } from '../../../src/api/calls.ts';
import { createIds } from '../../../src/core/ids.ts';
import { createHttpServer } from '../../../src/api/server.ts';
import { testConfig } from '../../support/config.ts';
import { callDeps, SERVER_DEPS, token } from '../../api/support.ts';
import { seed, type Seed } from '../seed.ts';
import { type Ran, run, tempFolder, type TestIoOptions } from '../support.ts';

export const READ = 'read-token-of-32-characters-and-more';
export const SEND = 'send-token-of-32-characters-and-more';
export const ADMIN = 'admin-token-of-32-characters-or-more';

export interface Elsewhere extends Seed {
  readonly folder: string;
  readonly url: string;
  /** Runs a command against the relay over HTTP. */
  remote(argv: readonly string[], options?: TestIoOptions & { readonly token?: string }): Promise<Ran>;
  /** Runs it against the files. */
  local(argv: readonly string[], options?: TestIoOptions): Promise<Ran>;
}

/** Starts the server over an empty database; both end with the test. */
export async function startElsewhere(calls: Partial<CallDeps> = {}): Promise<Elsewhere> {
  const folder = tempFolder();
  const seeded = await seed(folder);
  const server = createHttpServer({
    ...SERVER_DEPS,
    config: {
      host: '127.0.0.1',
      port: 0,
      tokens: [
        token('reader', READ, ['read']),
        token('sender', SEND, ['send']),
        token('ops', ADMIN, ['read', 'send', 'admin']),
      ],
    },
    clock: seeded.clock,
    calls: { ...callDeps({ ...seeded, ids: createIds(seeded.clock) }, testConfig()), ...calls },
  });
  onTestFinished(() => server.stop());
  const { port } = await server.start();
  const url = `http://127.0.0.1:${port}`;
  return {
    ...seeded,
    folder,
    url,
    remote: (argv, { token: given = ADMIN, ...options } = {}) =>
      run([...argv, '--url', url], { now: seeded.clock.now(), ...options, env: { LEADPUSH_TOKEN: given } }),
    local: (argv, options = {}) => run([...argv, '--data', folder], { now: seeded.clock.now(), ...options }),
  };
}

/** A server that answers every request with `answer`; returns its address. */
export async function startServer(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
