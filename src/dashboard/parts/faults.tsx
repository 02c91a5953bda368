/** Tries that did not deliver, by kind, most frequent first, each with the newest answer. */
import type { Fault } from '../api/types.ts';
import { count } from '../lib/time.ts';
import { Time } from './show.tsx';

export function FaultTable({ faults, withRoute }: { readonly faults: readonly Fault[]; readonly withRoute: boolean }) {
  return (
    <table className="cards">
      <thead>
        <tr>
          <th scope="col" className="right">
            Count
          </th>
          {withRoute ? <th scope="col">Route</th> : null}
          <th scope="col">Outcome</th>
          <th scope="col">Stage</th>
          <th scope="col">Answer</th>
          <th scope="col">Last</th>
        </tr>
      </thead>
      <tbody>
        {faults.map((fault) => (
          <tr key={[fault.route, fault.outcome, fault.stage, fault.cause, fault.code, fault.enhanced].join(' ')}>
            <td className="right number">{count(fault.count)}</td>
            {withRoute ? <td>{fault.route}</td> : null}
            <td>
              <span className={`badge ${fault.outcome === 'rejected' ? 'bad' : 'wait'}`}>{fault.outcome}</span>
            </td>
            <td className="muted" title={fault.cause ?? undefined}>
              {fault.stage}
            </td>
            <td className="line break">
              {[fault.code, fault.enhanced].filter((part) => part !== null).join(' ')}{' '}
              <span className="muted">{fault.response}</span>
            </td>
            <td className="muted">
              <Time at={fault.last_at} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
