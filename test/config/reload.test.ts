/** What has to wait for a restart. */
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { compareForReload } from '../../src/config/reload.ts';
import type { Config } from '../../src/config/types.ts';
import { type ConfigFolder, configOf, createConfigFolder, MINIMAL } from './config-folder.ts';

function start(text: string): { readonly folder: ConfigFolder; readonly running: Config } {
  const folder = createConfigFolder();
  return { folder, running: configOf(loadConfig(folder.write('relay.yaml', text), {})) };
}

function changes(before: string, after: string): readonly string[] {
  const { folder, running } = start(before);
  return compareForReload(running, configOf(loadConfig(folder.write('relay.yaml', after), {})));
}

test('routes, rules, tags and senders need no restart', () => {
  const next = `
smtp: { trusted_networks: [127.0.0.0/8], max_recipients: 7 }
retention: { sandbox: 1d }
unknown_senders: unsigned
tags: { otp: { ttl: 1m, collapse: recipient } }
bounces: { dsn: true, suppress_for: 1d }
routes: { direct: { type: mx, ehlo: relay.example.com }, ses: { type: smtp, host: smtp.example.com } }
rules: [{ name: all, via: ses }]
`;
  expect(changes(MINIMAL, next)).toEqual([]);
});

test('what was bound or opened at the start is told, each change by itself', () => {
  const { folder, running } = start(`http: { port: 8025 }\n${MINIMAL}`);
  const next = `
data: ./elsewhere
hostname: new.example.com
retention: { content: 1h, sandbox: 1d }
smtp: { listeners: [{ port: 2526, tls: implicit }], max_recipients: 7, trusted_networks: [127.0.0.0/8] }
bounces: { listeners: [{ port: 2527, tls: none }] }
http: { host: "::1", port: 8026, tokens: [{ name: ops, hash: "sha256:${'a'.repeat(64)}", scopes: [read] }] }
log: { level: debug, format: pretty, file: x.log }
unknown_senders: unsigned
routes: { sandbox: { type: sandbox } }
rules: [{ name: default, via: [sandbox] }]
`;
  expect(compareForReload(running, configOf(loadConfig(folder.write('relay.yaml', next), {})))).toEqual([
    `hostname: ${running.hostname} -> new.example.com needs a restart`,
    `data: ${folder.path}/data -> ${folder.path}/elsewhere needs a restart`,
    'retention.content: until-settled -> a duration needs a restart',
    'smtp.listeners: 127.0.0.1:2525 (starttls) -> 127.0.0.1:2526 (implicit) needs a restart',
    'bounces.listeners: none -> 127.0.0.1:2527 (none) needs a restart',
    'http.host: 127.0.0.1 -> ::1 needs a restart',
    'http.port: 8025 -> 8026 needs a restart',
    'http.tokens: other tokens need a restart',
    'log.level: info -> debug needs a restart',
    'log.format: json -> pretty needs a restart',
    `log.file: none -> ${folder.path}/x.log needs a restart`,
  ]);
});

test('no text about tokens repeats a hash', () => {
  const tokens = (digit: string): string =>
    `http: { tokens: [{ name: ops, hash: "sha256:${digit.repeat(64)}", scopes: [read] }] }\n${MINIMAL}`;
  const [before, after] = [start(tokens('a')).running, start(tokens('b')).running];
  const told = compareForReload(before, { ...after, dataDir: before.dataDir });
  expect(told).toEqual(['http.tokens: other tokens need a restart']);
});

test('an unchanged file needs no restart', () => {
  expect(changes(MINIMAL, MINIMAL)).toEqual([]);
});
