/**
 * Where a link leads: scheme, host, port, as browsers read them (WHATWG URL). Path, query and fragment are never looked at and
 * never kept: only the text up to the end of the authority reaches the URL parser, and of user names and passwords it is
 * kept that they are there.
 *
 * As browsers do: spaces and control characters at both ends are dropped, tabs and line ends anywhere (`java\nscript:`), `\` is `/`
 * in web links, any number of slashes follows a web scheme, hosts may be percent-encoded, in full-width letters, or numbers
 * (`http://2130706433`).
 *
 * Of schemes of apps (`myapp://...`) only the scheme is kept: what follows may be the token itself.
 */
import { domainToUnicode } from 'node:url';

export type TargetForm =
  /** http, https, ftp, ws, wss, with a host; `scheme` is empty for `//host/` and for a name in text without a scheme. */
  | 'host'
  /** mailto, tel, sms: to a person. */
  | 'contact'
  /** cid, mid: to another part of the same mail. */
  | 'inside'
  | 'data'
  /** javascript and its kin. */
  | 'script'
  /** Any other scheme: file, apps. */
  | 'other'
  /** Neither scheme nor host: `/reset`, an empty link, a placeholder that was not filled in. */
  | 'relative'
  /** A web scheme without a host that a browser could read. */
  | 'unreadable';

export interface LinkTarget {
  readonly form: TargetForm;
  /** Lower case, without the colon; empty when there is none. */
  readonly scheme: string;
  /** Lower case, A-labels, without a final dot; IPv6 in brackets. null when `form` is not `host`. */
  readonly host: string | null;
  /** The host in the letters that people see; null when it is the same, or not fit to be shown. */
  readonly shown: string | null;
  /** null: the scheme's own. */
  readonly port: number | null;
  readonly userinfo: boolean;
}

const MAX_SCHEME_CHARACTERS = 32;
const MAX_AUTHORITY_CHARACTERS = 1024;
const MAX_HOST_CHARACTERS = 253;

const SCHEME = /^([a-z][a-z0-9+.-]*):/i;
const WEB: ReadonlySet<string> = new Set(['http', 'https', 'ftp', 'ws', 'wss']);
const FORMS: ReadonlyMap<string, TargetForm> = new Map([
  ['mailto', 'contact'],
  ['tel', 'contact'],
  ['sms', 'contact'],
  ['cid', 'inside'],
  ['mid', 'inside'],
  ['data', 'data'],
  ['javascript', 'script'],
  ['vbscript', 'script'],
  ['livescript', 'script'],
]);
/** What a decoded host may consist of to be shown on a terminal or a page. */
const SHOWABLE = /^[\p{L}\p{M}\p{N}._-]+$/u;

/** The target of a link attribute; null for a link to a place in the same document (`#top`). `base` is that of `<base href>`. */
export function readTarget(raw: string, base: LinkTarget | null): LinkTarget | null {
  const text = trimControls(raw.replace(/[\t\n\r]+/g, ''));
  if (text.startsWith('#')) return null;
  const scheme = SCHEME.exec(text)?.[1]?.toLowerCase() ?? '';
  // `localhost:3000/x` and `example.com:8080/x` are a host without a scheme, for whoever wrote them.
  if (scheme === '' || scheme.includes('.') || scheme === 'localhost') return readWithoutScheme(text, base);
  if (scheme.length > MAX_SCHEME_CHARACTERS) return plain('unreadable', '');
  if (WEB.has(scheme)) return hostTarget(scheme, authorityOf(text, scheme.length + 1));
  return plain(FORMS.get(scheme) ?? 'other', scheme);
}

/** The target of `authority` (`user@host:port`) under `scheme`; empty: none was given. */
export function hostTarget(scheme: string, authority: string): LinkTarget {
  if (authority.length > MAX_AUTHORITY_CHARACTERS) return plain('unreadable', scheme);
  const url = URL.parse(`${scheme === '' ? 'https' : scheme}://${authority}/`);
  const host = url?.hostname.replace(/\.$/, '') ?? '';
  if (url === null || host === '' || host.length > MAX_HOST_CHARACTERS) return plain('unreadable', scheme);
  return {
    form: 'host',
    scheme,
    host,
    shown: shownHost(host),
    port: url.port === '' ? null : Number(url.port),
    userinfo: authority.includes('@'),
  };
}

/** The authority behind the slashes that start at `start`: up to the next slash, backslash, question or number sign. */
export function authorityOf(text: string, start: number): string {
  let from = start;
  while (text[from] === '/' || text[from] === '\\') from++;
  let end = from;
  while (end < text.length && !'/\\?#'.includes(text.charAt(end))) end++;
  return text.slice(from, end);
}

/** Without spaces and control characters at both ends. */
function trimControls(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && text.charCodeAt(start) <= 0x20) start++;
  while (end > start && text.charCodeAt(end - 1) <= 0x20) end--;
  return text.slice(start, end);
}

function readWithoutScheme(text: string, base: LinkTarget | null): LinkTarget {
  const known = base?.form === 'host' ? base : null;
  if (/^[\\/]{2}/.test(text)) return hostTarget(known?.scheme ?? '', authorityOf(text, 0));
  return known ?? plain('relative', '');
}

function plain(form: TargetForm, scheme: string): LinkTarget {
  return { form, scheme, host: null, shown: null, port: null, userinfo: false };
}

function shownHost(host: string): string | null {
  if (!host.includes('xn--')) return null;
  const decoded = domainToUnicode(host);
  return decoded !== host && SHOWABLE.test(decoded) ? decoded : null;
}
