import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { run, tempFolder, writeConfig } from './support.ts';

const ID = `msg_${'0'.repeat(26)}`;

interface Hop {
  readonly port: number;
  readonly commands: string[];
  readonly mail: () => string;
}

/** A listener that takes one message a connection and answers its final dot with `answer`. */
async function listen(
  answer = `250 2.0.0 Ok: queued as ${ID}`,
  capabilities = ['AUTH PLAIN'],
  answers: Readonly<Record<string, string>> = {},
): Promise<Hop> {
  const commands: string[] = [];
  let mail = '';
  const converse = (socket: Socket): void => {
    let inData = false;
    let pending = '';
    socket.write('220 relay.example.com ESMTP\r\n');
    socket.on('error', () => {});
    socket.on('data', (part) => {
      pending += part.toString();
      for (let end = pending.indexOf('\r\n'); end >= 0; end = pending.indexOf('\r\n')) {
        const line = pending.slice(0, end);
        pending = pending.slice(end + 2);
        if (inData) {
          if (line === '.') {
            inData = false;
            socket.write(`${answer}\r\n`);
          } else mail += `${line}\n`;
          continue;
        }
        commands.push(line);
        const verb = line.split(' ')[0]?.toUpperCase();
        if (verb === 'EHLO')
          socket.write(
            ['relay.example.com', ...capabilities]
              .map((text, i, all) => `250${i === all.length - 1 ? ' ' : '-'}${text}\r\n`)
              .join(''),
          );
        else if (verb !== undefined && answers[verb] !== undefined) socket.write(`${answers[verb]}\r\n`);
        else if (verb === 'AUTH') socket.write('235 2.7.0 ok\r\n');
        else if (verb === 'DATA') {
          inData = true;
          socket.write('354 go\r\n');
        } else if (verb === 'STARTTLS') socket.write('502 5.5.1 not here\r\n');
        else if (verb === 'QUIT') socket.end('221 bye\r\n');
        else socket.write('250 2.1.0 Ok\r\n');
      }
    });
  };
  const server = createServer(converse).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, commands, mail: () => mail };
}

const configFor = (port: number, tls = 'starttls'): string =>
  writeConfig(tempFolder(), {
    smtp: { listeners: [{ host: '127.0.0.1', port, tls }], trusted_networks: ['127.0.0.0/8'] },
  });

describe('send', () => {
  test('sends a demonstration mail to the first listener of the config and says what to type next', async () => {
    const hop = await listen();
    const config = configFor(hop.port);
    const { code, out } = await run(['send', '--config', config], { tty: true });
    expect(code).toBe(0);
    expect(out).toBe(
      `127.0.0.1:${hop.port} answered: 250 2.0.0 Ok: queued as ${ID}\n` +
        `See what became of it: leadpush-relay trace ${ID} --config ${config}\n`,
    );
    expect(hop.commands).toContain('MAIL FROM:<no-reply@example.com>');
    expect(hop.commands).toContain('RCPT TO:<ann@example.net>');
    expect(hop.mail()).toMatch(/^X-Leadpush-Tag: password-reset$/m);
  });

  test.each(['a b@example.net', 'a@example.net, b@example.net', 'a@example.net b@example.net', 'a', ''])(
    'takes %j for no address and sends nothing',
    async (address) => {
      const hop = await listen();
      for (const option of ['--to', '--from']) {
        const { code, err } = await run(['send', option, address, '--config', configFor(hop.port)]);
        expect([code, hop.commands]).toEqual([2, []]);
        expect(err).toContain('Give one address');
      }
    },
  );

  test('takes an address with a name', async () => {
    const hop = await listen();
    const { code } = await run(['send', '--to', 'Ann Bo <ann@example.net>', '--config', configFor(hop.port)]);
    expect([code, hop.commands.includes('RCPT TO:<ann@example.net>')]).toEqual([0, true]);
  });

  test('sends what the options say', async () => {
    const hop = await listen();
    const argv = [
      'send',
      '--to',
      'bo@example.net',
      '--to',
      'cy@example.net',
      '--from',
      'a@example.com',
      '--subject',
      'Hello',
    ];
    argv.push(
      '--text',
      'Body text',
      '--tag',
      'receipt',
      '--ttl',
      '15m',
      '--header',
      'X-Leadpush-Flow: f-1',
      '--config',
    );
    const { code, json } = await run([...argv, configFor(hop.port)]);
    expect(code).toBe(0);
    expect(json).toEqual([{ id: ID, response: `250 2.0.0 Ok: queued as ${ID}`, rejected: [] }]);
    expect(hop.commands.filter((line) => line.startsWith('RCPT'))).toEqual([
      'RCPT TO:<bo@example.net>',
      'RCPT TO:<cy@example.net>',
    ]);
    for (const line of [
      'Subject: Hello',
      'X-Leadpush-Tag: receipt',
      'X-Leadpush-TTL: 15m',
      'X-Leadpush-Flow: f-1',
      'Body text',
    ]) {
      expect(hop.mail().toLowerCase()).toContain(`${line.toLowerCase()}\n`);
    }
  });

  test('an empty tag sends no tag header', async () => {
    const hop = await listen();
    await run(['send', '--tag', '', '--config', configFor(hop.port)]);
    expect(hop.mail().toLowerCase()).not.toContain('x-leadpush-tag');
  });

  test('logs in with the password from the environment', async () => {
    const hop = await listen();
    const { code } = await run(['send', '--username', 'app', '--config', configFor(hop.port)], {
      env: { LEADPUSH_PASSWORD: 's3cret' },
    });
    expect(code).toBe(0);
    expect(hop.commands).toContain(`AUTH PLAIN ${Buffer.from('\0app\0s3cret').toString('base64')}`);
  });

  test('a user name without a password is wrong use', async () => {
    expect((await run(['send', '--username', 'app', '--config', configFor(2525)])).code).toBe(2);
  });

  test('never goes on in plain where TLS is asked for', async () => {
    const hop = await listen(undefined, ['SIZE 1000']);
    const { code } = await run(['send', '--config', configFor(hop.port, 'starttls-required')]);
    expect(code).toBe(1);
    expect(hop.commands.some((line) => line.startsWith('MAIL'))).toBe(false);
  });

  test('a refusal ends with 1 and shows the answer without its escapes', async () => {
    const hop = await listen('550 5.7.1 sender \u001b[31mnot allowed');
    const { code, out, err } = await run(['send', '--config', configFor(hop.port)], { tty: true });
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain('550 5.7.1 sender not allowed');
    expect(err).not.toContain('\u001b');
  });

  test('says how to start the relay when nothing listens', async () => {
    const config = configFor(2525);
    const argv = ['send', '--host', '127.0.0.1', '--port', '1'];
    expect(await run(argv)).toMatchObject({ code: 1, err: expect.stringContaining('Start it with: npm start') });
    const named = await run([...argv, '--config', config]);
    expect(named.err).toContain('nothing listens there');
    expect(named.err).toContain(`Start it with: leadpush-relay serve --config ${config}`);
  });

  test('with --host and --port it reads no config', async () => {
    const hop = await listen();
    const to = ['send', '--host', '127.0.0.1', '--port', String(hop.port)];
    const { code, out } = await run([...to, '--config', join(tempFolder(), 'none.yaml')], { tty: true });
    expect(code).toBe(0);
    expect(out).toContain(`leadpush-relay trace ${ID}`);
  });

  test('asks for the password on a terminal', async () => {
    const hop = await listen();
    const { code, err } = await run(['send', '--username', 'app', '--config', configFor(hop.port)], {
      secrets: ['s3cret'],
    });
    expect([code, err]).toEqual([0, 'Password: ']);
    expect(hop.commands).toContain(`AUTH PLAIN ${Buffer.from('\0app\0s3cret').toString('base64')}`);
  });

  test.each([
    ['530 5.7.0 Authentication required', ['--username NAME', 'LEADPUSH_PASSWORD']],
    ['530 5.7.0 Must issue a STARTTLS command first', ['--tls starttls']],
  ])('after %s at MAIL it says how to go on', async (answer, words) => {
    const hop = await listen(undefined, undefined, { MAIL: answer });
    const { code, err } = await run(['send', '--config', configFor(hop.port)]);
    expect(code).toBe(1);
    for (const word of words) expect(err).toContain(word);
    expect(err).not.toContain('trace');
  });

  test('after a refused login it points to the password and the log', async () => {
    const hop = await listen(undefined, undefined, { AUTH: '535 5.7.8 Authentication credentials invalid' });
    const { err } = await run(['send', '--username', 'app', '--password', 'x', '--config', configFor(hop.port)]);
    expect(err).toContain('Check the password');
    expect(err).toContain("relay's log has the reason");
    expect(err).not.toContain('trace');
  });

  test.each([
    ['550 5.7.1 Header X-Leadpush-Tag is not allowed for this credential (credentials[].headers.allow)', "--tag ''"],
    [
      '550 5.7.1 Header X-Leadpush-TTL is not allowed for this credential (credentials[].headers.allow)',
      'leave it out',
    ],
    ['550 5.7.1 From address <a@example.org> is not allowed for this credential', 'leadpush-relay tail --config '],
    ['550 5.7.1 From domain example.org is not a sender of this relay', 'leadpush-relay tail --config '],
  ])('after %s it says what helps', async (answer, words) => {
    const hop = await listen(answer);
    const { code, err } = await run(['send', '--config', configFor(hop.port)]);
    expect(code).toBe(1);
    expect(err).toContain(words);
    expect(err).not.toContain('trace');
  });

  test('its help names each default once', async () => {
    const { out } = await run(['send', '--help'], { columns: 300 });
    expect(
      out
        .split('\n')
        .find((line) => line.includes('--to '))
        ?.match(/default/g),
    ).toHaveLength(1);
    expect(out).not.toContain('[]');
  });

  test('needs a port that is known', async () => {
    const { code, err } = await run(['send', '--config', configFor(0)]);
    expect(code).toBe(2);
    expect(err).toContain('--port');
  });

  test.each([
    ['--port', '0'],
    ['--port', '65536'],
    ['--header', 'no colon'],
    ['--tls', 'maybe'],
  ])('refuses %s %j as wrong use', async (option, value) => {
    const { code } = await run(['send', option, value, '--config', join(tempFolder(), 'none.yaml')]);
    expect(code).toBe(2);
  });
});
