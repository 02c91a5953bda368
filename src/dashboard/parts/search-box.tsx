/** One box for every key. `/` comes here from anywhere, Enter searches, Escape empties it or leaves. */
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { addressOf, navigate, usePlace } from '../lib/router.ts';
import { faultOf, parseSearch, queryOf, searchOf, searchText } from '../lib/search.ts';

const MESSAGE_ID = /^msg_[0-9a-z]{26}$/;

export function SearchBox() {
  const place = usePlace();
  const asked = place.path === '/' ? searchText(searchOf(place.query)) : '';
  const [text, setText] = useState(asked);
  const box = useRef<HTMLInputElement>(null);

  useEffect(() => setText(asked), [asked]);
  // The browser says it at the box, and does not search.
  useEffect(() => box.current?.setCustomValidity(faultOf(parseSearch(text))), [text]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const isField = event.target instanceof HTMLElement && event.target.closest('input, select, textarea, dialog');
      if (event.key !== '/' || isField || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      box.current?.focus();
      box.current?.select();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);

  const search = (event: FormEvent): void => {
    event.preventDefault();
    const wanted = text.trim();
    if (MESSAGE_ID.test(wanted)) navigate(`/messages/${wanted}`);
    else navigate(addressOf('/', queryOf(parseSearch(wanted))));
    box.current?.blur();
  };

  return (
    <form className="search" role="search" onSubmit={search}>
      <input
        ref={box}
        type="search"
        aria-label="Search by recipient or how it begins, message id, Message-ID, flow; or tag:, state:, since:, until:"
        placeholder="Recipient, id, flow, tag:password-reset, state:deferred, since:2h"
        title="Recipient or how it begins, message id, Message-ID or flow; tag:NAME state:STATE flow:ID to:ADDRESS since:2h until:2026-11-28T09:00"
        value={text}
        maxLength={400}
        spellCheck={false}
        autoCapitalize="none"
        autoComplete="off"
        enterKeyHint="search"
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== 'Escape') return;
          event.preventDefault();
          event.stopPropagation();
          if (text === '') box.current?.blur();
          else setText('');
        }}
      />
      <kbd aria-hidden="true">/</kbd>
    </form>
  );
}
