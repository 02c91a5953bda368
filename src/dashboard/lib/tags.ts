/** Tags that the relay knows by name; any other can be searched for too. */
export const KNOWN_TAGS: readonly string[] = [
  'password-reset',
  'admin-reset',
  'compromised-account',
  'otp',
  'magic-link',
];
