/** The examples of a README, taken out of it as they stand, and run as programs of their own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

export interface Example {
  /** The heading that it stands under. */
  readonly heading: string;
  readonly code: string;
}

/** The code blocks in `language` of a Markdown text, in order. */
export function examplesOf(markdown: string, language: string): readonly Example[] {
  const found: Example[] = [];
  let heading = '';
  let code: string[] | null = null;
  let taken = false;
  for (const line of markdown.split('\n')) {
    if (code === null && line.startsWith('```')) {
      code = [];
      taken = line === '```' + language;
    } else if (code !== null && line === '```') {
      if (taken) found.push({ heading, code: code.join('\n') });
      code = null;
    } else if (code !== null) {
      code.push(line);
    } else if (/^#+ /.test(line)) {
      heading = line.replace(/^#+ /, '');
    }
  }
  return found;
}

export interface RunningExample {
  /** Everything that it wrote so far. */
  output(): string;
  /** Waits until it wrote what `pattern` finds; throws with its output when it ends before. */
  wrote(pattern: RegExp): Promise<RegExpExecArray>;
  /** Its exit code, once it ends by itself. */
  readonly ended: Promise<number | null>;
  kill(): Promise<void>;
}

/** Starts `code` as the TypeScript module `name`.ts in `dir`. */
export async function startExample(
  dir: string,
  name: string,
  code: string,
  env: Readonly<Record<string, string>>,
): Promise<RunningExample> {
  const file = path.join(dir, `${name}.ts`);
  await writeFile(file, code);
  const child: ChildProcess = spawn(process.execPath, [file], {
    cwd: dir,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let tell = (): void => {};
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      tell();
    });
  }
  let over = false;
  const ended = once(child, 'close').then(() => {
    over = true;
    tell();
    return child.exitCode;
  });
  return {
    output: () => output,
    async wrote(pattern) {
      for (;;) {
        const found = pattern.exec(output);
        if (found !== null) return found;
        if (over) throw new Error(`it ended without ${pattern}: ${output}`);
        await new Promise<void>((resolve) => {
          tell = resolve;
        });
      }
    },
    ended,
    async kill() {
      if (!over) child.kill('SIGKILL');
      await ended;
    },
  };
}
