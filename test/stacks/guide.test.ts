/** The guide for stacks: every piece of relay config in it is one that the relay takes. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { hashPassword } from '../../src/config/scrypt-hash.ts';

const GUIDE = path.join(import.meta.dirname, '..', '..', 'config', 'stacks.md');

interface Fragment {
  readonly credentials?: readonly Readonly<Record<string, unknown>>[];
  readonly tags?: Readonly<Record<string, { readonly match?: readonly { readonly credential?: string }[] }>>;
}

describe('the guide for stacks', () => {
  let dir: string;
  let hash: string;
  let fragments: readonly Fragment[];

  beforeAll(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), 'leadpush-guide-'));
    hash = await hashPassword('correct horse');
    const guide = await readFile(GUIDE, 'utf8');
    fragments = [...guide.matchAll(/^```yaml\n([^]*?)^```/gm)]
      .map(([, text = '']) => parse(text) as Fragment)
      .filter((fragment) => fragment.credentials !== undefined || fragment.tags !== undefined);
  });

  afterAll(() => rm(dir, { recursive: true, force: true }));

  it('shows only relay config that is valid', async () => {
    expect(fragments.length).toBeGreaterThan(10);
    for (const [index, fragment] of fragments.entries()) {
      const shown = (fragment.credentials ?? []).map((credential) => ({ ...credential, password: hash }));
      const named = Object.values(fragment.tags ?? {}).flatMap((tag) => tag.match ?? []);
      const missing = new Set(named.flatMap(({ credential }) => credential ?? []));
      for (const credential of shown) missing.delete(String(Reflect.get(credential, 'username')));
      const config = {
        senders: [{ domain: 'example.com', dkim: [] }],
        routes: { sandbox: { type: 'sandbox' } },
        rules: [{ name: 'default', via: ['sandbox'] }],
        ...fragment,
        credentials: [
          ...shown,
          ...[...missing].map((username) => ({ username, password: hash, from: ['*@example.com'] })),
        ],
      };
      const file = path.join(dir, `${index}.yaml`);
      await writeFile(file, stringify(config));
      expect(loadConfig(file, {}), stringify(fragment)).toMatchObject({ kind: 'config' });
    }
  });
});
