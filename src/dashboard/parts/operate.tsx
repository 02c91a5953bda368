/** Retry and cancel: for a message, or all that was marked in the queue. Only with the scope admin. */
import { useState } from 'react';
import { useOperate } from '../api/changes.ts';
import { useIsAdmin } from '../api/session.ts';
import { mayCancel, mayRetry } from '../lib/states.ts';
import { Confirm } from './confirm.tsx';

export interface Target {
  readonly messageId: string;
  readonly state: string;
  readonly recipient: string;
  /** Whether it could be sent again: its content is there, and its time is not over. */
  readonly sendable: boolean;
}

export function Operate({ targets, onDone }: { readonly targets: readonly Target[]; readonly onDone?: () => void }) {
  const isAdmin = useIsAdmin();
  const operate = useOperate();
  const [asking, setAsking] = useState(false);
  const retryable = idsOf(targets.filter(({ state, sendable }) => mayRetry(state) && sendable));
  const cancelable = idsOf(targets.filter(({ state }) => mayCancel(state)));
  if (!isAdmin || (retryable.length === 0 && cancelable.length === 0)) return null;
  const run = (action: 'retry' | 'cancel', ids: readonly string[]): void => {
    setAsking(false);
    operate.mutate({ action, ids }, { onSuccess: () => onDone?.() });
  };
  const what = cancelable.length === 1 ? 'this message' : `these ${cancelable.length} messages`;
  return (
    <>
      {retryable.length === 0 ? null : (
        <button type="button" disabled={operate.isPending} onClick={() => run('retry', retryable)}>
          Retry now{retryable.length > 1 ? ` (${retryable.length})` : ''}
        </button>
      )}
      {cancelable.length === 0 ? null : (
        <button type="button" className="danger" disabled={operate.isPending} onClick={() => setAsking(true)}>
          Cancel{cancelable.length > 1 ? ` (${cancelable.length})` : ''}
        </button>
      )}
      {operate.result === '' ? null : (
        <span role="status" className={operate.isError ? 'text-bad' : 'muted'}>
          {operate.result}
        </span>
      )}
      {asking ? (
        <Confirm
          title={`Never send ${what}?`}
          action="Cancel it"
          onYes={() => run('cancel', cancelable)}
          onNo={() => setAsking(false)}
        >
          <p>
            {cancelable.length === 1
              ? `What is not delivered yet to ${targets[0]?.recipient ?? ''} will not be sent.`
              : 'What is not delivered yet of them will not be sent.'}{' '}
            The person in front of the app is not told.
          </p>
        </Confirm>
      ) : null}
    </>
  );
}

function idsOf(targets: readonly Target[]): readonly string[] {
  return [...new Set(targets.map(({ messageId }) => messageId))];
}
