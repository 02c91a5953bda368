/**
 * Mail providers by the host of a route: what their customers put into SPF, as the providers document it.
 *
 * Only well-known ones that name one `include` for everybody. Most providers put a return path of their own on each mail; then
 * the SPF record that counts is theirs, and ours counts only where a return path of our domain was set up with them.
 */

export interface MailProvider {
  readonly name: string;
  /** For `include:`. */
  readonly include: string;
  /** It replaces the return path by one of its own unless it was set up otherwise. */
  readonly ownReturnPath: boolean;
}

const PROVIDERS: readonly (MailProvider & { readonly hosts: readonly string[] })[] = [
  { name: 'Amazon SES', hosts: ['amazonaws.com'], include: 'amazonses.com', ownReturnPath: true },
  { name: 'Postmark', hosts: ['postmarkapp.com'], include: 'spf.mtasv.net', ownReturnPath: true },
  { name: 'SendGrid', hosts: ['sendgrid.net'], include: 'sendgrid.net', ownReturnPath: true },
  { name: 'Mailgun', hosts: ['mailgun.org'], include: 'mailgun.org', ownReturnPath: true },
  { name: 'Mailjet', hosts: ['mailjet.com'], include: 'spf.mailjet.com', ownReturnPath: true },
  { name: 'Brevo', hosts: ['brevo.com', 'sendinblue.com'], include: 'spf.brevo.com', ownReturnPath: true },
  { name: 'SparkPost', hosts: ['sparkpostmail.com'], include: 'sparkpostmail.com', ownReturnPath: true },
  { name: 'Mandrill', hosts: ['mandrillapp.com'], include: 'spf.mandrillapp.com', ownReturnPath: true },
  { name: 'Google', hosts: ['gmail.com', 'google.com'], include: '_spf.google.com', ownReturnPath: false },
  {
    name: 'Microsoft 365',
    hosts: ['protection.outlook.com', 'office365.com'],
    include: 'spf.protection.outlook.com',
    ownReturnPath: false,
  },
  { name: 'Fastmail', hosts: ['fastmail.com'], include: 'spf.messagingengine.com', ownReturnPath: false },
];

/** The provider whose server `host` is, or null. */
export function providerOf(host: string): MailProvider | null {
  const name = host.toLowerCase();
  return PROVIDERS.find(({ hosts }) => hosts.some((known) => name === known || name.endsWith(`.${known}`))) ?? null;
}
