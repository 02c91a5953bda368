/** The DKIM key files of the senders: are they there, can DKIM use them, and are they for the relay alone. */
import { existsSync } from 'node:fs';
import type { Config } from '../config/types.ts';
import { RelayError } from '../core/errors.ts';
import { shellWord } from '../core/shell-word.ts';
import { createSigner } from '../signing/sign.ts';
import { checkPrivateFile } from './check-files.ts';
import { type CheckFinding, createFindings } from './finding.ts';

const WHY_NO_START = 'The relay does not start without.';

/** Checks the keys of every sender. That a sender has none is told with the DNS records too. */
export async function checkKeys({ senders, routes }: Config): Promise<readonly CheckFinding[]> {
  const onlyCaptures = [...routes.values()].every((route) => route.type === 'sandbox');
  const results: CheckFinding[] = [];
  for (const sender of senders) {
    const { domain, dkim } = sender;
    const found = createFindings('dkim', domain);
    const absent = dkim.filter(({ key }) => !existsSync(key));
    if (dkim.length === 0) {
      found.warning('unsigned', {
        message: `mail from ${domain} goes out unsigned: it has no key`,
        why: 'Large receivers want a signature of the From domain; forwarded mail has nothing else to pass DMARC with.',
        hint: `leadpush-relay dkim generate --domain ${domain} --selector lp1 --out FILE`,
      });
    } else if (onlyCaptures && absent.length > 0) {
      // Where nothing leaves the machine, the relay makes the keys that are missing.
      found.ok(`keys of ${domain} will be made at the first start: every route is a sandbox`);
    } else if (absent.length > 0) {
      for (const { selector, key } of absent) {
        found.error('no-key', {
          message: `the key of ${domain}, selector ${selector}, is missing: ${key}`,
          why: WHY_NO_START,
          hint: `Make it with: ${generateCommand(domain, selector, key)}`,
        });
      }
    } else {
      try {
        await createSigner([sender]);
        found.ok(`${domain} is signed with ${dkim.map(({ selector }) => selector).join(', ')}`);
      } catch (error) {
        if (!(error instanceof RelayError)) throw error;
        found.error('key', { message: error.message, why: WHY_NO_START, hint: error.hint });
      }
      results.push(...found.list);
      for (const { key } of dkim) results.push(...(await checkPrivateFile('dkim', key)));
      continue;
    }
    results.push(...found.list);
  }
  return results;
}

/** The command that makes a key; the name of the file is the only word on what kind was meant. */
export function generateCommand(domain: string, selector: string, file: string): string {
  const algorithm = /ed25519/i.test(file) ? ' --algorithm ed25519' : '';
  return `leadpush-relay dkim generate --domain ${domain} --selector ${selector}${algorithm} --out ${shellWord(file)}`;
}
