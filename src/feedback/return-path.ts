/**
 * Return paths that name their delivery (VERP): `b.<26 characters of the delivery id>.<20 of a MAC>@<domain>`.
 *
 * A bounce that comes back to such an address needs no guessing, and nobody can make one up: the MAC (100 bits of HMAC-SHA256
 * under the database's own secret) shows that this relay wrote it. Who saw the message knows its address, so a report at it
 * proves no more than that. The local part has 49 characters of the 64 that RFC 5321 (section 4.5.3.1.1) allows; letter case
 * does not count, for some servers change it. The domain is not part of the MAC: the caller checks it.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { type EnvelopeAddress, parseEnvelopeAddress } from '../core/address.ts';
import { type DeliveryId, parseDeliveryId } from '../core/ids.ts';

export interface ReturnPaths {
  /** The return path of `deliveryId` at `domain` (A-labels). */
  make(deliveryId: DeliveryId, domain: string): EnvelopeAddress;
  /** The delivery that `address` (at any domain) names, or null when it is no return path of this relay's. */
  read(address: string): DeliveryId | null;
}

const ID_PREFIX = 'dlv_';
const MAC_CHARACTERS = 20;
/** The alphabet of ids: no letter that is taken for another. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
/** Plain ASCII: lower-casing must not turn another character into one of these. */
const LOCAL_PART = /^b\.([0-9a-z]{26})\.([0-9a-z]{20})$/i;
const MAX_ADDRESS_CHARACTERS = 320;

/** Makes the writer and reader of return paths under `secret` (32 octets). */
export function createReturnPaths(secret: Uint8Array): ReturnPaths {
  const key = Uint8Array.from(secret);
  const macOf = (id: string): string => {
    const digest = createHmac('sha256', key).update(`leadpush-relay return path ${id}`).digest();
    // 5 bits of an octet each: 20 characters are 100 bits.
    let text = '';
    for (let i = 0; i < MAC_CHARACTERS; i++) text += ALPHABET.charAt((digest[i] ?? 0) & 31);
    return text;
  };
  return {
    make(deliveryId, domain) {
      const id = deliveryId.slice(ID_PREFIX.length);
      const parsed = parseEnvelopeAddress(`b.${id}.${macOf(id)}@${domain}`, { smtpUtf8: false });
      if (parsed.kind === 'malformed') throw new Error(`no return path can be made at ${domain}: ${parsed.reason}`);
      return parsed.address;
    },
    read(address) {
      if (address.length > MAX_ADDRESS_CHARACTERS) return null;
      const at = address.lastIndexOf('@');
      const match = at === -1 ? null : LOCAL_PART.exec(address.slice(0, at));
      const id = match?.[1]?.toLowerCase();
      const mac = match?.[2]?.toLowerCase();
      if (id === undefined || mac === undefined) return null;
      if (!timingSafeEqual(Buffer.from(macOf(id)), Buffer.from(mac))) return null;
      return parseDeliveryId(`${ID_PREFIX}${id}`);
    },
  };
}
