import { type EnvelopeAddress, parseEnvelopeAddress } from '../../src/core/address.ts';

/** `text` as an envelope address; a test that gives a bad one is wrong. */
export function address(text: string): EnvelopeAddress {
  const parsed = parseEnvelopeAddress(text, { smtpUtf8: true });
  if (parsed.kind === 'malformed') throw new Error(`${text}: ${parsed.reason}`);
  return parsed.address;
}
