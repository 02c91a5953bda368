/**
 * Which senders a submitter may use. Pure.
 *
 * Two questions: may this credential use this address (its `from` patterns), and does this relay send for that domain at
 * all (`senders`, `unknown_senders`). The answer depends on the sender alone, never on a recipient. Asked of the envelope sender, From,
 * Sender, Resent-From and Resent-Sender; Reply-To is where answers go, no claim of who wrote, and is left to the app.
 */
import type { Config, Identity } from '../config/types.ts';
import { addressKey, domainOf, type EnvelopeAddress, type ReversePath } from '../core/address.ts';
import { type Refusal, refuse } from '../core/refusal.ts';
import { createImitationFinder, findLookAlike } from './look-alike.ts';

/**
 * Whether `address` matches a pattern of `credentials[].from`: `a@example.com`, `*@example.com`, `*@*.example.com` (any
 * domain below, not the domain itself), or `*`. Letter case does not count.
 */
export function matchesSenderPattern(pattern: string, address: EnvelopeAddress): boolean {
  const wanted = pattern.toLowerCase();
  if (wanted === '*') return true;
  const at = wanted.lastIndexOf('@');
  const domain = domainOf(address);
  const wantedDomain = wanted.slice(at + 1);
  const domainFits = wantedDomain.startsWith('*.') ? domain.endsWith(wantedDomain.slice(1)) : domain === wantedDomain;
  if (!domainFits) return false;
  const wantedLocal = wanted.slice(0, at);
  const key = addressKey(address);
  return wantedLocal === '*' || key.slice(0, key.lastIndexOf('@')) === wantedLocal;
}

/** Whether `credential` may use `mailFrom` as envelope sender; the null sender is always allowed. */
export function checkEnvelopeSender(credential: Identity | null, mailFrom: ReversePath): Refusal | null {
  if (mailFrom === '' || mayUse(credential, mailFrom)) return null;
  return refuse(
    550,
    '5.7.1',
    `Sender <${printable(mailFrom)}> is not allowed for this credential`,
    `envelope sender <${mailFrom}> matches none of the patterns in "from" of credential ${credential?.username ?? ''}`,
  );
}

/** Header fields that say who sends; readers show all of them as the sender. */
export type SenderField = 'From' | 'Sender' | 'Resent-From' | 'Resent-Sender';

/**
 * Whether `from` (the address in From, or in another field that names a sender) may be used: by the credential, and by this
 * relay. A domain that is not in `senders` is refused, or sent unsigned, as `unknown_senders` says; one whose letters pass for
 * others is refused either way.
 */
export function checkHeaderFrom(
  config: Pick<Config, 'senders' | 'unknownSenders'>,
  credential: Identity | null,
  from: EnvelopeAddress,
  field: SenderField = 'From',
): Refusal | null {
  if (!mayUse(credential, from)) {
    return refuse(
      550,
      '5.7.1',
      `${field} address <${printable(from)}> is not allowed for this credential`,
      `${field} <${from}> matches none of the patterns in "from" of credential ${credential?.username ?? ''}`,
    );
  }
  const domain = domainOf(from);
  // A sender of ours is written in the config by somebody who saw its letters.
  if (config.senders.some((sender) => sender.domain === domain)) return null;
  if (findLookAlike(domain) !== null) {
    return refuse(
      550,
      '5.7.1',
      `${field} domain ${domain} has letters that pass for others, and is not a sender of this relay`,
    );
  }
  const imitated = createImitationFinder(config.senders.map((sender) => sender.domain))(domain);
  if (imitated !== null) {
    return refuse(550, '5.7.1', `${field} domain ${domain} looks like ${imitated}, and is not a sender of this relay`);
  }
  if (config.unknownSenders === 'unsigned') return null;
  return refuse(
    550,
    '5.7.1',
    `${field} domain ${domain} is not a sender of this relay (add it under "senders" in its config)`,
    `${field} domain ${domain} is not in "senders" and unknown_senders is "reject"`,
  );
}

function mayUse(credential: Identity | null, address: EnvelopeAddress): boolean {
  if (credential === null || credential.from.length === 0) return true;
  return credential.from.some((pattern) => matchesSenderPattern(pattern, address));
}

/** SMTP replies are ASCII (RFC 5321, section 4.2.4): an address that is not shows its other characters as `?`. */
function printable(address: string): string {
  return address.replace(/[^\x20-\x7e]/g, '?');
}
