/** DKIM verifiers that share nothing with our signer: mailauth (npm), OpenDKIM and dkimpy (Debian). */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';

export type Records = ReadonlyMap<string, string>;

/** mailauth's verdict on every signature from the top down, under the strict reading of the RFCs. */
export async function verifyWithMailauth(message: Buffer, records: Records): Promise<readonly string[]> {
  const resolver = (name: string): Promise<string[][]> => {
    const value = records.get(name);
    if (value === undefined)
      return Promise.reject(Object.assign(new Error(`no record ${name}`), { code: 'ENOTFOUND' }));
    return Promise.resolve([[value]]);
  };
  const options = { resolver, strict: true };
  const { results } = await dkimVerify(message, options);
  return results.map(({ status }) => status.result);
}

/** OpenDKIM's verdicts, per message from the top signature down. */
export async function verifyWithOpenDkim(
  messages: readonly Buffer[],
  records: Records,
): Promise<readonly (readonly string[])[]> {
  needFile('/usr/sbin/opendkim', 'opendkim');
  const folder = await mkdtemp(join(tmpdir(), 'leadpush-opendkim-'));
  try {
    const files = messages.map((_, index) => join(folder, `${index}.eml`));
    await Promise.all(messages.map((message, index) => writeFile(files[index] ?? '', message)));
    const keys = join(folder, 'keys');
    const config = join(folder, 'opendkim.conf');
    await writeFile(keys, Array.from(records, ([name, value]) => `${name} ${value}\n`).join(''));
    await writeFile(config, `Mode v\nSyslog no\nTestPublicKeys ${keys}\n`);
    const output = await run('/usr/sbin/opendkim', ['-x', config, '-vv', '-t', files.join(',')], '');
    // One Authentication-Results field per message, with one `dkim=` per signature.
    const fields = output.split("### INSHEADER: idx=0 hname='Authentication-Results'").slice(1);
    return fields.map((field) => Array.from(field.matchAll(/\bdkim=(\w+)/g), (match) => match[1] ?? ''));
  } finally {
    await rm(folder, { recursive: true });
  }
}

const DKIMPY = `
import json, sys, dkim
given = json.load(sys.stdin)
records = {name.encode() + b'.': value.encode() for name, value in given['records']}
answers = []
for text in given['messages']:
    d = dkim.DKIM(text.encode('latin-1'))
    count = sum(1 for name, _ in d.headers if name.lower() == b'dkim-signature')
    verdicts = []
    for i in range(count):
        try:
            ok = d.verify(idx=i, dnsfunc=lambda name, timeout=5: records.get(name))
            verdicts.append('pass' if ok else 'fail')
        except dkim.DKIMException as error:
            verdicts.append(str(error))
    answers.append(verdicts)
print(json.dumps(answers))
`;

/** dkimpy's verdicts, per message from the top signature down. */
export async function verifyWithDkimpy(messages: readonly Buffer[], records: Records): Promise<unknown> {
  needFile('/usr/lib/python3/dist-packages/dkim/__init__.py', 'python3-dkim');
  const given = { messages: messages.map((message) => message.toString('latin1')), records: Array.from(records) };
  return JSON.parse(await run('/usr/bin/python3', ['-c', DKIMPY], JSON.stringify(given)));
}

function needFile(file: string, debianPackage: string): void {
  if (!existsSync(file)) throw new Error(`${file} is missing: install the Debian package ${debianPackage}`);
}

/** Standard output of a program that has to end well. */
function run(program: string, args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'pipe' });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => void (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => void (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(stdout);
      else reject(new Error(`${program} ended with ${code}: ${stderr}`));
    });
    child.stdin.end(input);
  });
}
