/**
 * `npm run docs:api`: writes the OpenAPI document of the calls to standard output. `openapi.json` beside this file is what it
 * wrote last, for generators of clients; a test fails when it differs from the code.
 *
 * The calls touch what they are given only when somebody calls them, and nobody does here.
 */
import { systemClock } from '../core/time.ts';
import { silentLog } from '../telemetry/log.ts';
import { createHttpServer } from './server.ts';

/** The document of the calls as JSON text. */
export async function apiDocument(): Promise<string> {
  const server = createHttpServer({
    config: { host: '127.0.0.1', port: 0, tokens: [] },
    hostname: 'localhost',
    ready: async () => ({ ready: true, reasons: [] }),
    metrics: { httpRequest() {}, scrape: async () => ({ contentType: 'text/plain', text: '' }) },
    calls: Object.create(null),
    log: silentLog,
    clock: systemClock,
  });
  const text = await server.document();
  await server.stop();
  return text;
}

if (import.meta.main) process.stdout.write(await apiDocument());
