/** The package: what is in it, and that other people's compilers and runtimes take it. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { problemAffectsResolutionKind } from '@arethetypeswrong/core/problems';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VERSION } from '../../src/sdk/version.ts';
import { compile, type PackedSdk, packSdk, ROOT, run } from './packed.ts';

let packed: PackedSdk;
let modules: { readonly file: string; readonly text: string }[];

beforeAll(async () => {
  packed = await packSdk();
  const dist = path.join(packed.dir, 'node_modules', '@leadpush', 'relay', 'dist');
  const files = await readdir(dist);
  modules = await Promise.all(
    files.map(async (file) => ({ file, text: await readFile(path.join(dist, file), 'utf8') })),
  );
}, 60_000);
afterAll(() => packed?.remove());

describe('the packed package', () => {
  it('holds what was built, its README and its licence, and nothing else', async () => {
    const list = (await run('tar', ['-tzf', packed.tarball], { cwd: packed.dir })).trim().split('\n');
    expect(list.filter((file) => !/^package\/dist\/[a-z-]+\.(?:js|d\.ts)$/.test(file)).sort()).toEqual([
      'package/LICENSE',
      'package/README.md',
      'package/package.json',
    ]);
    expect(list).toContain('package/dist/index.js');
    expect(list).toContain('package/dist/nodemailer.d.ts');
  });

  it('depends on nothing, and imports nothing but its own files', async () => {
    const manifest = JSON.parse(await readFile(path.join(ROOT, 'src/sdk/package.json'), 'utf8'));
    expect(manifest).not.toHaveProperty('dependencies');
    const imports = modules.flatMap(({ file, text }) =>
      Array.from(text.matchAll(/\b(?:from|import)\s*\(?\s*'([^']+)'/g), ([, name = '']) => ({ file, name })),
    );
    expect(imports.length).toBeGreaterThan(20);
    // In a declaration a compiler looks for `client.d.ts` behind `./client.ts`.
    const own = ({ file, name }: { file: string; name: string }): boolean =>
      file.endsWith('.d.ts') ? /^\.\/[a-z-]+\.ts$/.test(name) : /^\.\/[a-z-]+\.js$/.test(name);
    expect(imports.filter((one) => !own(one))).toEqual([]);
    expect(modules.filter(({ text }) => /node:|require\(/.test(text))).toEqual([]);
  });

  it('has the version that it says', async () => {
    const manifest = JSON.parse(await readFile(path.join(ROOT, 'src/sdk/package.json'), 'utf8'));
    expect(VERSION).toBe(manifest.version);
  });

  it('passes publint', async () => {
    const pkgDir = path.join(packed.dir, 'node_modules', '@leadpush', 'relay');
    const { messages, pkg } = await publint({ pkgDir, strict: true, pack: false });
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
  });

  it('passes "are the types wrong" for ES modules', async () => {
    const analysis = await checkPackage(createPackageFromTarballData(await readFile(packed.tarball)));
    if (analysis.types === false) throw new Error('no types were found');
    expect(Object.keys(analysis.entrypoints).sort()).toEqual(['.', './nodemailer', './package.json']);
    // ES modules only is what we chose: how it looks to require() and to resolution before `exports` does not count.
    const problems = analysis.problems.filter(
      (problem) =>
        problemAffectsResolutionKind(problem, 'node16-esm', analysis) ||
        problemAffectsResolutionKind(problem, 'bundler', analysis),
    );
    expect(problems).toEqual([]);
  });

  it.each<[string, object]>([
    ['Node without DOM types', { lib: ['es2022'], types: ['node'], module: 'nodenext' }],
    [
      'a worker or browser without Node types',
      { lib: ['es2022', 'dom'], types: [], module: 'esnext', moduleResolution: 'bundler' },
    ],
  ])('compiles in a strict project for %s, its own declarations checked too', async (_what, options) => {
    const dir = path.join(packed.dir, 'consumer');
    await run('mkdir', ['-p', dir], { cwd: packed.dir });
    const compilerOptions = {
      target: 'es2022',
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      ...options,
    };
    await writeFile(path.join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['main.ts'] }));
    await writeFile(
      path.join(dir, 'main.ts'),
      `import { LeadpushError, LeadpushRelay, type RelayEvent, webhooks } from '@leadpush/relay';
       const relay = new LeadpushRelay({ baseUrl: 'http://127.0.0.1:8025', fetch });
       export function told(event: RelayEvent): string {
         switch (event.type) {
           case 'message.bounced': return event.data.bounce.class + event.data.delivery.recipient;
           case 'route.down': return event.data.route.name;
           // @ts-expect-error an attempt is not sure to be there
           case 'message.expired': return event.data.attempt.route;
           default: return event.type;
         }
       }
       export async function main(headers: Headers): Promise<void> {
         for await (const event of relay.events.stream({}, { signal: new AbortController().signal })) told(event);
         told(await webhooks.verify(new Uint8Array(), headers, ['a', 'b']));
         try {
           await relay.messages.cancel('msg_1');
         } catch (error) {
           if (error instanceof LeadpushError && error.code === 'not-found') return;
           // @ts-expect-error no such code
           if (error instanceof LeadpushError && error.code === 'not-fuond') return;
         }
       }`,
    );
    await compile(dir, '-p', '.');
  });

  it('is built by its own script', async () => {
    await run('npm', ['run', '--silent', 'build', '-w', '@leadpush/relay'], { cwd: ROOT });
    const built = await readdir(path.join(ROOT, 'src', 'sdk', 'dist'));
    expect(built.sort()).toEqual(modules.map(({ file }) => file).sort());
  });
});
