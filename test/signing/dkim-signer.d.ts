/** The package has no types of its own. */
declare module 'dkim-signer' {
  export function DKIMSign(
    email: string,
    options: { readonly domainName: string; readonly keySelector: string; readonly privateKey: string },
  ): string;
}
