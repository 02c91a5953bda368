import { describe, expect, test } from 'vitest';
import { banner } from '../../src/cli/serve.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/types.ts';
import { hashPassword } from '../../src/config/scrypt-hash.ts';
import { run, tempFolder, writeConfig } from './support.ts';

function shown(file: string, options: { readonly config?: string } = {}): string {
  const loaded = loadConfig(file, {});
  if (loaded.kind === 'invalid') throw new Error(JSON.stringify(loaded.findings));
  const config: Config = loaded.config;
  const smtp = [{ host: '127.0.0.1', port: 2525, tls: 'starttls' }];
  return banner({ config, smtp, http: { host: '127.0.0.1', port: 8025 } }, options);
}

describe('the banner', () => {
  test('names commands that work as they are typed with the default config', () => {
    const text = shown(writeConfig(tempFolder()));
    expect(text).toMatch(/^ {4}npx leadpush-relay send {2,}a first/m);
    expect(text).not.toContain('--config');
    expect(text).not.toContain('--username');
  });

  test('repeats --config in each next step, quoted where a shell needs it', () => {
    const text = shown(writeConfig(tempFolder()), { config: 'my relay.yaml' });
    for (const command of ['send', 'tail -f', 'trace ann@example.net']) {
      expect(text).toContain(`npx leadpush-relay ${command} --config 'my relay.yaml' `);
    }
  });

  test('logs in as the first credential where loopback is not trusted', async () => {
    const password = await hashPassword('long enough to be one');
    const file = (trusted: readonly string[]): string =>
      writeConfig(tempFolder(), {
        credentials: [
          { username: 'keycloak', password },
          { username: 'django', password },
        ],
        smtp: { listeners: [{ host: '127.0.0.1', port: 2525, tls: 'starttls' }], trusted_networks: trusted },
      });
    expect(shown(file(['10.0.0.0/8']))).toContain('send --username keycloak ');
    expect(shown(file(['127.0.0.0/8']))).not.toContain('--username');
  });
});

test('serve with a config that is not there says so, and how to name one', async () => {
  const { code, err } = await run(['serve', '--config', 'nope.yaml']);
  expect(code).toBe(1);
  expect(err).toMatch(/config file \S*nope\.yaml does not exist/);
  expect(err).toContain('--config FILE');
  expect(err).not.toContain(':1:1');
  expect(err).not.toContain('Mend');
});
