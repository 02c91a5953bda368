import { expect, test } from 'vitest';
import { namedIn } from '../../src/app/named.ts';
import { testConfig, testCredential, testTag } from '../support/config.ts';

test('a tag may stand in labels wherever the config names it: under tags, as a credential’s own, in a rule', () => {
  const config = testConfig({
    tags: new Map([['receipt', testTag({ name: 'receipt' })]]),
    credentials: [testCredential({ tag: 'account-notice' }), testCredential({ tag: null })],
    rules: [{ name: 'bulk', when: { tag: ['newsletter', 'receipt'] }, action: { kind: 'via', routes: ['sandbox'] } }],
  });
  expect([...namedIn(config).tags]).toEqual(['receipt', 'account-notice', 'newsletter']);
});
