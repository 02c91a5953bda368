import fc from '../support/properties.ts';
/** Values for a JSON schema of our own OpenAPI document: right ones, and ones that are wrong in some way. */

export interface Schema {
  readonly $ref?: string;
  readonly anyOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly type?: string | readonly string[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
}

/** What a hostile or careless client might write in place of a text. */
export const TEXTS: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '',
    ' ',
    '*',
    'null',
    '__proto__',
    "' OR 1=1 --",
    'a\r\nBcc: x@y.example',
    '\u0000',
    '\ud800',
    '../../etc/passwd',
    '%00',
    '${jndi:ldap://x}',
    'a'.repeat(600),
    '9'.repeat(20),
    '-1',
    '1e3',
    '2026-13-45T99:99:99Z',
    'ann@example.net',
    'Ann <security@example.com>',
    'security@example.com',
    '24h',
  ),
);

/** Texts that most fields take, and hostile ones. */
const MOSTLY_FINE: fc.Arbitrary<string> = fc.oneof(
  { weight: 40, arbitrary: fc.constantFrom('abcd', 'abcdefgh') },
  { weight: 1, arbitrary: TEXTS },
);
const MAILBOXES = fc.constantFrom<unknown>('security@example.com', 'Ann <security@example.com>', {
  address: 'security@example.com',
  name: 'Jörg',
});

/** Values that `schema` describes, as far as JSON schema can say it. */
export function right(schema: Schema, components: Readonly<Record<string, Schema>>): fc.Arbitrary<unknown> {
  const of = (each: Schema): fc.Arbitrary<unknown> => right(each, components);
  if (schema.$ref?.endsWith('/Mailbox') === true) {
    const other = of(components['Mailbox'] ?? {});
    return fc.oneof({ weight: 40, arbitrary: MAILBOXES }, { weight: 1, arbitrary: other });
  }
  if (schema.$ref !== undefined) return of(components[schema.$ref.split('/').at(-1) ?? ''] ?? {});
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map(of));
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.const !== undefined) return fc.constant(schema.const);
  const type = typeof schema.type === 'string' ? schema.type : schema.type?.[0];
  switch (type) {
    case 'string':
      return schema.pattern === undefined
        ? MOSTLY_FINE.map((text) => text.slice(0, schema.maxLength ?? 1000))
        : fc.stringMatching(new RegExp(schema.pattern)).map((text) => text.slice(0, schema.maxLength ?? 1000));
    case 'integer':
    case 'number':
      return fc.integer({
        min: Math.max(schema.minimum ?? -10, -(2 ** 31)),
        max: Math.min(schema.maximum ?? 1000, 2 ** 31 - 1),
      });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(of(schema.items ?? {}), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.min(schema.maxItems ?? 3, 3),
      });
    case 'object': {
      const required = [...(schema.required ?? [])];
      const known = Object.fromEntries(Object.entries(schema.properties ?? {}).map(([key, each]) => [key, of(each)]));
      const others = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : null;
      const own = fc.record(known, { requiredKeys: required.filter((key) => key in known) });
      if (others === null) return own;
      return fc.tuple(own, fc.dictionary(MOSTLY_FINE, of(others), { maxKeys: 3 })).map(([a, b]) => ({ ...b, ...a }));
    }
    default:
      return fc.jsonValue({ maxDepth: 2 });
  }
}

/** A value of `schema`, or that value with one part of it replaced, added or taken away, or something else altogether. */
export function perhapsWrong(schema: Schema, components: Readonly<Record<string, Schema>>): fc.Arbitrary<unknown> {
  const spoilt = fc
    .tuple(right(schema, components), fc.nat(), fc.oneof(TEXTS, fc.jsonValue({ maxDepth: 2 })), fc.nat(2))
    .map(([value, place, other, how]) => spoil(value, place, other, how));
  return fc.oneof(
    { weight: 8, arbitrary: right(schema, components) },
    { weight: 4, arbitrary: spoilt },
    { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  );
}

function spoil(value: unknown, place: number, other: unknown, how: number): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return other;
  const keys = Object.keys(value);
  const key = keys[place % Math.max(1, keys.length)];
  if (how === 0 || key === undefined) return { ...value, [`x${place}`]: other };
  const without = Object.fromEntries(Object.entries(value).filter(([each]) => each !== key));
  return how === 1 ? without : { ...value, [key]: other };
}
