/**
 * Lists of tags as DKIM and DMARC write them: `v=DKIM1; k=rsa; p=...` (RFC 6376, section 3.2; RFC 7489, section 6.4).
 *
 * Pure, in one pass, and it never throws: what is not `name=value` is told in `problems`, and the rest is read.
 */

export interface TagList {
  /** Names in lower case, in the order in which they stand; of a name that is there twice the first counts. */
  readonly tags: ReadonlyMap<string, string>;
  /** In words, each quoting no more than a short piece of the record. */
  readonly problems: readonly string[];
}

const NAME = /^[a-z][a-z0-9_]*$/;
const MAX_QUOTED = 40;

/** Reads `text`; white space around names and values does not count. */
export function parseTagList(text: string): TagList {
  const tags = new Map<string, string>();
  const problems: string[] = [];
  const parts = text.split(';');
  for (const [index, part] of parts.entries()) {
    const piece = part.trim();
    if (piece === '') {
      // One semicolon may end the list.
      if (index < parts.length - 1) problems.push('two semicolons with nothing between them');
      continue;
    }
    const equals = piece.indexOf('=');
    const name = (equals === -1 ? piece : piece.slice(0, equals)).trim().toLowerCase();
    if (equals === -1 || !NAME.test(name)) {
      problems.push(`"${quote(piece)}" is not name=value`);
      continue;
    }
    if (tags.has(name)) problems.push(`${name}= is there twice`);
    else tags.set(name, piece.slice(equals + 1).trim());
  }
  return { tags, problems: [...new Set(problems)] };
}

/** A short piece of a record, printable. */
export function quote(text: string): string {
  const printable = text.replace(/[^\x20-\x7e]/g, '?');
  return printable.length <= MAX_QUOTED ? printable : `${printable.slice(0, MAX_QUOTED)}...`;
}
