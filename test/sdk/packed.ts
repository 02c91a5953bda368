/**
 * The SDK as its users get it: built, packed, unpacked into the node_modules of a folder of its own.
 *
 * Built into that folder, not into the package's `dist`, so that several test files can do it at once.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

export const ROOT: string = path.join(import.meta.dirname, '..', '..');
const SDK = path.join(ROOT, 'src', 'sdk');
const TSC = path.join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');

export interface PackedSdk {
  /** The folder of a project of modules, in which `import '@leadpush/relay'` finds the package, and nodemailer and better-auth are beside it. */
  readonly dir: string;
  readonly tarball: string;
  remove(): Promise<void>;
}

/** What a program wrote; throws with all of it when it ended with another code than 0. */
export async function run(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: NodeJS.ProcessEnv },
): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(command, args, { ...options, maxBuffer: 20e6 }).catch(
    (error) => {
      throw new Error(`${command} ${args.join(' ')}\n${error.stdout}\n${error.stderr}\n${error.message}`);
    },
  );
  return `${stdout}${stderr}`;
}

/** Compiles the project `config` in `cwd`; throws with the compiler's findings. */
export async function compile(cwd: string, ...args: readonly string[]): Promise<void> {
  await run(process.execPath, [TSC, ...args], { cwd });
}

/** Compiles `sources` as modules of a strict project in `dir`, which `packSdk` made. */
export async function compileExamples(dir: string, sources: readonly string[]): Promise<void> {
  for (const [at, source] of sources.entries()) await writeFile(path.join(dir, `check-${at}.ts`), source);
  const compilerOptions = {
    target: 'es2023',
    module: 'nodenext',
    lib: ['es2023'],
    types: ['node'],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
  };
  await writeFile(path.join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['check-*.ts'] }));
  await compile(dir, '-p', '.');
}

/** Builds, packs and unpacks. */
export async function packSdk(): Promise<PackedSdk> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'leadpush-sdk-'));
  const build = path.join(dir, 'build');
  await mkdir(build);
  for (const file of ['package.json', 'README.md', 'LICENSE']) await cp(path.join(SDK, file), path.join(build, file));
  await compile(ROOT, '-p', path.join(SDK, 'tsconfig.build.json'), '--outDir', path.join(build, 'dist'));
  const packed = await run('npm', ['pack', '--ignore-scripts', '--json', '--silent'], { cwd: build });
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  const tarball = path.join(build, filename);
  const modules = path.join(dir, 'node_modules');
  await mkdir(path.join(modules, '@leadpush', 'relay'), { recursive: true });
  await run('tar', ['-xzf', tarball, '-C', path.join(modules, '@leadpush', 'relay'), '--strip-components=1'], {
    cwd: dir,
  });
  await writeFile(path.join(dir, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  for (const name of ['nodemailer', 'better-auth', '@types']) {
    await symlink(path.join(ROOT, 'node_modules', name), path.join(modules, name));
  }
  return { dir, tarball, remove: () => rm(dir, { recursive: true, force: true }) };
}
