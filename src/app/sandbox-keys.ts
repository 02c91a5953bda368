/**
 * DKIM keys for a relay that only captures: where every route is a sandbox, a missing key is made at the first start, so
 * that a newcomer sees signed mail at once. Where mail leaves the machine, a missing key stays an error: a key that no DNS
 * record names would only make signatures that fail.
 */
import { existsSync } from 'node:fs';
import { link, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Config } from '../config/types.ts';
import { errorCode, RelayError } from '../core/errors.ts';
import { generateDkimKey } from '../signing/generate.ts';
import type { Log } from '../telemetry/log.ts';

/** Makes the missing keys of `config` (RSA, or Ed25519 where the file's name says so), each with mode 0600. */
export async function makeSandboxKeys(config: Config, log: Log): Promise<void> {
  if ([...config.routes.values()].some((route) => route.type !== 'sandbox')) return;
  for (const sender of config.senders) {
    for (const { key, selector } of sender.dkim) {
      const algorithm = path.basename(key).includes('ed25519') ? 'ed25519' : 'rsa';
      if (await writeNew(key, algorithm)) {
        log.info(
          { event: 'key.made', file: key, domain: sender.domain, selector, algorithm },
          'made a DKIM key for the sandbox',
        );
      }
    }
  }
}

/** True when the file was not there and now is: whole or not at all, and never in the place of an existing one. */
async function writeNew(file: string, algorithm: 'rsa' | 'ed25519'): Promise<boolean> {
  if (existsSync(file)) return false;
  const draft = `${file}.new`;
  try {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    const { privatePem } = await generateDkimKey({ algorithm });
    await writeFile(draft, privatePem, { mode: 0o600, flush: true });
    await link(draft, file);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw new RelayError(`cannot make the DKIM key ${file}`, {
      code: 'key',
      op: 'app.sandbox-keys',
      hint: 'Check that its folder can be written to.',
      cause: error,
    });
  } finally {
    await rm(draft, { force: true });
  }
}
