/**
 * The YAML parser's errors in our words. Its own texts quote the source, and a line of a config may hold a password.
 */
import type { ErrorCode } from 'yaml';

interface Words {
  readonly message: string;
  readonly hint: string;
}

const INDENT = 'use the same number of spaces for all keys of one mapping, and close every bracket and quote';

const WORDS: Readonly<Record<ErrorCode, Words>> = {
  ALIAS_PROPS: { message: 'an alias has an anchor or a tag of its own', hint: 'write the alias alone: `*name`' },
  BAD_ALIAS: {
    message: 'an alias or anchor has no usable name',
    hint: 'names are letters and digits: `&name`, `*name`',
  },
  BAD_COLLECTION_TYPE: { message: 'a YAML tag does not fit its value', hint: 'take the `!!` tag out' },
  BAD_DIRECTIVE: { message: 'an unknown YAML directive', hint: 'take the line that starts with `%` out' },
  BAD_DQ_ESCAPE: {
    message: 'an unknown escape in double quotes',
    hint: 'write `\\\\` for a backslash, or use single quotes',
  },
  BAD_INDENT: { message: 'the indentation does not fit', hint: INDENT },
  BAD_PROP_ORDER: { message: 'an anchor or tag in the wrong place', hint: 'it belongs directly before the value' },
  BAD_SCALAR_START: {
    message: 'a value starts with a character that YAML keeps for itself',
    hint: 'put the value in quotes',
  },
  BLOCK_AS_IMPLICIT_KEY: {
    message: 'a nested mapping or list where a value should be',
    hint: 'a value with `: ` in it needs quotes; a nested mapping starts on a new line',
  },
  BLOCK_IN_FLOW: {
    message: 'an indented block inside `{ }` or `[ ]`',
    hint: 'close the bracket first, or write it all inside',
  },
  DUPLICATE_KEY: { message: 'a key is written twice', hint: 'keep one of them' },
  IMPOSSIBLE: { message: 'text that is not YAML', hint: 'look for a stray character' },
  KEY_OVER_1024_CHARS: { message: 'a key of more than 1024 characters', hint: 'look for a missing line break' },
  MISSING_CHAR: {
    message: 'a character is missing',
    hint: 'look for a missing `:`, `,`, quote or closing bracket here or on the line before',
  },
  MULTILINE_IMPLICIT_KEY: {
    message: 'a key goes over several lines',
    hint: 'look for a missing `:` or a wrong indentation',
  },
  MULTIPLE_ANCHORS: { message: 'two anchors on one value', hint: 'keep one of them' },
  MULTIPLE_DOCS: { message: 'a second YAML document', hint: 'take the line `---` out' },
  MULTIPLE_TAGS: { message: 'two tags on one value', hint: 'take the `!!` tags out' },
  NON_STRING_KEY: { message: 'a key that is not text', hint: 'keys are plain words: `port: 25`' },
  RESOURCE_EXHAUSTION: { message: 'too many values inside one another', hint: 'look for a repeated opening bracket' },
  TAB_AS_INDENT: { message: 'a tab in the indentation', hint: 'use spaces' },
  TAG_RESOLVE_FAILED: {
    message: 'an unknown YAML tag',
    hint: 'take the `!` tag out, or put a value that starts with `!` in quotes',
  },
  UNEXPECTED_TOKEN: { message: 'text that does not belong here', hint: 'look for a missing quote, `,` or line break' },
};

/** What to tell of a quote that is opened and never closed. */
export const OPEN_QUOTE: Words = {
  message: 'this quote is opened and never closed',
  hint: 'close it; a quote inside quotes is written twice (single) or after a backslash (double)',
};

/** What to tell of the parser error `code`, found on `line` of the file. */
export function yamlProblem(code: ErrorCode, line: string): Words {
  const words = WORDS[code];
  const bareReference = /[{[,][^"']*\$\{/.test(line);
  return bareReference ? { ...words, hint: 'inside `{ }` and `[ ]` put `${NAME}` in quotes: "${NAME}"' } : words;
}
