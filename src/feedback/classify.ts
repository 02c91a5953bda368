/**
 * Why a message bounced, from what the last server said: by cause before code before words.
 *
 *   cause   what failed, as the attempt knows it: DNS said that there is no such domain; a route's own trouble is nobody's bounce
 *   code    the enhanced code (RFC 3463), as far as it can be trusted, then the basic code (RFC 5321) where it is specific
 *   words   what the server wrote
 *
 * `recipient` leads to a suppression, so it is said only of a permanent answer that is about the address: never at MAIL, where
 * no recipient was named yet, never from a 4xx, and not from 5.1.1 beside words about spam or blocks. Pure; any text gives a
 * class, in linear time. `why` repeats our own words for code and phrase, nothing of the server's text.
 *
 * Known limit: words in other languages than English are not read; the codes are.
 */
import type { Bounce, BounceClass } from '../core/bounce.ts';
import { unreachable } from '../core/errors.ts';
import type { Outcome, Stage } from '../core/outcome.ts';
import { parseReply } from '../mail/reply.ts';
import { meaningOfStatus } from './status-codes.ts';
import { readWording, type Wording } from './wording.ts';

interface Answer {
  readonly stage: Stage | null;
  readonly code: number | null;
  readonly enhanced: string | null;
  readonly text: string;
}

interface BasicCode {
  readonly class: BounceClass;
  readonly name: string;
}

/** Basic codes that mean one thing when the words do not say otherwise. */
const BASIC_CODES: ReadonlyMap<number, BasicCode> = new Map([
  [521, { class: 'recipient', name: 'the host takes no mail (RFC 7504)' }],
  [523, { class: 'content', name: 'message too big for the recipient' }],
  [525, { class: 'infrastructure', name: 'the sending account is disabled' }],
  [530, { class: 'infrastructure', name: 'a login is required' }],
  [535, { class: 'infrastructure', name: 'the login was refused' }],
  [551, { class: 'recipient', name: 'the user is not here' }],
  [552, { class: 'mailbox-full', name: 'storage allocation exceeded' }],
  [556, { class: 'recipient', name: 'the domain takes no mail (RFC 7504)' }],
]);
const DOMAIN_CODES: ReadonlySet<string> = new Set(['5.1.2', '5.1.10']);
const GENERIC = /\.0\.0$/;

/** The class of an attempt that ended for good. */
export function classifyBounce(outcome: Extract<Outcome, { kind: 'rejected' }>): Bounce {
  const { stage, code, enhanced, response: text } = outcome;
  switch (outcome.cause) {
    case 'dns':
      return enhanced !== null && !DOMAIN_CODES.has(enhanced)
        ? bounce('infrastructure', `DNS (${enhanced}): the domain has no host that mail can be sent to`)
        : bounce(
            'recipient',
            `DNS${enhanced === null ? '' : ` (${enhanced})`}: the domain does not exist or takes no mail`,
          );
    case 'local':
    case 'connect':
    case 'tls':
    case 'auth':
    case 'route':
      return bounce('infrastructure', `cause "${outcome.cause}": the next hop or the way to it, not the recipient`);
    case 'recipient':
      return classify({ stage, code, enhanced, text });
    case 'content': {
      const found = classify({ stage, code, enhanced, text });
      if (found.class !== 'undetermined' || stage !== 'dot') return found;
      return bounce('content', 'refused after the content was read, without saying why');
    }
    default:
      return unreachable(outcome.cause);
  }
}

/**
 * The class of a failure that a report (RFC 3464) tells of: its `Status` and `Diagnostic-Code`, each as it stands there or
 * null. A code in the diagnostic counts when the status is a general one.
 */
export function classifyReport(status: string | null, diagnostic: string | null): Bounce {
  const text = diagnostic ?? '';
  const semicolon = text.indexOf(';');
  const typed = semicolon !== -1 && /^[\w-]{1,40}$/.test(text.slice(0, semicolon).trim());
  const said = (typed ? text.slice(semicolon + 1) : text).trim();
  const reply = parseReply(said);
  const own = status !== null && !GENERIC.test(status) ? status : null;
  return classify({
    stage: null,
    code: reply?.code ?? null,
    enhanced: own ?? reply?.enhanced ?? status,
    text: reply?.text ?? said,
  });
}

function classify(answer: Answer): Bounce {
  const words = readWording(answer.text);
  const found = byEnhanced(answer, words) ?? byBasic(answer, words) ?? byWords(words);
  return found.class === 'recipient' ? notTooSoon(answer, found) : found;
}

function byEnhanced({ enhanced }: Answer, words: Wording | null): Bounce | null {
  const meaning = enhanced === null ? null : meaningOfStatus(enhanced);
  if (enhanced === null || meaning === null) return null;
  const code = `enhanced code ${enhanced}: ${meaning.name}`;
  switch (meaning.trust) {
    case 'certain':
      return bounce(meaning.class, code);
    case 'unless':
      return words === null || words.class === meaning.class
        ? bounce(meaning.class, code)
        : bounce(words.class, `${code}; but the text says "${words.phrase}"`);
    case 'words':
      return words === null ? bounce(meaning.class, code) : bounce(words.class, `text "${words.phrase}" with ${code}`);
    default:
      return unreachable(meaning.trust);
  }
}

function byBasic({ code }: Answer, words: Wording | null): Bounce | null {
  const known = code === null ? undefined : BASIC_CODES.get(code);
  if (known === undefined || (words !== null && words.class !== known.class)) return null;
  return bounce(known.class, `code ${code}: ${known.name}`);
}

function byWords(words: Wording | null): Bounce {
  if (words === null) return bounce('undetermined', 'neither the code nor the text says why');
  return bounce(words.class, `text "${words.phrase}"`);
}

/** A verdict on the recipient is a permanent one, given after the recipient was named. */
function notTooSoon({ stage, code, enhanced }: Answer, found: Bounce): Bounce {
  if (stage === 'mail') return bounce('undetermined', `${found.why}; but no recipient had been named yet`);
  const temporary = (enhanced ?? '').startsWith('4.') || (enhanced === null && code !== null && code < 500);
  return temporary ? bounce('undetermined', `${found.why}; but only for the time being`) : found;
}

function bounce(found: BounceClass, why: string): Bounce {
  return { class: found, why };
}
