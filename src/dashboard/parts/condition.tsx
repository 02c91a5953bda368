/** What a view shows when there is nothing to show: loading, nothing there, an error with a way on. */
import type { ReactNode } from 'react';
import type { UseQueryResult } from '@tanstack/react-query';
import { ApiError } from '../api/client.ts';

export function Loading({ what }: { readonly what: string }) {
  return (
    <p className="loading" role="status">
      Loading {what} ...
    </p>
  );
}

export function Empty({ title, children }: { readonly title: string; readonly children?: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** An error in words, what to do about it, and the way to try again. */
export function Trouble({ error, onRetry }: { readonly error: Error; readonly onRetry?: () => void }) {
  const id = error instanceof ApiError ? error.requestId : null;
  return (
    <div className="notice bad" role="alert">
      <strong>{headline(error)}</strong>
      <p>{error.message}</p>
      {id === null ? null : (
        <p className="faint">
          The relay's log has more under <code>{id}</code>.
        </p>
      )}
      {onRetry === undefined ? null : (
        <p>
          <button type="button" className="small" onClick={onRetry}>
            Try again
          </button>
        </p>
      )}
    </div>
  );
}

function headline(error: Error): string {
  if (!(error instanceof ApiError)) return 'Something in this page went wrong';
  if (error.status === 0) return 'No connection';
  if (error.status === 403) return 'Not allowed with this token';
  if (error.status === 404) return 'Not there';
  return 'The relay could not answer';
}

/** Draws `children` with the data of `query`, or what stands for it while there is none. */
export function Loaded<T>({
  query,
  what,
  children,
}: {
  readonly query: UseQueryResult<T, Error>;
  readonly what: string;
  readonly children: (data: T) => ReactNode;
}) {
  if (query.data !== undefined) {
    return (
      <>
        {query.isError ? <Trouble error={query.error} onRetry={() => void query.refetch()} /> : null}
        {children(query.data)}
      </>
    );
  }
  if (query.isError) return <Trouble error={query.error} onRetry={() => void query.refetch()} />;
  return <Loading what={what} />;
}
