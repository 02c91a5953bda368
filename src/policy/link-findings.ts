/**
 * What the link audit can find: a closed list, how much each counts, and what it says to the developer of the app.
 *
 * A breach refuses the message where the policy says `action: reject`; a warning never does. Under `action: warn` both are
 * recorded. "Named" is a host that `links.hosts` lists, also through `*.`: naming it takes back what its kind is blamed for.
 *
 *   code                counts as  when
 *   local-host          breach     localhost, one label, `.local`, `.internal` and kin; not when named
 *   reserved-host       breach     `example.com`, `.test`, `.example`, `.invalid`: a setting left as shipped; not when named
 *   ip-host             breach     an address for a host; not when named
 *   shortener           breach     a known link shortener; not when named
 *   look-alike-host     breach     mixed scripts, whole-script look-alike, or looks like a named host; not when named
 *   host-not-allowed    breach     `links.hosts` names others and not `*` (and none of the five above says why)
 *   text-mismatch       breach     the text of a link shows a host that is neither the link's nor one above it
 *   userinfo            breach     a user name in front of the host: `https://bank.example@evil.example`
 *   scheme-not-allowed  breach     not in `links.schemes`; never mailto, tel, sms, cid
 *   script-link         breach     javascript:, vbscript:, and data: other than for an image
 *   incomplete-link     breach     no scheme or no host: `/reset`, an empty link, a placeholder that was not filled in
 *   unreadable-link     breach     a host that browsers do not read
 *   tracking-pixel      breach     a remote image of one pixel or hidden, or a `ping`
 *   form                breach     a form, or a button that sends one
 *   script              breach     a script or an event handler
 *   frame               breach     iframe, object, embed and kin
 *   refresh             breach     `<meta http-equiv=refresh>`
 *   not-read-whole      breach     the message goes over a limit of the audit, or can be read in two ways
 *   http-link           warning    http, where `links.schemes` allows it
 *   odd-port            warning    a port of its own on a public host
 *   bare-host           warning    a name in text without scheme or path, not named: many readers make a link of it
 *   remote-image        warning    an image that is loaded when the mail is read
 *   no-text-part        warning    no text/plain part
 *   link-not-in-text    warning    the HTML has a link, the text part has none
 *   html-too-long       warning    HTML over 102 KB, where Gmail cuts
 *   html-attachment     warning    an HTML or SVG attachment, which is not looked into
 *   list-unsubscribe    warning    List-Unsubscribe on recovery mail
 *
 * Sentences are printable ASCII on one line and hold hosts, schemes and ports only: never a path, query, fragment or user name.
 */
import { unreachable } from '../core/errors.ts';
import type { LinkKind } from '../mail/links.ts';

export type LinkCode = (typeof BREACHES)[number] | (typeof WARNINGS)[number];
export type FindingSeverity = 'breach' | 'warning';

/** Each list in the order in which its findings are told: what helps most comes first. */
const BREACHES = [
  'local-host',
  'reserved-host',
  'ip-host',
  'shortener',
  'look-alike-host',
  'host-not-allowed',
  'text-mismatch',
  'userinfo',
  'scheme-not-allowed',
  'script-link',
  'incomplete-link',
  'unreadable-link',
  'tracking-pixel',
  'form',
  'script',
  'frame',
  'refresh',
  'not-read-whole',
] as const;

const WARNINGS = [
  'http-link',
  'odd-port',
  'bare-host',
  'remote-image',
  'no-text-part',
  'link-not-in-text',
  'html-too-long',
  'html-attachment',
  'list-unsubscribe',
] as const;

/** Breaches first. */
export const LINK_CODES: readonly LinkCode[] = [...BREACHES, ...WARNINGS];

const WARNING_CODES: ReadonlySet<LinkCode> = new Set<LinkCode>(WARNINGS);

/** What a finding is about; fields that do not apply are null. */
export interface FindingPlace {
  readonly part: 'text' | 'html' | 'message';
  readonly kind: LinkKind | null;
  readonly scheme: string | null;
  readonly host: string | null;
  readonly port: number | null;
  /** ASCII: the host that is shown, the name that is imitated, why it was not read. */
  readonly detail: string | null;
}

/** Whether `code` refuses a message under `action: reject`. */
export function severityOf(code: LinkCode): FindingSeverity {
  return WARNING_CODES.has(code) ? 'warning' : 'breach';
}

const KIND_WORDS: Readonly<Record<LinkKind, string>> = {
  a: 'link',
  area: 'link in an image map',
  image: 'image',
  background: 'background image',
  css: 'address in a style',
  stylesheet: 'style sheet or other <link>',
  form: 'form',
  frame: 'embedded document',
  script: 'script',
  media: 'sound or video',
  refresh: 'refresh',
  base: '<base>',
  ping: 'ping',
  other: 'address',
  text: 'link',
  bare: 'name',
};

/** The sentence for `code` at `place`: what was found, where, and what to do. */
export function sentenceOf(code: LinkCode, place: FindingPlace): string {
  const { host, detail } = place;
  const found = foundWords(place);
  switch (code) {
    case 'local-host':
      return `${found}: this host is known on the app's own machine or network only. Set the app's public base URL (often named BASE_URL, APP_URL or SITE_URL); in development, name the host under links.hosts of the tag.`;
    case 'reserved-host':
      return `${found}: this name is reserved for examples. Set the app's public base URL or site domain.`;
    case 'ip-host':
      return `${found}: links lead to a name, not to an address. Set the app's public base URL.`;
    case 'shortener':
      return `${found}: link shorteners hide where a link leads. Put the full link in the mail, and turn link tracking off.`;
    case 'look-alike-host':
      return `${found}: ${detail ?? 'the name looks like another one'}. If it is yours, name it under links.hosts of the tag.`;
    case 'host-not-allowed':
      return `${found}: the host is not in links.hosts of the tag. Correct the link, turn link tracking off, or add the host there.`;
    case 'text-mismatch':
      return `${found}: its text shows ${detail ?? 'another host'}. Show the host that the link leads to, or words; turn link tracking off.`;
    case 'userinfo':
      return `${found}: it has a user name or password in front of the host. Take it out.`;
    case 'scheme-not-allowed':
      return `${found}: the scheme ${place.scheme ?? ''} is not in links.schemes of the tag. ${place.scheme === 'http' ? 'Use https (behind a proxy, tell the app that it is served over https)' : 'Use one that is, or add it there'}.`;
    case 'script-link':
      return `${found}: such a link runs or opens what is written in it. Use an https link.`;
    case 'incomplete-link':
      return host === null
        ? `${found} has no host: it is relative, empty, or a placeholder that was not filled in, and leads nowhere in a mail. Write the whole address.`
        : `${found} has no scheme. Write the whole address with https://.`;
    case 'unreadable-link':
      return `${found} has a host that browsers cannot read. Correct the address.`;
    case 'tracking-pixel':
      return `${found}: it is not seen and tells who reads the mail. Turn open tracking off for this mail.`;
    case 'form':
      return 'A form in the HTML part: mail readers block or warn about it. Link to a page with the form.';
    case 'script':
      return 'A script or event handler in the HTML part: mail readers remove it. Take it out.';
    case 'frame':
      return 'An embedded document (iframe, object or the like) in the HTML part: mail readers remove it. Take it out.';
    case 'refresh':
      return 'A meta refresh in the HTML part leads away from the mail by itself. Use a link.';
    case 'not-read-whole':
      return `The message could not be checked whole: ${detail ?? 'it is over a limit'}. Make it simpler or smaller.`;
    case 'http-link':
      return `${found}: http can be read on the way. Use https.`;
    case 'odd-port':
      return `${found}: networks often block ports other than 443, and filters distrust them. Use the scheme's own port.`;
    case 'bare-host':
      return `${found}: mail readers make a link of it, and the host is not in links.hosts of the tag. If it comes from what a user typed, take it out.`;
    case 'remote-image':
      return `${found} is loaded when the mail is read, and is not shown by all readers. Embed it (cid:), or leave it out.`;
    case 'no-text-part':
      return 'There is no text/plain part: some readers show nothing, and filters distrust it. Send text beside HTML.';
    case 'link-not-in-text':
      return 'The HTML part has a link and the text part has none: who reads the text cannot follow it. Put the link there too.';
    case 'html-too-long':
      return 'The HTML part is longer than 102 KB: Gmail cuts it there and hides the rest. Make it shorter.';
    case 'html-attachment':
      return 'An HTML or SVG file is attached: it is not checked, and filters distrust it. Take it out.';
    case 'list-unsubscribe':
      return 'List-Unsubscribe on recovery mail: one click there may stop the reset mails of this account. Take the header out.';
    default:
      return unreachable(code);
  }
}

function foundWords(place: FindingPlace): string {
  const { kind, scheme, host, port } = place;
  const word = kind === null ? 'address' : KIND_WORDS[kind];
  const leads = kind === 'image' || kind === 'background' || kind === 'css' || kind === 'bare' ? '' : 'to ';
  const prefix = scheme === null || scheme === '' ? '' : host === null ? `${scheme}:` : `${scheme}://`;
  const where = host === null ? prefix : `${prefix}${host}${port === null ? '' : `:${port}`}`;
  const part = place.part === 'message' ? 'message' : `${place.part === 'html' ? 'HTML' : 'text'} part`;
  const article = /^[aeiou]/.test(word) ? 'An' : 'A';
  return `${article} ${word} ${where === '' ? '' : `${leads}${where} `}in the ${part}`;
}
