import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ensureSelfSigned } from '../../src/intake/certificate.ts';
import { createManualClock } from '../support/clock.ts';

const YEAR_MS = 365 * 24 * 60 * 60 * 1000;
const START = Date.UTC(2026, 0, 5);

const made: string[] = [];

afterAll(async () => {
  for (const dir of made) await rm(dir, { recursive: true });
});

async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'relay-cert-'));
  made.push(dir);
  return join(dir, 'tls');
}

describe('ensureSelfSigned', () => {
  test('makes a certificate for the host name and loopback, with its key', async () => {
    const { cert, key } = await ensureSelfSigned(await folder(), 'relay.test', createManualClock(START));
    const certificate = new X509Certificate(cert);
    expect(certificate.checkPrivateKey(createPrivateKey(key))).toBe(true);
    for (const name of ['relay.test', 'localhost']) expect(certificate.checkHost(name)).toBe(name);
    for (const ip of ['127.0.0.1', '::1']) expect(certificate.checkIP(ip)).toBe(ip);
    expect(certificate.ca).toBe(false);
  });

  test('keeps the key from other users, and leaves no other file', async () => {
    const dir = await folder();
    await ensureSelfSigned(dir, 'relay.test', createManualClock(START));
    expect((await stat(join(dir, 'self-signed.key.pem'))).mode & 0o777).toBe(0o600);
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
    expect((await readdir(dir)).toSorted()).toEqual(['self-signed.cert.pem', 'self-signed.key.pem']);
  });

  test('returns the same one at the next start, and closes a key that was opened to others', async () => {
    const dir = await folder();
    const clock = createManualClock(START);
    const first = await ensureSelfSigned(dir, 'relay.test', clock);
    await chmod(join(dir, 'self-signed.key.pem'), 0o644);
    expect(await ensureSelfSigned(dir, 'relay.test', clock)).toEqual(first);
    expect((await stat(join(dir, 'self-signed.key.pem'))).mode & 0o777).toBe(0o600);
  });

  test('makes a new one when it has run out, and when it was made in the future', async () => {
    const dir = await folder();
    const first = await ensureSelfSigned(dir, 'relay.test', createManualClock(START));
    const second = await ensureSelfSigned(dir, 'relay.test', createManualClock(START + 11 * YEAR_MS));
    expect(second.cert).not.toBe(first.cert);
    expect(new X509Certificate(second.cert).validToDate.getTime()).toBeGreaterThan(START + 12 * YEAR_MS);
    const third = await ensureSelfSigned(dir, 'relay.test', createManualClock(START));
    expect(third.cert).not.toBe(second.cert);
  });

  test.each(['self-signed.cert.pem', 'self-signed.key.pem'])('makes a new pair when %s is damaged', async (file) => {
    const dir = await folder();
    const clock = createManualClock(START);
    await ensureSelfSigned(dir, 'relay.test', clock);
    await writeFile(join(dir, file), 'damaged');
    const { cert, key } = await ensureSelfSigned(dir, 'relay.test', clock);
    expect(new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))).toBe(true);
  });

  test('makes a new one when the host name or the key is another', async () => {
    const [dir, other] = [await folder(), await folder()];
    const clock = createManualClock(START);
    const first = await ensureSelfSigned(dir, 'relay.test', clock);
    const renamed = await ensureSelfSigned(dir, 'other.test', clock);
    expect(renamed.cert).not.toBe(first.cert);
    await ensureSelfSigned(other, 'other.test', clock);
    await writeFile(join(dir, 'self-signed.key.pem'), await readFile(join(other, 'self-signed.key.pem')));
    expect((await ensureSelfSigned(dir, 'other.test', clock)).cert).not.toBe(renamed.cert);
  });

  test('says what to do when the folder cannot be made', async () => {
    const file = await folder();
    await writeFile(file, '');
    await expect(ensureSelfSigned(file, 'relay.test', createManualClock(START))).rejects.toMatchObject({
      code: 'key',
      hint: expect.stringContaining('smtp.tls.cert'),
    });
  });
});
