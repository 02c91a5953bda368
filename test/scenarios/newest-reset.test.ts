/**
 * Three resets are requested while the next hop is down: a person who clicks "forgot password" again and again gets the last
 * link alone, and none that is dead already.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type NextHop, startNextHop } from '../support/next-hop.ts';
import { createRelayHome, type RelayHome, type RelayProcess, sandboxConfig, until } from '../support/relay.ts';
import { sendReset } from '../support/send-reset.ts';

interface Told {
  readonly type: string;
  readonly data: {
    readonly message?: { readonly id: string };
    readonly reason?: string;
    readonly superseded_by?: string;
    readonly supersedes?: readonly string[];
  };
}

let hop: NextHop;
let home: RelayHome;
let relay: RelayProcess;

beforeEach(async () => {
  hop = await startNextHop();
});

afterEach(async () => {
  await relay?.kill9();
  await hop.close();
  await home.remove();
});

async function startRelay(ttl: string): Promise<void> {
  home = await createRelayHome(
    sandboxConfig({
      tags: { 'password-reset': { ttl, collapse: 'recipient' } },
      routes: { hop: { type: 'smtp', host: '127.0.0.1', port: hop.port, tls: 'none' } },
      rules: [{ name: 'default', via: ['hop'] }],
      retry: { critical: ['300ms'] },
    }),
  );
  relay = await home.start();
}

/** Asks for a reset; resolves with the message's id. */
const requestReset = (token: string): Promise<string> => sendReset(relay.smtpPort, { token });

async function events(): Promise<readonly Told[]> {
  const { stdout } = await home.cli(['tail', '--json', '--recipient', 'ann@example.net']);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

const of = (all: readonly Told[], type: string): readonly Told[] => all.filter((event) => event.type === type);

describe('three resets while the next hop is down', () => {
  it('end with the newest alone when it is back', async () => {
    await startRelay('15m');
    const { port } = hop;
    await hop.close();
    const ids = [await requestReset('one'), await requestReset('two'), await requestReset('three')];
    hop = await startNextHop({ port });
    await hop.until(() => hop.messages.length > 0);
    await until(async () => of(await events(), 'message.delivered').length === 1, 'the delivery');

    expect(hop.messages).toHaveLength(1);
    expect(hop.messages[0]?.content.toString('latin1')).toContain('token=three');
    const all = await events();
    const superseded = of(all, 'message.superseded');
    expect(superseded.map(({ data }) => [data.message?.id, data.superseded_by])).toEqual([
      [ids[0], ids[1]],
      [ids[1], ids[2]],
    ]);
    expect(of(all, 'message.accepted').map(({ data }) => data.supersedes)).toEqual([undefined, [ids[0]], [ids[1]]]);
  }, 60_000);

  it('end with none when it is back after the links have died, and the events say why', async () => {
    await startRelay('2s');
    const { port } = hop;
    await hop.close();
    const ids = [await requestReset('one'), await requestReset('two'), await requestReset('three')];
    await until(async () => of(await events(), 'message.expired').length === 1, 'the end of the last one');
    hop = await startNextHop({ port });
    await new Promise((resolve) => setTimeout(resolve, 1000));

    expect(hop.messages).toEqual([]);
    const [expired] = of(await events(), 'message.expired');
    expect(expired?.data.message?.id).toBe(ids[2]);
    expect(expired?.data.reason).toMatch(/deadline.*tag/);
  }, 60_000);

  it('leave alone the one that was past its final dot, and tell the two apart', async () => {
    await startRelay('15m');
    let release: () => void = () => {};
    const held = new Promise<null>((resolve) => {
      release = () => resolve(null);
    });
    hop.on('dot', () => (hop.messages.length === 1 ? held : null));
    const first = await requestReset('one');
    await hop.until(() => hop.messages.length === 1);
    const second = await requestReset('two');
    await hop.until(() => hop.messages.length === 2);
    release();
    await until(async () => of(await events(), 'message.delivered').length === 2, 'both deliveries');

    const all = await events();
    const older = of(all, 'message.delivered').find(({ data }) => data.message?.id === first);
    expect(older?.data.superseded_by).toBe(second);
    expect(older?.data.reason).toMatch(/newer message/);
    const newer = of(all, 'message.delivered').find(({ data }) => data.message?.id === second);
    expect(newer?.data.superseded_by).toBeUndefined();
  }, 60_000);
});
