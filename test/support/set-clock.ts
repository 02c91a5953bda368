/**
 * Loaded into a relay with `--import`: sets the machine's clock as that relay sees it, and nobody else's. The file that
 * `LEADPUSH_TEST_CLOCK` names holds the milliseconds by which it is off; it is read several times a second.
 */
import { readFileSync } from 'node:fs';

const file = process.env['LEADPUSH_TEST_CLOCK'] ?? '';
const now = Date.now.bind(Date);
let offsetMs = 0;
const look = (): void => {
  offsetMs = Number(readFileSync(file, 'utf8'));
};
look();
setInterval(look, 20).unref();
Date.now = () => now() + offsetMs;
