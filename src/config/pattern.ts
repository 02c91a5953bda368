/**
 * Patterns that users write for subjects: a small part of the usual regular expressions, matched in linear time.
 *
 * Mail is written by others, so nothing here backtracks: the pattern becomes a nondeterministic automaton whose states all
 * advance together (Thompson 1968). The work is at most the number of states for each character of the text, whatever the two are.
 *
 *   literals   `a`; `\` makes a sign of punctuation literal: `\.` `\[` `\\`       `.`   any character
 *   classes    `[a-z0-9_]` `[^ ]`, and `\d` `\w` `\s` `\D` `\W` `\S`, also inside a class
 *   groups     `(a|b)` `(?:a|b)`                               alternatives   `a|b`
 *   repeats    `*` `+` `?` `{3}` `{3,}` `{3,12}` (up to 100); a `?` behind them changes nothing
 *   anchors    `^` beginning, `$` end; without them a match anywhere in the text counts
 *
 * Refused, with a reason: back-references, look-around, `\b` and every other escape of a letter or digit, flags. Letter case
 * does not count. `\w`, `\d` are ASCII; `\s` is any white space. Limits: 256 characters, 1000 states, groups 20 deep.
 */

export interface Pattern {
  /** As it was written. */
  readonly source: string;
  /** Whether some part of `text` matches. */
  test(text: string): boolean;
}

export type ParsedPattern =
  | { readonly kind: 'pattern'; readonly pattern: Pattern }
  /** `reason` completes "`<pattern>` ...". */
  | { readonly kind: 'malformed'; readonly reason: string };

const MAX_CHARS = 256;
const MAX_STATES = 1000;
const MAX_DEPTH = 20;
const MAX_REPEAT = 100;

/** Whether a character (lower case, one code point) is meant. */
type Accepts = (character: string) => boolean;

type Node =
  | { readonly kind: 'one'; readonly accepts: Accepts }
  | { readonly kind: 'start' | 'end' }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly Node[] }
  | { readonly kind: 'repeat'; readonly part: Node; readonly min: number; readonly max: number };

/** A state; `next` holds places of other states. */
type State =
  | { readonly kind: 'one'; readonly accepts: Accepts; readonly next: number }
  | { readonly kind: 'start' | 'end'; readonly next: number }
  | { readonly kind: 'split'; readonly next: readonly number[] }
  | { readonly kind: 'match' };

/** What ends a parse; thrown and caught in this file alone. */
class Malformed extends Error {}

/** Parses and compiles `source`. */
export function parsePattern(source: string): ParsedPattern {
  if (source === '') return { kind: 'malformed', reason: 'is empty' };
  if (source.length > MAX_CHARS) return { kind: 'malformed', reason: `has more than ${MAX_CHARS} characters` };
  try {
    const states = compile(parse(source.normalize('NFC')));
    return { kind: 'pattern', pattern: { source, test: (text) => run(states, [...text.toLowerCase()]) } };
  } catch (error) {
    if (error instanceof Malformed) return { kind: 'malformed', reason: error.message };
    throw error;
  }
}

// ---------------------------------------------------------------- reading

function parse(source: string): Node {
  const characters = [...source];
  let at = 0;
  const peek = (): string | undefined => characters[at];
  const take = (): string | undefined => characters[at++];

  function choice(depth: number): Node {
    if (depth > MAX_DEPTH) throw new Malformed(`has groups more than ${MAX_DEPTH} deep`);
    const parts = [sequence(depth)];
    while (peek() === '|') {
      at++;
      parts.push(sequence(depth));
    }
    return { kind: 'choice', parts };
  }

  function sequence(depth: number): Node {
    const parts: Node[] = [];
    while (peek() !== undefined && peek() !== '|' && peek() !== ')') parts.push(repeats(atom(depth)));
    return { kind: 'sequence', parts };
  }

  function atom(depth: number): Node {
    const character = take() ?? '';
    switch (character) {
      case '(': {
        if (peek() === '?') {
          at++;
          if (take() !== ':')
            throw new Malformed('holds look-around, a flag or a named group, which are not known here');
        }
        const inner = choice(depth + 1);
        if (take() !== ')') throw new Malformed('has a `(` that is not closed');
        return inner;
      }
      case '[':
        return { kind: 'one', accepts: characterClass() };
      case '^':
        return { kind: 'start' };
      case '$':
        return { kind: 'end' };
      case '.':
        return { kind: 'one', accepts: () => true };
      case '\\':
        return { kind: 'one', accepts: escaped().accepts };
      case '*':
      case '+':
      case '?':
      case '{':
        throw new Malformed(`has a \`${character}\` with nothing before it to repeat`);
      case ']':
      case '}':
        throw new Malformed(`has a \`${character}\` that nothing opened; write \`\\${character}\` for the sign itself`);
      default:
        return { kind: 'one', accepts: literal(character) };
    }
  }

  function repeats(part: Node): Node {
    const sign = peek();
    if (sign !== '*' && sign !== '+' && sign !== '?' && sign !== '{') return part;
    if (part.kind === 'start' || part.kind === 'end') throw new Malformed('repeats an anchor');
    at++;
    const [min, max] = sign === '*' ? [0, Infinity] : sign === '+' ? [1, Infinity] : sign === '?' ? [0, 1] : bounds();
    // The shortest or the longest match: both are matches.
    if (peek() === '?') at++;
    const more = peek();
    if (more === '*' || more === '+' || more === '?' || more === '{') throw new Malformed('repeats a repeat');
    return { kind: 'repeat', part, min, max };
  }

  function bounds(): readonly [min: number, max: number] {
    const close = characters.indexOf('}', at);
    const text = characters.slice(at, close === -1 ? at : close).join('');
    const match = /^(\d{1,3})(,(\d{0,3}))?$/.exec(text);
    if (match === null) throw new Malformed('has a `{` that is not followed by `3}`, `3,}` or `3,12}`');
    at = close + 1;
    const min = Number(match[1]);
    const max = match[2] === undefined ? min : match[3] === '' ? Infinity : Number(match[3]);
    if (min > MAX_REPEAT || (max > MAX_REPEAT && max !== Infinity)) {
      throw new Malformed(`repeats more than ${MAX_REPEAT} times`);
    }
    if (max < min) throw new Malformed('has a repeat that ends before it begins');
    return [min, max];
  }

  /** What a backslash begins; `literal` is null for a class such as `\d`. */
  function escaped(): { readonly accepts: Accepts; readonly literal: string | null } {
    const character = take();
    if (character === undefined) throw new Malformed('ends in a single `\\`');
    const known = CLASSES.get(character);
    if (known !== undefined) return { accepts: known, literal: null };
    if (/[A-Za-z0-9]/.test(character)) throw new Malformed(`holds \`\\${character}\`, which is not known here`);
    return { accepts: literal(character), literal: character };
  }

  function characterClass(): Accepts {
    const isNegated = peek() === '^';
    if (isNegated) at++;
    const members: Accepts[] = [];
    for (;;) {
      const from = member();
      if (from === null) break;
      if (typeof from === 'function') {
        members.push(from);
      } else if (peek() === '-' && characters[at + 1] !== ']' && characters[at + 1] !== undefined) {
        at++;
        const to = member();
        if (typeof to !== 'string' || codePoint(to) < codePoint(from)) {
          throw new Malformed('has a range in `[]` that ends before it begins');
        }
        members.push(range(from, to));
      } else {
        members.push(literal(from));
      }
    }
    if (members.length === 0) throw new Malformed('has an empty `[]`');
    const isMember: Accepts = (character) => members.some((accepts) => accepts(character));
    return isNegated ? (character) => !isMember(character) : isMember;
  }

  /** The next member of a class: a character, a class such as `\d`, or null at its end. */
  function member(): string | Accepts | null {
    const character = take();
    if (character === undefined) throw new Malformed('has a `[` that is not closed');
    if (character === ']') return null;
    if (character !== '\\') return character;
    const { accepts, literal } = escaped();
    return literal ?? accepts;
  }

  const node = choice(0);
  if (at < characters.length) throw new Malformed('has a `)` that nothing opened; write `\\)` for the sign itself');
  return node;
}

const DIGIT: Accepts = (character) => /^[0-9]$/.test(character);
const WORD: Accepts = (character) => /^[a-z0-9_]$/.test(character);
const SPACE: Accepts = (character) => /^\s$/.test(character);
const CLASSES: ReadonlyMap<string, Accepts> = new Map([
  ['d', DIGIT],
  ['D', (character: string) => !DIGIT(character)],
  ['w', WORD],
  ['W', (character: string) => !WORD(character)],
  ['s', SPACE],
  ['S', (character: string) => !SPACE(character)],
]);

function literal(character: string): Accepts {
  const wanted = character.toLowerCase();
  return (given) => given === wanted;
}

function range(from: string, to: string): Accepts {
  const [low, high] = [codePoint(from), codePoint(to)];
  const isBetween = (character: string): boolean => {
    const code = codePoint(character);
    return code >= low && code <= high;
  };
  return (character) => isBetween(character) || isBetween(character.toUpperCase());
}

function codePoint(character: string): number {
  return character.codePointAt(0) ?? 0;
}

// ---------------------------------------------------------------- automaton

function compile(root: Node): readonly State[] {
  const states: State[] = [];
  const add = (state: State): number => {
    if (states.length >= MAX_STATES) throw new Malformed('is too large: write fewer or smaller repeats');
    states.push(state);
    return states.length - 1;
  };
  /**
   * Adds the states of `node` in front of `next`; returns where they begin. A part that adds none, such as `()`, is nothing however
   * often it is repeated: to place it again and again would take 100 times 100 times ... steps in nested repeats, and no
   * limit on states would end it.
   */
  const place = (node: Node, next: number): number => {
    switch (node.kind) {
      case 'one':
        return add({ kind: 'one', accepts: node.accepts, next });
      case 'start':
      case 'end':
        return add({ kind: node.kind, next });
      case 'sequence':
        return node.parts.reduceRight((after, part) => place(part, after), next);
      case 'choice': {
        const [only] = node.parts;
        if (node.parts.length === 1 && only !== undefined) return place(only, next);
        return add({ kind: 'split', next: node.parts.map((part) => place(part, next)) });
      }
      case 'repeat': {
        let begin = next;
        if (node.max === Infinity) {
          // A loop: its own place is among those that it leads to.
          const ways: number[] = [next];
          begin = add({ kind: 'split', next: ways });
          ways.push(place(node.part, begin));
        } else {
          for (let count = node.min; count < node.max; count++) {
            const once = place(node.part, begin);
            if (once === begin) break;
            begin = add({ kind: 'split', next: [once, next] });
          }
        }
        for (let count = 0; count < node.min; count++) {
          const once = place(node.part, begin);
          if (once === begin) break;
          begin = once;
        }
        return begin;
      }
    }
  };
  const match = add({ kind: 'match' });
  const begin = place(root, match);
  // The last state is where everything begins.
  add({ kind: 'split', next: [begin] });
  return states;
}

function run(states: readonly State[], text: readonly string[]): boolean {
  const begin = states.length - 1;
  /** When each state was entered last, so that none is twice in one set. */
  const entered = new Int32Array(states.length).fill(-1);
  let current: number[] = [];
  let matched = false;
  const enter = (first: number, at: number, set: number[]): void => {
    const stack = [first];
    for (let place = stack.pop(); place !== undefined; place = stack.pop()) {
      const state = states[place];
      if (state === undefined || entered[place] === at) continue;
      entered[place] = at;
      switch (state.kind) {
        case 'match':
          matched = true;
          break;
        case 'one':
          set.push(place);
          break;
        case 'start':
          if (at === 0) stack.push(state.next);
          break;
        case 'end':
          if (at === text.length) stack.push(state.next);
          break;
        case 'split':
          stack.push(...state.next);
          break;
      }
    }
  };
  enter(begin, 0, current);
  for (const [at, character] of text.entries()) {
    if (matched) return true;
    const following: number[] = [];
    for (const place of current) {
      const state = states[place];
      if (state?.kind === 'one' && state.accepts(character)) enter(state.next, at + 1, following);
    }
    // A match may begin at every character.
    enter(begin, at + 1, following);
    current = following;
  }
  return matched;
}
