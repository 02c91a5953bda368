/** Which view an address shows, and whether somebody has to sign in first. */
import { useEffect, type ReactNode } from 'react';
import { LiveContext, useEventStream } from './api/live.ts';
import { useSession } from './api/session.ts';
import { usePlace } from './lib/router.ts';
import { Empty, Loading, Trouble } from './parts/condition.tsx';
import { Link } from './parts/link.tsx';
import { Shell } from './parts/shell.tsx';
import { FlowView } from './views/flow.tsx';
import { MessageView } from './views/message.tsx';
import { MessagesView } from './views/messages.tsx';
import { QueueView } from './views/queue.tsx';
import { RoutesView } from './views/routes.tsx';
import { SendersView } from './views/senders.tsx';
import { SignIn } from './views/sign-in.tsx';
import { StatisticsView } from './views/statistics.tsx';
import { SuppressionsView } from './views/suppressions.tsx';
import { WebhooksView } from './views/webhooks.tsx';
import { WebhookView } from './views/webhook.tsx';

export function App() {
  const session = useSession();
  const isIn = session.data !== undefined && session.data.state !== 'signed-out';
  const live = useEventStream(isIn);
  const { path } = usePlace();
  const { title, view } = viewOf(path);

  useEffect(() => {
    document.title = `${title} · Leadpush Relay`;
  }, [title]);

  if (session.isPending) return <Loading what="the dashboard" />;
  if (session.data === undefined) {
    return (
      <main className="sign-in">
        <Trouble error={session.error} onRetry={() => void session.refetch()} />
      </main>
    );
  }
  if (!isIn) return <SignIn />;
  return (
    <LiveContext value={live}>
      <Shell>{view}</Shell>
    </LiveContext>
  );
}

function viewOf(path: string): { readonly title: string; readonly view: ReactNode } {
  const [, first = '', rest = ''] = /^\/([^/]*)\/?(.*)$/.exec(path) ?? [];
  const name = decoded(rest);
  if (first === 'messages' && name !== '') return { title: 'Message', view: <MessageView key={name} id={name} /> };
  if (first === 'flows' && name !== '') return { title: `Flow ${name}`, view: <FlowView key={name} flow={name} /> };
  if (first === 'webhooks' && name !== '') {
    return { title: `Webhook ${name}`, view: <WebhookView key={name} name={name} /> };
  }
  switch (path) {
    case '/':
      return { title: 'Messages', view: <MessagesView /> };
    case '/queue':
      return { title: 'Queue', view: <QueueView /> };
    case '/routes':
      return { title: 'Routes', view: <RoutesView /> };
    case '/suppressions':
      return { title: 'Suppressions', view: <SuppressionsView /> };
    case '/statistics':
      return { title: 'Statistics', view: <StatisticsView /> };
    case '/webhooks':
      return { title: 'Webhooks', view: <WebhooksView /> };
    case '/senders':
      return { title: 'Senders', view: <SendersView /> };
  }
  return {
    title: 'Not there',
    view: (
      <Empty title="There is no such page">
        <p>
          <Link href="/">All messages</Link>
        </p>
      </Empty>
    ),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Somebody wrote it by hand.
    return text;
  }
}
