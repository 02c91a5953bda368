/**
 * A next hop of the old kind: it knows HELO alone, or EHLO without a single keyword. Mail is spoken without parameters and
 * without pipelining, and arrives as it was.
 */
import { describe, expect, it } from 'vitest';
import { reply } from '../../support/next-hop.ts';
import { useStage } from './stage.ts';

describe('a next hop without extensions', () => {
  const stage = useStage({
    'that knows HELO alone': { first: { on: { EHLO: reply('500 5.5.1 unknown command') } } },
    'that does not implement EHLO': { first: { on: { EHLO: reply('502 5.5.1 not implemented') } } },
    'that offers nothing': { first: { extensions: [] } },
  });

  it.concurrent.each(['that knows HELO alone', 'that does not implement EHLO', 'that offers nothing'] as const)(
    '%s gets the message at once, and once',
    async (name) => {
      const scene = stage().scene(name);
      const text = '.one dot\r\n..two dots\r\n.\r\nthe end\r\n';
      const story = await (await scene.send({ text })).end();
      expect(story).toMatchObject({
        state: 'delivered',
        events: [{ type: 'message.accepted' }, { type: 'message.delivered' }],
        attempts: [{ route: 'first', outcome: 'delivered', stage: 'dot', code: 250 }],
        copies: { first: 1, second: 0 },
      });
      const [message] = scene.first.messages;
      expect(message?.content.toString('latin1')).toContain(`\r\n\r\n${text}`);
      expect(message?.mailParameters).toBe('');
      expect(message?.recipients.map(({ parameters }) => parameters)).toEqual(['']);
      const said = scene.first.lines.map(({ line }) => line.split(' ')[0]);
      const hello = name === 'that offers nothing' ? ['EHLO'] : ['EHLO', 'HELO'];
      expect(said).toEqual([...hello, 'MAIL', 'RCPT', 'DATA']);
    },
  );
});
