/** `${NAME}` and `${file:PATH}`: what goes in, what stays, and that nothing is looked at twice. */
import { expect, test } from 'vitest';
import { type Lookups, substitute } from '../../src/config/substitute.ts';
import fc from '../support/properties.ts';

const runs = { numRuns: 500 };
const unset: Lookups = {
  variable: (name) => ({ kind: 'problem', message: `no ${name}`, hint: '' }),
  file: (path) => ({ kind: 'problem', message: `no file ${path}`, hint: '' }),
};
const texts = fc
  .array(fc.constantFrom('$', '{', '}', '$${', '${', 'A', 'file:', 'b', ' ', '\n'), { maxLength: 12 })
  .map((parts) => parts.join(''));

function holding(value: string): Lookups {
  return { variable: () => ({ kind: 'found', text: value }), file: () => ({ kind: 'found', text: value }) };
}

test('any text comes back as it was when each ${ in it is written $${', () => {
  fc.assert(
    fc.property(texts, (text) => {
      const result = substitute(
        text.replaceAll('${', () => '$${'),
        unset,
      );
      expect(result).toEqual({ text, changed: false, problems: [] });
    }),
    runs,
  );
});

test('text without ${ is left alone', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      fc.pre(!text.includes('${'));
      expect(substitute(text, unset)).toEqual({ text, changed: false, problems: [] });
    }),
    runs,
  );
});

test('a value is put in as it is, whatever it looks like itself', () => {
  fc.assert(
    fc.property(texts, fc.constantFrom('A', 'file:./a', '_x9'), (value, name) => {
      const result = substitute(`<\${${name}}|\${${name}}>`, holding(value));
      expect(result).toEqual({ text: `<${value}|${value}>`, changed: true, problems: [] });
    }),
    runs,
  );
});

test('every ${ that is not escaped is replaced or told as a problem', () => {
  fc.assert(
    fc.property(texts, (text) => {
      const { problems, changed } = substitute(text, unset);
      const open = text.replaceAll('$${', '|').includes('${');
      expect(problems.length > 0).toBe(open);
      expect(changed && !open).toBe(false);
    }),
    runs,
  );
});

test('all problems of one text are told', () => {
  expect(substitute('${A} ${file:b} ${not a name} ${', unset).problems.map(({ message }) => message)).toEqual([
    'no A',
    'no file b',
    '`${...}` holds neither the name of a variable nor `file:` and a path',
    '`${` has no closing `}`',
  ]);
});

test('the name of a file goes up to the first closing brace', () => {
  const asked: string[] = [];
  const lookups: Lookups = { ...unset, file: (path) => (asked.push(path), { kind: 'found', text: 'x' }) };
  expect(substitute('${file:/run/secrets/a b}c}', lookups).text).toBe('xc}');
  expect(asked).toEqual(['/run/secrets/a b']);
});
