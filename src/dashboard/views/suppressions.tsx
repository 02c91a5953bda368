/** Addresses that get no mail: see why, add one, take one off. */
import { useRef, useState, type FormEvent } from 'react';
import { useAddSuppression, useRemoveSuppression } from '../api/changes.ts';
import { useSuppressions } from '../api/queries.ts';
import { useIsAdmin } from '../api/session.ts';
import type { Suppression } from '../api/types.ts';
import { addressOf } from '../lib/router.ts';
import { Confirm } from '../parts/confirm.tsx';
import { Empty, Loading, Trouble } from '../parts/condition.tsx';
import { Link } from '../parts/link.tsx';
import { Relative, Time } from '../parts/show.tsx';

const SPANS: readonly (readonly [string, string])[] = [
  ['', 'until it is removed'],
  ['1', 'for a day'],
  ['7', 'for a week'],
  ['30', 'for 30 days'],
];

export function SuppressionsView() {
  const list = useSuppressions();
  const isAdmin = useIsAdmin();
  const found = list.data?.pages.flatMap(({ data }) => data) ?? [];
  return (
    <>
      <div className="view-head">
        <h1>Suppressions</h1>
        <span className="sub">
          addresses that get no mail; the app is not told, so that nobody learns which accounts exist
        </span>
      </div>
      <section className="panel" aria-label="Suppressions">
        {isAdmin ? <Add /> : null}
        {list.isError ? <Trouble error={list.error} onRetry={() => void list.refetch()} /> : null}
        {list.isPending ? <Loading what="suppressions" /> : null}
        {list.data !== undefined && found.length === 0 ? (
          <Empty title="No address is suppressed">
            <p>
              A bounce that says that a mailbox does not exist puts its address here for a time, and so does a
              complaint. Tags with
              <code> suppression: bypass</code> are sent all the same.
            </p>
          </Empty>
        ) : null}
        {found.length > 0 ? (
          <table className="cards">
            <thead>
              <tr>
                <th scope="col">Address</th>
                <th scope="col">Why</th>
                <th scope="col">Detail</th>
                <th scope="col">Since</th>
                <th scope="col">Until</th>
                {isAdmin ? <th scope="col" aria-label="Actions" /> : null}
              </tr>
            </thead>
            <tbody>
              {found.map((entry) => (
                <Row key={entry.recipient} entry={entry} isAdmin={isAdmin} />
              ))}
            </tbody>
          </table>
        ) : null}
        {list.hasNextPage ? (
          <div className="foot">
            <button
              type="button"
              className="small"
              disabled={list.isFetchingNextPage}
              onClick={() => void list.fetchNextPage()}
            >
              Show more
            </button>
          </div>
        ) : null}
      </section>
    </>
  );
}

function Row({ entry, isAdmin }: { readonly entry: Suppression; readonly isAdmin: boolean }) {
  const remove = useRemoveSuppression();
  const [asking, setAsking] = useState(false);
  return (
    <tr>
      <td className="address line">
        <Link href={addressOf('/', { q: entry.recipient })}>{entry.recipient}</Link>
      </td>
      <td>
        <span className={`badge ${entry.reason === 'manual' ? '' : 'bad'}`}>{entry.reason}</span>
      </td>
      <td className="line break muted">
        {entry.detail}
        {entry.message_id === null ? null : (
          <>
            {' '}
            <Link href={`/messages/${entry.message_id}`}>message</Link>
          </>
        )}
      </td>
      <td className="muted" data-name="since">
        <Time at={entry.created_at} />
      </td>
      <td className="muted" data-name="until">
        {entry.expires_at === null ? 'removed by hand' : <Relative at={entry.expires_at} />}
      </td>
      {isAdmin ? (
        <td className="right line">
          <button type="button" className="small" disabled={remove.isPending} onClick={() => setAsking(true)}>
            Remove
          </button>
          {remove.isError ? <p className="text-bad">{remove.error.message}</p> : null}
          {asking ? (
            <Confirm
              title={`Let mail to ${entry.recipient} through again?`}
              action="Remove it"
              onYes={() => {
                setAsking(false);
                remove.mutate(entry.recipient);
              }}
              onNo={() => setAsking(false)}
            >
              <p>If the mailbox still does not exist, the next mail bounces, and the address comes back here.</p>
            </Confirm>
          ) : null}
        </td>
      ) : null}
    </tr>
  );
}

function Add() {
  const add = useAddSuppression();
  const [address, setAddress] = useState('');
  const [detail, setDetail] = useState('');
  const [days, setDays] = useState('');
  const first = useRef<HTMLInputElement>(null);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    add.mutate(
      { address: address.trim(), detail: detail.trim(), days },
      {
        onSuccess: () => {
          setAddress('');
          setDetail('');
          first.current?.focus();
        },
      },
    );
  };
  return (
    <form className="filters form-row" onSubmit={submit} aria-label="Add a suppression">
      <label className="field grow">
        Address
        <input
          ref={first}
          type="email"
          required
          maxLength={320}
          value={address}
          onChange={(event) => setAddress(event.target.value)}
        />
      </label>
      <label className="field grow">
        Why
        <input
          maxLength={200}
          placeholder="asked us to"
          value={detail}
          onChange={(event) => setDetail(event.target.value)}
        />
      </label>
      <label className="field">
        How long
        <select value={days} onChange={(event) => setDays(event.target.value)}>
          {SPANS.map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <button type="submit" className="primary" disabled={add.isPending || address.trim() === ''}>
        Add
      </button>
      {add.isError ? (
        <p className="text-bad" role="alert">
          {add.error.message}
        </p>
      ) : null}
    </form>
  );
}
