/**
 * Groups of fields as reports carry them: `Name: value` lines, folded like a header, groups parted by empty lines
 * (RFC 3464, section 2.1; RFC 5965, section 3). Also the header of a message that was sent back, which may be cut off anywhere.
 *
 * Lenient where senders of reports are careless (line ends, lines that are no field), and bounded in groups, fields and length.
 */

/** Values by name in lower case, in the order of the text. */
export type FieldGroup = ReadonlyMap<string, readonly string[]>;

export const MAX_GROUPS = 21;
const MAX_FIELDS = 200;
const MAX_VALUE_CHARACTERS = 2000;
const NAME = /^[\x21-\x39\x3b-\x7e]{1,100}$/;
const WHITE_START = /^[ \t]/;
const COMMENT = /\([^()]*\)/g;

/** The field groups of `text`; groups without a field are left out. */
export function readFieldGroups(text: string, maxGroups: number = MAX_GROUPS): readonly FieldGroup[] {
  const groups: Map<string, string[]>[] = [];
  let group: Map<string, string[]> | null = null;
  let values: string[] | null = null;
  let fields = 0;
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === '') {
      group = null;
      values = null;
    } else if (WHITE_START.test(line)) {
      const last = values?.pop();
      if (values !== null && last !== undefined) values.push(`${last} ${line.trim()}`.slice(0, MAX_VALUE_CHARACTERS));
    } else {
      values = null;
      const colon = line.indexOf(':');
      const name = line.slice(0, Math.max(colon, 0)).trimEnd();
      if (!NAME.test(name) || fields >= MAX_FIELDS) continue;
      if (group === null) {
        if (groups.length >= maxGroups) break;
        group = new Map();
        groups.push(group);
      }
      fields++;
      const key = name.toLowerCase();
      values = group.get(key) ?? [];
      group.set(key, values);
      values.push(line.slice(colon + 1, colon + 1 + MAX_VALUE_CHARACTERS).trim());
    }
  }
  return groups;
}

/** The first value of `key` in `group`, or null when it is absent or empty. */
export function firstValue(group: FieldGroup | undefined, key: string): string | null {
  const value = group?.get(key)?.[0] ?? '';
  return value === '' ? null : value;
}

/** What stands behind the type of a typed value: `rfc822; ann@example.net`; the whole value when it has no type. */
export function untyped(value: string | null): string | null {
  if (value === null) return null;
  const semicolon = value.indexOf(';');
  const rest = (semicolon === -1 ? value : value.slice(semicolon + 1)).trim();
  return rest === '' ? null : rest;
}

/** `value` without comments in parentheses. */
export function withoutComments(value: string): string {
  return value.replace(COMMENT, '').trim();
}

/** The address in a value that may stand between angle brackets; null when it holds none. */
export function addressIn(value: string | null): string | null {
  if (value === null) return null;
  const open = value.lastIndexOf('<');
  const close = value.indexOf('>', open + 1);
  const address = (open !== -1 && close !== -1 ? value.slice(open + 1, close) : value).trim();
  return address.includes('@') && !/\s/.test(address) ? address : null;
}
