import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { parse } from 'yaml';
import { describe, expect, test } from 'vitest';
import { createInput } from '../../src/cli/process-io.ts';
import { parseScryptHash, verifyPassword } from '../../src/config/scrypt-hash.ts';
import { loadConfig } from '../../src/config/load.ts';
import { run, tempFolder, writeConfig } from './support.ts';

async function isHashOf(text: string, password: string): Promise<boolean> {
  const parsed = parseScryptHash(text.trimEnd());
  return parsed.kind === 'hash' && (await verifyPassword(parsed.hash, password));
}

describe('credential hash', () => {
  test.each(['s3cret', 's3cret\n', 's3cret\r\n'])('hashes %j without its line end', async (stdin) => {
    const { code, out } = await run(['credential', 'hash'], { stdin });
    expect(code).toBe(0);
    expect(out).toMatch(/^scrypt:\S+\n$/);
    expect(await isHashOf(out, 's3cret')).toBe(true);
  });

  test('keeps spaces and further characters as they are', async () => {
    expect(await isHashOf((await run(['credential', 'hash'], { stdin: ' pass wörd ' })).out, ' pass wörd ')).toBe(true);
  });

  test.each(['', '\n', 'two\nlines', 'nul\0', 'not utf-8 \ufffd', 'x'.repeat(1025)])(
    'refuses %j as wrong use',
    async (stdin) => {
      const { code, out, err } = await run(['credential', 'hash'], { stdin });
      expect(code).toBe(2);
      expect(out).toBe('');
      expect(err).toContain('password');
    },
  );

  test('asks twice on a terminal and prints the hash alone', async () => {
    const { code, out, err } = await run(['credential', 'hash'], { tty: true, secrets: ['s3cret', 's3cret'] });
    expect(code).toBe(0);
    expect(await isHashOf(out, 's3cret')).toBe(true);
    expect(out + err).not.toContain('s3cret');
  });

  test('refuses two different passwords', async () => {
    const { code, out } = await run(['credential', 'hash'], { tty: true, secrets: ['one', 'two'] });
    expect([code, out]).toEqual([2, '']);
  });

  test('gives JSON when asked', async () => {
    const { json } = await run(['credential', 'hash', '--json'], { stdin: 's3cret' });
    expect(Object.keys(json[0] ?? {})).toEqual(['hash']);
  });
});

describe('credential token', () => {
  test('makes another one each time, with the hash that the relay asks for', async () => {
    const made = [await run(['credential', 'token', '--json']), await run(['credential', 'token', '--json'])];
    const [first, second] = made.map(({ json }) => json[0]);
    expect(first?.['token']).toMatch(/^lpr_[\w-]{43}$/);
    expect(second?.['token']).not.toBe(first?.['token']);
    expect(first?.['hash']).toBe(`sha256:${createHash('sha256').update(String(first?.['token'])).digest('hex')}`);
    expect(first).toMatchObject({ name: 'ops', scopes: ['read'] });
  });

  test('prints an entry that the config takes', async () => {
    const folder = tempFolder();
    const { out } = await run(['credential', 'token', '--name', 'mon', '--scopes', 'read,admin'], { tty: true });
    const [entry]: unknown[] = parse(/^ {2}- .*$/m.exec(out)?.[0] ?? '');
    const config = writeConfig(folder, { http: { host: '127.0.0.1', port: 0, tokens: [entry] } });
    expect(loadConfig(config, {})).toMatchObject({
      kind: 'config',
      config: { http: { tokens: [{ name: 'mon', scopes: new Set(['read', 'admin']) }] } },
    });
  });

  test('writes it to a new file of its owner alone, and never over another', async () => {
    const file = join(tempFolder(), 'token');
    const { code, out } = await run(['credential', 'token', '--out', file]);
    const token = readFileSync(file, 'utf8').trim();
    expect([code, statSync(file).mode & 0o777]).toEqual([0, 0o600]);
    expect(out).not.toContain(token);
    expect(out).toContain(createHash('sha256').update(token).digest('hex'));
    expect(await run(['credential', 'token', '--out', file])).toMatchObject({ code: 2, out: '' });
    expect(readFileSync(file, 'utf8').trim()).toBe(token);
  });

  test.each([
    ['--scopes', 'write'],
    ['--scopes', ''],
    ['--name', 'a b'],
  ])('refuses %s %j', async (option, value) => {
    expect((await run(['credential', 'token', option, value])).code).toBe(2);
  });
});

describe('a secret typed on a terminal', () => {
  function terminal(): {
    stream: PassThrough & { isTTY: boolean; setRawMode(on: boolean): void };
    modes: boolean[];
    shown: () => string;
    ask: () => Promise<string>;
  } {
    const modes: boolean[] = [];
    const stream = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (on: boolean) => void modes.push(on) });
    const prompts = new PassThrough();
    return {
      stream,
      modes,
      shown: () => String(prompts.read() ?? ''),
      ask: () => createInput(stream, prompts).readSecret('Password: '),
    };
  }

  test('is not echoed, and the terminal is set back', async () => {
    const { stream, modes, shown, ask } = terminal();
    const answer = ask();
    stream.write('pa');
    stream.write('ss\r');
    expect(await answer).toBe('pass');
    expect(modes).toEqual([true, false]);
    expect(shown()).toBe('Password: \n');
  });

  test('can be corrected, whole characters at a time', async () => {
    const { stream, ask } = terminal();
    const answer = ask();
    stream.write('pä\u007f\u007f\u007fnew\n');
    expect(await answer).toBe('new');
  });

  test('is given up with Ctrl-C', async () => {
    const { stream, modes, ask } = terminal();
    const answer = ask();
    stream.write('pa\u0003');
    await expect(answer).rejects.toMatchObject({ code: 'usage' });
    expect(modes).toEqual([true, false]);
  });
});

test('input over the limit is refused before it is read to its end', async () => {
  const stream = new PassThrough();
  const read = createInput(stream, new PassThrough()).readAll(10);
  stream.write('x'.repeat(11));
  await expect(read).rejects.toMatchObject({ code: 'usage' });
});
