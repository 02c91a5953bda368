/** The receivers in README.md verify what we sign, and nothing else. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { signatureHeaders } from '../../src/webhooks/signature.ts';
import { needProgram } from '../support/relay.ts';
import { secretText, TEST_SECRET } from '../support/webhook-receiver.ts';

const README = readFileSync(path.join(import.meta.dirname, '..', '..', 'README.md'), 'utf8');
const BODY = '{"type":"message.delivered","data":{"name":"Ann \u00fc"}}';
const HOUR_MS = 3_600_000;

/** The code of the language under "Webhooks". */
function codeOf(language: string): string {
  const section = README.slice(README.indexOf('\n## Webhooks\n'));
  const code = new RegExp(`\n\`\`\`${language}\n(.*?)\n\`\`\``, 's').exec(section)?.[1];
  if (code === undefined) throw new Error(`README.md has no ${language} receiver`);
  return code;
}

/** Requests, each with whether it is to be taken: secret, headers, body. */
const old = new Uint8Array(32).fill(3);
const signed = (secrets: readonly Uint8Array[], nowMs = Date.now()): Record<string, string> => ({
  ...signatureHeaders(secrets, 'evt_1', nowMs, BODY),
});
const CASES: readonly (readonly [what: string, headers: Record<string, string>, body: string, taken: boolean])[] = [
  ['signed', signed([TEST_SECRET]), BODY, true],
  ['in rotation', signed([old, TEST_SECRET]), BODY, true],
  ['of another secret', signed([old]), BODY, false],
  ['changed', signed([TEST_SECRET]), `${BODY} `, false],
  ['of another id', { ...signed([TEST_SECRET]), 'webhook-id': 'evt_2' }, BODY, false],
  ['old', signed([TEST_SECRET], Date.now() - HOUR_MS), BODY, false],
  ['without a signature', { ...signed([TEST_SECRET]), 'webhook-signature': 'v1,' }, BODY, false],
];

/** What the program in `file`, run by `command`, says of each case: a JSON list of booleans. */
function verdicts(command: string, args: readonly string[]): unknown {
  const input = JSON.stringify({ secret: secretText(), cases: CASES.map(([, headers, body]) => ({ headers, body })) });
  return JSON.parse(execFileSync(command, [...args], { input, encoding: 'utf8' }));
}

async function program(name: string, text: string): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'relay-readme-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = path.join(folder, name);
  await writeFile(file, text);
  return file;
}

const EXPECTED = CASES.map(([, , , taken]) => taken);

test('the JavaScript receiver', async () => {
  const file = await program(
    'verify.mjs',
    `${codeOf('js')}
import { readFileSync } from 'node:fs';
const { secret, cases } = JSON.parse(readFileSync(0, 'utf8'));
console.log(JSON.stringify(cases.map(({ headers, body }) => verify(secret, headers, body))));`,
  );
  expect(verdicts(process.execPath, [file])).toEqual(EXPECTED);
});

test('the Python receiver', async () => {
  const file = await program(
    'verify.py',
    `${codeOf('python')}
import json, sys
given = json.load(sys.stdin)
print(json.dumps([verify(given["secret"], one["headers"], one["body"].encode()) for one in given["cases"]]))`,
  );
  expect(verdicts(needProgram('/usr/bin/python3', 'python3'), [file])).toEqual(EXPECTED);
});

test('the PHP receiver', async () => {
  const file = await program(
    'verify.php',
    `<?php
${codeOf('php')}
$given = json_decode(stream_get_contents(STDIN), true);
echo json_encode(array_map(fn($one) => verify($given['secret'], $one['headers'], $one['body']), $given['cases']));`,
  );
  expect(verdicts(needProgram('/usr/bin/php', 'php-cli'), [file])).toEqual(EXPECTED);
});
