/**
 * The OpenAPI 3.1 document, made from the schemas of the calls themselves.
 *
 * Fastify's swagger plugin collects the calls; what it makes is tidied here: components that nothing refers to go, and a schema
 * that is only ever sent to us loses the `Input` that the generator put behind its name.
 */
import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { VERSION } from '../version.ts';
import { problems } from './api.ts';
import type { ProblemCode } from './problem.ts';

/** What every call may answer. */
const COMMON_PROBLEMS: readonly ProblemCode[] = [
  'bad-request',
  'unauthorized',
  'forbidden',
  'cross-origin',
  'wrong-host',
  'validation',
  'too-many-requests',
  'internal',
  'unavailable',
];

const DESCRIPTION = `Send account-recovery mail, follow what becomes of it, and run the relay.

Send a token of \`http.tokens\` as \`Authorization: Bearer ...\`; with no tokens configured, on loopback, every call is allowed
without one. Errors are \`application/problem+json\` (RFC 9457) with a \`code\` for programs. Lists answer \`data\`, \`has_more\`
and \`next_cursor\`; give that as \`cursor\` for the next page. Times are RFC 3339; where a call takes a time, it takes a span
back from now too (\`24h\`). Objects may get new fields: ignore those that you do not know.`;

/** What is sent to clients may get new fields: the document must not promise otherwise. Requests say where they are strict. */
const zodToJsonConfig = {
  override: ({
    zodSchema,
    jsonSchema,
  }: {
    zodSchema: z.core.$ZodType;
    jsonSchema: z.core.JSONSchema.BaseSchema;
  }): void => {
    if (zodSchema instanceof z.ZodObject && zodSchema.def.catchall === undefined)
      delete jsonSchema.additionalProperties;
    // Every number of JavaScript has these two; nobody needs to read them.
    if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
    if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
  },
};
const transformCall = createJsonSchemaTransform({ zodToJsonConfig });

/** Collects the calls that are added to `server` from here on. */
export async function collectCalls(server: FastifyInstance): Promise<void> {
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Leadpush Relay', version: VERSION, description: DESCRIPTION },
      tags: [
        { name: 'messages', description: 'Send messages, and what became of them.' },
        { name: 'events', description: 'What happens, as it happens.' },
        { name: 'suppressions', description: 'Recipients that get no mail.' },
        { name: 'webhooks', description: 'Endpoints that events are sent to.' },
        { name: 'relay', description: 'Routes, senders, figures, rules.' },
      ],
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    },
    exposeHeadRoutes: false,
    transform: (input) => {
      const { scope } = input.route.config ?? {};
      if (scope === undefined) return { schema: { hide: true }, url: input.url };
      const common: readonly ProblemCode[] = [
        ...COMMON_PROBLEMS,
        ...(input.url.includes(':') ? (['not-found'] as const) : []),
        ...(input.route.method === 'GET' ? [] : (['too-large', 'unsupported-media-type'] as const)),
      ];
      const schema = { ...input.schema, response: { ...problems(...common), ...responsesOf(input.schema) } };
      const made = transformCall({ ...input, schema });
      // In OpenAPI 3.1 the list may name scopes for any kind of scheme.
      return { ...made, schema: { ...made.schema, security: [{ token: [scope] }] } };
    },
    transformObject: createJsonSchemaTransformObject({ zodToJsonConfig }),
  });
}

function responsesOf(schema: { readonly response?: unknown } | undefined): object {
  const response = schema?.response;
  return typeof response === 'object' && response !== null ? response : {};
}

/** The document as JSON text. */
export function documentText(server: FastifyInstance): string {
  return `${JSON.stringify(tidy(server.swagger()), null, 2)}\n`;
}

/** A copy of `document` with the components that are in use, under their own names. */
function tidy(document: object): unknown {
  const text = JSON.stringify(document);
  const parsed: unknown = JSON.parse(text);
  const schemas = child(child(parsed, 'components'), 'schemas');
  const roots: Record<string, unknown> = isRecord(parsed) ? { ...parsed, components: undefined } : {};
  const used = new Set<string>();
  const reach = (value: unknown): void => {
    for (const [, name = ''] of JSON.stringify(value).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (used.has(name)) continue;
      used.add(name);
      reach(schemas[name]);
    }
  };
  reach(roots);
  // What a client sends and never receives needs no word behind its name.
  const shortOf = (name: string): string => {
    const short = name.replace(/Input$/, '');
    return used.has(short) ? name : short;
  };
  const kept = Object.keys(schemas)
    .filter((name) => used.has(name))
    .sort();
  const renamed = JSON.stringify({
    ...roots,
    components: {
      ...child(parsed, 'components'),
      schemas: Object.fromEntries(kept.map((name) => [shortOf(name), schemas[name]])),
    },
  }).replace(/"#\/components\/schemas\/([^"]+)"/g, (_, name: string) => `"#/components/schemas/${shortOf(name)}"`);
  return JSON.parse(renamed, (key, value: unknown) =>
    key === 'description' && value === 'Default Response' ? 'What was asked for.' : value,
  );
}

function child(value: unknown, key: string): Record<string, unknown> {
  const found = isRecord(value) ? value[key] : undefined;
  return isRecord(found) ? found : {};
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
