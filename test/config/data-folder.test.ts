import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readDataFolder } from '../../src/config/data-folder.ts';
import { createConfigFolder } from './config-folder.ts';

const read = (text: string, env: Record<string, string> = {}): ReturnType<typeof readDataFolder> & { home: string } => {
  const folder = createConfigFolder();
  return { ...readDataFolder(folder.write('relay.yaml', text), env), home: folder.path };
};

test('a relative folder starts at the file', () => {
  const { home, ...result } = read('data: ./mail');
  expect(result).toEqual({ kind: 'folder', folder: join(home, 'mail') });
});

test('without the key, and in an empty file, it is ./data', () => {
  for (const text of ['log: {}', '', '# nothing']) {
    const { home, ...result } = read(text);
    expect(result).toEqual({ kind: 'folder', folder: join(home, 'data') });
  }
});

test('unset secrets, missing files and nonsense elsewhere do not matter', () => {
  const text =
    'data: /var/lib/relay\nroutes: { ses: { password: "${SMTP_PASSWORD}", ca: "${file:/none}" } }\nhostnam: 5\nrules: no';
  expect(read(text)).toMatchObject({ kind: 'folder', folder: '/var/lib/relay' });
});

test('a variable in it is looked up', () => {
  expect(read('data: "${HOME_OF_MAIL}/x"', { HOME_OF_MAIL: '/srv' })).toMatchObject({
    kind: 'folder',
    folder: '/srv/x',
  });
});

test('a variable in it that is not set is the one finding, with its line', () => {
  const result = read('log: { level: "${LEVEL}" }\ndata: "${HOME_OF_MAIL}/x"');
  expect(result).toMatchObject({
    kind: 'invalid',
    findings: [{ line: 2, column: 7, path: 'data', message: expect.stringContaining('`HOME_OF_MAIL` is not set') }],
  });
});

test.each([
  ['data: [a]', 'data'],
  ['data: ""', 'data'],
  ['data: ~/mail', 'data'],
  ['data: [', ''],
  ['- a list', ''],
])('%j is a finding', (text, path) => {
  expect(read(text)).toMatchObject({ kind: 'invalid', findings: [{ path }] });
});

test('a file that is not there is a finding', () => {
  expect(readDataFolder(join(createConfigFolder().path, 'none.yaml'), {})).toMatchObject({
    kind: 'invalid',
    findings: [{ message: expect.stringContaining('there is no such file') }],
  });
});
