/** Tags in the config: presets and what can be written over them, rules, senders and link policies. */
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { compareForReload } from '../../src/config/reload.ts';
import type { Config } from '../../src/config/types.ts';
import { configOf, createConfigFolder, MINIMAL } from './config-folder.ts';

function load(text: string): Config {
  return configOf(loadConfig(createConfigFolder().write('relay.yaml', `${MINIMAL}\n${text}`), {}));
}

test('a preset sets its values, also for a tag of another name', () => {
  const { tags } = load(
    'tags: { password-reset: { preset: password-reset }, reset-mobile: { preset: password-reset } }',
  );
  const preset = {
    priority: 'critical',
    ttlMs: 900_000,
    delayedAfterMs: 30_000,
    collapse: 'recipient',
    throttle: { perRecipient: { count: 5, perMs: 3_600_000 } },
    suppression: 'bypass',
    recovery: true,
    links: { hosts: [], schemes: ['https'], action: 'warn' },
  };
  expect(tags.get('password-reset')).toMatchObject(preset);
  expect(tags.get('reset-mobile')).toMatchObject(preset);
});

test.each([
  ['admin-reset', 'recipient', 'bypass', true],
  ['compromised-account', 'none', 'bypass', true],
  ['otp', 'recipient', 'apply', false],
  ['magic-link', 'recipient', 'apply', false],
])('the preset %s collapses by %s, and has suppression: %s', (name, collapse, suppression, recovery) => {
  expect(load(`tags: { x: { preset: ${name} } }`).tags.get('x')).toMatchObject({ collapse, suppression, recovery });
});

test('without a preset, recovery tags are critical and tried in spite of the suppression list, written or not', () => {
  const { tags } = load('tags: { password-reset: { ttl: 5m }, admin-reset: { suppression: apply }, x: {} }');
  const seen = [...tags.values()].map(({ name, priority, suppression }) => [name, priority, suppression]);
  expect(seen).toEqual([
    ['password-reset', 'critical', 'bypass'],
    ['admin-reset', 'critical', 'apply'],
    ['x', 'normal', 'apply'],
    ['compromised-account', 'critical', 'bypass'],
    ['otp', 'critical', 'apply'],
    ['magic-link', 'critical', 'apply'],
  ]);
});

test('every value of a preset can be written over, also with none', () => {
  const { tags } = load(
    'tags: { x: { preset: otp, priority: normal, ttl: none, delayed_after: none, collapse: key, throttle: none, links: none, suppression: bypass } }',
  );
  expect(tags.get('x')).toMatchObject({
    priority: 'normal',
    ttlMs: null,
    delayedAfterMs: null,
    collapse: 'key',
    throttle: null,
    links: null,
    suppression: 'bypass',
  });
});

test('a written link policy takes the place of the preset’s, and refuses by default', () => {
  const { tags } = load('tags: { x: { preset: otp, links: { hosts: Accounts.Example.com } } }');
  expect(tags.get('x')?.links).toEqual({ hosts: ['accounts.example.com'], schemes: ['https'], action: 'reject' });
});

test('link hosts may be any public host beside those that are named', () => {
  const { tags } = load('tags: { x: { links: { hosts: [Accounts.Example.com, "*"] } } }');
  expect(tags.get('x')?.links?.hosts).toEqual(['accounts.example.com', '*']);
});

test('a sender has a name and an address, its domain as A-labels', () => {
  const { tags } = load(
    `tags: { x: { from: { address: '"Example, Inc." <a@bücher.example>', mode: rewrite, keep_reply_to: true } }, y: { from: { address: a@example.com } } }`,
  );
  expect(tags.get('x')?.from).toEqual({
    address: 'a@xn--bcher-kva.example',
    name: 'Example, Inc.',
    mode: 'rewrite',
    keepReplyTo: true,
  });
  expect(tags.get('y')?.from).toMatchObject({ name: '', mode: 'require', keepReplyTo: false });
});

test('tags stand in the order of the file', () => {
  expect([...load('tags: { b: {}, otp: {}, a: {} }').tags.keys()].slice(0, 3)).toEqual(['b', 'otp', 'a']);
});

test('a content key is one value or a list, is never shown, and needs a restart', () => {
  const [one, two] = [1, 2].map((octet) => Buffer.alloc(32, octet).toString('base64'));
  const before = load(`content_key: "${one}"`);
  expect(before.contentKeys).toEqual([one]);
  const after = load(`content_key: ["${two}", "${one}"]`);
  expect(after.contentKeys).toEqual([two, one]);
  const changes = compareForReload({ ...after, contentKeys: before.contentKeys }, after);
  expect(changes).toEqual(['content_key: another key needs a restart']);
});
