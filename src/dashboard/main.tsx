/** Starts the dashboard in the page. */
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { ApiError } from './api/client.ts';
import { App } from './app.tsx';
import { Guard } from './parts/guard.tsx';
import './styles/tokens.css';
import './styles/base.css';
import './styles/layout.css';
import './styles/parts.css';
import './styles/lists.css';
import './styles/story.css';
import './styles/views.css';

const MAX_TRIES = 2;

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2000,
      // A refusal stays one; a relay that restarts is back in a moment.
      retry: (tries, error) =>
        !(error instanceof ApiError && error.status >= 400 && error.status < 500) && tries < MAX_TRIES,
    },
  },
});

// The session ended, or the relay was restarted: the door comes up by itself.
client.getQueryCache().subscribe(({ type, query }) => {
  if (type !== 'updated' || query.queryKey[0] === 'session') return;
  const { error } = query.state;
  if (error instanceof ApiError && error.status === 401) void client.invalidateQueries({ queryKey: ['session'] });
});

const root = document.getElementById('root');
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <Guard>
        <QueryClientProvider client={client}>
          <App />
        </QueryClientProvider>
      </Guard>
    </StrictMode>,
  );
}
