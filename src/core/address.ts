declare const brand: unique symbol;

/** A mailbox as it stood between the angle brackets of MAIL or RCPT, byte for byte, proven to match our grammar. */
export type EnvelopeAddress = string & { readonly [brand]: 'EnvelopeAddress' };

/** A sender: a mailbox, or the empty string for the null sender `<>`. */
export type ReversePath = EnvelopeAddress | '';

export type ParsedAddress =
  | { readonly kind: 'address'; readonly address: EnvelopeAddress }
  | { readonly kind: 'malformed'; readonly reason: string };

/** Parses the text between the angle brackets of MAIL or RCPT. */
export declare function parseEnvelopeAddress(text: string, options: { readonly smtpUtf8: boolean }): ParsedAddress;

/** The domain of `address` in lower case, as A-labels. */
export declare function domainOf(address: EnvelopeAddress): string;

/** A form of `address` under which equal mailboxes compare equal: lower case, domain as A-labels. */
export declare function addressKey(address: EnvelopeAddress): string;
