/** A page of Debian's Chromium for markup to be taken apart in. */
import { chromium, type Page } from 'playwright-core';
import { needProgram } from './relay.ts';

export interface BrowserPage {
  readonly page: Page;
  close(): Promise<void>;
}

/** Opens a page that holds `content` and loads nothing. */
export async function openBrowserPage(content: string): Promise<BrowserPage> {
  const executablePath = needProgram('/usr/bin/chromium', 'chromium');
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  const page = await browser.newPage();
  await page.route('**', (route) => route.abort());
  await page.setContent(content);
  return { page, close: () => browser.close() };
}
