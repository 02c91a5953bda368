/** A system-call trace of the real relay: the database is flushed to disk between the last octet of DATA and the 250. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { createTransport } from 'nodemailer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRelayHome, needProgram, type RelayHome } from '../support/relay.ts';

describe('a 250 to the final dot', () => {
  let home: RelayHome;
  let calls: readonly string[] = [];

  beforeAll(async () => {
    needProgram('/usr/bin/strace', 'strace');
    home = await createRelayHome();
    const trace = path.join(home.dir, 'trace.txt');
    const relay = await home.start({
      wrap: [
        '/usr/bin/strace',
        '-f',
        '-y',
        '-s',
        '4096',
        '-o',
        trace,
        '-e',
        'trace=read,recvfrom,write,writev,sendto,sendmsg,fsync,fdatasync',
      ],
    });
    const transport = createTransport({ host: '127.0.0.1', port: relay.smtpPort, ignoreTLS: true });
    await transport.sendMail({
      from: 'a@example.com',
      to: 'ann@example.net',
      subject: 'trace',
      text: 'the last line of the body',
    });
    await relay.stop();
    calls = (await readFile(trace, 'utf8')).split('\n');
  }, 60_000);

  afterAll(async () => {
    await home?.remove();
  });

  it('is written only after a flush of the database that began when the content was in', () => {
    const content = calls.findIndex(
      (call) => /\b(read|recvfrom)\(/.test(call) && call.includes('the last line of the body'),
    );
    const answer = calls.findIndex(
      (call) => /\b(write|writev|sendto|sendmsg)\(/.test(call) && call.includes('Ok: queued as msg_'),
    );
    expect(content).toBeGreaterThan(-1);
    expect(answer).toBeGreaterThan(content);
    const between = calls.slice(content, answer);
    const begun = between.filter((call) => /\bf(data)?sync\(\d+<[^>]*relay\.db-wal>/.test(call));
    const ended = between.filter((call) => /\bf(data)?sync(\(| resumed)/.test(call) && call.trimEnd().endsWith('= 0'));
    expect(begun.length).toBeGreaterThan(0);
    expect(ended.length).toBeGreaterThan(0);
  });
});
