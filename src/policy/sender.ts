/**
 * Which senders a submitter may use. Pure.
 *
 * Two questions: may this credential use this address (its `from` patterns), and does this relay send for that domain at
 * all (`senders`, `unknown_senders`). The answer depends on the sender alone, never on a recipient.
 */
import type { Config, CredentialConfig } from '../config/types.ts';
import { addressKey, domainOf, type EnvelopeAddress, type ReversePath } from '../core/address.ts';
import { type Refusal, refuse } from '../core/refusal.ts';

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
export function checkEnvelopeSender(credential: CredentialConfig | null, mailFrom: ReversePath): Refusal | null {
  if (mailFrom === '' || mayUse(credential, mailFrom)) return null;
  return refuse(
    550,
    '5.7.1',
    `Sender <${printable(mailFrom)}> is not allowed for this credential`,
    `envelope sender <${mailFrom}> matches none of the patterns in "from" of credential ${credential?.username ?? ''}`,
  );
}

/**
 * Whether `from` (the address in the From header) may be used: by the credential, and by this relay. A domain that is not
 * in `senders` is refused, or sent unsigned, as `unknown_senders` says.
 */
export function checkHeaderFrom(
  config: Pick<Config, 'senders' | 'unknownSenders'>,
  credential: CredentialConfig | null,
  from: EnvelopeAddress,
): Refusal | null {
  if (!mayUse(credential, from)) {
    return refuse(
      550,
      '5.7.1',
      `From address <${printable(from)}> is not allowed for this credential`,
      `From <${from}> matches none of the patterns in "from" of credential ${credential?.username ?? ''}`,
    );
  }
  const domain = domainOf(from);
  if (config.unknownSenders === 'unsigned' || config.senders.some((sender) => sender.domain === domain)) return null;
  return refuse(
    550,
    '5.7.1',
    `From domain ${domain} is not a sender of this relay (add it under "senders" in its config)`,
    `From domain ${domain} is not in "senders" and unknown_senders is "reject"`,
  );
}

function mayUse(credential: CredentialConfig | null, address: EnvelopeAddress): boolean {
  if (credential === null || credential.from.length === 0) return true;
  return credential.from.some((pattern) => matchesSenderPattern(pattern, address));
}

/** SMTP replies are ASCII (RFC 5321, section 4.2.4): an address that is not shows its other characters as `?`. */
function printable(address: string): string {
  return address.replace(/[^\x20-\x7e]/g, '?');
}
