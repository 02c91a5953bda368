/**
 * Text from other machines, made fit for a log, a record and an event.
 *
 * A next hop writes what it likes into a reply: line breaks and escape sequences that fake log lines, and quotes from the
 * message that hold the reset link ("blocked URL https://..."). So one line comes out, without control characters, and of
 * every link only scheme and host remain.
 *
 * Redacted: what follows the host in `scheme://host/...` (also with escaped slashes, or percent-encoded) and in
 * `host.example/...`; user names in links; the value in `?name=value`, `&name=value`, and after `token=`, `code=`,
 * `password=` and their like.
 * Left alone: digits outside of links, because queue ids, sizes and addresses are made of them. Known limit: a quoted
 * subject, or a code in plain words, cannot be told from the server's own words without the message: `echo.ts` does that.
 */

/** How much of the input is looked at, in multiples of `maxLength`: escapes and links shrink. */
const LOOK_AHEAD = 8;
const ELLIPSIS = '\u2026';

/** Control sequences, strings with their terminator, and two-character escapes (ECMA-48). */
const ANSI_ESCAPE = new RegExp(
  ['(?:\u001b\\[|\u009b)[0-?]*[ -/]*[@-~]', '\u001b\\][^\u0007\u001b]*(?:\u0007|\u001b\\\\)', '\u001b[ -~]?'].join('|'),
  'g',
);
const LINE_BREAK = /[\r\n\t\v\f\u0085\u2028\u2029]+/g;
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\p{Co}\p{Cn}]/gu;

/** Scheme, `://` (or `:\/\/`), authority; then what goes. */
const LINK = /([a-z][a-z0-9+.-]{0,30}):\\?\/\\?\/([^\s/\\?#"<>]*)([^\s"<>]*)/gi;
const ENCODED_LINK = /([a-z][a-z0-9+.-]{0,30})%3a%2f%2f([a-z0-9.-]*)[^\s"<>]*/gi;
const BARE_LINK = /((?:[\p{L}\p{N}-]{1,63}\.){1,10}\p{L}{2,63}(?::[0-9]{1,5})?)[/?#][^\s"<>]+/giu;
const QUERY_VALUE = /([?&][\w.[\]-]{1,64}=)[^\s"<>&]+/g;
const SECRET_VALUE = /((?:token|code|otp|key|password|passwd|pwd|secret|signature|sig)=["']?)[^\s"'<>&]+/gi;

/** `text` on one line of at most `maxLength` characters, without control characters and without what might be secret. */
export function cleanRemoteText(text: string, maxLength: number): string {
  const line = text
    .slice(0, maxLength * LOOK_AHEAD)
    .toWellFormed()
    .replace(ANSI_ESCAPE, '')
    .replace(LINE_BREAK, ' ')
    .replace(INVISIBLE, '')
    .replace(/\s+/g, ' ')
    .trim();
  return cut(redactLinks(line), maxLength);
}

function redactLinks(line: string): string {
  return line
    .replace(LINK, (_link, scheme: string, authority: string, rest: string) => {
      const host = authority.slice(authority.lastIndexOf('@') + 1);
      return `${scheme}://${host}${rest === '' || rest === '/' ? rest : `/${ELLIPSIS}`}`;
    })
    .replace(ENCODED_LINK, `$1://$2/${ELLIPSIS}`)
    .replace(BARE_LINK, `$1/${ELLIPSIS}`)
    .replace(QUERY_VALUE, `$1${ELLIPSIS}`)
    .replace(SECRET_VALUE, `$1${ELLIPSIS}`);
}

function cut(line: string, maxLength: number): string {
  if (line.length <= maxLength) return line;
  const kept = line.slice(0, Math.max(maxLength - ELLIPSIS.length, 0));
  // Half of a surrogate pair at the end is dropped.
  return (kept.isWellFormed() ? kept : kept.slice(0, -1)) + ELLIPSIS.slice(0, maxLength);
}
