/**
 * MAIL and RCPT: from the raw command line to typed values, or to the refusal that the client gets.
 *
 * Strict where leniency has been abused: one address between angle brackets and nothing around it, UTF-8 decoded fatally,
 * every parameter known, given once, and valid. Lenient in two harmless things that real clients do: a space after the colon,
 * and spaces at the end. Nothing is repaired: the address is kept byte for byte.
 *
 * RFC 5321 sections 4.1.1.2, 4.1.1.3 and 4.1.2; 1870 (SIZE), 2852 (BY), 3461 (DSN), 4954 (AUTH=), 6152 (BODY), 6531 (SMTPUTF8).
 * `BY=n;R` asks for a deadline. `BY=n;N` asks to be told when the message is late, and to keep trying: its time is checked and
 * not kept, for it ends nothing; who is told of a delay, and when, is what NOTIFY and the tag's `delayed_after` say. The trace
 * flag `T` is accepted and not used.
 * Known limit: `ORCPT=utf-8;...` must be in its ASCII form (RFC 6533, section 3).
 */
import { parseEnvelopeAddress, type ReversePath } from '../core/address.ts';
import type { EnvelopeDsn, EnvelopeRecipient, RecipientDsn } from '../core/message.ts';
import { type Refusal, refuse } from '../core/refusal.ts';

export interface MailCommand {
  readonly kind: 'mail';
  readonly mailFrom: ReversePath;
  /** Octets that the client declared, or null. */
  readonly size: number | null;
  readonly smtpUtf8: boolean;
  readonly dsn: EnvelopeDsn;
  /** Seconds from `BY=` with mode R, above zero, or null. */
  readonly deliverBySeconds: number | null;
}

export interface RcptCommand {
  readonly kind: 'rcpt';
  readonly recipient: EnvelopeRecipient;
}

type NotifyWord = RecipientDsn['notify'][number];

const NON_ASCII = /[\u0080-\u{10ffff}]/u;
const PARAMETER = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=(.*))?$/s;
/** esmtp-value: printable ASCII without the equals sign. */
const PARAMETER_VALUE = /^[\x21-\x3c\x3e-\x7e]+$/;
const XTEXT = /^(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})*$/;
const XTEXT_ESCAPE = /\+([0-9A-F]{2})/g;
const PRINTABLE = /^[\x20-\x7e]+$/;
const ORCPT = /^([A-Za-z0-9!#$%&'*+\-/?^_`{|}~]+);(.+)$/;
const NOTIFY_WORDS: ReadonlyMap<string, NotifyWord> = new Map([
  ['SUCCESS', 'SUCCESS'],
  ['FAILURE', 'FAILURE'],
  ['DELAY', 'DELAY'],
]);
/** by-time, by-mode, by-trace (RFC 2852, section 4). */
const BY = /^([+-]?\d{1,9});([RN])T?$/i;
const MAX_ENVID_CHARACTERS = 100;
const MAX_ORCPT_CHARACTERS = 500;
const MAX_NAME_SHOWN = 40;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Parses a MAIL command line without its line end. */
export function parseMailCommand(line: Uint8Array): MailCommand | Refusal {
  const parts = splitCommand(line, 'MAIL FROM');
  if (parts.kind === 'refused') return parts;
  const { path, parameters } = parts;

  let size: number | null = null;
  let smtpUtf8 = false;
  let ret: EnvelopeDsn['ret'] = null;
  let envid: string | null = null;
  let deliverBySeconds: number | null = null;
  for (const [name, value] of parameters) {
    switch (name) {
      case 'SIZE':
        if (value === null || !/^\d{1,20}$/.test(value)) return badValue('SIZE', 'it takes a number of octets');
        size = Number(value);
        break;
      case 'BODY':
        if (value === null || !/^(?:7BIT|8BITMIME)$/i.test(value)) return badValue('BODY', 'it is 7BIT or 8BITMIME');
        break;
      case 'SMTPUTF8':
        if (value !== null) return badValue('SMTPUTF8', 'it takes no value');
        smtpUtf8 = true;
        break;
      case 'RET':
        ret = value?.toUpperCase() === 'FULL' ? 'FULL' : value?.toUpperCase() === 'HDRS' ? 'HDRS' : null;
        if (ret === null) return badValue('RET', 'it is FULL or HDRS');
        break;
      case 'ENVID':
        envid = value !== null && value.length <= MAX_ENVID_CHARACTERS ? decodeXtext(value) : null;
        if (envid === null) return badValue('ENVID', 'it is xtext of at most 100 printable characters');
        break;
      case 'AUTH':
        // Whom an upstream server calls the author: checked for its form and not believed (RFC 4954, section 5).
        if (value === null || (value !== '<>' && decodeXtext(value) === null))
          return badValue('AUTH', 'it is xtext or <>');
        break;
      case 'BY': {
        const by = BY.exec(value ?? '');
        if (by === null) return badValue('BY', 'it is seconds, ";", R or N');
        if (by[2]?.toUpperCase() === 'N') break;
        // A time that is over cannot be kept (RFC 2852, section 4).
        if (Number(by[1]) <= 0) return badValue('BY', 'with R it takes seconds above 0');
        deliverBySeconds = Number(by[1]);
        break;
      }
      default:
        return unknownParameter('MAIL', name);
    }
  }

  const common = { kind: 'mail', size, smtpUtf8, dsn: { ret, envid }, deliverBySeconds } as const;
  if (path === '') return { ...common, mailFrom: '' };
  if (!smtpUtf8 && NON_ASCII.test(path)) return refuse(553, '5.6.7', 'Sender address refused: it needs SMTPUTF8');
  const parsed = parseEnvelopeAddress(path, { smtpUtf8 });
  if (parsed.kind === 'malformed') return refuse(501, '5.1.7', `Sender address refused: ${parsed.reason}`);
  return { ...common, mailFrom: parsed.address };
}

/** Parses an RCPT command line without its line end; `smtpUtf8` as declared on MAIL. */
export function parseRcptCommand(line: Uint8Array, smtpUtf8: boolean): RcptCommand | Refusal {
  const parts = splitCommand(line, 'RCPT TO');
  if (parts.kind === 'refused') return parts;
  const { path, parameters } = parts;

  let notify: RecipientDsn['notify'] | null = null;
  let orcpt: string | null = null;
  for (const [name, value] of parameters) {
    switch (name) {
      case 'NOTIFY':
        notify = value === null ? null : parseNotify(value);
        if (notify === null) return badValue('NOTIFY', 'it is NEVER, or some of SUCCESS, FAILURE, DELAY');
        break;
      case 'ORCPT':
        orcpt = value !== null && value.length <= MAX_ORCPT_CHARACTERS ? parseOrcpt(value) : null;
        if (orcpt === null) return badValue('ORCPT', 'it is an address type, ";" and an address in xtext');
        break;
      default:
        return unknownParameter('RCPT', name);
    }
  }

  if (!smtpUtf8 && NON_ASCII.test(path)) return refuse(553, '5.6.7', 'Recipient address refused: it needs SMTPUTF8');
  const parsed = parseEnvelopeAddress(path, { smtpUtf8 });
  if (parsed.kind === 'malformed') return refuse(501, '5.1.3', `Recipient address refused: ${parsed.reason}`);
  const dsn = notify === null && orcpt === null ? null : { notify: notify ?? [], orcpt };
  return { kind: 'rcpt', recipient: { address: parsed.address, dsn } };
}

/** The text of `bytes`, or null when they are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | null {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = view.toString('latin1');
  if (!NON_ASCII.test(text)) return text;
  try {
    return utf8.decode(view);
  } catch {
    // The decoder throws on malformed bytes, and on nothing else.
    return null;
  }
}

interface CommandParts {
  readonly kind: 'parts';
  /** What stood between the angle brackets. */
  readonly path: string;
  /** Names in upper case, in order; a value is null when there was no equals sign. */
  readonly parameters: ReadonlyMap<string, string | null>;
}

function splitCommand(line: Uint8Array, head: 'MAIL FROM' | 'RCPT TO'): CommandParts | Refusal {
  const sender = head === 'MAIL FROM';
  const [who, enhanced] = sender ? ['Sender', '5.1.7'] : ['Recipient', '5.1.3'];
  const text = decodeUtf8(line);
  if (text === null) return refuse(501, enhanced, `${who} address refused: invalid UTF-8`);
  if (text.slice(0, head.length).toUpperCase() !== head || text[head.length] !== ':') {
    return refuse(501, '5.5.4', `Syntax: ${head}:<address>`);
  }
  const start = text[head.length + 1] === ' ' ? head.length + 2 : head.length + 1;
  const end = text.indexOf('>', start);
  if (text[start] !== '<' || end === -1) {
    return refuse(501, enhanced, `${who} address refused: it must stand between < and >`);
  }
  const rest = text.slice(end + 1);
  if (rest !== '' && !rest.startsWith(' ')) return refuse(501, enhanced, `${who} address refused: text after the >`);
  const parameters = splitParameters(rest);
  return parameters instanceof Map ? { kind: 'parts', path: text.slice(start + 1, end), parameters } : parameters;
}

function splitParameters(rest: string): Map<string, string | null> | Refusal {
  const parameters = new Map<string, string | null>();
  for (const word of rest.split(' ')) {
    if (word === '') continue;
    const match = PARAMETER.exec(word);
    const name = match?.[1]?.toUpperCase();
    const value = match?.[2] ?? null;
    if (name === undefined || (value !== null && !PARAMETER_VALUE.test(value))) {
      return refuse(501, '5.5.4', 'Malformed parameter after the address');
    }
    if (parameters.has(name)) return badValue(name.slice(0, MAX_NAME_SHOWN), 'it is given twice');
    parameters.set(name, value);
  }
  return parameters;
}

function parseNotify(value: string): RecipientDsn['notify'] | null {
  const words = value.toUpperCase().split(',');
  if (words.length === 1 && words[0] === 'NEVER') return ['NEVER'];
  const found: NotifyWord[] = [];
  for (const word of words) {
    const known = NOTIFY_WORDS.get(word);
    if (known === undefined || found.includes(known)) return null;
    found.push(known);
  }
  return found;
}

function parseOrcpt(value: string): string | null {
  const match = ORCPT.exec(value);
  const address = decodeXtext(match?.[2] ?? '');
  return match === null || address === null ? null : `${match[1]};${address}`;
}

/** Decoded xtext (RFC 3461, section 4), or null when it is empty, malformed, or hides a control or non-ASCII character. */
function decodeXtext(value: string): string | null {
  if (!XTEXT.test(value)) return null;
  const text = value.replace(XTEXT_ESCAPE, (_escape, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return PRINTABLE.test(text) ? text : null;
}

function badValue(name: string, expected: string): Refusal {
  return refuse(501, '5.5.4', `Bad ${name} parameter: ${expected}`);
}

function unknownParameter(command: 'MAIL' | 'RCPT', name: string): Refusal {
  return refuse(555, '5.5.4', `${command} parameter ${name.slice(0, MAX_NAME_SHOWN)} is not recognised`);
}
