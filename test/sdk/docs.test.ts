/** The generated types are those of the OpenAPI document, and the document is good for clients that other people generate. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROBLEMS } from '../../src/api/problem.ts';
import { LeadpushProblem } from '../../src/sdk/errors.ts';
import { readProblem } from '../../src/sdk/problem.ts';
import { compile, ROOT } from './packed.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'leadpush-wire-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Runs the script `docs:sdk` of package.json, with its output under another name. */
function generate(output: string): void {
  const { scripts } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const script = scripts['docs:sdk']?.replaceAll('src/sdk/wire.ts', output) ?? '';
  const bin = path.join(ROOT, 'node_modules', '.bin');
  execFileSync('/bin/sh', ['-c', script], {
    cwd: ROOT,
    env: { ...process.env, PATH: `${bin}:${process.env['PATH']}` },
  });
}

test('the types of the SDK are what `npm run docs:sdk` makes of the OpenAPI document', () => {
  // Where the formatter looks, and nobody else.
  const output = `test/sdk/wire-${process.pid}.ts`;
  try {
    generate(output);
    expect(readFileSync(path.join(ROOT, output), 'utf8')).toBe(
      readFileSync(path.join(ROOT, 'src/sdk/wire.ts'), 'utf8'),
    );
  } finally {
    rmSync(path.join(ROOT, output), { force: true });
  }
});

test('the SDK knows every problem of the API by its code', () => {
  for (const [code, { status, title }] of Object.entries(PROBLEMS)) {
    const found = readProblem({ type: '', title, status, detail: '', code, request_id: 'r' });
    expect(found?.code).toBe(code);
    if (found !== null) expect(new LeadpushProblem('op', found.code, found.problem, null).code).toBe(code);
  }
  expect(readProblem({ type: '', title: '', status: 500, detail: '', code: 'toString', request_id: 'r' })?.code).toBe(
    'unknown',
  );
});

test('a client that is generated from the document with openapi-typescript compiles, and catches mistakes', async () => {
  cpSync(path.join(ROOT, 'src/sdk/wire.ts'), path.join(dir, 'schema.ts'));
  writeFileSync(
    path.join(dir, 'client.ts'),
    `import type { components, operations, paths } from './schema.ts';

     type Ok<O> = O extends { responses: { 200: { content: { 'application/json': infer T } } } } ? T
       : O extends { responses: { 202: { content: { 'application/json': infer T } } } } ? T : never;
     type Body<O> = O extends { requestBody: { content: { 'application/json': infer T } } } ? T : never;

     declare function get<P extends keyof paths>(path: P, query?: object): Promise<Ok<paths[P]['get']>>;
     declare function post<P extends keyof paths>(path: P, body: Body<paths[P]['post']>): Promise<Ok<paths[P]['post']>>;

     export async function main(): Promise<string> {
       const { id } = await post('/v1/messages', {
         from: 'a@example.com', to: ['b@example.net'], subject: 'x', text: 'y', tag: 'password-reset', ttl: '15m',
       });
       // @ts-expect-error no subject
       await post('/v1/messages', { from: 'a@example.com', to: ['b@example.net'], text: 'y' });
       // @ts-expect-error no such call
       await get('/v1/mesages');
       const page = await get('/v1/messages');
       const states: components['schemas']['Delivery']['state'][] = page.data.flatMap(({ deliveries }) => deliveries.map(({ state }) => state));
       const detail: components['schemas']['MessageDetail'] = await get('/v1/messages/{id}');
       const events: Ok<operations['listEvents']> = await get('/v1/events');
       return id + states.join() + detail.deliveries[0]?.attempts[0]?.route + events.data[0]?.data.seq.toFixed() + events.next_cursor;
     }`,
  );
  writeFileSync(
    path.join(dir, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        strict: true,
        noEmit: true,
        target: 'es2022',
        module: 'nodenext',
        types: [],
        allowImportingTsExtensions: true,
      },
    }),
  );
  await compile(dir, '-p', '.');
});
