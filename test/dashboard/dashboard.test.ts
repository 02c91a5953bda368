/** The dashboard in a real browser, over a real relay: what an operator does with it, and what a hostile mail may not. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ADMIN, createStage, PHONE, READER, type Stage, type Visit } from './stage.ts';

const HOSTILE_NAME = '<img src=x onerror=alert(1)>';

let stage: Stage;
beforeAll(async () => {
  stage = await createStage();
}, 60_000);
afterAll(() => stage.stop());

const RESET = { from: 'app@example.com', subject: 'Reset', text: 'https://accounts.example.com/r?t=1' } as const;

async function noWiderThanItself({ page }: Visit): Promise<void> {
  expect(await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
}

describe('the ten seconds', () => {
  test('a reset of this morning is found by its recipient, and why it was late is the first thing told', async () => {
    const { page, faults } = await stage.open(READER);
    await page.goto('/');
    await page.locator('tr.row').first().waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('ann@example.net');
    await page.keyboard.press('Enter');
    await page.locator('tr.row', { hasText: /ann@example\.net.*password-reset/ }).waitFor();
    expect(await page.locator('tr.row').count()).toBe(2);
    expect(new URL(page.url()).search).toBe('?q=ann%40example.net');
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    const verdict = page.getByLabel('Verdict');
    await verdict.waitFor();
    const text = await verdict.innerText();
    expect(text).toMatch(/^Delivered to ann@example\.net on .*, 1 min \d+ s after it was accepted: /);
    // Its time is in the zone of the browser, and the exact one is there on hover.
    expect(text).not.toMatch(/\dZ,/);
    expect(await verdict.locator('time').getAttribute('title')).toMatch(/\d/);
    expect(text).toContain(
      'Late because of the wait after ses answered "451 4.7.1 Greylisted, try again in 300 seconds" at rcpt',
    );
    expect(await page.locator('.step').count()).toBeGreaterThanOrEqual(5);
    expect(await page.locator('.phase.transaction').count()).toBeGreaterThanOrEqual(3);
    await page.getByRole('link', { name: 'case-4711' }).first().click();
    expect(await page.getByLabel('Verdict').innerText()).toContain('The reset for ann@example.net was delivered');
    await page.keyboard.press('Escape');
    await page.getByRole('heading', { name: 'What happened' }).waitFor();
    await page.keyboard.press('Escape');
    await page.locator('tr.row').first().waitFor();
    expect(new URL(page.url()).search).toBe('?q=ann%40example.net');
    expect(faults).toEqual([]);
  });

  test('Message-ID, message id, flow, tag and state find it too', async () => {
    const { page, context } = await stage.open(READER);
    const list: { data: { id: string; message_id: string }[] } = await (
      await context.request.get('/v1/messages?recipient=ann@example.net&tag=password-reset')
    ).json();
    const [message] = list.data;
    for (const query of [
      message?.message_id,
      message?.message_id.slice(1, -1),
      'case-4711',
      'to:ann@example.net tag:password-reset delivered',
    ]) {
      await page.goto('/');
      await page.getByRole('searchbox').fill(query ?? '');
      await page.keyboard.press('Enter');
      await page.locator(`tr.row[data-id="${message?.id}"]`).waitFor();
    }
    await page.getByRole('searchbox').fill(message?.id ?? '');
    await page.keyboard.press('Enter');
    await page.getByLabel('Verdict').waitFor();
  });

  test('the beginning of an address finds all that begin so; the end of one is told at once', async () => {
    const { page, faults } = await stage.open(READER);
    await page.goto('/');
    const box = page.getByRole('searchbox');
    for (const part of ['ann@exam', 'Ann@*', 'to:ann*']) {
      await box.fill(part);
      await page.keyboard.press('Enter');
      await page.locator('tr.row', { hasText: /ann@example\.net.*password-reset/ }).waitFor();
      await expect.poll(() => page.locator('tr.row').count()).toBe(2);
      await page.goto('/');
    }
    await box.fill('@example.net');
    await page.keyboard.press('Enter');
    expect(await page.evaluate<string>('document.activeElement.validationMessage')).toContain('by how it begins');
    expect(new URL(page.url()).search).toBe('');
    await page.goto('/?q=%40example.net');
    await page.getByText('A domain alone is not searched').waitFor();
    await box.fill('ann@example.net');
    await page.keyboard.press('Enter');
    await page.locator('tr.row').first().waitFor();
    expect(new URL(page.url()).search).toBe('?q=ann%40example.net');
    expect(faults).toEqual([]);
  });

  test('what is not there says so, and what to look at', async () => {
    const { page } = await stage.open(READER);
    expect((await page.goto('/nonsense'))?.status()).toBe(404);
    await page.getByText('There is no such page').waitFor();
    await page.goto('/?q=nobody%40example.net');
    await page.getByText('check the SMTP host and port of the app').waitFor();
    await page.goto('/messages/msg_00000000000000000000000000');
    await page.getByRole('alert').waitFor();
  });
});

describe('as it happens', () => {
  test('a message that comes in is in the list at once, and moves to its state', async () => {
    const { page, faults } = await stage.open(READER);
    await page.goto('/');
    await page.getByText('live', { exact: true }).waitFor();
    const id = await stage.send({ ...RESET, to: 'live@captured.example' });
    const row = page.locator(`tr.row[data-id="${id}"]`);
    await row.waitFor({ timeout: 5000 });
    await row.getByText('delivered').waitFor({ timeout: 5000 });
    expect(faults).toEqual([]);
  });

  test('a mail that waits is put back to work, and then canceled, from the queue', async () => {
    const { page, faults } = await stage.open(ADMIN);
    const id = await stage.send({ ...RESET, to: 'waits@example.net', headers: { 'X-Leadpush-Tag': 'password-reset' } });
    await page.goto('/queue');
    const row = page.locator('tr.row', { hasText: 'waits@example.net' });
    await row.getByText('deferred').waitFor({ timeout: 10_000 });
    await row.getByRole('checkbox').check();
    const retried = page.waitForResponse((response) => response.url().endsWith('/retry'));
    await page.getByRole('button', { name: 'Retry now' }).click();
    expect((await retried).ok()).toBe(true);
    await page.goto(`/messages/${id}`);
    await page.locator('.step', { hasText: 'attempt 3' }).waitFor({ timeout: 10_000 });
    // While an attempt is under way, or due, it is told so instead.
    const verdict = page.getByLabel('Verdict').filter({ hasText: /The next attempt is in .*, over/ });
    const told = await verdict.innerText();
    await expect.poll(() => verdict.innerText(), { message: 'the seconds go on', timeout: 5000 }).not.toBe(told);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Cancel it' }).click();
    await page.getByText('Canceled for waits@example.net').waitFor();
    await page.goto('/queue');
    await page.getByRole('heading', { name: 'Queue' }).waitFor();
    await expect.poll(() => page.locator('tr.row', { hasText: 'waits@example.net' }).count()).toBe(0);
    expect(faults).toEqual([]);
  });

  test('an address is suppressed, and let through again', async () => {
    const { page, faults } = await stage.open(ADMIN);
    await page.goto('/suppressions');
    await page.getByLabel('Address').fill('aaa@example.net');
    await page.getByLabel('Why').fill('asked us to');
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    const row = page.locator('tr', { hasText: 'aaa@example.net' });
    await row.getByText('asked us to').waitFor();
    await row.getByRole('button', { name: 'Remove' }).click();
    await page.getByRole('button', { name: 'Remove it' }).click();
    await row.waitFor({ state: 'detached' });
    expect(faults).toEqual([]);
  });
});

describe('a webhook that fails', () => {
  test('shows each try, and is sent again what it missed', async () => {
    await stage.send({ ...RESET, to: 'hook@captured.example' });
    const { page, faults } = await stage.open(ADMIN);
    await page.goto('/webhooks');
    await page.locator('tr.row', { hasText: 'hook' }).getByText('failing').waitFor({ timeout: 10_000 });
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.locator('.event-item', { hasText: 'message.delivered' }).getByText('no answer').first().waitFor();
    await page.getByRole('button', { name: 'Send these again' }).click();
    await page.getByText(/will be sent again/).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('heading', { name: 'Webhooks', level: 1 }).waitFor();
    expect(faults).toEqual([]);
  });
});

describe('who may what', () => {
  test('without a session one signs in, with a wrong token one does not', async () => {
    const { page } = await stage.open(null);
    await page.goto('/queue');
    await page.getByLabel('API token').fill('wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').waitFor();
    await page.getByLabel('API token').fill(READER);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Queue' }).waitFor();
    await page.getByText('wall, read-only').waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('API token').waitFor();
  });

  test('the cookie is out of reach of scripts, and nothing else holds the token', async () => {
    const { page } = await stage.open(ADMIN);
    await page.goto('/');
    await page.locator('tr.row').first().waitFor();
    expect(await page.evaluate('document.cookie')).toBe('');
    expect(await page.evaluate('JSON.stringify([{ ...localStorage }, { ...sessionStorage }])')).not.toContain(ADMIN);
  });

  test('a token that may only read sees no mail and no button that changes anything', async () => {
    const id = await stage.send({ ...RESET, to: 'reader@captured.example' });
    const { page, faults } = await stage.open(READER);
    await page.goto(`/messages/${id}`);
    await page.getByText('Not shown to this token').waitFor();
    await page.goto('/suppressions');
    await page.getByRole('heading', { name: 'Suppressions' }).waitFor();
    expect(await page.getByRole('button', { name: /Add|Remove|Retry|Cancel/ }).count()).toBe(0);
    expect(faults).toEqual([]);
  });
});

describe('captured mail', () => {
  test('is shown as it looks, with text, links, header, signatures, attachments and source', async () => {
    const id = await stage.send({
      ...RESET,
      to: 'look@captured.example',
      html: '<p style="color: rgb(255, 0, 0)">Hello</p><a href="https://accounts.example.com/r?t=1">reset</a>',
      attachments: [{ filename: 'terms.txt', content: 'terms' }],
    });
    const { page, faults } = await stage.open(ADMIN);
    await page.goto(`/messages/${id}`);
    const frame = page.frameLocator('iframe');
    expect(
      await frame.getByText('Hello').evaluate((element) => Reflect.get(globalThis, 'getComputedStyle')(element).color),
    ).toBe('rgb(255, 0, 0)');
    await page.getByRole('tab', { name: 'Text' }).click();
    await page.getByRole('tabpanel').getByText('https://accounts.example.com/r?t=1').waitFor();
    await page.keyboard.press('ArrowRight');
    await page.getByRole('link', { name: 'https://accounts.example.com/r?t=1' }).first().waitFor();
    await page.getByRole('tab', { name: 'DKIM' }).click();
    await page.getByRole('tabpanel').getByText('pass').waitFor();
    await page.getByRole('tab', { name: 'Attachments (1)' }).click();
    await page.getByRole('link', { name: 'terms.txt' }).waitFor();
    await page.getByRole('tab', { name: 'Source' }).click();
    await page.getByRole('tabpanel').getByText('DKIM-Signature:').waitFor();
    expect(faults).toEqual([]);
  });

  test('runs no script, makes no request and goes nowhere, in the frame and opened by itself', async () => {
    let connections = 0;
    const elsewhere = createServer((socket) => {
      connections++;
      socket.destroy();
    }).listen(0, '127.0.0.1');
    onTestFinished(() => void elsewhere.close());
    await once(elsewhere, 'listening');
    const far = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;
    const id = await stage.send({
      ...RESET,
      to: 'hostile@captured.example',
      html: `<meta http-equiv="refresh" content="0; url=${far}/refresh"><base href="${far}/"><link rel="stylesheet" href="${far}/s.css">
        <link rel="preconnect" href="${far}"><link rel="dns-prefetch" href="${far}">
        <style>@import url(${far}/i.css); body { background: url(${far}/bg.png) }</style>
        <script>document.body.dataset.ran = '1'; parent.postMessage('out', '*')</script><img src="${far}/p.gif" onerror="document.body.dataset.ran = '2'">
        <svg onload="document.body.dataset.ran = '3'"></svg><iframe src="${far}/frame"></iframe><object data="${far}/o"></object>
        <form action="${far}/form"><input name="a" autofocus onfocus="document.body.dataset.ran = '4'"><button>send</button></form>
        <video src="${far}/v.mp4" autoplay></video><a href="${far}/link" ping="${far}/ping">click</a><p>end of it</p>`,
    });
    const { page } = await stage.open(ADMIN);
    await page.goto(`/messages/${id}`);
    const frame = page.frameLocator('iframe');
    await frame.getByText('end of it').waitFor();
    expect(await frame.locator('body').getAttribute('data-ran')).toBeNull();
    await frame.getByText('send').click({ force: true });
    await frame.getByText('click').click({ force: true });
    await page.waitForTimeout(300);
    expect(new URL(page.url()).pathname).toBe(`/messages/${id}`);
    await page.goto(`/v1/messages/${id}/preview/html`);
    await page.getByText('end of it').waitFor();
    expect(await page.locator('body').getAttribute('data-ran')).toBeNull();
    await page.waitForTimeout(300);
    expect(connections).toBe(0);
  });
});

describe('hostile data', () => {
  test('is text wherever it is shown', async () => {
    const headers = {
      'X-Leadpush-Flow': HOSTILE_NAME,
      'X-Leadpush-Metadata-Who': `\u001b[31m${HOSTILE_NAME}`.replace('\u001b', ''),
    };
    const id = await stage.send({
      ...RESET,
      subject: HOSTILE_NAME,
      to: 'text@captured.example',
      headers,
      attachments: [{ filename: `${HOSTILE_NAME}.txt`, content: 'x' }],
    });
    const { page, faults } = await stage.open(ADMIN);
    page.on('dialog', (dialog) => {
      faults.push('a dialog opened');
      void dialog.dismiss();
    });
    await page.goto(`/messages/${id}`);
    await page.getByRole('link', { name: HOSTILE_NAME }).first().waitFor();
    await page.getByText(`[31m${HOSTILE_NAME}`).waitFor();
    await page.getByRole('tab', { name: /Attachments/ }).click();
    await page.getByRole('link', { name: `${HOSTILE_NAME}.txt` }).waitFor();
    await page.getByRole('tab', { name: 'Header' }).click();
    await page.goto(`/flows/${encodeURIComponent(HOSTILE_NAME)}`);
    await page.getByRole('heading', { name: HOSTILE_NAME }).waitFor();
    await page.goto(`/?q=${encodeURIComponent('"><script>alert(1)</script>')}&tag=${encodeURIComponent(HOSTILE_NAME)}`);
    await page.getByRole('heading', { name: 'Messages' }).waitFor();
    expect(await page.locator('img[src="x"]').count()).toBe(0);
    expect(faults.filter((fault) => !fault.includes('422'))).toEqual([]);
  });
});

const VIEWS: readonly (readonly [address: string, heading: string])[] = [
  ['/', 'Messages'],
  ['/?q=ann%40example.net', 'Messages'],
  ['/queue', 'Queue'],
  ['/routes', 'Routes'],
  ['/statistics?span=24h', 'Statistics'],
  ['/statistics?span=24h&tag=otp', 'Statistics'],
  ['/suppressions', 'Suppressions'],
  ['/webhooks', 'Webhooks'],
  ['/senders', 'Senders'],
];

describe('every view', () => {
  test.each(['light', 'dark'] as const)(
    'opens without a fault in %s, and on a phone is no wider than it',
    async (colorScheme) => {
      const visit = await stage.open(ADMIN, { colorScheme, viewport: PHONE });
      const { page, faults } = visit;
      const backgrounds = new Set<unknown>();
      for (const [address, heading] of VIEWS) {
        await page.goto(address);
        await page.getByRole('heading', { name: heading, level: 1 }).waitFor();
        await expect.poll(() => page.getByText(/^Loading/).count(), { timeout: 8000 }).toBe(0);
        await noWiderThanItself(visit);
        backgrounds.add(await page.evaluate('getComputedStyle(document.body).backgroundColor'));
      }
      expect([...backgrounds]).toEqual([colorScheme === 'dark' ? 'rgb(15, 19, 26)' : 'rgb(246, 247, 249)']);
      expect(faults).toEqual([]);
    },
  );

  test('of a message is no wider than a phone either', async () => {
    const { page, ...visit } = await stage.open(ADMIN, { viewport: PHONE });
    await page.goto('/?q=ann%40example.net');
    await page.locator('tr.row').first().click();
    await page.getByLabel('Verdict').waitFor();
    await noWiderThanItself({ page, ...visit });
  });

  test('has a search box on a phone that an address fits into', async () => {
    const { page } = await stage.open(ADMIN, { viewport: PHONE });
    await page.goto('/queue');
    const box = await page.getByRole('searchbox').boundingBox();
    expect(box?.width).toBeGreaterThan(300);
    await page.getByRole('button', { name: 'Menu' }).click();
    const bar = await page.locator('header.top').boundingBox();
    const menu = await page.locator('.side').boundingBox();
    expect(menu?.y).toBe(bar?.height);
  });

  test('keeps the look that was chosen, whatever the system has', async () => {
    const { page } = await stage.open(READER, { colorScheme: 'light' });
    await page.goto('/queue');
    await page.getByRole('button', { name: /Look/ }).click();
    await page.getByRole('button', { name: /Look/ }).click();
    expect(await page.evaluate('document.documentElement.dataset.theme')).toBe('dark');
    await page.reload();
    await page.getByRole('heading', { name: 'Queue' }).waitFor();
    expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe('rgb(15, 19, 26)');
  });

  test('is reached by keyboard, with the focus in sight', async () => {
    const { page } = await stage.open(READER);
    await page.goto('/');
    await page.locator('tr.row').first().waitFor();
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement?.textContent')).toBe('Skip to the content');
    for (const key of ['j', 'ArrowDown', 'k']) await page.keyboard.press(key);
    const focused = page.locator('tr.row:focus');
    expect(await focused.count()).toBe(1);
    expect(await focused.evaluate((element) => Reflect.get(globalThis, 'getComputedStyle')(element).outlineStyle)).toBe(
      'solid',
    );
    await page.keyboard.press('Enter');
    await page.getByLabel('Verdict').waitFor();
  });
});
