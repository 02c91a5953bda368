/** The configs that come with the relay load, without findings and without warnings. */
import { copyFileSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { formatFindings } from '../../src/config/finding.ts';
import { loadConfig } from '../../src/config/load.ts';
import { hashPassword, verifyPassword } from '../../src/config/scrypt-hash.ts';
import { configOf, createConfigFolder } from './config-folder.ts';

const shipped = path.join(import.meta.dirname, '..', '..', 'config');

test('the sandbox config loads without a warning and lets nothing leave the machine', () => {
  const result = loadConfig(path.join(shipped, 'relay.yaml'), {});
  const config = configOf(result);
  expect(result).toMatchObject({ warnings: [] });
  expect([...config.routes.values()].map(({ type }) => type)).toEqual(['sandbox']);
  expect(config).toMatchObject({
    dataDir: path.join(shipped, '..', 'data'),
    smtp: {
      listeners: [{ host: '127.0.0.1', port: 2525, tls: 'starttls' }],
      trustedNetworks: ['127.0.0.0/8', '::1/128'],
    },
    http: { host: '127.0.0.1', port: 8025, tokens: [] },
    unknownSenders: 'unsigned',
    log: { file: path.join(shipped, '..', 'data', 'relay.log') },
  });
  expect(config.senders).toEqual([
    {
      domain: 'example.com',
      dkim: [
        { selector: 'lp1', key: path.join(shipped, '..', 'data', 'dkim', 'example.com.rsa.pem') },
        { selector: 'lp2', key: path.join(shipped, '..', 'data', 'dkim', 'example.com.ed25519.pem') },
      ],
      returnPath: null,
    },
  ]);
  expect([...config.tags.values()].map(({ name, priority, ttlMs }) => [name, priority, ttlMs])).toEqual([
    ['password-reset', 'critical', 900_000],
    ['admin-reset', 'critical', 3_600_000],
    ['compromised-account', 'critical', 3_600_000],
    ['otp', 'critical', 600_000],
    ['magic-link', 'critical', 900_000],
  ]);
});

test('the example for production loads with its variables and secret files, and warns only of tokens without TLS', async () => {
  const folder = createConfigFolder();
  const file = path.join(folder.path, 'relay.yaml');
  copyFileSync(path.join(shipped, 'production.example.yaml'), file);
  folder.write('secrets/shop.scrypt', `${await hashPassword('shop password')}\n`);
  folder.write('secrets/keycloak.scrypt', `${await hashPassword('keycloak password')}\n`);
  folder.write('secrets/ses-password', 'ses password\n');
  const result = loadConfig(file, { SES_USER: 'AKIA', POSTMARK_TOKEN: 'pm-token', OPS_TOKEN_HASH: 'c'.repeat(64) });
  const config = configOf(result);
  if (result.kind === 'config') expect(result.warnings.map((finding) => finding.path)).toEqual(['http.host']);
  expect(config.routes.get('ses')).toMatchObject({ auth: { username: 'AKIA', password: 'ses password' } });
  expect(config.routes.get('postmark')).toMatchObject({ auth: { username: 'pm-token', password: 'pm-token' } });
  const shop = config.credentials.find(({ username }) => username === 'shop');
  if (shop === undefined) throw new Error('no shop');
  expect(await verifyPassword(shop.password, 'shop password')).toBe(true);
});

test('the example for production names everything that it needs when it is not there', () => {
  const result = loadConfig(path.join(shipped, 'production.example.yaml'), {});
  if (result.kind === 'config') throw new Error('it was taken');
  const text = formatFindings(result.findings);
  for (const needed of [
    'SES_USER',
    'POSTMARK_TOKEN',
    'OPS_TOKEN_HASH',
    './secrets/keycloak.scrypt',
    './secrets/shop.scrypt',
    './secrets/ses-password',
  ]) {
    expect(text).toContain(needed);
  }
  expect(result.findings).toHaveLength(7);
});

test('every shipped config has comments that a person can read in a terminal', () => {
  for (const name of readdirSync(shipped).filter((entry) => entry.endsWith('.yaml'))) {
    for (const line of readFileSync(path.join(shipped, name), 'utf8').split('\n')) {
      expect(line.length, `${name}: ${line}`).toBeLessThanOrEqual(140);
    }
  }
});
