/**
 * Our own OpenAPI document, asked for over HTTP, says what calls there are; random requests to each of them, right and wrong, go to
 * a real server over a real database. Whatever comes: never a 5xx, a status that the document names, errors as problems with a
 * known code, and answers that match their schema.
 */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import type { RouteConfig } from '../../src/config/types.ts';
import { codes, PROBLEMS } from '../../src/api/problem.ts';
import { silentLog as LOUD } from '../../src/telemetry/log.ts';
import { refuse } from '../../src/core/refusal.ts';
import { address } from '../support/address.ts';
import { testConfig, testCredential, testMxRoute, testSmtpRoute, testTag } from '../support/config.ts';
import { BOUNCED, DEFERRED, REJECTED, START_MS, until } from '../store/fixture.ts';
import fc from '../support/properties.ts';
import { perhapsWrong, right, type Schema, TEXTS } from './any-schema.ts';
import { type Answer, type ApiBench, startApi } from './support.ts';

interface Parameter {
  readonly name: string;
  readonly in: 'query' | 'path' | 'header';
  readonly schema: Schema;
}

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>
  >;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

interface Request {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
}

const RUNS = 40;

/** Messages in several states, and an entry of every list. */
async function populate(api: ApiBench): Promise<readonly string[]> {
  const links = {
    verdict: 'warn' as const,
    links: [
      { scheme: 'https', host: 'a.example', shown: null, kind: 'a', count: 1, verdict: 'warn' as const, codes: ['x'] },
    ],
    findings: [{ code: 'x', severity: 'warning' as const, part: 'html' as const, host: null, count: 1, text: 'x' }],
    omitted: { links: 0, findings: 1 },
  };
  const bounced = await api.accept({ record: { links, metadata: { a: '1' }, flow: 'f', warnings: ['w'] } });
  await api.settle(await api.claimOne(), REJECTED, { ...BOUNCED, suppressUntil: START_MS + 1_000_000 });
  const delivered = await api.accept({ recipients: ['bob@example.net'] });
  await api.deliver(await api.claimOne());
  const deferred = await api.accept({ recipients: ['eve@example.net', 'kim@example.net'], record: { tag: null } });
  await api.settle(await api.claimOne(), DEFERRED, until(START_MS + 60_000));
  const refused = api.ids.message();
  await api.store.intake.reject({
    id: refused,
    at: START_MS,
    headerMessageId: null,
    tag: null,
    credential: 'app',
    rule: null,
    recipients: [address('ann@example.net')],
    refusal: refuse(550, '5.7.1', 'no'),
  });
  await api.store.queue.routeChanged({
    type: 'route.down',
    route: 'provider',
    reason: 'connect: refused',
    at: START_MS,
  });
  return [bounced.id, delivered.id, deferred.id, refused, bounced.delivery, 'ann@example.net', 'a', 'provider'];
}

/** Requests for `operation`, most of them right in most parts. */
function requests(
  path: string,
  operation: Operation,
  document: Document,
  known: readonly string[],
): fc.Arbitrary<Request> {
  const { schemas } = document.components;
  const text = (schema: Schema): fc.Arbitrary<string> =>
    fc.oneof(
      { weight: 3, arbitrary: right(schema, schemas).map(String) },
      { weight: 2, arbitrary: fc.constantFrom(...known) },
      { weight: 1, arbitrary: TEXTS },
    );
  const of = (place: Parameter['in']): readonly Parameter[] =>
    (operation.parameters ?? []).filter((each) => each.in === place);
  const fields = (place: Parameter['in']): fc.Arbitrary<Record<string, string>> =>
    fc.record(Object.fromEntries(of(place).map(({ name, schema }) => [name, text(schema)])), {
      requiredKeys: place === 'path' ? of(place).map(({ name }) => name) : [],
    });
  const [type, media] = Object.entries(operation.requestBody?.content ?? {})[0] ?? ['application/json', undefined];
  const isJson = type === 'application/json';
  const raw = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((octets) => Buffer.from(octets)),
    TEXTS.map((value) => Buffer.from(`From: security@example.com\r\nX-Leadpush-Tag: ${value}\r\n\r\n${value}\r\n`)),
    fc.constant(Buffer.from('From: security@example.com\r\n\r\nhello\r\n')),
  );
  const json = (media === undefined ? fc.jsonValue() : perhapsWrong(media.schema, schemas)).map((value) =>
    Buffer.from(JSON.stringify(value)),
  );
  const body = fc.oneof({ weight: 9, arbitrary: isJson ? json : raw }, { weight: 1, arbitrary: raw });
  const otherType = fc.constantFrom(
    '',
    'text/plain',
    'application/json; charset=x',
    'message/rfc822',
    'multipart/form-data',
  );
  return fc
    .record({
      path: fields('path'),
      query: fields('query'),
      header: fields('header'),
      extra: fc.option(fc.tuple(TEXTS, TEXTS), { freq: 8 }),
      twice: fc.boolean(),
      body:
        media === undefined
          ? fc.option(body, { freq: 4, nil: undefined })
          : fc.option(body, { freq: 12, nil: undefined }),
      type: fc.oneof({ weight: 9, arbitrary: fc.constant(type) }, { weight: 1, arbitrary: otherType }),
    })
    .map((parts) => {
      const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => escape(parts.path[name] ?? 'x') || 'x');
      const pairs = Object.entries(parts.query);
      const [first] = pairs;
      if (parts.twice && first !== undefined && pairs.length > 3) pairs.push(first);
      if (parts.extra !== null) pairs.push([...parts.extra]);
      const query = pairs.map(([name, value]) => `${escape(name)}=${escape(value)}`).join('&');
      const headers: Record<string, string> = {};
      for (const [name, value] of Object.entries(parts.header)) headers[name] = value.replace(/[^\x20-\x7e]/g, '?');
      if (parts.body !== undefined) headers['content-type'] = parts.type;
      return { path: query === '' ? filled : `${filled}?${query}`, headers, body: parts.body };
    });
}

/** Percent-encoded, whatever it holds: half a character becomes the replacement character. */
function escape(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

test('whatever is asked of any call, the answer is one that the document names', { timeout: 240_000 }, async () => {
  const failures: unknown[] = [];
  const routes: readonly RouteConfig[] = [testSmtpRoute(), testMxRoute(), { name: 'sandbox', type: 'sandbox' }];
  const relay = testConfig({
    routes: new Map(routes.map((route) => [route.name, route])),
    credentials: [testCredential({ username: 'app', rate: { count: 50, perMs: 60_000 } })],
    tags: new Map([['password-reset', testTag({ name: 'password-reset', collapse: 'recipient' })]]),
  });
  const api = await startApi({
    relay,
    log: { ...LOUD, error: (fields) => void failures.push(fields) },
    calls: {
      routes: () => relay.routes,
      routeHealth: (route) => ({ breaker: route === 'provider' ? 'open' : 'closed', inWork: 1 }),
      senders: () => relay.senders,
    },
  });
  const known = await populate(api);
  const document = (await api.call('/openapi.json')).json as Document;
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  ajv.addSchema(closed(document), 'document');
  const schemaOf = (pointer: readonly string[]): ((value: unknown) => void) => {
    const place = pointer.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/');
    const validate = ajv.getSchema(`document#/${place}`);
    return (value) => {
      if (validate?.(value) !== true) throw new Error(JSON.stringify(validate?.errors?.slice(0, 3)));
    };
  };

  const tally = new Map<number, number>();
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      await fc.assert(
        fc.asyncProperty(requests(path, operation, document, known), async (request) => {
          const answer: Answer = await api.call(request.path, {
            method: method.toUpperCase(),
            headers: request.headers,
            ...(request.body === undefined ? {} : { body: request.body }),
            headOnly: operation.operationId === 'streamEvents',
          });
          tally.set(answer.status, (tally.get(answer.status) ?? 0) + 1);
          expect(answer.status, `${method} ${request.path} ${answer.text}`).toBeLessThan(500);
          const type = String(answer.headers['content-type'] ?? '').split(';')[0] ?? '';
          if (answer.status >= 400) {
            expect(type).toBe('application/problem+json');
            const problem = answer.json as { code: keyof typeof PROBLEMS; status: number };
            expect(codes()).toContain(problem.code);
            expect([problem.status, PROBLEMS[problem.code].status]).toEqual([answer.status, answer.status]);
          }
          const response = operation.responses[String(answer.status)];
          expect(response, `${operation.operationId} does not document ${answer.status}: ${answer.text}`).toBeDefined();
          if (!/json/.test(type)) return;
          schemaOf(['paths', path, method, 'responses', String(answer.status), 'content', type, 'schema'])(answer.json);
        }),
        { numRuns: RUNS },
      );
    }
  }
  expect(failures).toEqual([]);
  // Not everything is refused, and not everything passes.
  for (const status of [200, 202, 404, 422]) expect(tally.get(status) ?? 0, `status ${status}`).toBeGreaterThan(0);
});

/** `document` with every object closed: an answer with a field that is not written down is a fault here. */
function closed(document: Document): object {
  return JSON.parse(JSON.stringify(document), (_key, value: unknown) => {
    if (typeof value !== 'object' || value === null || !('properties' in value) || !('type' in value)) return value;
    return 'additionalProperties' in value ? value : { ...value, additionalProperties: false };
  });
}
