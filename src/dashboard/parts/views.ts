/** The views that the list at the side offers, in the order of the questions people come with. */
export const VIEWS: readonly { readonly href: string; readonly name: string }[] = [
  { href: '/', name: 'Messages' },
  { href: '/queue', name: 'Queue' },
  { href: '/routes', name: 'Routes' },
  { href: '/statistics', name: 'Statistics' },
  { href: '/suppressions', name: 'Suppressions' },
  { href: '/webhooks', name: 'Webhooks' },
  { href: '/senders', name: 'Senders' },
];
