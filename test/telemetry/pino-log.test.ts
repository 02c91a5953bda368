import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { LogConfig } from '../../src/config/types.ts';
import { createPinoLog, type PinoLog } from '../../src/telemetry/pino-log.ts';
import { jsonLine } from '../../src/telemetry/json-line.ts';
import { createManualClock } from '../support/clock.ts';
import fc from '../support/properties.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'leadpush-log-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const START = Date.UTC(2026, 0, 5, 10, 0, 0, 123);
const file = (): string => join(dir, 'logs', 'relay.log');
const shown = (): string => readFileSync(join(dir, 'stdout'), 'utf8');

function open(config: Partial<LogConfig> = {}): PinoLog {
  return createPinoLog(
    { level: 'info', format: 'json', file: file(), ...config },
    { clock: createManualClock(START), stdout: openSync(join(dir, 'stdout'), 'a') },
  );
}

const HOSTILE = 'a\u001b[31mred\r\nforged: line\u0000\u007f\u009b2J\u2028x\u202egpj';

describe('the log', () => {
  test('a line on standard output and in the file is one JSON object with time, level and msg', async () => {
    const { log, stop } = open();
    log.warn({ event: 'test.line', route: 'ses', code: 451 }, 'the route is down');
    await stop();
    expect(JSON.parse(shown())).toEqual({
      level: 'warn',
      time: '2026-01-05T10:00:00.123Z',
      event: 'test.line',
      route: 'ses',
      code: 451,
      msg: 'the route is down',
    });
    expect(readFileSync(file(), 'utf8')).toBe(shown());
  });

  test('with format logfmt standard output has pairs, one line a fact, and the file stays JSON', async () => {
    const { log, stop } = open({ format: 'logfmt' });
    log.warn({ event: 'test.line', response: HOSTILE, timings_ms: { connect: 3 } }, 'two words');
    await stop();
    expect(shown()).toMatch(
      /^level=warn time=2026-01-05T10:00:00\.123Z event=test\.line response="a.*" timings_ms\.connect=3 msg="two words"\n$/,
    );
    expect(shown().trimEnd()).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u202e]/);
    expect(JSON.parse(readFileSync(file(), 'utf8'))).toMatchObject({ event: 'test.line', response: HOSTILE });
  });

  test('lines on their way to a file that is moved away are written there, and the next ones to the new file', async () => {
    const { log, reopen, stop } = open();
    const burst = (from: number): void => {
      for (let count = from; count < from + 2000; count++) log.info({ event: 'test.line', count }, 'x'.repeat(200));
    };
    burst(0);
    renameSync(file(), `${file()}.1`);
    burst(2000);
    reopen();
    burst(4000);
    await stop();
    const counts = (text: string): readonly unknown[] =>
      text
        .trimEnd()
        .split('\n')
        .map((each): unknown => JSON.parse(each))
        .flatMap((each) => (typeof each === 'object' && each !== null && 'count' in each ? [each.count] : []));
    const numbers = (from: number, to: number): readonly number[] =>
      Array.from({ length: to - from }, (_, index) => from + index);
    expect(counts(readFileSync(`${file()}.1`, 'utf8'))).toEqual(numbers(0, 4000));
    expect(counts(readFileSync(file(), 'utf8'))).toEqual(numbers(4000, 6000));
  });

  test('the file is made with its folder and is not readable by others', async () => {
    const { stop } = open();
    await stop();
    expect(statSync(file()).mode & 0o007).toBe(0);
  });

  test('a line is in the file while the log is still open', async () => {
    const { log, stop } = open();
    log.info({ event: 'test.line' }, 'first');
    await vi.waitFor(() => expect(readFileSync(file(), 'utf8')).toContain('first'), { interval: 1 });
    await stop();
  });

  test('stopping writes out a burst completely and in order', async () => {
    const { log, stop } = open();
    for (let i = 0; i < 5_000; i++) log.info({ event: 'test.line', count: i }, 'burst');
    await stop();
    const counts = readFileSync(file(), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).count);
    expect(counts).toEqual(Array.from({ length: 5_000 }, (_, i) => i));
  });

  test('lines below the level are left out', async () => {
    const { log, stop } = open({ level: 'warn' });
    log.info({ event: 'test.line' }, 'not this');
    log.error({ event: 'test.line' }, 'this');
    await stop();
    expect(shown()).toContain('this');
    expect(shown()).not.toContain('not this');
  });

  test('hostile values stay one line and hold no control character', async () => {
    const { log, stop } = open();
    log.info({ event: 'test.line', response: HOSTILE, warnings: [HOSTILE], timings_ms: { [HOSTILE]: 1 } }, HOSTILE);
    await stop();
    expect(shown()).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u202e]/);
    expect(shown().split('\n')).toHaveLength(2);
    expect(JSON.parse(shown()).response).toBe(HOSTILE);
  });

  test('a pretty line holds no control character of a value, and the file stays JSON', async () => {
    const { log, stop } = open({ format: 'pretty' });
    log.info({ event: 'test.line', response: HOSTILE, recipient: HOSTILE }, HOSTILE);
    await stop();
    const plain = shown().replaceAll(/\u001b\[\d+m(?!red)/g, '');
    expect(plain.trimEnd()).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u202e]/);
    expect(plain).toContain('INFO');
    expect(JSON.parse(readFileSync(file(), 'utf8')).recipient).toBe(HOSTILE);
  });

  test('reopen goes on in a new file after the old one was moved away', async () => {
    const { log, reopen, stop } = open();
    log.info({ event: 'test.line' }, 'old');
    renameSync(file(), `${file()}.1`);
    reopen();
    log.info({ event: 'test.line' }, 'new');
    await stop();
    await vi.waitFor(() => expect(readFileSync(`${file()}.1`, 'utf8')).toContain('old'), { interval: 1 });
    expect(readFileSync(file(), 'utf8')).toContain('new');
    expect(readFileSync(file(), 'utf8')).not.toContain('old');
  });

  test('a log file that cannot be opened stops the start with a hint', () => {
    writeFileSync(join(dir, 'plain'), '');
    expect(() => open({ file: join(dir, 'plain', 'relay.log') })).toThrow(
      expect.objectContaining({ name: 'RelayError', code: 'config', hint: expect.stringContaining('log.file') }),
    );
  });

  test.each([
    ['a FIFO', () => void spawnSync('mkfifo', [file()])],
    ['a folder', () => mkdirSync(file())],
    ['a device', () => symlinkSync('/dev/null', file())],
  ])('a log file that is %s stops the start, which says so', (kind, make) => {
    mkdirSync(join(dir, 'logs'));
    make();
    expect(() => open()).toThrow(`it is ${kind}, not a file`);
  });

  test('reopen finds a FIFO in the place of the file, says so, and goes on in the old one', async () => {
    const { log, reopen, stop } = open();
    renameSync(file(), `${file()}.1`);
    spawnSync('mkfifo', [file()]);
    reopen();
    log.info({ event: 'test.line' }, 'after');
    await stop();
    expect(shown()).toContain('it is a FIFO');
    expect(readFileSync(`${file()}.1`, 'utf8')).toContain('after');
  });

  test('logging after stop does nothing', async () => {
    const { log, stop } = open();
    await stop();
    log.info({ event: 'test.line' }, 'late');
    expect(shown()).toBe('');
  });

  test('lines are not lost when the process ends at once', () => {
    const script = `
      import { createPinoLog } from ${JSON.stringify(join(import.meta.dirname, '../../src/telemetry/pino-log.ts'))};
      const { log } = createPinoLog({ level: 'info', format: 'json', file: ${JSON.stringify(file())} });
      for (let i = 0; i < 500; i++) log.info({ event: 'test.line', count: i }, 'x');
      process.exit(3);`;
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    expect(run.status).toBe(3);
    expect(run.stdout.trimEnd().split('\n')).toHaveLength(500);
    expect(readFileSync(file(), 'utf8').trimEnd().split('\n')).toHaveLength(500);
  });

  test('a reader that goes away does not end the process or the file', () => {
    const script = `
      import { createPinoLog } from ${JSON.stringify(join(import.meta.dirname, '../../src/telemetry/pino-log.ts'))};
      const { log, stop } = createPinoLog({ level: 'info', format: 'json', file: ${JSON.stringify(file())} });
      let n = 0;
      const tick = () => { log.info({ event: 'test.line', count: n }, 'x'); if (++n < 200) setImmediate(tick); else void stop(); };
      tick();`;
    const run = spawnSync('sh', ['-c', `"$0" --input-type=module -e "$1" | head -n 1`, process.execPath, script], {
      encoding: 'utf8',
    });
    expect(run.stderr).toBe('');
    expect(readFileSync(file(), 'utf8').trimEnd().split('\n')).toHaveLength(200);
  });
});

test('jsonLine keeps every value and prints no control character', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.string({ unit: 'binary' }), (value, text) => {
      const line = jsonLine({ value, text });
      expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/);
      expect(JSON.parse(line)).toEqual(JSON.parse(JSON.stringify({ value, text })));
    }),
    { numRuns: 200 },
  );
});

test('a closed descriptor is not written to', async () => {
  const fd = openSync(join(dir, 'stdout'), 'a');
  const { stop } = createPinoLog(
    { level: 'info', format: 'json', file: null },
    { clock: createManualClock(START), stdout: fd },
  );
  await stop();
  expect(() => closeSync(fd)).toThrow('EBADF');
});
