import { describe, expect, test } from 'vitest';
import { CAPTURED, DELIVERED, seed } from './seed.ts';
import { createTestIo, type Ran, run, tempFolder } from './support.ts';
import { runCli } from '../../src/cli/program.ts';

const show = (folder: string, id: string, ...more: readonly string[]): Promise<Ran> =>
  run(['show', id, '--data', folder, ...more]);
const MAIL = Buffer.from('Subject: x\r\n\r\nhttps://example.com/reset?token=abc \x80\xff\r\n', 'latin1');

describe('show', () => {
  test('prints a captured message, octet by octet', async () => {
    const folder = tempFolder();
    const { accept, attempt } = await seed(folder);
    const { id } = await accept({ route: 'sandbox', content: MAIL });
    await attempt(CAPTURED, { state: 'delivered', captured: true }, 'sandbox');
    const io = createTestIo({ tty: true });
    expect(await runCli(['show', id, '--data', folder], io)).toBe(0);
    expect(io.outBytes()).toEqual(MAIL);
    const { json } = await show(folder, id, '--json');
    expect(json).toEqual([{ id, content: MAIL.toString('base64') }]);
  });

  test('shows nothing of mail that was delivered to a next hop, even when its content is kept', async () => {
    const folder = tempFolder();
    const { accept, attempt } = await seed(folder);
    const { id } = await accept({ content: MAIL });
    await attempt(DELIVERED, { state: 'delivered', captured: true });
    const { code, out, err } = await show(folder, id);
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain('only mail that a sandbox route captured is shown');
  });

  test('shows nothing of mail that waits', async () => {
    const folder = tempFolder();
    const { id } = await (await seed(folder)).accept({ content: MAIL });
    const { code, out, err } = await show(folder, id);
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain('queued');
    expect(err).not.toContain('token');
  });

  test('says that the content of a captured message is gone', async () => {
    const folder = tempFolder();
    const { accept, attempt, store, clock } = await seed(folder);
    const { id } = await accept({ route: 'sandbox' });
    await attempt(CAPTURED, { state: 'delivered', captured: true }, 'sandbox');
    await clock.advance(1000);
    await store.upkeep.dropContent(clock.now(), clock.now(), 10);
    const { code, out, err } = await show(folder, id);
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain('gone');
    expect(err).toContain('retention.sandbox');
  });

  test('says of refused and unknown messages that there is nothing to show', async () => {
    const folder = tempFolder();
    const refused = await (await seed(folder)).reject('ann@example.net');
    expect(await show(folder, refused)).toMatchObject({ code: 1, err: expect.stringContaining('refused') });
    expect(await show(folder, `msg_${'0'.repeat(26)}`)).toMatchObject({
      code: 1,
      err: expect.stringContaining('no message'),
    });
  });

  test('wants a message id', async () => {
    expect(await show(tempFolder(), 'ann@example.net')).toMatchObject({
      code: 2,
      err: expect.stringContaining('msg_'),
    });
  });
});
