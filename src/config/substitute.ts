/**
 * Secrets and variables in config values: `${NAME}` from the environment, `${file:PATH}` from a file.
 *
 * One pass from left to right: what is put in is never looked at again. `$${` stands for `${`; a `$` elsewhere is itself.
 * A problem names the variable or the file as it is written, never what it holds.
 */

export type Lookup =
  | { readonly kind: 'found'; readonly text: string }
  | { readonly kind: 'problem'; readonly message: string; readonly hint: string };

export interface Lookups {
  variable(name: string): Lookup;
  /** `path` as it is written between `${file:` and `}`. */
  file(path: string): Lookup;
}

export interface Substitution {
  readonly text: string;
  /** True when something was put in. */
  readonly changed: boolean;
  readonly problems: readonly { readonly message: string; readonly hint: string }[];
}

const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const FILE_PREFIX = 'file:';
const FORMS = 'write `${NAME}` or `${file:PATH}`, or `$${` for a literal `${`';

/** `text` with every `${...}` replaced; those that cannot be are left out and told in `problems`. */
export function substitute(text: string, lookups: Lookups): Substitution {
  const problems: { readonly message: string; readonly hint: string }[] = [];
  let result = '';
  let changed = false;
  let at = 0;
  for (;;) {
    const open = text.indexOf('${', at);
    if (open === -1) return { text: result + text.slice(at), changed, problems };
    if (open > at && text[open - 1] === '$') {
      result += `${text.slice(at, open - 1)}\${`;
      at = open + 2;
      continue;
    }
    result += text.slice(at, open);
    const close = text.indexOf('}', open);
    if (close === -1) {
      problems.push({ message: '`${` has no closing `}`', hint: FORMS });
      return { text: result, changed, problems };
    }
    const found = lookUp(text.slice(open + 2, close), lookups);
    if (found.kind === 'found') result += found.text;
    else problems.push({ message: found.message, hint: found.hint });
    changed = true;
    at = close + 1;
  }
}

function lookUp(name: string, lookups: Lookups): Lookup {
  if (name.startsWith(FILE_PREFIX) && name.length > FILE_PREFIX.length)
    return lookups.file(name.slice(FILE_PREFIX.length));
  if (VARIABLE_NAME.test(name)) return lookups.variable(name);
  return {
    kind: 'problem',
    message: '`${...}` holds neither the name of a variable nor `file:` and a path',
    hint: FORMS,
  };
}
