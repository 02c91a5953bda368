import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { VERSION } from '../../src/version.ts';
import { seed } from './seed.ts';
import { run, tempFolder, writeConfig } from './support.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');

describe('the program', () => {
  test('names its commands in the help and ends with 0', async () => {
    const { code, out } = await run(['--help']);
    expect(code).toBe(0);
    for (const command of [
      'serve',
      'check',
      'send',
      'tail',
      'trace',
      'show',
      'queue',
      'stats',
      'explain',
      'dkim',
      'credential',
    ]) {
      expect(out).toMatch(new RegExp(`^ {2}${command}\\b`, 'm'));
    }
  });

  test('shows the global options in the help of each command', async () => {
    expect((await run(['queue', 'retry', '--help'])).out).toContain('--config');
  });

  test('prints its version', async () => {
    expect(await run(['--version'])).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  });

  test.each([[[]], [['tial']], [['--colour']], [['queue', 'drop']], [['tail', 'extra']]])(
    '%j is wrong use, told on standard error',
    async (argv) => {
      const { code, out, err } = await run(argv);
      expect([code, out]).toEqual([2, '']);
      expect(err).not.toBe('');
    },
  );

  test('suggests the command that was meant', async () => {
    expect((await run(['tial'])).err).toContain('tail');
  });

  test('takes global options before and after the command', async () => {
    const folder = tempFolder();
    const { accept } = await seed(join(folder, 'data'));
    await accept();
    const config = writeConfig(folder);
    for (const argv of [
      ['--config', config, '--json', 'tail'],
      ['tail', '--json', '--config', config],
    ]) {
      expect((await run(argv, { tty: true })).json).toHaveLength(1);
    }
  });

  test('takes the config from the environment', async () => {
    const folder = tempFolder();
    await (await seed(join(folder, 'data'))).accept();
    const { json } = await run(['tail'], { env: { LEADPUSH_CONFIG: writeConfig(folder) } });
    expect(json).toHaveLength(1);
  });

  test('prints the version of package.json', async () => {
    expect((await run(['--version'])).out).toBe(`${VERSION}\n`);
  });

  test('a broken config ends with 1 and every finding', async () => {
    const file = writeConfig(tempFolder(), { hostnam: 'x', retries: 3 });
    const { code, err } = await run(['explain', '--config', file]);
    expect(code).toBe(1);
    expect(err).toContain(`${file}:`);
    expect(err).toContain('hostnam');
    expect(err).toContain('retries');
  });

  test('reading mail needs no valid config and none of its secrets', async () => {
    const folder = tempFolder();
    const { accept } = await seed(join(folder, 'data'));
    const { id } = await accept();
    const config = writeConfig(folder, {
      hostnam: 'x',
      routes: { ses: { type: 'smtp', host: 'smtp.example.net', username: 'u', password: '${SMTP_PASSWORD}' } },
    });
    for (const argv of [['tail'], ['trace', id], ['queue'], ['queue', 'retry', id], ['stats']]) {
      const { code, err } = await run([...argv, '--config', config]);
      expect([argv, code, err]).toEqual([argv, 0, '']);
    }
  });

  test('reading mail with a data folder that cannot be told says why, and names --data', async () => {
    const file = writeConfig(tempFolder(), { data: '${MAIL_FOLDER}' });
    const { code, err } = await run(['tail', '--config', file]);
    expect(code).toBe(1);
    expect(err).toContain('`MAIL_FOLDER` is not set');
    expect(err).toContain('--data FOLDER');
  });

  test.each([['tail'], ['explain'], ['stats'], ['send'], ['check']])(
    '%s with a config that is not there says so and how to name one',
    async (name) => {
      const file = join(tempFolder(), 'nope.yaml');
      const { code, out, err } = await run([name, '--config', file], { tty: true });
      expect(code).toBe(1);
      expect(out + err).toContain(`config file ${file} does not exist`);
      expect(out + err).toContain('--config FILE');
      expect(out + err).not.toContain(':1:1');
    },
  );
});

describe('as a process of its own', () => {
  test('a reader that goes away ends it quietly', async () => {
    const folder = tempFolder();
    const { accept, stop } = await seed(folder);
    for (let i = 0; i < 200; i++) await accept();
    await stop();
    const { status, stdout, stderr } = spawnSync(
      'bash',
      ['-c', 'set -o pipefail; "$0" "$1" tail --data "$2" -n 200 | head -n 1', process.execPath, MAIN, folder],
      { encoding: 'utf8' },
    );
    expect(stdout.split('\n')).toHaveLength(2);
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });

  test('tail -f stays alive, shows what comes, and ends with 0 on SIGTERM', async () => {
    const folder = tempFolder();
    const { accept } = await seed(folder);
    await accept();
    const child = spawn(process.execPath, [MAIN, 'tail', '-f', '--data', folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines: string[] = [];
    const reached = (count: number): Promise<void> =>
      new Promise((resolve) => {
        child.stdout.on('data', () => lines.length >= count && resolve());
      });
    child.stdout.setEncoding('utf8').on('data', (text: string) => lines.push(...text.trimEnd().split('\n')));
    await reached(1);
    const second = reached(2);
    await accept();
    await second;
    child.kill('SIGTERM');
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect([code, lines.length]).toEqual([0, 2]);
  });
});
