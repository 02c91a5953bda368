import { DKIMSign } from 'dkim-signer';
import { beforeAll, describe, expect, test } from 'vitest';
import { createSigningFixture, DOMAIN, ODD_MESSAGES, type SigningFixture } from './fixture.ts';
import { verifyWithMailauth } from './verifiers.ts';

/**
 * Inputs on which dkim-signer 0.2.2 makes a signature that verifies. On the others (empty bodies, no-break spaces, form
 * feeds, octets that are not UTF-8 ...) it does not, which is why this project has a signer of its own.
 */
let fixture: SigningFixture;

beforeAll(async () => {
  fixture = await createSigningFixture();
});

function bodyHash(text: string): string | undefined {
  return /\bbh=([^;]+);/.exec(text)?.[1]?.replace(/\s/g, '');
}

describe('beside dkim-signer', () => {
  test('our body hash is the same wherever its signature verifies, and ours verifies everywhere', async () => {
    const agreed: string[] = [];
    for (const [name, message] of ODD_MESSAGES) {
      const options = { domainName: DOMAIN, keySelector: 'rsa1', privateKey: fixture.rsaPem };
      const theirs = DKIMSign(message.toString('utf8'), options);
      const signed = Buffer.concat([Buffer.from(`${theirs}\r\n`), message]);
      const ours = (await fixture.sign(message)).toString('latin1');
      if ((await verifyWithMailauth(signed, fixture.records))[0] !== 'pass') continue;
      agreed.push(name);
      expect([name, bodyHash(ours)]).toEqual([name, bodyHash(theirs)]);
    }
    expect(agreed).toContain('an ordinary message');
    expect(agreed.length).toBeGreaterThanOrEqual(12);
    expect(agreed).not.toContain('no-break spaces');
  });
});
