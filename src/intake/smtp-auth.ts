/**
 * The SASL exchanges of AUTH: PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login), as SMTP carries them (RFC 4954).
 *
 * Pure: lines in, the next thing to do out. It knows no credentials. Base64 and UTF-8 are strict: what does not decode, or
 * decodes to a name with control characters, is malformed and never reaches the password check.
 */
import { type Refusal, refuse } from '../core/refusal.ts';
import { decodeUtf8 } from './smtp-command.ts';

export type AuthStep =
  /** Send `334 text` and call `next` with the client's line. */
  | { readonly kind: 'challenge'; readonly text: string; readonly next: (line: string) => AuthStep }
  | { readonly kind: 'login'; readonly username: string; readonly password: string }
  | Refusal;

const USERNAME_PROMPT = 'VXNlcm5hbWU6';
const PASSWORD_PROMPT = 'UGFzc3dvcmQ6';
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const CONTROL = /\p{Cc}/u;

/** Begins the exchange that `line` (`AUTH PLAIN ...`) asks for. */
export function startAuth(line: string): AuthStep {
  const [, mechanism = '', initial, ...more] = line.trimEnd().split(' ');
  if (mechanism === '' || more.length > 0) return refuse(501, '5.5.4', 'Syntax: AUTH mechanism [initial response]');
  switch (mechanism.toUpperCase()) {
    case 'PLAIN':
      return initial === undefined ? { kind: 'challenge', text: '', next: answer(readPlain) } : readPlain(initial);
    case 'LOGIN':
      return initial === undefined
        ? { kind: 'challenge', text: USERNAME_PROMPT, next: answer(readUsername) }
        : readUsername(initial);
    default:
      return refuse(504, '5.5.4', 'Unrecognised authentication mechanism; use PLAIN or LOGIN');
  }
}

/** A lone `*` cancels at any step. */
function answer(read: (line: string) => AuthStep): (line: string) => AuthStep {
  return (line) => (line === '*' ? refuse(501, '5.7.0', 'Authentication cancelled') : read(line));
}

function readPlain(line: string): AuthStep {
  const parts = decodeBase64(line)?.split('\0');
  if (parts?.length !== 3) return malformed();
  const [authzid = '', authcid = '', password = ''] = parts;
  // Some clients put the only name in the first place. Nobody may act as somebody else.
  const username = authcid === '' ? authzid : authcid;
  if (authzid !== '' && authzid !== username) return refuse(535, '5.7.8', 'Acting as another user is not supported');
  return CONTROL.test(username) ? malformed() : { kind: 'login', username, password };
}

function readUsername(line: string): AuthStep {
  const username = decodeBase64(line);
  if (username === null || username === '' || CONTROL.test(username)) return malformed();
  const next = answer((reply) => {
    const password = decodeBase64(reply);
    return password === null ? malformed() : { kind: 'login', username, password };
  });
  return { kind: 'challenge', text: PASSWORD_PROMPT, next };
}

function decodeBase64(line: string): string | null {
  if (line === '=') return '';
  return BASE64.test(line) ? decodeUtf8(Buffer.from(line, 'base64')) : null;
}

function malformed(): Refusal {
  return refuse(501, '5.5.2', 'Malformed authentication data');
}
