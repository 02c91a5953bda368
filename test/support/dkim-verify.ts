/** Verifies DKIM with dkimpy (Debian's python3-dkim), an implementation that shares nothing with ours. */
import { spawn } from 'node:child_process';
import { needProgram } from './relay.ts';

const SCRIPT = `
import json, sys, dkim
given = json.loads(sys.stdin.readline())
message = bytes.fromhex(given['message'])
records = {name.encode() + b'.': value.encode() for name, value in given['records'].items()}
d = dkim.DKIM(message)
count = sum(1 for name, _ in d.headers if name.lower() == b'dkim-signature')
verdicts = [d.verify(idx=i, dnsfunc=lambda name, timeout=5: records.get(name)) for i in range(count)]
print(json.dumps(verdicts))
`;

/**
 * One verdict per DKIM-Signature, top to bottom. `records` maps `selector._domainkey.domain` to the TXT value. Line ends of
 * `message` may be LF, as a Maildir keeps them.
 */
export async function dkimVerdicts(
  message: Buffer,
  records: Readonly<Record<string, string>>,
): Promise<readonly boolean[]> {
  needProgram('/usr/lib/python3/dist-packages/dkim/__init__.py', 'python3-dkim');
  const wire = Buffer.from(message.toString('latin1').replace(/\r?\n/g, '\r\n'), 'latin1');
  const child = spawn('/usr/bin/python3', ['-c', SCRIPT], { stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.end(`${JSON.stringify({ message: wire.toString('hex'), records })}\n`);
  await new Promise<void>((resolve) => void child.on('close', () => resolve()));
  if (stdout === '') throw new Error(`dkimpy failed: ${stderr}`);
  const verdicts: unknown = JSON.parse(stdout);
  if (!Array.isArray(verdicts)) throw new Error(`dkimpy answered ${stdout}`);
  return verdicts.map((verdict) => verdict === true);
}
