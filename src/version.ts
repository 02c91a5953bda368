/** The relay's version, as `package.json` has it. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

function readVersion(): string {
  // Holds from `src/` and from `dist/` alike: package.json is one folder up.
  const text = readFileSync(path.join(import.meta.dirname, '..', 'package.json'), 'utf8');
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed === 'object' && parsed !== null && 'version' in parsed) return String(parsed.version);
  throw new Error('package.json has no version');
}

export const VERSION: string = readVersion();
