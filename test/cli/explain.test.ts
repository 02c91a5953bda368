import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hashPassword } from '../../src/config/scrypt-hash.ts';
import { run, tempFolder, writeConfig } from './support.ts';

describe('explain', () => {
  test('names the known credentials when one is not known', async () => {
    const password = await hashPassword('long enough to be one');
    const config = writeConfig(tempFolder(), {
      credentials: [
        { username: 'keycloak', password },
        { username: 'django', password },
      ],
    });
    const { code, err } = await run(['explain', '--credential', 'kc', '--config', config]);
    expect(code).toBe(2);
    expect(err).toContain('no credential "kc"');
    expect(err).toContain('keycloak, django');
  });

  test('says of a mail without a tag that it has none, and nothing more', async () => {
    const { out } = await run(['explain', '--config', writeConfig(tempFolder())], { tty: true });
    expect(out).toMatch(/^ {2}tag {7}none$/m);
  });

  test('says in plain words that the message file is not there', async () => {
    const file = join(tempFolder(), 'nope.eml');
    const { code, err } = await run(['explain', file, '--config', writeConfig(tempFolder())]);
    expect(code).toBe(2);
    expect(err).toContain(`cannot read ${file}: there is no such file`);
    expect(err).not.toContain('ENOENT');
  });
});
