/** Disk, clock, files and certificate: each fault with what mends it. Figures and answers are injected where a machine will not do. */
import { chmodSync, mkdirSync, writeFileSync, symlinkSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkCertificate } from '../../src/doctor/check-certificate.ts';
import { checkClockAgainstEvents, checkClockAgainstServer } from '../../src/doctor/check-clock.ts';
import { checkDisk, type DiskFigures } from '../../src/doctor/check-disk.ts';
import { checkExposure } from '../../src/doctor/check-exposure.ts';
import { checkConfigFile, checkDataFolder, checkLogFile, judgeOwner } from '../../src/doctor/check-files.ts';
import { FREE_FLOOR_BYTES } from '../../src/store/sqlite/open.ts';
import { tempFolder } from '../cli/support.ts';
import { createManualClock } from '../support/clock.ts';
import { testConfig } from '../support/config.ts';
import { makeTestCertificate } from '../support/next-hop-certificate.ts';
import { SIGNAL } from './stage.ts';

const NOW = Date.UTC(2026, 0, 5, 10, 0, 0);
const DAY_MS = 86_400_000;
const codes = (findings: readonly { readonly code: string }[]): readonly string[] => findings.map(({ code }) => code);

describe('the disk', () => {
  const MEGABYTE = 1024 * 1024;
  const figures: DiskFigures = {
    type: 0xef53,
    bsize: MEGABYTE,
    blocks: 100_000,
    bavail: 50_000,
    files: 1e6,
    ffree: 9e5,
  };
  const check = (over: Partial<DiskFigures>) =>
    checkDisk('/', { floorBytes: FREE_FLOOR_BYTES, statfs: async () => ({ ...figures, ...over }) });

  test('with room is in order', async () => {
    expect(await check({})).toMatchObject([{ level: 'ok', message: expect.stringContaining('48 GB free (50 %)') }]);
  });

  test('nearly full is a warning, below the floor of the store an error', async () => {
    expect(await check({ bavail: 500 })).toMatchObject([{ level: 'warning', code: 'disk.low' }]);
    expect(await check({ bavail: 64 })).toMatchObject([{ level: 'warning', code: 'disk.low' }]);
    expect(await check({ bavail: 63 })).toMatchObject([{ level: 'error', code: 'disk.full' }]);
  });

  test('without inodes is an error, but not where the file system has none to count', async () => {
    expect(codes(await check({ ffree: 12 }))).toEqual(['disk.ok', 'disk.inodes']);
    expect(codes(await check({ files: 0, ffree: 0 }))).toEqual(['disk.ok']);
  });

  test.each([
    [0x01021994, 'tmpfs'],
    [0x794c7630, 'overlay'],
    [0x6969, 'NFS'],
    [0xff534d42, 'CIFS'],
    [0x65735546, 'FUSE'],
  ])('of type %d is a warning that names %s', async (type, name) => {
    const [, finding] = await check({ type });
    expect(finding).toMatchObject({
      level: 'warning',
      code: 'disk.file-system',
      message: expect.stringContaining(name),
    });
  });

  test('is that of the nearest folder there is', async () => {
    expect(codes(await checkDisk(join(tempFolder(), 'not', 'yet'), { floorBytes: 0 }))).toContain('disk.ok');
  });
});

describe('the clock', () => {
  test.each([
    ['has no event', null, 'ok'],
    ['has an older event', NOW - 1000, 'ok'],
    ['has an event of this moment', NOW + 1000, 'ok'],
    ['has an event of the future', NOW + 60_000, 'error'],
  ])('against a database that %s: %s', (_what, newest, level) => {
    expect(checkClockAgainstEvents(newest, NOW)).toMatchObject([{ level, about: 'clock' }]);
  });

  const against = async (theirs: number | null | Error) =>
    checkClockAgainstServer(new URL('https://time.example.com/'), {
      clock: createManualClock(NOW),
      signal: SIGNAL,
      dateOf: async () => {
        if (theirs instanceof Error) throw theirs;
        return theirs === null ? null : new Date(theirs).toUTCString();
      },
    });

  test.each([
    [0, 'ok', 'agrees'],
    [-20_000, 'ok', 'agrees'],
    [-60_000, 'warning', '60 s ahead of'],
    [60_000, 'warning', '61 s behind'],
    [-900_000, 'error', '900 s ahead of'],
    [900_000, 'error', '901 s behind'],
  ])('against a server that differs by %d ms: %s', async (differsMs, level, words) => {
    expect(await against(NOW + differsMs)).toMatchObject([{ level, message: expect.stringContaining(words) }]);
  });

  test('against a server without a Date, or that cannot be reached, is not judged', async () => {
    expect(await against(null)).toMatchObject([{ level: 'ok', message: expect.stringContaining('was not compared') }]);
    expect(await against(new Error('no way there'))).toMatchObject([
      { level: 'warning', code: 'clock.unknown', message: expect.stringContaining('no way there') },
    ]);
  });

  test('against a server that does not answer ends in time', async () => {
    const clock = createManualClock(NOW);
    const dateOf = (_url: URL, signal: AbortSignal): Promise<null> =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const findings = checkClockAgainstServer(new URL('https://time.example.com/'), { clock, signal: SIGNAL, dateOf });
    await clock.advance(10_000);
    expect(codes(await findings)).toEqual(['clock.unknown']);
  });
});

describe('files', () => {
  test('in the data folder that belong to somebody else are told with the command', () => {
    const folder = { folder: '/srv/relay', uid: 998 };
    expect(judgeOwner({ file: '/srv/relay/relay.db', uid: 998 }, folder)).toEqual([]);
    expect(judgeOwner({ file: '/srv/relay/relay.db', uid: 0 }, folder)).toMatchObject([
      { level: 'warning', code: 'data.owner', hint: 'chown --reference=/srv/relay /srv/relay/relay.db' },
    ]);
  });

  test('with a content key that others may read are told', async () => {
    const folder = tempFolder();
    chmodSync(folder, 0o700);
    writeFileSync(join(folder, 'content.key'), '');
    chmodSync(join(folder, 'content.key'), 0o640);
    expect(codes(await checkDataFolder(folder))).toEqual(['data.ok', 'data.readable']);
  });

  test('a log that everybody may read is told, but not in a folder that is shut', async () => {
    const folder = join(tempFolder(), 'logs');
    mkdirSync(folder, { mode: 0o755 });
    const file = join(folder, 'relay.log');
    writeFileSync(file, '');
    chmodSync(file, 0o644);
    expect(codes(await checkLogFile(file))).toEqual(['log.ok', 'log.open']);
    chmodSync(folder, 0o750);
    expect(codes(await checkLogFile(file))).toEqual(['log.ok']);
  });

  test.each([
    ['a folder', (file: string) => mkdirSync(file)],
    ['a FIFO', (file: string) => execFileSync('mkfifo', [file])],
    ['a device', (file: string) => symlinkSync('/dev/null', file)],
  ])('a log file that is %s is an error', async (kind, make) => {
    const file = join(tempFolder(), 'relay.log');
    make(file);
    const [finding, ...others] = await checkLogFile(file);
    expect(others).toEqual([]);
    expect(finding).toMatchObject({
      level: 'error',
      code: 'log.not-a-file',
      message: `${file} is ${kind}, not a file`,
    });
  });

  test('a config that others may change is told', async () => {
    const file = join(tempFolder(), "it's.yaml");
    writeFileSync(file, '');
    chmodSync(file, 0o664);
    expect(await checkConfigFile(testConfig({ file }))).toMatchObject([
      { code: 'config.writable', hint: `chmod go-w '${file.replace("'", String.raw`'\''`)}'` },
    ]);
    chmodSync(file, 0o644);
    expect(await checkConfigFile(testConfig({ file }))).toEqual([]);
  });
});

describe('trusted networks', () => {
  test.each([
    ['10.0.0.0/8', 'relay.ok'],
    ['198.18.0.0/15', 'relay.ok'],
    ['8.8.8.0/24', 'relay.ok'],
    ['8.8.0.0/16', 'relay.trusted-public'],
    ['2a00:1234:5678::/48', 'relay.ok'],
    ['2a00:1234::/32', 'relay.trusted-public'],
    ['fd00::/8', 'relay.ok'],
    ['172.16.0.0/12', 'relay.ok'],
    ['192.0.0.0/8', 'relay.trusted-public'],
    ['fc00::/7', 'relay.ok'],
  ])('%s: %s', (cidr, code) => {
    const { smtp } = testConfig();
    expect(codes(checkExposure(testConfig({ smtp: { ...smtp, trustedNetworks: [cidr] } })))).toEqual([code]);
  });
});

describe('the certificate', () => {
  const NAME = 'relay.example.com';
  async function files(
    days: number,
    over: { readonly name?: string; readonly chain?: readonly string[]; readonly key?: string } = {},
  ): Promise<{ cert: string; key: string }> {
    const folder = tempFolder();
    const made = await makeTestCertificate({
      names: [over.name ?? NAME],
      notBefore: new Date(Date.now() - 100 * DAY_MS),
      notAfter: new Date(Date.now() + days * DAY_MS),
    });
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    writeFileSync(cert, [made.cert, ...(over.chain ?? [made.ca])].join('\n'));
    writeFileSync(key, over.key ?? made.key, { mode: 0o600 });
    return { cert, key };
  }

  test.each([
    [90, 'ok', 'tls.ok'],
    [20.5, 'warning', 'tls.expires'],
    [-1, 'error', 'tls.expired'],
  ])('that ends in %d days: %s', async (days, level, code) => {
    expect(await checkCertificate(await files(days), NAME, Date.now())).toMatchObject([{ level, code }]);
  });

  test('for another name is a warning that shows the names', async () => {
    const findings = await checkCertificate(await files(90, { name: 'other.example' }), NAME, Date.now());
    expect(codes(findings)).toEqual(['tls.ok', 'tls.name']);
    expect(findings[1]?.message).toContain('DNS:other.example');
  });

  test('with a wildcard covers the name', async () => {
    expect(codes(await checkCertificate(await files(90, { name: '*.example.com' }), NAME, Date.now()))).toEqual([
      'tls.ok',
    ]);
  });

  test('followed by one that did not issue it is an error', async () => {
    const stranger = await makeTestCertificate();
    expect(codes(await checkCertificate(await files(90, { chain: [stranger.cert] }), NAME, Date.now()))).toEqual([
      'tls.ok',
      'tls.chain',
    ]);
  });

  test('alone says that its issuer may be missing', async () => {
    const [, alone] = await checkCertificate(await files(90, { chain: [] }), NAME, Date.now());
    expect(alone).toMatchObject({ level: 'ok', hint: expect.stringContaining('fullchain.pem') });
  });

  test('that cannot be read is an error', async () => {
    expect(codes(await checkCertificate(await files(90, { key: 'no key' }), NAME, Date.now()))).toEqual([
      'tls.unusable',
    ]);
  });

  test('that is not valid yet asks for the clock', async () => {
    const [finding] = await checkCertificate(await files(90), NAME, Date.now() - 200 * DAY_MS);
    expect(finding).toMatchObject({ code: 'tls.early', hint: expect.stringContaining('clock') });
  });
});
