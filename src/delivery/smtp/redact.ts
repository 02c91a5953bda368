/** Keeps a route's password out of what a server says about it: some repeat the failed AUTH line in their reply. Pure. */

/** A function that replaces `auth`'s password in a text, also in the base64 forms that AUTH PLAIN and LOGIN send. */
export function createRedactor(
  auth: { readonly username: string; readonly password: string } | null,
): (text: string) => string {
  if (auth === null || auth.password === '') return (text) => text;
  const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
  const secrets = [
    auth.password,
    base64(auth.password),
    base64(`\0${auth.username}\0${auth.password}`),
    base64(`${auth.username}\0${auth.username}\0${auth.password}`),
  ];
  return (text) => secrets.reduce((cleaned, secret) => cleaned.replaceAll(secret, '[password]'), text);
}
